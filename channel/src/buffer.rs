//! The messages that were sent and not yet received, in order.
//!
//! One type serves all channels: a rendezvous channel's limit is 0, so that its buffer is always
//! empty and always full; a bounded channel's buffer is one ring of `limit` places, allocated when
//! the channel is made; an unbounded channel's buffer is a chain of small rings, so that growing
//! never moves a message and what was drained is given back.
//!
//! Invariants:
//!
//! - `front` is empty only if `rest` is.
//! - `rest` has blocks or is `None`, as always in a bounded buffer. All of them but the last are
//!   full.

use std::collections::{LinkedList, VecDeque};
use std::hint::cold_path;
use std::mem;

use lisle_runtime::internal::last_words::abort_with;
use lisle_scheduler::internal::points;

/// Messages in order, so many in each but the last that none is moved when there are more.
pub(crate) type Blocks<T> = LinkedList<VecDeque<T>>;

#[derive(Debug)]
pub(crate) struct Buffer<T> {
    /// The oldest messages.
    front: VecDeque<T>,
    /// What does not fit into `front`, in blocks of [`Buffer::BLOCK`] messages. Boxed, so that
    /// channels that never need it are smaller.
    rest: Option<Box<Blocks<T>>>,
    /// How many messages fit, without the places that are set aside. Without any, `usize::MAX`
    /// stands for no limit.
    limit: usize,
    /// Places set aside for messages that are going to come: each for a select that has chosen to
    /// send. One that is forgotten counts for ever.
    reserved: u32,
    /// Whether a send counts as an operation of its turn.
    pub(crate) counts_sends: bool,
    /// Whether a party does something before it parks.
    pub(crate) has_preliminaries: bool,
}

impl<T> Buffer<T> {
    /// Messages in a block: about a kilobyte of them, so that neither the cost of an allocation
    /// counts nor the block that an idle channel keeps.
    const BLOCK: usize = match size_of::<T>() {
        size if size >= 1024 => 1,
        size if size <= 16 => 64,
        size => 1024 / size,
    };

    /// A buffer of `limit` places.
    ///
    /// # Panics
    ///
    /// If there is no memory for `limit` messages, or their number cannot be counted.
    pub(crate) fn bounded(limit: usize) -> Self {
        assert_ne!(limit, usize::MAX, "a channel of capacity {limit} cannot count its messages");
        let mut front = VecDeque::new();
        if let Err(error) = front.try_reserve_exact(limit) {
            panic!("no memory for a channel of capacity {limit}: {error}");
        }
        Self::new(front, limit)
    }

    /// A buffer that grows.
    pub(crate) fn unbounded() -> Self {
        Self::new(VecDeque::new(), usize::MAX)
    }

    fn new(front: VecDeque<T>, limit: usize) -> Self {
        let (counts_sends, has_preliminaries) = (false, false);
        let mut buffer =
            Self { front, rest: None, limit, reserved: 0, counts_sends, has_preliminaries };
        // Known from the beginning: in a program that is explored, each operation of this channel
        // is a point at which others may go first, and others need not ask.
        let is_explored = points::is_explored();
        buffer.counts_sends = buffer.is_limited() || is_explored;
        buffer.has_preliminaries = buffer.is_ring() || is_explored;
        buffer
    }

    /// The number of places, or `None` if the buffer grows.
    pub(crate) fn capacity(&self) -> Option<usize> {
        let places = self.limit + self.reserved as usize;
        (places != usize::MAX).then_some(places)
    }

    /// Whether the buffer can be full one day. (Places set aside lower the limit also where it
    /// stands for none. And one so large that memory ends before does not count.)
    #[inline]
    pub(crate) fn is_limited(&self) -> bool {
        self.limit <= isize::MAX as usize
    }

    /// Whether there is a fixed number of places, and at least one that is not set aside.
    #[inline]
    pub(crate) fn is_ring(&self) -> bool {
        self.limit != 0 && self.is_limited()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.front.is_empty()
    }

    /// No place is free. Never so in a buffer that grows, where `front` is at most a block.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.front.len() >= self.limit
    }

    pub(crate) fn len(&self) -> usize {
        let blocks = self.rest.as_deref();
        let rest = match blocks.and_then(|blocks| Some((blocks.len() - 1, blocks.back()?.len()))) {
            Some((full, last)) => full * Self::BLOCK + last,
            None => 0,
        };
        self.front.len() + rest
    }

    /// Sets a place aside. The buffer is not full.
    pub(crate) fn reserve(&mut self) {
        debug_assert!(!self.is_full());
        let Some(reserved) = self.reserved.checked_add(1) else { abort_without_places() };
        self.reserved = reserved;
        self.limit -= 1;
    }

    /// Whether a place is set aside.
    pub(crate) fn is_reserved(&self) -> bool {
        self.reserved != 0
    }

    /// Makes a place that was set aside free again.
    pub(crate) fn unreserve(&mut self) {
        self.limit += 1;
        self.reserved -= 1;
    }

    /// Appends a message. The buffer is not full.
    #[inline]
    pub(crate) fn push(&mut self, message: T) {
        debug_assert!(!self.is_full());
        if self.front.len() < self.front.capacity() && self.rest.is_none() {
            self.front.push_back(message);
        } else {
            self.push_rest(message);
        }
    }

    #[inline(never)]
    fn push_rest(&mut self, message: T) {
        if self.front.capacity() == 0 {
            self.front.reserve_exact(Self::BLOCK);
            return self.front.push_back(message);
        }
        let blocks = self.rest.get_or_insert_default();
        match blocks.back_mut() {
            Some(last) if last.len() < Self::BLOCK => last.push_back(message),
            _ => {
                let mut block = VecDeque::with_capacity(Self::BLOCK);
                block.push_back(message);
                blocks.push_back(block);
            }
        }
    }

    /// Takes the oldest message out. The buffer is not empty.
    #[inline]
    pub(crate) fn pop(&mut self) -> T {
        let message = self.front.pop_front().expect("the buffer was seen not to be empty");
        if self.front.is_empty() {
            cold_path();
            if let Some(blocks) = self.rest.take() {
                self.replace_front(blocks);
            }
        }
        message
    }

    /// Replaces `front`, which is empty, by the next block.
    #[cold]
    #[inline(never)]
    fn replace_front(&mut self, mut blocks: Box<Blocks<T>>) {
        self.front = blocks.pop_front().unwrap_or_default();
        self.rest = (!blocks.is_empty()).then_some(blocks);
    }

    /// Takes all messages out, with their memory: first the oldest ones, then the rest in blocks.
    pub(crate) fn drain(&mut self) -> (VecDeque<T>, Blocks<T>) {
        (mem::take(&mut self.front), *self.rest.take().unwrap_or_default())
    }
}

/// A place that were not counted would let the channel go while a select still sends into it.
#[cold]
#[inline(never)]
fn abort_without_places() -> ! {
    abort_with(format_args!(
        "a channel has no more than {} places for selects that have chosen to send: where are all \
         the others forgotten?",
        u32::MAX
    ))
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::env;
    use std::process::Command;

    use super::*;

    #[test]
    fn places_beyond_what_can_be_counted_end_the_process() {
        const CHILD: &str = "LISLE_TEST_COUNTS_PLACES";
        const NAME: &str = "buffer::tests::places_beyond_what_can_be_counted_end_the_process";
        if env::var_os(CHILD).is_some() {
            let mut buffer = Buffer::<()> { reserved: u32::MAX - 1, ..Buffer::unbounded() };
            buffer.reserve();
            println!("there is a last one");
            buffer.reserve();
            println!("and another one");
        }
        let this = env::current_exe().unwrap();
        // The kernel cannot start a program for another processor itself.
        let runner = env::var_os("LISLE_TEST_RUNNER");
        let mut child = Command::new(runner.as_deref().unwrap_or(this.as_os_str()));
        child.args(runner.is_some().then_some(&this));
        let ended =
            child.args([NAME, "--exact", "--nocapture"]).env(CHILD, "yes").output().unwrap();
        let (said, reason) = (ended.stdout.as_slice(), ended.stderr.as_slice());
        let (said, reason) = (String::from_utf8_lossy(said), String::from_utf8_lossy(reason));
        assert!(!ended.status.success());
        assert!(said.contains("a last one") && !said.contains("another one"), "{said}");
        assert!(reason.contains("lisle: a channel has no more than 4294967295 places"), "{reason}");
    }
}

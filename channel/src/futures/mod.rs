//! The ends of a channel for `async` code: [`SendFuture`], [`RecvFuture`] and a stream.
//!
//! A **sender** that is a future waits as a task does: a sole party in the wait list, whose message
//! lies in a slot on the heap. A receiver takes the message and calls the waker. If the future is
//! dropped, the message was taken or goes with it.
//!
//! A **receiver** that is a future is never handed a message, which would be lost if it were
//! dropped before its next poll. It waits in a list of its own ([`Futures`]), is woken, and looks.
//! Invariant, whenever the lock is free: if a future waits in the list, at least as many futures
//! were woken and have not looked yet as there are messages to be had, in the buffer or from parked
//! senders. It holds because
//!
//! - a future joins the list only under the lock under which it found nothing;
//! - each message that comes, into the buffer or with a sender that parks, wakes one future;
//! - a woken future that looks takes a message, or there is none; one that is dropped instead wakes
//!   the next if a message is to be had.
//!
//! Messages go to parked tasks and threads first, which take them at once: they, too, may come
//! before a future that has waited for longer.
//!
//! So that a send need not ask for futures on its fast way, the list has a *sign* among the parked
//! receivers as long as it is not empty: an entry that is no party, behind which a send looks on.

mod clock;
#[cfg(all(test, lisle_loom))]
mod models;
mod receive;
mod send;
#[cfg(feature = "futures-core")]
mod stream;

use std::ptr::NonNull;

use lisle_scheduler::internal::{Taken, WaitQueue, Waiter};
use lisle_scheduler::park::Unparker;

pub use self::receive::RecvFuture;
pub use self::send::SendFuture;
#[cfg(feature = "futures-core")]
pub use self::stream::RecvStream;
use crate::channel::{End, Guard, State};
use crate::waiter::{Key, Parked};
use crate::waitlist::WaitList;

/// The receivers of a channel that are futures: made for the first of them, since few channels have
/// any.
#[derive(Debug, Default)]
pub(crate) struct Futures(Option<Box<List>>);

#[derive(Debug)]
struct List {
    queue: WaitQueue,
    /// Among the parked receivers as long as the queue is not empty.
    sign: NonNull<Waiter<Parked, Key>>,
}

// SAFETY: the sign is this struct's own, and is touched under the lock that guards it.
unsafe impl Send for List {}

/// A future that was taken out of the list.
#[must_use = "the future sleeps until it is woken"]
pub(crate) struct Woken(Option<Taken>);

impl Woken {
    /// Calls the waker. Not to be called under the lock.
    pub(crate) fn wake(self) {
        if let Some(future) = self.0 {
            future.wake();
        }
    }
}

impl Futures {
    /// Whether any waits.
    pub(crate) fn wait(&self) -> bool {
        self.0.as_ref().is_some_and(|list| !list.queue.is_empty())
    }

    /// Adds a future; one that was woken in vain keeps its turn, in front.
    ///
    /// # Safety
    ///
    /// As for `WaitQueue::push`. `parked` is the list of the channel's parked receivers.
    unsafe fn add(
        &mut self,
        parked: &mut WaitList,
        waiter: &Waiter,
        unparker: Unparker,
        in_front: bool,
    ) {
        let list = self.0.get_or_insert_with(|| Box::new(List::new()));
        if list.queue.is_empty() {
            // SAFETY: the sign stays until it is taken down, and is not up while nobody waits.
            unsafe { parked.put_up(list.sign) };
        }
        // SAFETY: passed on to the caller.
        unsafe {
            match in_front {
                true => list.queue.push_front(waiter, unparker),
                false => list.queue.push(waiter, unparker),
            }
        }
    }

    /// Takes out the future that comes first, if any waits.
    #[inline]
    fn next(&mut self, parked: &mut WaitList) -> Woken {
        Woken(self.0.as_mut().and_then(|list| list.next(parked)))
    }

    /// Takes a future out on its own behalf.
    ///
    /// # Safety
    ///
    /// The waiter was added to this list.
    unsafe fn remove(&mut self, parked: &mut WaitList, waiter: &Waiter) -> Option<Unparker> {
        let list = self.0.as_mut()?;
        // SAFETY: passed on to the caller.
        let unparker = unsafe { list.queue.remove(waiter) }?;
        list.settle(parked);
        Some(unparker)
    }
}

impl List {
    fn new() -> Self {
        let sign = Box::new(Waiter::new(Parked::selecting()));
        Self { queue: WaitQueue::new(), sign: NonNull::from(Box::leak(sign)) }
    }

    fn next(&mut self, parked: &mut WaitList) -> Option<Taken> {
        let first = self.queue.pop()?;
        self.settle(parked);
        Some(first)
    }

    fn settle(&mut self, parked: &mut WaitList) {
        if self.queue.is_empty() {
            // SAFETY: it was put up in this list.
            unsafe { parked.take_down(self.sign) };
        }
    }
}

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: it was leaked when it was made. No future waits in a channel that ends, so it was
        // taken down.
        drop(unsafe { Box::from_raw(self.sign.as_ptr()) });
    }
}

impl<T> State<T> {
    /// The list of those receivers that are futures, and where its sign goes.
    fn waiting_futures(&mut self) -> (&mut Futures, &mut WaitList) {
        (&mut self.futures, &mut self.receivers.parked)
    }

    /// Takes out the future to be woken for a message that has just come.
    pub(crate) fn next_future(&mut self) -> Woken {
        self.futures.next(&mut self.receivers.parked)
    }
}

/// After something has come to `end` that the other one waits for: tells the watchers there, and
/// wakes a future.
#[cold]
#[inline(never)]
pub(crate) fn notify_others<T>(mut state: Guard<'_, T>, end: End) {
    state.side(end.other()).parked.notify_watchers();
    if let End::Sending = end {
        let future = state.next_future();
        drop(state);
        future.wake();
    }
}

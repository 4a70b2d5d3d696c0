//! A channel: one lock over a buffer and two wait lists.
//!
//! Invariants, whenever the lock is free:
//!
//! - Senders are parked only while no place of the buffer is free and a receiver exists.
//! - Receivers are parked only while the buffer is empty and a message may come: a sender exists,
//!   or a place is set aside for the message of one that has gone.
//! - Senders and receivers are never parked at the same time, but for the operations of one select.
//! - No receiver, no buffered messages.
//!
//! Every operation takes the lock once, to find out which of four ways is open to it
//! ([`Opening`]), and releases it before it wakes a party or drops a value. Only watchers are woken
//! under the lock; see `waitlist.rs`. A party that was served while it was parked does not take the
//! lock again. `README.md` has the hand-over protocol.
//!
//! How a receive finds its way is in `ways.rs`, what parks in `blocking.rs`, what only selects need
//! in `select/operation.rs`.

use std::mem::{forget, needs_drop};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use lisle_runtime::internal::primitive::{Arc, BriefMutex, BriefMutexGuard};
use lisle_scheduler::internal::points;
use lisle_scheduler::park::Place;

use crate::buffer::Buffer;
use crate::claim::Grant;
use crate::error::{TryRecvError, TrySendError};
use crate::futures::Futures;
use crate::waiter::{Verdict, Won};
use crate::waitlist::WaitList;

#[derive(Debug)]
pub(crate) struct Channel<T> {
    pub(crate) state: BriefMutex<State<T>>,
    /// Counts whatever can have made an operation possible: a message in the buffer, a free place,
    /// a parked party, the drop of an end. Written under the lock. It is no atomic of a model,
    /// which needs no interleavings beyond those of the lock.
    changes: AtomicUsize,
}

#[derive(Debug)]
pub(crate) struct State<T> {
    pub(crate) buffer: Buffer<T>,
    pub(crate) senders: Side,
    pub(crate) receivers: Side,
    /// Those receivers that wait by `.await`.
    pub(crate) futures: Futures,
}

/// One end of a channel.
#[derive(Debug)]
pub(crate) struct Side {
    /// Handles alive. At 0 the channel is disconnected for the other end.
    pub(crate) handles: usize,
    pub(crate) parked: WaitList,
}

/// Names an end of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Sending,
    Receiving,
}

pub(crate) type Guard<'a, T> = BriefMutexGuard<'a, State<T>>;

/// What an operation finds when it looks at the channel. No value has moved yet.
pub(crate) enum Opening<'a, T> {
    /// A party parked at the other end was won and has to be served. The lock is free.
    Partner(Won),
    /// A send finds a free place in the buffer, a receive finds a message.
    Buffer(Guard<'a, T>),
    /// Nothing is possible now, and the operation may park.
    Blocked(Guard<'a, T>),
    /// Nothing will ever be possible.
    Disconnected,
}

impl<T> Channel<T> {
    /// A channel with one sender and one receiver.
    pub(crate) fn new(buffer: Buffer<T>) -> Self {
        let side = || Side { handles: 1, parked: WaitList::default() };
        let futures = Futures::default();
        let state = State { buffer, senders: side(), receivers: side(), futures };
        Self { state: BriefMutex::new(state), changes: AtomicUsize::new(0) }
    }

    /// Tells the selects that look at several channels one after the other. The caller holds the
    /// lock.
    #[inline]
    pub(crate) fn change(&self) {
        // One writer at a time, under the lock.
        self.changes.store(self.changes.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// How many changes there were. If the caller has seen something that a party did after a
    /// change, it sees that change counted here.
    pub(crate) fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    #[track_caller]
    pub(crate) fn len(&self) -> usize {
        points::pass();
        self.state.lock().buffer.len()
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        points::pass();
        self.state.lock().buffer.is_empty()
    }

    #[track_caller]
    pub(crate) fn is_full(&self) -> bool {
        points::pass();
        self.state.lock().buffer.is_full()
    }

    /// Messages that wait in a buffer to which senders can add for as long as they like.
    pub(crate) fn backlog(&self) -> usize {
        let state = self.state.lock();
        if state.buffer.is_limited() { 0 } else { state.buffer.len() }
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.state.lock().buffer.capacity()
    }

    #[inline]
    pub(crate) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.open_send() {
            Opening::Partner(receiver) => {
                // SAFETY: `open_send` wins receivers of this channel.
                unsafe { receiver.send(message) };
                Ok(())
            }
            Opening::Buffer(state) => {
                self.push_and_wake(state, message);
                Ok(())
            }
            Opening::Blocked(state) => {
                drop(state);
                Err(TrySendError::Full(message))
            }
            Opening::Disconnected => Err(TrySendError::Disconnected(message)),
        }
    }

    /// If it has to wait for a message that was promised, a report says that it does so at `place`.
    #[inline]
    pub(crate) fn try_recv(&self, place: Place) -> Result<T, TryRecvError> {
        match self.open_recv() {
            // SAFETY: `open_recv` wins senders of this channel, whose slots are full.
            Opening::Partner(Won::Sole(sender)) => Ok(unsafe { sender.receive() }),
            Opening::Partner(Won::Selecting(sender)) => self.try_recv_selected(sender, place),
            Opening::Buffer(state) => Ok(self.take_buffered(state)),
            Opening::Blocked(_) => Err(TryRecvError::Empty),
            Opening::Disconnected => Err(TryRecvError::Disconnected),
        }
    }

    /// Counts one more handle at `end`.
    pub(crate) fn attach(&self, end: End) {
        self.state.lock().side(end).handles += 1;
    }

    /// Counts one handle less at `end`. The last one disconnects the channel: it wakes what is
    /// parked at the other end, and with the last receiver the buffered messages are dropped. Where
    /// a place is set aside, a message may come after the last sender: the party that frees the
    /// last such place disconnects the channel then.
    pub(crate) fn detach(this: &Arc<Self>, end: End) {
        let mut state = this.state.lock();
        let side = state.side(end);
        side.handles -= 1;
        if side.handles == 0 {
            if points::are_in_use() {
                state = this.pass_before_end(state, end);
            }
            if matches!(end, End::Sending) && state.buffer.is_reserved() {
                // The place keeps the channel, by the count that is left here.
                return forget(this.clone());
            }
            this.change();
            this.disconnect(state, end);
        }
    }

    /// In a program that is explored, others may go first while the last handle at `end`, which
    /// was counted off, is still there.
    #[cold]
    fn pass_before_end<'a>(&'a self, mut state: Guard<'a, T>, end: End) -> Guard<'a, T> {
        state.side(end).handles += 1;
        drop(state);
        points::pass_aside(end.goes(), None);
        let mut state = self.state.lock();
        state.side(end).handles -= 1;
        state
    }

    /// Wakes what is parked at the other end. No handle is left at this one, and nothing is set
    /// aside there.
    #[cold]
    pub(crate) fn disconnect<'a>(&'a self, mut state: Guard<'a, T>, end: End) {
        let discarded = match end {
            End::Sending => None,
            End::Receiving => Some(state.buffer.drain()),
        };
        // Nobody parks at the other end from now on. The lock is released for each wake-up, so a
        // thousand parked parties do not hold up the one that looks at the channel meanwhile.
        while let Some(party) = state.side(end.other()).parked.dequeue(Verdict::Disconnected) {
            drop(state);
            party.disconnect();
            state = self.state.lock();
        }
        while matches!(end, End::Sending) && state.futures.wait() {
            let future = state.next_future();
            drop(state);
            future.wake();
            state = self.state.lock();
        }
        drop(state);
        // The messages' destructors may do anything, use this channel or park or panic, so they
        // come last.
        if let Some((front, rest)) = discarded {
            discard(front.into_iter().chain(rest.into_iter().flatten()));
        }
    }

    /// Which way is open to a send. `send`, in `blocking.rs`, goes by the same rules.
    #[inline]
    pub(crate) fn open_send(&self) -> Opening<'_, T> {
        let mut state = self.state.lock();
        if state.receivers.handles == 0 {
            return Opening::Disconnected;
        }
        if let Some(receiver) = state.receivers.parked.dequeue(Verdict::Transferred) {
            return Opening::Partner(receiver);
        }
        if state.buffer.is_full() { Opening::Blocked(state) } else { Opening::Buffer(state) }
    }

    /// Puts a message into a buffer that is not full.
    #[inline]
    pub(crate) fn push(&self, state: &mut State<T>, message: T) {
        self.change();
        state.buffer.push(message);
    }

    /// As [`push`](Self::push), where futures may wait for a message.
    #[inline]
    pub(crate) fn push_and_wake(&self, mut state: Guard<'_, T>, message: T) {
        self.push(&mut state, message);
        let future = state.next_future();
        drop(state);
        future.wake();
    }

    /// Takes the oldest message out of a buffer that has one, and lets the sender that has waited
    /// longest have the freed place.
    #[inline]
    pub(crate) fn take_buffered(&self, mut state: Guard<'_, T>) -> T {
        if !state.senders.parked.is_empty() {
            return self.take_and_refill(state);
        }
        self.change();
        state.buffer.pop()
    }

    #[inline(never)]
    fn take_and_refill(&self, mut state: Guard<'_, T>) -> T {
        let sender = state.senders.parked.dequeue(Verdict::Transferred);
        let message = state.buffer.pop();
        match sender {
            // SAFETY: this sender of the same channel was won just now.
            Some(sender) => unsafe { refill(state, sender) },
            None => self.change(),
        }
        message
    }
}

impl End {
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Sending => Self::Receiving,
            Self::Receiving => Self::Sending,
        }
    }

    /// What the task does that drops the last handle.
    fn goes(self) -> &'static str {
        match self {
            Self::Sending => "drops the last sender",
            Self::Receiving => "drops the last receiver",
        }
    }
}

impl<T> State<T> {
    #[inline]
    pub(crate) fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Sending => self.sending(),
            End::Receiving => self.receiving(),
        }
    }

    #[inline]
    pub(crate) fn sending(&mut self) -> &mut Side {
        &mut self.senders
    }

    #[inline]
    pub(crate) fn receiving(&mut self) -> &mut Side {
        &mut self.receivers
    }
}

/// Gives a free place in the buffer to a sender.
///
/// # Safety
///
/// `sender` was won at the sending end of the same channel and not served yet.
pub(crate) unsafe fn refill<T>(mut state: Guard<'_, T>, sender: Won) {
    match sender {
        Won::Sole(mut sender) => {
            // SAFETY: passed on to the caller.
            state.buffer.push(unsafe { sender.take() });
            drop(state);
            sender.wake();
        }
        Won::Selecting(sender) => {
            state.buffer.reserve();
            drop(state);
            sender.grant(Grant::Reserved);
        }
    }
}

/// Drops messages one by one. If some panic, the others are dropped nevertheless, and then the
/// first of the panics goes on.
fn discard<T>(mut messages: impl Iterator<Item = T>) {
    if !needs_drop::<T>() {
        return;
    }
    let mut first_panic = None;
    loop {
        match catch_unwind(AssertUnwindSafe(|| messages.next().map(drop))) {
            Ok(Some(())) => {}
            Ok(None) => break,
            Err(panic) if first_panic.is_none() => first_panic = Some(panic),
            // Dropping it might panic again.
            Err(panic) => forget(panic),
        }
    }
    if let Some(panic) = first_panic {
        resume_unwind(panic);
    }
}

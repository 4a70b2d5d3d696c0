//! A channel: one lock over a buffer and two wait lists.
//!
//! Invariants, whenever the lock is free:
//!
//! - Senders are parked only while the buffer is full and a receiver exists.
//! - Receivers are parked only while the buffer is empty and a sender exists.
//! - Senders and receivers are never parked at the same time.
//! - No receiver, no buffered messages.
//!
//! Every operation takes the lock once, to find out which of four ways is open to it
//! ([`Opening`]), and releases it before it wakes anybody or drops a value. A party that was served
//! while it was parked does not take the lock again. `README.md` tells the hand-over protocol.

use std::mem;
use std::time::Instant;

use lisle_runtime::primitive::{Mutex, MutexGuard};
use lisle_scheduler::park::{Reason, Wake, park, unwind_cancelled};

use crate::buffer::Buffer;
use crate::error::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use crate::waitlist::{Slot, Verdict, WaitList, Waiter, Won};

#[derive(Debug)]
pub(crate) struct Channel<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
pub(crate) struct State<T> {
    buffer: Buffer<T>,
    senders: Side,
    receivers: Side,
}

/// One end of a channel.
#[derive(Debug)]
struct Side {
    /// Handles alive. At 0 the channel is disconnected for the other end.
    handles: usize,
    parked: WaitList,
}

/// Names an end of a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Sending,
    Receiving,
}

type Guard<'a, T> = MutexGuard<'a, State<T>>;

/// What an operation finds when it looks at the channel. No value has moved yet.
enum Opening<'a, T> {
    /// A party parked at the other end was won and has to be served. The lock is free.
    Partner(Won),
    /// A send finds a free place in the buffer, a receive finds a message.
    Buffer(Guard<'a, T>),
    /// Nothing is possible now, and the operation may park.
    Blocked(Guard<'a, T>),
    /// Nothing will ever be possible.
    Disconnected,
}

/// How a wait ended, seen by the party that waited.
enum Outcome {
    Served(Verdict),
    TimedOut,
    Cancelled,
}

impl<T> Channel<T> {
    /// A channel with one sender and one receiver.
    pub(crate) fn new(buffer: Buffer<T>) -> Self {
        let side = || Side { handles: 1, parked: WaitList::default() };
        Self { state: Mutex::new(State { buffer, senders: side(), receivers: side() }) }
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().buffer.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.state.lock().buffer.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.state.lock().buffer.is_full()
    }

    pub(crate) fn capacity(&self) -> Option<usize> {
        self.state.lock().buffer.capacity()
    }

    #[inline]
    pub(crate) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.open_send() {
            Opening::Partner(receiver) => {
                // SAFETY: `open_send` wins receivers of this channel, whose slots are empty.
                unsafe { serve_receiver(receiver, message) };
                Ok(())
            }
            Opening::Buffer(mut state) => {
                state.buffer.push(message);
                Ok(())
            }
            Opening::Blocked(state) => {
                drop(state);
                Err(TrySendError::Full(message))
            }
            Opening::Disconnected => Err(TrySendError::Disconnected(message)),
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn send(
        &self,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        match self.open_send() {
            Opening::Partner(receiver) => {
                // SAFETY: `open_send` wins receivers of this channel, whose slots are empty.
                unsafe { serve_receiver(receiver, message) };
                Ok(())
            }
            Opening::Buffer(mut state) => {
                state.buffer.push(message);
                Ok(())
            }
            Opening::Blocked(state) => self.park_sender(state, message, deadline),
            Opening::Disconnected => {
                unwind_cancelled();
                Err(SendTimeoutError::Disconnected(message))
            }
        }
    }

    #[inline]
    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        match self.open_recv() {
            // SAFETY: `open_recv` wins senders of this channel, whose slots are full.
            Opening::Partner(sender) => Ok(unsafe { serve_sender(sender) }),
            Opening::Buffer(state) => Ok(take_buffered(state)),
            Opening::Blocked(_) => Err(TryRecvError::Empty),
            Opening::Disconnected => Err(TryRecvError::Disconnected),
        }
    }

    /// Makes its error with `error`, since turning one `Result` into another would copy a large
    /// message once more.
    #[inline]
    #[track_caller]
    pub(crate) fn recv<E>(
        &self,
        deadline: Option<Instant>,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        match self.open_recv() {
            // SAFETY: `open_recv` wins senders of this channel, whose slots are full.
            Opening::Partner(sender) => Ok(unsafe { serve_sender(sender) }),
            Opening::Buffer(state) => Ok(take_buffered(state)),
            Opening::Blocked(state) => self.park_receiver(state, deadline, error),
            Opening::Disconnected => {
                unwind_cancelled();
                Err(error(RecvTimeoutError::Disconnected))
            }
        }
    }

    /// Counts one more handle at `end`.
    pub(crate) fn attach(&self, end: End) {
        self.state.lock().side(end).handles += 1;
    }

    /// Counts one handle less at `end`. The last one disconnects the channel: it wakes who is
    /// parked at the other end, and with the last receiver the buffered messages are dropped.
    pub(crate) fn detach(&self, end: End) {
        let mut state = self.state.lock();
        let side = state.side(end);
        side.handles -= 1;
        if side.handles == 0 {
            self.disconnect(state, end);
        }
    }

    #[cold]
    fn disconnect<'a>(&'a self, mut state: Guard<'a, T>, end: End) {
        let (other, discarded) = match end {
            End::Sending => (End::Receiving, None),
            End::Receiving => (End::Sending, Some(state.buffer.drain())),
        };
        // Nobody parks at the other end from now on. The lock is released for each wake-up, so a
        // thousand parked parties do not hold up the one that looks at the channel meanwhile.
        while let Some(party) = state.side(other).parked.dequeue(Verdict::Disconnected) {
            drop(state);
            party.wake();
            state = self.state.lock();
        }
        drop(state);
        // The messages' destructors may do anything, use this channel or park or panic, so they
        // come last.
        drop(discarded);
    }

    /// Which way is open to a send.
    #[inline]
    fn open_send(&self) -> Opening<'_, T> {
        let mut state = self.state.lock();
        if state.receivers.handles == 0 {
            return Opening::Disconnected;
        }
        if let Some(receiver) = state.receivers.parked.dequeue(Verdict::Transferred) {
            return Opening::Partner(receiver);
        }
        if state.buffer.is_full() { Opening::Blocked(state) } else { Opening::Buffer(state) }
    }

    /// Which way is open to a receive. Senders that are parked behind a buffer come after it.
    #[inline]
    fn open_recv(&self) -> Opening<'_, T> {
        let mut state = self.state.lock();
        if !state.buffer.is_empty() {
            return Opening::Buffer(state);
        }
        if let Some(sender) = state.senders.parked.dequeue(Verdict::Transferred) {
            return Opening::Partner(sender);
        }
        if state.senders.handles == 0 { Opening::Disconnected } else { Opening::Blocked(state) }
    }

    #[inline(never)]
    #[track_caller]
    fn park_sender(
        &self,
        state: Guard<'_, T>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        const REASON: Reason = Reason::new("sending on a channel");
        let slot = Slot::full(message);
        let not_parked = DropOnUnwind(&slot);
        let outcome = self.wait(state, End::Sending, REASON, &slot, deadline);
        mem::forget(not_parked);
        if let Outcome::Served(Verdict::Transferred) = outcome {
            return Ok(());
        }
        // SAFETY: a sender's slot is full from the start. Only a receiver empties it, with the
        // verdict `Transferred`; and the wait is over.
        let message = unsafe { slot.into_value() };
        match outcome {
            Outcome::TimedOut => return Err(SendTimeoutError::Timeout(message)),
            // A cancelled task may be told that the other side is gone just because that was
            // cancelled first.
            Outcome::Cancelled | Outcome::Served(_) => unwind_cancelled(),
        }
        Err(SendTimeoutError::Disconnected(message))
    }

    #[inline(never)]
    #[track_caller]
    fn park_receiver<E>(
        &self,
        state: Guard<'_, T>,
        deadline: Option<Instant>,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        const REASON: Reason = Reason::new("receiving from a channel");
        let slot = Slot::empty();
        match self.wait(state, End::Receiving, REASON, &slot, deadline) {
            // SAFETY: a sender filled the slot before it woke us, and it is done with it.
            Outcome::Served(Verdict::Transferred) => return Ok(unsafe { slot.into_value() }),
            Outcome::TimedOut => return Err(error(RecvTimeoutError::Timeout)),
            // A cancelled task may be told that the other side is gone just because that was
            // cancelled first.
            Outcome::Cancelled | Outcome::Served(Verdict::Disconnected) => unwind_cancelled(),
        }
        Err(error(RecvTimeoutError::Disconnected))
    }

    /// Parks the caller at `end` with its `slot` until it is served, the deadline has passed or it
    /// is cancelled. In the last two cases nobody has touched the slot.
    #[inline]
    #[track_caller]
    fn wait(
        &self,
        mut state: Guard<'_, T>,
        end: End,
        reason: Reason,
        slot: &Slot<T>,
        deadline: Option<Instant>,
    ) -> Outcome {
        let waiter = Waiter::new(slot);
        let wake = park(
            reason,
            deadline,
            |unparker| {
                // SAFETY: `state` is the lock. `waiter` and `slot` stay where they are until `park`
                // has returned, and it returns only after the unparker was used or retracted.
                unsafe { state.side(end).parked.enqueue(&waiter, unparker) };
                drop(state);
            },
            || {
                // SAFETY: `park` calls this after the closure above, which enqueued the waiter at
                // this end.
                unsafe { self.state.lock().side(end).parked.remove(&waiter) }
            },
        );
        match (wake, waiter.into_verdict()) {
            (Wake::Unparked, Some(verdict)) => Outcome::Served(verdict),
            (Wake::Unparked, None) => unreachable!("woken without a verdict"),
            (Wake::TimedOut, _) => Outcome::TimedOut,
            (Wake::Cancelled, _) => Outcome::Cancelled,
        }
    }
}

impl<T> State<T> {
    #[inline]
    fn side(&mut self, end: End) -> &mut Side {
        match end {
            End::Sending => &mut self.senders,
            End::Receiving => &mut self.receivers,
        }
    }
}

/// Drops the message of a sender whose `park` panics, which it does only before it has published the
/// waiter: inside `no_suspend`.
struct DropOnUnwind<'a, T>(&'a Slot<T>);

impl<T> Drop for DropOnUnwind<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the slot was made full, and no other party has seen it.
        unsafe { self.0.drop_value() };
    }
}

/// Hands `message` to a parked receiver.
///
/// # Safety
///
/// `receiver` was won at the receiving end of a channel of `T` and not served yet.
#[inline]
unsafe fn serve_receiver<T>(mut receiver: Won, message: T) {
    // SAFETY: passed on to the caller.
    unsafe { receiver.put(message) };
    receiver.wake();
}

/// Takes the message of a parked sender.
///
/// # Safety
///
/// `sender` was won at the sending end of a channel of `T` and not served yet.
#[inline]
unsafe fn serve_sender<T>(mut sender: Won) -> T {
    // SAFETY: passed on to the caller.
    let message = unsafe { sender.take() };
    sender.wake();
    message
}

/// Takes the oldest message out of a buffer that has one, and lets the sender that has waited
/// longest put its own into the freed place.
#[inline]
fn take_buffered<T>(mut state: Guard<'_, T>) -> T {
    let message = match state.senders.parked.dequeue(Verdict::Transferred) {
        None => state.buffer.pop(),
        Some(sender) => take_and_refill(state, sender),
    };
    message.expect("the buffer was seen not to be empty")
}

#[inline(never)]
fn take_and_refill<T>(mut state: Guard<'_, T>, mut sender: Won) -> Option<T> {
    let message = state.buffer.pop();
    // SAFETY: `take_buffered` has just won this sender of the same channel.
    state.buffer.push(unsafe { sender.take() });
    drop(state);
    sender.wake();
    message
}

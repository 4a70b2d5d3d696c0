//! A parked party: its place in a wait queue, where its value lies, and the right to serve it.
//!
//! A [`Waiter`] lives in the frame of the party that it stands for, between its call of `park` and
//! its return. [`Won`] is what the other end holds while it serves the party.
//!
//! The words: a *sole* party waits in one channel only, unlike a select. A *watcher* is a select
//! that only asks what is possible. To *meet* a select is to take one of its waiters out of a list;
//! it is *won* by the party that also closes its claim. To *judge* a party is to store its
//! *verdict*: how its wait ended. To *tell* a watcher is to wake it, so that it looks again.
//!
//! Invariants, besides those of the wait queue:
//!
//! - The holder of a [`Sole`] owns the party's slot until it uses the unparker, and must use it.
//!   Such a party is woken once, and until then it cannot leave the frame that holds its waiter and
//!   its slot.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::cell::UnsafeCell;
use lisle_scheduler::internal::{self, Taken};
use lisle_scheduler::park::Unparker;

use crate::claim::{Chosen, Entry, Grant};

/// The place in a parked party's frame from which its value is taken, or into which it is put.
#[derive(Debug)]
pub(crate) struct Slot<T>(UnsafeCell<MaybeUninit<T>>);

impl<T> Slot<T> {
    /// A receiver's slot.
    #[inline]
    pub(crate) fn empty() -> Self {
        Self(UnsafeCell::new(MaybeUninit::uninit()))
    }

    /// A sender's slot. The slot never drops the value.
    #[inline]
    pub(crate) fn full(value: T) -> Self {
        Self(UnsafeCell::new(MaybeUninit::new(value)))
    }

    /// The value in the slot.
    ///
    /// # Safety
    ///
    /// The slot holds a value, and nobody else has access to the slot any more.
    #[inline]
    pub(crate) unsafe fn into_value(self) -> T {
        // SAFETY: the caller vouches for the value, and the slot is never read again.
        self.0.with(|value| unsafe { ptr::read(value).assume_init() })
    }

    /// The value in a slot that is not used any more.
    ///
    /// # Safety
    ///
    /// As for [`into_value`](Self::into_value). This is called once.
    pub(crate) unsafe fn read(&self) -> T {
        // SAFETY: the caller vouches for the value, and the slot is never read again.
        self.0.with(|value| unsafe { ptr::read(value).assume_init() })
    }

    /// Drops the value where it is.
    ///
    /// # Safety
    ///
    /// As for [`into_value`](Self::into_value); the slot is not used any more.
    #[cold]
    pub(crate) unsafe fn drop_value(&self) {
        // SAFETY: the caller vouches for the value and for the access.
        self.0.with_mut(|value| unsafe { (*value).assume_init_drop() });
    }
}

/// How the other end has ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The value was taken out of the slot or put into it.
    Transferred,
    /// The other end is gone, and the slot was not touched.
    Disconnected,
    /// A select that had this party for a partner has gone away, and the slot was not touched.
    Released,
}

/// One parked party, or one of the waits of a select.
pub(crate) type Waiter = internal::Waiter<Parked, Key>;

/// What the two ends hand to each other.
#[derive(Debug)]
pub(crate) struct Parked {
    /// The party's `Slot<T>`, where `T` is the type of the channel's messages. A select has none.
    slot: NonNull<()>,
    /// Present once the party was dequeued. Not used for a select.
    verdict: Option<Verdict>,
}

/// What ends a wait.
#[derive(Debug)]
pub(crate) enum Key {
    /// The party waits in this channel alone.
    Sole(Unparker),
    /// The party is a select, which may have been served in another channel already.
    Selecting(NonNull<Entry>),
    /// No party: behind this, futures wait in a list of their own.
    Futures(NonNull<Waiter>),
}

// SAFETY: whether what lies in the slot may change threads is up to the channel's message type,
// which the channel itself contains.
unsafe impl Send for Parked {}
// SAFETY: an unparker is `Send`, and the winner of a claim may be on any thread.
unsafe impl Send for Key {}

impl Parked {
    /// A party that waits for nothing else.
    #[inline]
    pub(crate) fn at<T>(slot: &Slot<T>) -> Self {
        Self { slot: NonNull::from(slot).cast(), verdict: None }
    }

    /// One of the waits of a select.
    #[inline]
    pub(crate) fn selecting() -> Self {
        Self { slot: NonNull::dangling(), verdict: None }
    }

    /// How the other end has ended the wait, or `None` if it has not.
    #[inline]
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    #[inline]
    pub(crate) fn judge(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }
}

/// A party that was won.
#[derive(Debug)]
pub(crate) enum Won {
    Sole(Sole),
    Selecting(Chosen),
}

impl Won {
    /// Hands `message` to the receiver and wakes it. The caller does not hold the lock.
    ///
    /// # Safety
    ///
    /// The party is a receiver on a channel of `T`, dequeued as `Transferred`.
    #[inline]
    pub(crate) unsafe fn send<T>(self, message: T) {
        match self {
            // SAFETY: passed on to the caller; nobody has used the slot, since that consumes `Won`.
            Self::Sole(receiver) => unsafe { receiver.put(message) },
            Self::Selecting(receiver) => receiver.send(message),
        }
    }

    /// Wakes the party because the other end is gone. It was dequeued as `Disconnected`.
    pub(crate) fn disconnect(self) {
        match self {
            Self::Sole(party) => party.wake(),
            Self::Selecting(party) => party.grant(Grant::Disconnected),
        }
    }

    /// Wakes the party, which has to look at its channel again.
    #[cold]
    pub(crate) fn release(self) {
        match self {
            Self::Sole(mut party) => {
                party.0.with(|parked| parked.judge(Verdict::Released));
                party.wake();
            }
            Self::Selecting(party) => party.grant(Grant::LookAgain),
        }
    }
}

/// The right and the duty to serve a party that waits in one channel: to fill or empty its slot,
/// then to wake it.
#[must_use = "the party sleeps until it is woken"]
#[derive(Debug)]
pub(crate) struct Sole(Taken<Parked>);

impl Sole {
    #[inline]
    pub(crate) fn new(party: Taken<Parked>) -> Self {
        Self(party)
    }

    /// Takes the parked sender's value and wakes it. The caller does not hold the lock.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take).
    #[inline]
    pub(crate) unsafe fn receive<T>(mut self) -> T {
        // SAFETY: passed on to the caller.
        let value = unsafe { self.take() };
        self.wake();
        value
    }

    /// Takes the parked sender's value.
    ///
    /// # Safety
    ///
    /// The party is a sender on a channel of `T`, dequeued as `Transferred`, and its value was not
    /// taken yet.
    #[inline]
    pub(crate) unsafe fn take<T>(&mut self) -> T {
        // SAFETY: passed on to the caller.
        let slot = unsafe { self.slot() };
        // SAFETY: the sender made the slot full, says the caller, and a dequeued party's slot is
        // ours alone.
        slot.0.with(|value| unsafe { ptr::read(value).assume_init() })
    }

    /// Puts `value` into the parked receiver's slot and wakes it.
    ///
    /// # Safety
    ///
    /// The party is a receiver on a channel of `T`, dequeued as `Transferred`.
    #[inline]
    pub(crate) unsafe fn put<T>(mut self, value: T) {
        // SAFETY: passed on to the caller.
        let slot = unsafe { self.slot() };
        // SAFETY: a dequeued party's slot is ours alone, so nobody reads while we write.
        slot.0.with_mut(|place| unsafe { (*place).write(value) });
        self.wake();
    }

    /// Lets the party continue. The caller does not hold the lock.
    #[inline]
    pub(crate) fn wake(self) {
        self.0.wake();
    }

    /// # Safety
    ///
    /// The party waits in a channel of `T`.
    #[inline]
    unsafe fn slot<T>(&mut self) -> &Slot<T> {
        let slot = self.0.with(|parked| parked.slot);
        // SAFETY: the party made it for a `T`, says the caller, and its frame stays until we wake
        // it, which consumes `self`.
        unsafe { slot.cast().as_ref() }
    }
}

//! A parked party: where it stands in a list, its value's place, and the right to serve it.
//!
//! A [`Waiter`] lives in the frame of the party that it stands for, between its call of `park` and
//! its return. [`Won`] is what the other side holds while it serves the party.
//!
//! Invariants:
//!
//! - A waiter's record is accessed under the lock of its channel as long as the waiter is linked,
//!   and by whoever dequeued it from then on until the party is woken.
//! - A waiter is linked exactly as long as its record names its party.
//! - Whoever dequeued a party that waits in this list alone owns its slot until it uses the
//!   unparker, and must use it. Such a party is woken once, and until then it cannot leave the
//!   frame that holds its waiter and its slot.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;
use lisle_scheduler::park::Unparker;

use crate::claim::{Chosen, Claim, Grant};

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
}

impl<T> Slot<T> {
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

/// How the other side ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The value was taken out of the slot or put into it.
    Transferred,
    /// The other side is gone, and the slot was not touched.
    Disconnected,
    /// A select that had this party for a partner has gone away, and the slot was not touched.
    Released,
}

/// One parked party, or one of the waits of a select.
#[derive(Debug)]
pub(crate) struct Waiter {
    record: UnsafeCell<Record>,
    /// Set by a party that has met this wait of a select and unlinked the waiter: it will not touch
    /// the waiter again, nor the claim unless it has closed it.
    dropped: AtomicBool,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) prev: Option<NonNull<Waiter>>,
    pub(crate) next: Option<NonNull<Waiter>>,
    /// Of a party that waits here alone: present while the waiter is linked.
    pub(crate) unparker: Option<Unparker>,
    /// Of such a party: its `Slot<T>`, where `T` is the type of the channel's messages.
    pub(crate) slot: NonNull<()>,
    /// Of a select: present while the waiter is linked.
    pub(crate) selecting: Option<Selecting>,
    /// Present once the waiter was dequeued. Means nothing to a select.
    pub(crate) verdict: Option<Verdict>,
}

/// One operation of a select.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selecting {
    pub(crate) claim: NonNull<Claim>,
    pub(crate) index: usize,
}

impl Waiter {
    /// A waiter that is in no list yet, of a party that waits for nothing else.
    #[inline]
    pub(crate) fn new<T>(slot: &Slot<T>) -> Self {
        Self::with_slot(NonNull::from(slot).cast())
    }

    /// A waiter that is in no list yet, of a select.
    pub(crate) fn selecting() -> Self {
        Self::with_slot(NonNull::dangling())
    }

    #[inline]
    fn with_slot(slot: NonNull<()>) -> Self {
        let record =
            Record { prev: None, next: None, unparker: None, slot, selecting: None, verdict: None };
        Self { record: UnsafeCell::new(record), dropped: AtomicBool::new(false) }
    }

    /// Tells the party of a select that nobody will touch this unlinked waiter any more. It may be
    /// gone at once.
    ///
    /// # Safety
    ///
    /// The waiter is alive, the caller has unlinked it, and it holds the lock that guards its list.
    #[inline]
    pub(crate) unsafe fn drop_out(this: NonNull<Self>) {
        // Release: what was done with the record and the claim comes before the end of their frame.
        // SAFETY: alive, says the caller.
        unsafe { this.as_ref() }.dropped.store(true, Ordering::Release);
    }

    /// Whether [`drop_out`](Self::drop_out) was called, so that the party need not have the lock to
    /// know that nobody has access to the waiter.
    #[inline]
    pub(crate) fn was_dropped(&self) -> bool {
        // Acquire pairs with `drop_out`.
        let dropped = self.dropped.load(Ordering::Acquire);
        if cfg!(lisle_loom) && dropped {
            // Stands for the end of the frame, which a model does not see.
            self.record.with_mut(|_| {});
        }
        dropped
    }

    /// How the wait was ended, or `None` if the party gave it up.
    ///
    /// Called when `park` has returned, so that no other party can reach the waiter.
    #[inline]
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        // SAFETY: no other party can reach the waiter, so nobody writes.
        self.record.with(|record| unsafe { (*record).verdict })
    }

    /// Gives a party that parks directly into the hands of another one, as if it had been enqueued
    /// and dequeued.
    ///
    /// # Safety
    ///
    /// As for [`WaitList::enqueue`](crate::waitlist::WaitList::enqueue), the waiter and the slot
    /// stay until the unparker is used.
    pub(crate) unsafe fn surrender(&self, unparker: Unparker) -> Sole {
        let waiter = NonNull::from(self);
        let dequeue = |record: &mut Record| {
            record.verdict = Some(Verdict::Transferred);
            record.slot
        };
        // SAFETY: nobody else knows of the waiter yet.
        let slot = unsafe { Self::with(waiter, dequeue) };
        Sole { waiter, slot, unparker }
    }

    /// # Safety
    ///
    /// The waiter is alive, and the caller holds the lock that guards its list or has dequeued it.
    #[inline]
    pub(crate) unsafe fn with<R>(this: NonNull<Self>, f: impl FnOnce(&mut Record) -> R) -> R {
        // SAFETY: alive, says the caller, and nobody else accesses the record at the same time; no
        // `f` of ours reaches the same record twice.
        unsafe { this.as_ref() }.record.with_mut(|record| f(unsafe { &mut *record }))
    }
}

/// A party that was won.
#[derive(Debug)]
pub(crate) enum Won {
    Sole(Sole),
    Selecting(Chosen),
}

impl Won {
    /// Hands `message` to the receiver and wakes it. Not to be called under the lock.
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

    /// Wakes the party because the other side is gone. It was dequeued as `Disconnected`.
    pub(crate) fn disconnect(self) {
        match self {
            Self::Sole(party) => party.unparker.unpark(),
            Self::Selecting(party) => party.grant(Grant::Disconnected),
        }
    }

    /// Wakes the party, which has to look at its channel again.
    #[cold]
    pub(crate) fn release(self) {
        match self {
            Self::Sole(party) => {
                let verdict = |record: &mut Record| record.verdict = Some(Verdict::Released);
                // SAFETY: the party was dequeued, by us, and stays until we wake it.
                unsafe { Waiter::with(party.waiter, verdict) };
                party.unparker.unpark();
            }
            Self::Selecting(party) => party.grant(Grant::LookAgain),
        }
    }
}

/// The right and the duty to serve a party that waits in one channel: to fill or empty its slot,
/// then to wake it.
#[must_use = "the party sleeps until it is woken"]
#[derive(Debug)]
pub(crate) struct Sole {
    pub(crate) waiter: NonNull<Waiter>,
    pub(crate) slot: NonNull<()>,
    pub(crate) unparker: Unparker,
}

impl Sole {
    /// Takes the parked sender's value and wakes it. Not to be called under the lock.
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
        // SAFETY: the sender made the slot full with a `T`, and its frame stays until we wake it.
        let slot = unsafe { self.slot.cast::<Slot<T>>().as_ref() };
        // SAFETY: the slot is full, says the caller, and a dequeued party's slot is ours alone.
        slot.0.with(|value| unsafe { ptr::read(value).assume_init() })
    }

    /// Puts `value` into the parked receiver's slot and wakes it.
    ///
    /// # Safety
    ///
    /// The party is a receiver on a channel of `T`, dequeued as `Transferred`.
    #[inline]
    pub(crate) unsafe fn put<T>(self, value: T) {
        // SAFETY: the receiver made the slot for a `T`, and its frame stays until we wake it.
        let slot = unsafe { self.slot.cast::<Slot<T>>().as_ref() };
        // SAFETY: a dequeued party's slot is ours alone, so nobody reads while we write.
        slot.0.with_mut(|place| unsafe { (*place).write(value) });
        self.wake();
    }

    /// Lets the party continue. Not to be called under the lock.
    #[inline]
    pub(crate) fn wake(self) {
        self.unparker.unpark();
    }
}

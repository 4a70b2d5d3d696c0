//! The list of parties parked on one side of a channel, first come, first served.
//!
//! A [`Waiter`] lives on the stack of the party it stands for, between its call of `park` and its
//! return. The list links waiters and owns nothing: no allocation, whatever the number of parties.
//!
//! Invariants:
//!
//! - Every access to a waiter's record happens under the lock of the channel that owns the list,
//!   except that the party itself reads its verdict after it was woken.
//! - A waiter is linked exactly as long as it holds an unparker. Both end in one of two ways, each
//!   under the lock: [`WaitList::dequeue`], by the other side, or [`WaitList::remove`], by the party.
//! - Whoever dequeued a waiter owns its slot until it uses the unparker, and must use it.
//!
//! So the lock alone decides between a hand-over and a time-out. Each party that ends up dequeued is
//! woken once, and until then it cannot leave the frame that holds its waiter and its slot.

use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};

use lisle_runtime::primitive::cell::UnsafeCell;
use lisle_scheduler::park::Unparker;

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
}

/// One parked party.
#[derive(Debug)]
pub(crate) struct Waiter(UnsafeCell<Record>);

#[derive(Debug)]
struct Record {
    prev: Option<NonNull<Waiter>>,
    next: Option<NonNull<Waiter>>,
    /// Present while the waiter is linked.
    unparker: Option<Unparker>,
    /// Present once the waiter was dequeued.
    verdict: Option<Verdict>,
    /// The party's `Slot<T>`, where `T` is the type of the channel's messages.
    slot: NonNull<()>,
}

impl Waiter {
    /// A waiter that is in no list yet.
    #[inline]
    pub(crate) fn new<T>(slot: &Slot<T>) -> Self {
        Self(UnsafeCell::new(Record {
            prev: None,
            next: None,
            unparker: None,
            verdict: None,
            slot: NonNull::from(slot).cast(),
        }))
    }

    /// How the wait was ended, or `None` if the party gave it up.
    ///
    /// Called when `park` has returned, so that no other party can reach the waiter.
    #[inline]
    pub(crate) fn into_verdict(self) -> Option<Verdict> {
        // SAFETY: no other party can reach the waiter, so nobody writes.
        self.0.with(|record| unsafe { (*record).verdict })
    }

    /// # Safety
    ///
    /// The waiter is alive and the caller holds the lock that guards its list.
    #[inline]
    unsafe fn with<R>(this: NonNull<Self>, f: impl FnOnce(&mut Record) -> R) -> R {
        // SAFETY: alive, says the caller; the lock excludes every other access to the record, and
        // no `f` in this file reaches the same record twice.
        unsafe { this.as_ref() }.0.with_mut(|record| f(unsafe { &mut *record }))
    }
}

/// The right and the duty to serve one dequeued party: to fill or empty its slot, then to wake it.
#[must_use = "the party sleeps until it is woken"]
#[derive(Debug)]
pub(crate) struct Won {
    slot: NonNull<()>,
    unparker: Unparker,
}

impl Won {
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

    /// Puts `value` into the parked receiver's slot.
    ///
    /// # Safety
    ///
    /// The party is a receiver on a channel of `T`, dequeued as `Transferred`, and its slot is
    /// still empty.
    #[inline]
    pub(crate) unsafe fn put<T>(&mut self, value: T) {
        // SAFETY: the receiver made the slot for a `T`, and its frame stays until we wake it.
        let slot = unsafe { self.slot.cast::<Slot<T>>().as_ref() };
        // SAFETY: a dequeued party's slot is ours alone, so nobody reads while we write.
        slot.0.with_mut(|place| unsafe { (*place).write(value) });
    }

    /// Lets the party continue. Not to be called under the lock.
    #[inline]
    pub(crate) fn wake(self) {
        self.unparker.unpark();
    }
}

/// The queue of waiters on one side of a channel.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    head: Option<NonNull<Waiter>>,
    tail: Option<NonNull<Waiter>>,
}

// SAFETY: the list is two pointers to records that only the holder of the channel's lock touches,
// whichever thread that is, and an `Unparker` is `Send`. Whether the slots behind them may change
// threads is up to the channel's message type, which the channel itself contains.
unsafe impl Send for WaitList {}

impl WaitList {
    /// Puts a waiter at the tail.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list, and neither the waiter nor its slot moves or
    /// goes away before the waiter was removed, or was dequeued and the unparker used.
    #[inline]
    pub(crate) unsafe fn enqueue(&mut self, waiter: &Waiter, unparker: Unparker) {
        let this = NonNull::from(waiter);
        let prev = self.tail.replace(this);
        // SAFETY: we hold the lock, and `waiter` is a live reference.
        unsafe {
            Waiter::with(this, |record| {
                record.prev = prev;
                record.unparker = Some(unparker);
            });
        }
        match prev {
            // SAFETY: a linked waiter is alive, and we hold the lock.
            Some(prev) => unsafe { Waiter::with(prev, |record| record.next = Some(this)) },
            None => self.head = Some(this),
        }
    }

    /// Takes the waiter at the head and tells it the verdict, which it sees when it is woken.
    ///
    /// This is the one place where a party is won. A party that waits in several lists at once
    /// would be won here too: by its claim, and skipped if another list was faster.
    #[inline]
    pub(crate) fn dequeue(&mut self, verdict: Verdict) -> Option<Won> {
        let head = self.head?;
        // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
        let (won, next) = unsafe {
            Waiter::with(head, |record| {
                record.verdict = Some(verdict);
                let unparker = record.unparker.take().expect("a linked waiter has an unparker");
                (Won { slot: record.slot, unparker }, record.next)
            })
        };
        self.head = next;
        match next {
            // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
            Some(next) => unsafe { Waiter::with(next, |record| record.prev = None) },
            None => self.tail = None,
        }
        Some(won)
    }

    /// Takes `waiter` out and gives its unparker back, or `None` if it was dequeued and is being
    /// served.
    ///
    /// # Safety
    ///
    /// The waiter was enqueued in this list.
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter) -> Option<Unparker> {
        // SAFETY: `waiter` is a live reference, and `&mut self` comes out of the lock.
        let (unparker, prev, next) = unsafe {
            Waiter::with(NonNull::from(waiter), |record| {
                (record.unparker.take(), record.prev, record.next)
            })
        };
        let unparker = unparker?;
        match prev {
            // SAFETY: `waiter` was linked, so its neighbours are linked and alive.
            Some(prev) => unsafe { Waiter::with(prev, |record| record.next = next) },
            None => self.head = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { Waiter::with(next, |record| record.prev = prev) },
            None => self.tail = prev,
        }
        Some(unparker)
    }
}

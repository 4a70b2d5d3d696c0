//! Which party holds a lock, for reports.
//!
//! Two stores to a cache line that the lock has just taken anyway. They are no part of the lock's
//! protocol, so a model does not see them. A report that is made while a lock changes hands may mix
//! two holders; that of a deadlock is made when nothing changes any more.

use std::panic::Location;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use lisle_scheduler::internal::current_number;
use lisle_scheduler::park::{Awaited, Held, Place};

/// The last party that has taken a lock.
#[derive(Debug)]
pub(crate) struct Holder {
    /// Where it did so; null as long as nobody has.
    place: AtomicPtr<Location<'static>>,
    /// The task's number, or 0 for a plain thread.
    task: AtomicU64,
}

impl Holder {
    pub(crate) const fn new() -> Self {
        Self { place: AtomicPtr::new(ptr::null_mut()), task: AtomicU64::new(0) }
    }

    /// The caller has taken the lock at `place`.
    #[inline(always)]
    pub(crate) fn set(&self, place: Place) {
        self.place.store(ptr::from_ref(place).cast_mut(), Ordering::Relaxed);
        self.task.store(current_number(), Ordering::Relaxed);
    }

    /// Where it was taken last.
    pub(crate) fn place(&self) -> Option<Place> {
        // SAFETY: it is null or comes from a reference to what is never freed.
        unsafe { self.place.load(Ordering::Relaxed).as_ref() }
    }

    /// What a party waits for while the lock is held by `times`.
    pub(crate) fn release(&self, times: usize) -> Option<Awaited> {
        let held = Held::new(self.task.load(Ordering::Relaxed), "locked", self.place()?, times);
        Some(Awaited::Release(held))
    }
}

//! The locks in the form of the crate `lock_api`, on which other crates build.
//!
//! That crate makes a lock with guards of all kinds out of a raw lock: parking_lot's locks are made
//! so. What is written for any raw lock works with these, too. A task that waits lets its worker
//! run others.
//!
//! Where there is a choice take [`Mutex`](crate::Mutex) and [`RwLock`](crate::RwLock): a
//! [`Condvar`](crate::Condvar) works with these alone. Order, panics and cancellation are the same.
//! There is no poisoning, waiting for a lock is no cancellation point, guards stay on their thread,
//! and the report of a deadlock says where a lock was taken.
//!
//! This module needs the feature `lock_api`.
//!
//! # Examples
//!
//! ```
//! use lisle::sync::lock_api::Mutex;
//! use std::time::Duration;
//!
//! static TOTAL: Mutex<u64> = Mutex::new(1);
//!
//! lisle::run(|| {
//!     let total = TOTAL.lock();
//!     assert!(TOTAL.try_lock_for(Duration::from_millis(1)).is_none());
//!     let adding = lisle::spawn(|| *TOTAL.lock() += 1);
//!     lisle::yield_now(); // the other task waits for the lock
//!     drop(total);
//!     adding.join().unwrap();
//! });
//! assert_eq!(*TOTAL.lock(), 2);
//! ```

use std::panic::Location;
use std::time::{Duration, Instant};

use ::lock_api::GuardNoSend;

use crate::rwlock::{RawRwLock as Shared, Reading, Writing};
use crate::waiting::{deadline_in, pass};

/// A lock for a value that one task or thread at a time may use.
pub type Mutex<T> = ::lock_api::Mutex<RawMutex, T>;

/// The guard of a [`Mutex`].
pub type MutexGuard<'a, T> = ::lock_api::MutexGuard<'a, RawMutex, T>;

/// A guard of a part of what a [`Mutex`] guards.
pub type MappedMutexGuard<'a, T> = ::lock_api::MappedMutexGuard<'a, RawMutex, T>;

/// A lock for a value that many may read at a time, or one may change.
pub type RwLock<T> = ::lock_api::RwLock<RawRwLock, T>;

/// The guard of a reader of an [`RwLock`].
pub type RwLockReadGuard<'a, T> = ::lock_api::RwLockReadGuard<'a, RawRwLock, T>;

/// The guard of a writer of an [`RwLock`].
pub type RwLockWriteGuard<'a, T> = ::lock_api::RwLockWriteGuard<'a, RawRwLock, T>;

/// A guard of a part of what an [`RwLock`] guards, to read it.
pub type MappedRwLockReadGuard<'a, T> = ::lock_api::MappedRwLockReadGuard<'a, RawRwLock, T>;

/// A guard of a part of what an [`RwLock`] guards, to change it.
pub type MappedRwLockWriteGuard<'a, T> = ::lock_api::MappedRwLockWriteGuard<'a, RawRwLock, T>;

/// The lock of a mutex, without what it guards.
#[derive(Debug)]
pub struct RawMutex(crate::mutex::RawMutex);

/// The lock of a read-write lock, without what it guards.
#[derive(Debug)]
pub struct RawRwLock(Shared);

// SAFETY: one party at a time has the lock.
unsafe impl ::lock_api::RawMutex for RawMutex {
    const INIT: Self = Self(crate::mutex::RawMutex::new());

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock(&self) {
        self.0.lock(Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock(&self) -> bool {
        self.0.try_lock(Location::caller())
    }

    #[inline]
    unsafe fn unlock(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock() };
    }

    #[inline]
    #[track_caller]
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
}

// SAFETY: as above.
unsafe impl ::lock_api::RawMutexTimed for RawMutex {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_for(&self, timeout: Duration) -> bool {
        self.0.lock_until(|| deadline_in(timeout), Location::caller())
    }

    #[inline]
    #[track_caller]
    fn try_lock_until(&self, deadline: Instant) -> bool {
        self.0.lock_until(|| Some(deadline), Location::caller())
    }
}

// SAFETY: one writer at a time has the lock and nobody else, or readers alone.
unsafe impl ::lock_api::RawRwLock for RawRwLock {
    const INIT: Self = Self(Shared::new());

    type GuardMarker = GuardNoSend;

    #[inline]
    #[track_caller]
    fn lock_shared(&self) {
        self.0.lock::<Reading>(Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared(&self) -> bool {
        self.0.try_lock::<Reading>(Location::caller())
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock_shared() };
    }

    #[inline]
    #[track_caller]
    fn lock_exclusive(&self) {
        self.0.lock::<Writing>(Location::caller());
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive(&self) -> bool {
        self.0.try_lock::<Writing>(Location::caller())
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.unlock_exclusive() };
    }

    #[inline]
    #[track_caller]
    fn is_locked(&self) -> bool {
        self.0.look_for_holders() != (false, 0)
    }

    #[inline]
    #[track_caller]
    fn is_locked_exclusive(&self) -> bool {
        self.0.look_for_holders().0
    }
}

// SAFETY: as above.
unsafe impl ::lock_api::RawRwLockTimed for RawRwLock {
    type Duration = Duration;
    type Instant = Instant;

    #[inline]
    #[track_caller]
    fn try_lock_shared_for(&self, timeout: Duration) -> bool {
        self.0.lock_until::<Reading>(|| deadline_in(timeout), Location::caller())
    }

    #[inline]
    #[track_caller]
    fn try_lock_shared_until(&self, deadline: Instant) -> bool {
        self.0.lock_until::<Reading>(|| Some(deadline), Location::caller())
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_for(&self, timeout: Duration) -> bool {
        self.0.lock_until::<Writing>(|| deadline_in(timeout), Location::caller())
    }

    #[inline]
    #[track_caller]
    fn try_lock_exclusive_until(&self, deadline: Instant) -> bool {
        self.0.lock_until::<Writing>(|| Some(deadline), Location::caller())
    }
}

// SAFETY: no writer has the lock between its being a writer and its being a reader.
unsafe impl ::lock_api::RawRwLockDowngrade for RawRwLock {
    #[inline]
    #[track_caller]
    unsafe fn downgrade(&self) {
        pass();
        // SAFETY: passed on to the caller.
        unsafe { self.0.downgrade() };
    }
}

//! A guard that keeps its mutex alive.

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Mutex;
use crate::waiting::deadline_in;

/// The right to use what a [`Mutex`] in an [`Arc`] guards, until it is dropped. It stays on its
/// thread.
#[must_use = "the mutex is unlocked at once if the guard is dropped"]
pub struct OwnedMutexGuard<T: ?Sized> {
    mutex: Arc<Mutex<T>>,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives what a `&T` gives, and its mutex, which needs `Send` to be shared.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedMutexGuard<T> {}

impl<T: ?Sized> Mutex<T> {
    /// As [`lock`](Self::lock), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Mutex, OwnedMutexGuard};
    /// use std::sync::Arc;
    ///
    /// /// Has its account for as long as it lives.
    /// struct Transfer(OwnedMutexGuard<u32>);
    ///
    /// let account = Arc::new(Mutex::new(5));
    /// let mut transfer = Transfer(account.clone().lock_owned());
    /// *transfer.0 -= 2;
    /// assert!(account.is_locked());
    /// drop(transfer);
    /// assert_eq!(*account.lock(), 3);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        self.raw.lock(Location::caller());
        self.owned_guard()
    }

    /// As [`try_lock`](Self::try_lock), with a guard that borrows nothing.
    #[inline]
    #[track_caller]
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        self.raw.try_lock(Location::caller()).then(|| self.owned_guard())
    }

    /// As [`lock_timeout`](Self::lock_timeout), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[inline]
    #[track_caller]
    pub fn lock_owned_timeout(self: Arc<Self>, timeout: Duration) -> Option<OwnedMutexGuard<T>> {
        let locked = self.raw.lock_until(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.owned_guard())
    }

    /// As [`lock_until`](Self::lock_until), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[inline]
    #[track_caller]
    pub fn lock_owned_until(self: Arc<Self>, deadline: Instant) -> Option<OwnedMutexGuard<T>> {
        let locked = self.raw.lock_until(|| Some(deadline), Location::caller());
        locked.then(|| self.owned_guard())
    }

    /// The caller has just taken the lock.
    #[inline]
    fn owned_guard(self: Arc<Self>) -> OwnedMutexGuard<T> {
        OwnedMutexGuard { mutex: self, not_send: PhantomData }
    }
}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The mutex that is locked.
    ///
    /// An associated function, so that it does not hide a method of the value.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.mutex
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held as long as the guard lives, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock.
        unsafe { self.mutex.raw.unlock() };
    }
}

fmt_as_value!(OwnedMutexGuard<T>);

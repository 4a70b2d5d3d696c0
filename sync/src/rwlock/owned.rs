//! Guards that keep their lock alive.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::ptr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::RwLock;
use super::raw::{Reading, Writing};
use crate::waiting::{deadline_in, pass};

/// The right to read what an [`RwLock`] in an [`Arc`] guards, until it is dropped. It stays on its
/// thread.
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct OwnedRwLockReadGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
    not_send: PhantomData<*const ()>,
}

/// The right to change what an [`RwLock`] in an [`Arc`] guards, until it is dropped. It stays on
/// its thread.
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
    not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives what a `&T` gives, and its lock, which needs `Send` to be shared.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockReadGuard<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockWriteGuard<T> {}

impl<T: ?Sized> RwLock<T> {
    /// As [`read`](Self::read), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::RwLock;
    /// use std::sync::Arc;
    ///
    /// let lock = Arc::new(RwLock::new(vec![1, 2]));
    /// let list = lock.clone().read_owned();
    /// drop(lock); // the guard keeps it alive
    /// assert_eq!(*list, [1, 2]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        self.raw.lock::<Reading>(Location::caller());
        self.owned_read_guard()
    }

    /// As [`try_read`](Self::try_read), with a guard that borrows nothing.
    #[inline]
    #[track_caller]
    pub fn try_read_owned(self: Arc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        self.raw.try_lock::<Reading>(Location::caller()).then(|| self.owned_read_guard())
    }

    /// As [`read_timeout`](Self::read_timeout), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn read_owned_timeout(
        self: Arc<Self>,
        timeout: Duration,
    ) -> Option<OwnedRwLockReadGuard<T>> {
        let locked = self.raw.lock_until::<Reading>(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.owned_read_guard())
    }

    /// As [`read_until`](Self::read_until), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn read_owned_until(self: Arc<Self>, deadline: Instant) -> Option<OwnedRwLockReadGuard<T>> {
        let locked = self.raw.lock_until::<Reading>(|| Some(deadline), Location::caller());
        locked.then(|| self.owned_read_guard())
    }

    /// As [`write`](Self::write), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        self.raw.lock::<Writing>(Location::caller());
        self.owned_write_guard()
    }

    /// As [`try_write`](Self::try_write), with a guard that borrows nothing.
    #[inline]
    #[track_caller]
    pub fn try_write_owned(self: Arc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        self.raw.try_lock::<Writing>(Location::caller()).then(|| self.owned_write_guard())
    }

    /// As [`write_timeout`](Self::write_timeout), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write_owned_timeout(
        self: Arc<Self>,
        timeout: Duration,
    ) -> Option<OwnedRwLockWriteGuard<T>> {
        let locked = self.raw.lock_until::<Writing>(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.owned_write_guard())
    }

    /// As [`write_until`](Self::write_until), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write_owned_until(
        self: Arc<Self>,
        deadline: Instant,
    ) -> Option<OwnedRwLockWriteGuard<T>> {
        let locked = self.raw.lock_until::<Writing>(|| Some(deadline), Location::caller());
        locked.then(|| self.owned_write_guard())
    }

    /// The caller has just taken the lock for reading.
    #[inline]
    fn owned_read_guard(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        OwnedRwLockReadGuard { lock: self, not_send: PhantomData }
    }

    /// The caller has just taken the lock for writing.
    #[inline]
    fn owned_write_guard(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        OwnedRwLockWriteGuard { lock: self, not_send: PhantomData }
    }
}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The lock that is taken.
    ///
    /// An associated function, so that it does not hide a method of the value.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.lock
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The lock that is taken.
    ///
    /// An associated function, so that it does not hide a method of the value.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.lock
    }

    /// Makes the writer a reader, as
    /// [`RwLockWriteGuard::downgrade`](super::RwLockWriteGuard::downgrade) does.
    #[track_caller]
    pub fn downgrade(this: Self) -> OwnedRwLockReadGuard<T> {
        pass();
        let this = ManuallyDrop::new(this);
        // SAFETY: the guard has the lock as a writer, and is not dropped.
        unsafe { this.lock.raw.downgrade() };
        // SAFETY: the guard is not used any more.
        let lock = unsafe { ptr::read(&this.lock) };
        lock.owned_read_guard()
    }
}

impl<T: ?Sized> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: nobody writes as long as the guard lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: nobody else has the lock as long as the guard lives.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedRwLockReadGuard<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock as a reader.
        unsafe { self.lock.raw.unlock_shared() };
    }
}

impl<T: ?Sized> Drop for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock as a writer.
        unsafe { self.lock.raw.unlock_exclusive() };
    }
}

fmt_as_value!(OwnedRwLockReadGuard<T>, OwnedRwLockWriteGuard<T>);

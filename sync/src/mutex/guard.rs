//! The guards of a [`Mutex`] that borrow it.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::{Mutex, RawMutex};

/// The right to use what a [`Mutex`] guards, until it is dropped. It stays on its thread.
#[must_use = "the mutex is unlocked at once if the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
    pub(super) not_send: PhantomData<*const ()>,
}

// SAFETY: a shared guard gives what a `&T` gives.
unsafe impl<T: ?Sized + Sync> Sync for MutexGuard<'_, T> {}

/// The right to use a part of what a [`Mutex`] guards: see [`MutexGuard::map`].
#[must_use = "the mutex is unlocked at once if the guard is dropped"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    part: NonNull<T>,
    raw: &'a RawMutex,
    /// It gives what a `&mut T` gives.
    variance: PhantomData<&'a mut T>,
}

// SAFETY: a shared guard gives what a `&T` gives.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(crate) fn raw(&self) -> &'a RawMutex {
        &self.mutex.raw
    }

    /// A guard of a part of the value. The mutex stays locked until that is dropped.
    ///
    /// An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Mutex, MutexGuard};
    ///
    /// let mutex = Mutex::new((1, "one"));
    /// let mut word = MutexGuard::map(mutex.lock(), |pair| &mut pair.1);
    /// *word = "eins";
    /// drop(word);
    /// assert_eq!(*mutex.lock(), (1, "eins"));
    /// ```
    pub fn map<U: ?Sized>(this: Self, f: impl FnOnce(&mut T) -> &mut U) -> MappedMutexGuard<'a, U> {
        // SAFETY: the guard, which is consumed, gives access to the value alone.
        let part = NonNull::from(f(unsafe { &mut *this.mutex.value.get() }));
        MappedMutexGuard { part, raw: ManuallyDrop::new(this).raw(), variance: PhantomData }
    }

    /// A guard of a part of the value, if `f` finds one; otherwise this guard comes back.
    ///
    /// An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Mutex, MutexGuard};
    ///
    /// let list = Mutex::new(vec![1, 2]);
    /// let mut last = MutexGuard::filter_map(list.lock(), |list| list.last_mut()).unwrap();
    /// *last = 3;
    /// drop(last);
    /// let list = MutexGuard::filter_map(list.lock(), |list| list.get_mut(5)).unwrap_err();
    /// assert_eq!(*list, [1, 3]);
    /// ```
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        // SAFETY: the guard gives access to the value alone. It is consumed, or nothing was found.
        match f(unsafe { &mut *this.mutex.value.get() }).map(NonNull::from) {
            Some(part) => Ok(MappedMutexGuard {
                part,
                raw: ManuallyDrop::new(this).raw(),
                variance: PhantomData,
            }),
            None => Err(this),
        }
    }
}

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    /// A guard of a part of this part.
    pub fn map<U: ?Sized>(this: Self, f: impl FnOnce(&mut T) -> &mut U) -> MappedMutexGuard<'a, U> {
        let mut this = this;
        // SAFETY: the guard, which is consumed, gives access to the part alone.
        let part = NonNull::from(f(unsafe { this.part.as_mut() }));
        MappedMutexGuard { part, raw: ManuallyDrop::new(this).raw, variance: PhantomData }
    }

    /// A guard of a part of this part, if `f` finds one; otherwise this guard comes back.
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        let mut this = this;
        // SAFETY: the guard gives access to the part alone. It is consumed, or nothing was found.
        match f(unsafe { this.part.as_mut() }).map(NonNull::from) {
            Some(part) => Ok(MappedMutexGuard {
                part,
                raw: ManuallyDrop::new(this).raw,
                variance: PhantomData,
            }),
            None => Err(this),
        }
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held as long as the guard lives, and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock.
        unsafe { self.mutex.raw.unlock() };
    }
}

impl<T: ?Sized> Deref for MappedMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held as long as the guard lives.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedMutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held as long as the guard lives, and the guard is borrowed mutably.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized> Drop for MappedMutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock.
        unsafe { self.raw.unlock() };
    }
}

fmt_as_value!(MutexGuard<'_, T>, MappedMutexGuard<'_, T>);

//! Guards of a part of what an [`RwLock`](super::RwLock) guards.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use super::raw::RawRwLock;
use super::{RwLockReadGuard, RwLockWriteGuard};

/// The right to read a part of what an [`RwLock`](super::RwLock) guards: see
/// [`RwLockReadGuard::map`].
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct MappedRwLockReadGuard<'a, T: ?Sized> {
    part: NonNull<T>,
    raw: &'a RawRwLock,
}

/// The right to change a part of what an [`RwLock`](super::RwLock) guards: see
/// [`RwLockWriteGuard::map`].
#[must_use = "the lock is released at once if the guard is dropped"]
pub struct MappedRwLockWriteGuard<'a, T: ?Sized> {
    part: NonNull<T>,
    raw: &'a RawRwLock,
    /// It gives what a `&mut T` gives.
    variance: PhantomData<&'a mut T>,
}

// SAFETY: a shared guard gives what a `&T` gives.
unsafe impl<T: ?Sized + Sync> Sync for MappedRwLockReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Sync> Sync for MappedRwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// A guard of a part of the value. The lock stays taken until that is dropped.
    ///
    /// An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{RwLock, RwLockReadGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// let word = RwLockReadGuard::map(lock.read(), |pair| &pair.1);
    /// assert_eq!(*word, "one");
    /// ```
    pub fn map<U: ?Sized>(this: Self, f: impl FnOnce(&T) -> &U) -> MappedRwLockReadGuard<'a, U> {
        let part = NonNull::from(f(&this));
        MappedRwLockReadGuard { part, raw: &ManuallyDrop::new(this).lock.raw }
    }

    /// A guard of a part of the value, if `f` finds one; otherwise this guard comes back.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{RwLock, RwLockReadGuard};
    ///
    /// let list = RwLock::new(vec![1, 2]);
    /// let last = RwLockReadGuard::filter_map(list.read(), |list| list.last()).unwrap();
    /// assert_eq!(*last, 2);
    /// assert!(RwLockReadGuard::filter_map(list.read(), |list| list.get(5)).is_err());
    /// ```
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<MappedRwLockReadGuard<'a, U>, Self> {
        match f(&this).map(NonNull::from) {
            Some(part) => {
                Ok(MappedRwLockReadGuard { part, raw: &ManuallyDrop::new(this).lock.raw })
            }
            None => Err(this),
        }
    }
}

impl<'a, T: ?Sized> MappedRwLockReadGuard<'a, T> {
    /// A guard of a part of this part.
    pub fn map<U: ?Sized>(this: Self, f: impl FnOnce(&T) -> &U) -> MappedRwLockReadGuard<'a, U> {
        let part = NonNull::from(f(&this));
        MappedRwLockReadGuard { part, raw: ManuallyDrop::new(this).raw }
    }

    /// A guard of a part of this part, if `f` finds one; otherwise this guard comes back.
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<MappedRwLockReadGuard<'a, U>, Self> {
        match f(&this).map(NonNull::from) {
            Some(part) => Ok(MappedRwLockReadGuard { part, raw: ManuallyDrop::new(this).raw }),
            None => Err(this),
        }
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// A guard of a part of the value. The lock stays taken until that is dropped, and can no
    /// longer be [downgraded](Self::downgrade).
    ///
    /// An associated function, so that it does not hide a method of the value.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new((1, "one"));
    /// *RwLockWriteGuard::map(lock.write(), |pair| &mut pair.1) = "eins";
    /// assert_eq!(*lock.read(), (1, "eins"));
    /// ```
    pub fn map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedRwLockWriteGuard<'a, U> {
        // SAFETY: the guard, which is consumed, gives access to the value alone.
        let part = NonNull::from(f(unsafe { &mut *this.lock.value.get() }));
        let raw = &ManuallyDrop::new(this).lock.raw;
        MappedRwLockWriteGuard { part, raw, variance: PhantomData }
    }

    /// A guard of a part of the value, if `f` finds one; otherwise this guard comes back.
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedRwLockWriteGuard<'a, U>, Self> {
        // SAFETY: the guard gives access to the value alone. It is consumed, or nothing was found.
        match f(unsafe { &mut *this.lock.value.get() }).map(NonNull::from) {
            Some(part) => {
                let raw = &ManuallyDrop::new(this).lock.raw;
                Ok(MappedRwLockWriteGuard { part, raw, variance: PhantomData })
            }
            None => Err(this),
        }
    }
}

impl<'a, T: ?Sized> MappedRwLockWriteGuard<'a, T> {
    /// A guard of a part of this part.
    pub fn map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedRwLockWriteGuard<'a, U> {
        let mut this = this;
        // SAFETY: the guard, which is consumed, gives access to the part alone.
        let part = NonNull::from(f(unsafe { this.part.as_mut() }));
        MappedRwLockWriteGuard { part, raw: ManuallyDrop::new(this).raw, variance: PhantomData }
    }

    /// A guard of a part of this part, if `f` finds one; otherwise this guard comes back.
    pub fn filter_map<U: ?Sized>(
        this: Self,
        f: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedRwLockWriteGuard<'a, U>, Self> {
        let mut this = this;
        // SAFETY: the guard gives access to the part alone. It is consumed, or nothing was found.
        match f(unsafe { this.part.as_mut() }).map(NonNull::from) {
            Some(part) => {
                let raw = ManuallyDrop::new(this).raw;
                Ok(MappedRwLockWriteGuard { part, raw, variance: PhantomData })
            }
            None => Err(this),
        }
    }
}

impl<T: ?Sized> Deref for MappedRwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: nobody writes as long as the guard lives.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> Deref for MappedRwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: nobody else has the lock as long as the guard lives.
        unsafe { self.part.as_ref() }
    }
}

impl<T: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed mutably.
        unsafe { self.part.as_mut() }
    }
}

impl<T: ?Sized> Drop for MappedRwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock as a reader.
        unsafe { self.raw.unlock_shared() };
    }
}

impl<T: ?Sized> Drop for MappedRwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard had the lock as a writer.
        unsafe { self.raw.unlock_exclusive() };
    }
}

fmt_as_value!(MappedRwLockReadGuard<'_, T>, MappedRwLockWriteGuard<'_, T>);

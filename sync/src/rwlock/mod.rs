//! [`RwLock`] and its guards.

mod guard;
mod mapped;
mod owned;
mod raw;

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

pub use self::guard::{RwLockReadGuard, RwLockWriteGuard};
pub use self::mapped::{MappedRwLockReadGuard, MappedRwLockWriteGuard};
pub use self::owned::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
pub(crate) use self::raw::{RawRwLock, Reading, Writing};
use crate::waiting::deadline_in;

/// A lock for a value that many may read at a time, or one may change.
///
/// The interface is that of `std::sync::nonpoison::RwLock`. A task that waits lets its worker run
/// other tasks, and guards may be held over any wait.
///
/// **Order.** As long as a writer waits, no new reader gets the lock. When a writer releases it,
/// all readers that wait by then get it, or the first writer if none does. So neither kind keeps
/// the other one waiting: a writer waits for the readers that are there and, for each writer in
/// front of it, for one more group of readers. So a party that has the lock for reading must not
/// ask for it again: if a writer has come in between, it waits for the first guard, and the second
/// read waits for it.
///
/// **Panic and cancellation.** As for [`Mutex`](crate::Mutex): no poisoning, and waiting for the
/// lock is no cancellation point. A writer that gives up lets those readers in that have waited
/// because of it.
///
/// # Examples
///
/// ```
/// use lisle::sync::RwLock;
///
/// static LEVEL: RwLock<u32> = RwLock::new(1);
///
/// lisle::run(|| {
///     let (one, two) = (LEVEL.read(), LEVEL.read());
///     assert_eq!(*one + *two, 2);
///     drop((one, two));
///     *LEVEL.write() = 5;
/// });
/// assert_eq!(*LEVEL.read(), 5);
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes where the lock goes.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: one writer has access to the value at a time, and may even take it out; or several
// readers share it.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T> RwLock<T> {
    const_fn! {
        /// An unlocked lock that guards `value`.
        pub fn new(value: T) -> Self {
            Self { raw: RawRwLock::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value. Nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Waits until no writer has the lock or waits for it, and takes it for reading.
    ///
    /// # Panics
    ///
    /// Unwinds a task that would have to wait while its runtime ends. Panics if it would have to
    /// wait inside [`no_suspend`](fn@lisle_runtime::no_suspend).
    ///
    /// # Aborts
    ///
    /// As [`Mutex::lock`](crate::Mutex::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::RwLock;
    ///
    /// let prices = RwLock::new(vec![3, 5]);
    /// let (one, other) = (prices.read(), prices.try_read().unwrap());
    /// assert_eq!(one[0] + other[1], 8);
    /// assert!(prices.try_write().is_none());
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.raw.lock::<Reading>(Location::caller());
        self.read_guard()
    }

    /// Waits until nobody has the lock, and takes it for writing.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Aborts
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let prices = RwLock::new(vec![3, 5]);
    /// let mut writer = prices.write();
    /// writer.push(8);
    /// let reader = RwLockWriteGuard::downgrade(writer); // nobody has written in between
    /// assert_eq!(reader.len(), 3);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.raw.lock::<Writing>(Location::caller());
        self.write_guard()
    }

    /// Takes the lock for reading if no writer has it or waits for it. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = lisle::sync::RwLock::new(0);
    /// let reader = lock.read();
    /// assert!(lock.try_read().is_some());
    /// assert!(lock.try_write().is_none());
    /// # drop(reader);
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_lock::<Reading>(Location::caller()).then(|| self.read_guard())
    }

    /// Takes the lock for writing if nobody has it. Never waits.
    #[inline]
    #[track_caller]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_lock::<Writing>(Location::caller()).then(|| self.write_guard())
    }

    /// As [`read`](Self::read), but waits no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        let locked = self.raw.lock_until::<Reading>(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.read_guard())
    }

    /// As [`read`](Self::read), but does not wait beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn read_until(&self, deadline: Instant) -> Option<RwLockReadGuard<'_, T>> {
        let locked = self.raw.lock_until::<Reading>(|| Some(deadline), Location::caller());
        locked.then(|| self.read_guard())
    }

    /// As [`write`](Self::write), but waits no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let lock = lisle::sync::RwLock::new(0);
    /// let reader = lock.read();
    /// assert!(lock.write_timeout(Duration::from_millis(1)).is_none());
    /// # drop(reader);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        let locked = self.raw.lock_until::<Writing>(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.write_guard())
    }

    /// As [`write`](Self::write), but does not wait beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read).
    #[inline]
    #[track_caller]
    pub fn write_until(&self, deadline: Instant) -> Option<RwLockWriteGuard<'_, T>> {
        let locked = self.raw.lock_until::<Writing>(|| Some(deadline), Location::caller());
        locked.then(|| self.write_guard())
    }

    /// The value. No lock is needed: nobody else can have a reference.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody has the lock at this moment.
    #[track_caller]
    pub fn is_locked(&self) -> bool {
        self.raw.look_for_holders() != (false, 0)
    }

    /// The caller has just taken the lock for reading.
    #[inline]
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { lock: self, not_send: PhantomData }
    }

    /// The caller has just taken the lock for writing.
    #[inline]
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { lock: self, not_send: PhantomData }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    /// Shows the value if it can be read now.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => shown.field("value", &&*guard),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

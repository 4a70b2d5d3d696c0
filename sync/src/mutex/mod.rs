//! [`Mutex`] and its guards.

mod guard;
mod owned;
mod raw;

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::{Duration, Instant};

pub use self::guard::{MappedMutexGuard, MutexGuard};
pub use self::owned::OwnedMutexGuard;
pub(crate) use self::raw::RawMutex;
use crate::waiting::deadline_in;

/// A lock for a value that one task or thread at a time may use.
///
/// The interface is that of `std::sync::nonpoison::Mutex`. A task that waits lets its worker run
/// other tasks, and a guard may be held over any wait.
///
/// **Order.** A party that finds the lock free takes it, also while others wait: that is what makes
/// a contended mutex fast. One that waits longest is woken by the next release. If the lock is
/// taken when it comes, it has the first place in the queue, and the next release leaves it the
/// lock. So others overtake it for the time of one wake-up, and by one more holder.
///
/// **Panic and cancellation.** There is no poisoning. A panic or a cancellation of the task that
/// holds the lock drops its guard, which releases the lock; the value stays as it was left. A guard
/// that is forgotten, or whose task is left behind, locks for ever.
///
/// Waiting for the lock is no cancellation point: a task that is cancelled gets the lock like any
/// other, since the code around it may be what cleans up. Nor does the end of a region cut it
/// short, such as a [`timeout`](fn@lisle_scheduler::timeout): use
/// [`lock_timeout`](Self::lock_timeout). Only the end of its runtime unwinds a task that waits for
/// a lock, and not in a destructor while the task unwinds.
///
/// The report of a deadlock says where and by which task the lock was taken.
///
/// # Examples
///
/// ```
/// use lisle::sync::Mutex;
///
/// static TOTAL: Mutex<u64> = Mutex::new(0);
///
/// lisle::run(|| {
///     let tasks = [1, 2, 3].map(|n| {
///         lisle::spawn(move || {
///             let mut total = TOTAL.lock();
///             let seen = *total;
///             lisle::yield_now(); // the others wait for the lock meanwhile
///             *total = seen + n;
///         })
///     });
///     for task in tasks {
///         task.join().unwrap();
///     }
/// });
/// assert_eq!(*TOTAL.lock(), 6);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    value: UnsafeCell<T>,
}

// SAFETY: the value goes where the mutex goes.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: one party at a time has access to the value, and may even take it out.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    const_fn! {
        /// An unlocked mutex that guards `value`.
        pub fn new(value: T) -> Self {
            Self { raw: RawMutex::new(), value: UnsafeCell::new(value) }
        }
    }

    /// The value. Nobody can hold the lock.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Waits until the lock is free, and takes it. A task that holds the lock already waits for
    /// ever.
    ///
    /// # Panics
    ///
    /// Unwinds a task that would have to wait while its runtime ends. Panics if it would have to
    /// wait inside [`no_suspend`](fn@lisle_runtime::no_suspend).
    ///
    /// # Aborts
    ///
    /// If a destructor would have to wait that cannot: see
    /// [`Wake::Failed`](lisle_scheduler::park::Wake::Failed), second and third case.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = lisle::sync::Mutex::new(vec![1]);
    /// mutex.lock().push(2); // the guard is dropped at the end of the statement
    /// assert_eq!(*mutex.lock(), [1, 2]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.raw.lock(Location::caller());
        self.guard()
    }

    /// Takes the lock if it is free. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// let mutex = lisle::sync::Mutex::new(0);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert!(mutex.try_lock().is_some());
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock(Location::caller()).then(|| self.guard())
    }

    /// Waits for the lock, but no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mutex = lisle::sync::Mutex::new(0);
    /// let guard = mutex.lock();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_none());
    /// # drop(guard);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        let locked = self.raw.lock_until(|| deadline_in(timeout), Location::caller());
        locked.then(|| self.guard())
    }

    /// Waits for the lock, but not beyond `deadline`. A lock that is free is taken after it, too.
    ///
    /// # Panics
    ///
    /// As [`lock`](Self::lock).
    #[inline]
    #[track_caller]
    pub fn lock_until(&self, deadline: Instant) -> Option<MutexGuard<'_, T>> {
        let locked = self.raw.lock_until(|| Some(deadline), Location::caller());
        locked.then(|| self.guard())
    }

    /// The value. No lock is needed: nobody else can have a reference.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Mutex;
    ///
    /// let mut counter = Mutex::new(1);
    /// *counter.get_mut() += 1; // no lock is needed
    /// assert_eq!(counter.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody holds the lock at this moment.
    #[track_caller]
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }

    /// The caller has just taken the lock.
    #[inline]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { mutex: self, not_send: PhantomData }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    /// Shows the value if the mutex is unlocked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => shown.field("value", &&*guard),
            None => shown.field("value", &format_args!("<locked>")),
        };
        shown.finish()
    }
}

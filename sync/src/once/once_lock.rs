//! [`OnceLock`].

use std::cell::UnsafeCell;
use std::convert::Infallible;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Place, Wake};

use super::raw::RawOnce;
use crate::waiting::{cannot_wait, deadline_in};

/// A value that is set once, often by the first that wants it.
///
/// The interface is that of `std::sync::OnceLock`. An initialiser may wait; others that want the
/// value wait for it, and their workers run other tasks meanwhile. One that is unwound leaves the
/// cell empty, and the next party runs its own.
///
/// Waiting for another party's initialiser is no cancellation point, as it is none for a lock.
///
/// # Examples
///
/// ```
/// use lisle::sync::OnceLock;
/// use std::time::Duration;
///
/// static CONFIG: OnceLock<String> = OnceLock::new();
///
/// fn config() -> &'static str {
///     CONFIG.get_or_init(|| {
///         lisle::sleep(Duration::from_millis(1)); // asks somebody
///         "verbose".to_string()
///     })
/// }
///
/// lisle::run(|| {
///     let task = lisle::spawn(config);
///     assert_eq!(config(), "verbose");
///     task.join().unwrap();
/// });
/// ```
pub struct OnceLock<T> {
    once: RawOnce,
    /// Is there when the once is over.
    value: UnsafeCell<MaybeUninit<T>>,
}

// SAFETY: a shared cell gives out references, and may get its value on one thread and drop it on
// another.
unsafe impl<T: Send + Sync> Sync for OnceLock<T> {}
// SAFETY: the value goes where the cell goes.
unsafe impl<T: Send> Send for OnceLock<T> {}

impl<T> OnceLock<T> {
    const_fn! {
        /// An empty cell.
        pub fn new() -> Self {
            Self { once: RawOnce::new(), value: UnsafeCell::new(MaybeUninit::uninit()) }
        }
    }

    /// The value, if there is one by now. Never waits.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Option<&T> {
        // SAFETY: the once is over.
        self.once.is_done_now().then(|| unsafe { self.value() })
    }

    /// The value, for change. Nobody else can have a reference.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: the once is over, so the value is there.
        self.once.is_done().then(|| unsafe { self.value.get_mut().assume_init_mut() })
    }

    /// Sets the value, or gives it back as an error if there is one already. Waits for an
    /// initialiser that runs.
    ///
    /// # Panics
    ///
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = lisle::sync::OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// assert_eq!(cell.get(), Some(&1));
    /// ```
    #[track_caller]
    pub fn set(&self, value: T) -> Result<(), T> {
        let mut value = Some(value);
        self.get_or_init(|| value.take().expect("an initialiser runs once"));
        value.map_or(Ok(()), Err)
    }

    /// The value, which `f` makes if there is none yet. Waits for an initialiser that runs.
    ///
    /// # Panics
    ///
    /// With the panic of `f`, which leaves the cell empty. If `f` wants the value of this cell.
    /// Unwinds a task that would have to wait while its runtime ends, and panics if it would have
    /// to wait inside [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[inline]
    #[track_caller]
    pub fn get_or_init(&self, f: impl FnOnce() -> T) -> &T {
        match self.get() {
            Some(value) => value,
            None => {
                let made = self.init(|| Ok::<T, Infallible>(f()), Location::caller());
                made.unwrap_or_else(|never| match never {})
            }
        }
    }

    /// The value, which `f` makes if there is none yet. An error of `f` leaves the cell empty.
    ///
    /// # Panics
    ///
    /// As [`get_or_init`](Self::get_or_init).
    ///
    /// # Examples
    ///
    /// ```
    /// let cell = lisle::sync::OnceLock::new();
    /// assert!(cell.get_or_try_init(|| "seven".parse::<u8>()).is_err());
    /// assert_eq!(cell.get_or_try_init(|| "7".parse::<u8>()), Ok(&7));
    /// ```
    #[inline]
    #[track_caller]
    pub fn get_or_try_init<E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<&T, E> {
        match self.get() {
            Some(value) => Ok(value),
            None => self.init(f, Location::caller()),
        }
    }

    /// Waits until there is a value, without making one.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::OnceLock;
    ///
    /// static ANSWER: OnceLock<u32> = OnceLock::new();
    ///
    /// lisle::run(|| {
    ///     let reader = lisle::spawn(|| *ANSWER.wait());
    ///     ANSWER.set(42).unwrap();
    ///     assert_eq!(reader.join().unwrap(), 42);
    /// });
    /// ```
    #[track_caller]
    pub fn wait(&self) -> &T {
        if let Some(value) = self.wait_at(None, Location::caller()) {
            return value;
        }
        cannot_wait("the value of a OnceLock")
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<&T> {
        self.wait_at(deadline_in(timeout), Location::caller())
    }

    /// As [`wait`](Self::wait), but not beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> Option<&T> {
        self.wait_at(Some(deadline), Location::caller())
    }

    /// Takes the value out, and leaves the cell empty.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::OnceLock;
    ///
    /// let mut cell = OnceLock::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.take(), Some(1));
    /// assert_eq!(cell.get_or_init(|| 2), &2);
    /// ```
    pub fn take(&mut self) -> Option<T> {
        if !self.once.is_done() {
            return None;
        }
        self.once = RawOnce::new();
        // SAFETY: the once was over, so the value was there; from now on it counts as absent.
        Some(unsafe { self.value.get_mut().assume_init_read() })
    }

    /// The value, if there is one.
    pub fn into_inner(mut self) -> Option<T> {
        self.take()
    }

    /// # Safety
    ///
    /// The once is over.
    #[inline]
    unsafe fn value(&self) -> &T {
        // SAFETY: the value is there, and nobody writes it any more.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    #[cold]
    fn init<E>(&self, f: impl FnOnce() -> Result<T, E>, place: Place) -> Result<&T, E> {
        if let Some(initialising) = self.once.begin("OnceLock", place) {
            let value = f()?;
            // SAFETY: the initialiser alone has access before the end.
            unsafe { (*self.value.get()).write(value) };
            initialising.finish();
        }
        // SAFETY: the once is over.
        Ok(unsafe { self.value() })
    }

    fn wait_at(&self, deadline: Option<Instant>, place: Place) -> Option<&T> {
        let wake = self.once.wait(deadline, place);
        // SAFETY: the once is over.
        (wake == Wake::Unparked).then(|| unsafe { self.value() })
    }
}

impl<T: UnwindSafe> UnwindSafe for OnceLock<T> {}
// An initialiser that panics leaves the cell empty.
impl<T: RefUnwindSafe + UnwindSafe> RefUnwindSafe for OnceLock<T> {}

impl<T> Drop for OnceLock<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> From<T> for OnceLock<T> {
    fn from(value: T) -> Self {
        Self { once: RawOnce::done(), value: UnsafeCell::new(MaybeUninit::new(value)) }
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Clone> Clone for OnceLock<T> {
    fn clone(&self) -> Self {
        self.get().cloned().map_or_else(Self::new, Self::from)
    }
}

impl<T: PartialEq> PartialEq for OnceLock<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceLock<T> {}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("OnceLock");
        match self.get() {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<empty>")),
        };
        shown.finish()
    }
}

//! [`LazyLock`].

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::panic::{RefUnwindSafe, UnwindSafe};

use super::OnceLock;

/// A value that is made when it is first wanted.
///
/// The interface is that of `std::sync::LazyLock`. The initialiser may wait; others that want the
/// value wait for it, and their workers run other tasks meanwhile.
///
/// An initialiser that is unwound is gone, since it can be called once only. So this is the one
/// type here that is poisoned: a caller that wants the value then gets a panic, as with std's.
/// Where a second attempt makes sense, use [`OnceLock::get_or_init`].
///
/// # Examples
///
/// ```
/// use lisle::sync::LazyLock;
///
/// static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| {
///     (2..30).filter(|n| (2..*n).all(|d| n % d != 0)).collect()
/// });
///
/// assert_eq!(PRIMES[3], 7);
/// ```
pub struct LazyLock<T, F = fn() -> T> {
    value: OnceLock<T>,
    /// Taken by the one call that initialises.
    initialiser: Cell<Option<F>>,
}

// SAFETY: the initialiser is touched by the party alone that initialises, wherever that runs.
unsafe impl<T: Send + Sync, F: Send> Sync for LazyLock<T, F> {}

impl<T, F> LazyLock<T, F> {
    const_fn! {
        /// A value that `initialiser` will make.
        pub fn new(initialiser: F) -> Self {
            Self { value: OnceLock::new(), initialiser: Cell::new(Some(initialiser)) }
        }
    }

    /// The value, if it was made by now. Never waits.
    #[track_caller]
    pub fn get(this: &Self) -> Option<&T> {
        this.value.get()
    }

    /// The value, if it was made by now, for change.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        this.value.get_mut()
    }
}

impl<T, F: FnOnce() -> T> LazyLock<T, F> {
    /// The value, made now if need be, as a reference to it does by itself. Waits for the
    /// initialiser if it runs.
    ///
    /// # Panics
    ///
    /// With the panic of the initialiser, and if it has panicked before. Otherwise as
    /// [`OnceLock::get_or_init`].
    #[inline]
    #[track_caller]
    pub fn force(this: &Self) -> &T {
        this.value.get_or_init(|| {
            let initialiser = this.initialiser.take();
            initialiser.expect("the initialiser of this LazyLock was unwound before")()
        })
    }

    /// The value for change, made now if need be.
    ///
    /// # Panics
    ///
    /// As [`force`](Self::force).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::LazyLock;
    ///
    /// let mut list = LazyLock::new(|| vec![1]);
    /// LazyLock::force_mut(&mut list).push(2);
    /// assert_eq!(*list, [1, 2]);
    /// ```
    #[inline]
    #[track_caller]
    pub fn force_mut(this: &mut Self) -> &mut T {
        Self::force(this);
        Self::get_mut(this).expect("it was made now")
    }
}

impl<T, F: FnOnce() -> T> Deref for LazyLock<T, F> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        Self::force(self)
    }
}

impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for LazyLock<T, F> {}
// One whose initialiser has panicked is poisoned.
impl<T: RefUnwindSafe + UnwindSafe, F: UnwindSafe> RefUnwindSafe for LazyLock<T, F> {}

impl<T: Default> Default for LazyLock<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T: fmt::Debug, F> fmt::Debug for LazyLock<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_tuple("LazyLock");
        match Self::get(self) {
            Some(value) => shown.field(value),
            None => shown.field(&format_args!("<not made>")),
        };
        shown.finish()
    }
}

//! The primitives under `--cfg lisle_loom`.

pub use loom::sync::{Arc, MutexGuard, atomic};

/// Spin-loop hints.
pub mod hint {
    pub use loom::hint::spin_loop;
}

/// Blocking of plain OS threads.
pub mod thread {
    pub use loom::thread::{Builder, JoinHandle, Thread, current, park, yield_now};
    use std::time::Duration;

    /// Time does not pass in a model, so a timed park is a chance for every other thread to run.
    pub fn park_timeout(_timeout: Duration) {
        loom::thread::yield_now();
    }
}

/// Cells whose accesses a model checker may observe.
pub mod cell {
    /// Loom's cell, with raw pointers handed to the closures.
    #[derive(Debug)]
    pub struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        #[track_caller]
        pub fn new(value: T) -> Self {
            Self(loom::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer for reading.
        #[track_caller]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            self.0.with(f)
        }

        /// Calls `f` with a pointer for writing.
        #[track_caller]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            self.0.with_mut(f)
        }

        /// The value, taken out of the cell.
        #[track_caller]
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: Default> Default for UnsafeCell<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }
}

/// Loom's mutex with parking_lot's interface: `lock` gives the guard itself.
#[derive(Debug, Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    /// A mutex that holds `value`.
    #[track_caller]
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    /// Waits for the lock.
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap()
    }
}

/// The lock itself has a model of its own, in `brief/models.rs`.
pub type BriefMutex<T> = Mutex<T>;
/// See [`BriefMutex`].
pub type BriefMutexGuard<'a, T> = MutexGuard<'a, T>;

/// Loom's thread-local, so that model threads, which share one OS thread, do not share it.
#[doc(hidden)]
#[macro_export]
macro_rules! __lisle_thread_local {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $ty:ty = $init:expr) => {
        ::loom::thread_local! { $(#[$meta])* $vis static $name: $ty = $init }
    };
}

pub use crate::__lisle_thread_local as thread_local;

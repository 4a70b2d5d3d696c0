//! The primitives of a normal build.

pub use parking_lot::{Mutex, MutexGuard};
pub use std::sync::Arc;
pub use std::sync::atomic;

/// Spin-loop hints.
pub mod hint {
    pub use std::hint::spin_loop;
}

/// Blocking of plain OS threads.
pub mod thread {
    pub use std::thread::{Builder, JoinHandle, Thread, current, park, park_timeout, yield_now};
}

/// Cells whose accesses a model checker may observe.
pub mod cell {
    /// `std::cell::UnsafeCell` behind loom's closure interface.
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell that holds `value`.
        #[inline]
        pub const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// Calls `f` with a pointer for reading.
        #[inline(always)]
        pub fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
            f(self.0.get())
        }

        /// Calls `f` with a pointer for writing.
        #[inline(always)]
        pub fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }

        /// The value, taken out of the cell.
        #[inline]
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }
}

/// `std::thread_local!` with a constant initialiser, so that an access needs no lazy-init check.
#[doc(hidden)]
#[macro_export]
macro_rules! __lisle_thread_local {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $ty:ty = $init:expr) => {
        ::std::thread_local! { $(#[$meta])* $vis static $name: $ty = const { $init } }
    };
}

pub use crate::__lisle_thread_local as thread_local;

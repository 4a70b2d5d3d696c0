//! std's atomics, with a choice before each operation: in a program that is
//! [explored](super::explore) another task may come first. Elsewhere they are std's, and count as
//! operations of a [turn](mod@crate::turn).
//!
//! Whatever ordering is asked for, an explored program sees operations in one order: what weaker
//! orderings allow beyond that, loom finds.
//!
//! ```
//! use lisle::explore::atomic::{AtomicUsize, Ordering};
//!
//! let count = AtomicUsize::new(1);
//! assert_eq!(count.fetch_add(1, Ordering::Relaxed), 1);
//! assert_eq!(count.into_inner(), 2);
//! ```

use std::fmt;
use std::sync::atomic;
#[doc(no_inline)]
pub use std::sync::atomic::Ordering;

use super::point;

/// A choice, then std's [`fence`](atomic::fence).
#[track_caller]
pub fn fence(order: Ordering) {
    point();
    atomic::fence(order);
}

macro_rules! atomics {
    ($($name:ident $of:ty { $($group:ident)* })*) => {$(
        #[doc = concat!("std's [`", stringify!($name), "`](atomic::", stringify!($name), ").")]
        #[derive(Default)]
        pub struct $name(atomic::$name);

        impl $name {
            /// With this value.
            pub const fn new(value: $of) -> Self {
                Self(atomic::$name::new(value))
            }

            /// The value, which nobody else can see meanwhile.
            pub fn get_mut(&mut self) -> &mut $of {
                self.0.get_mut()
            }

            /// The value at the end.
            pub fn into_inner(self) -> $of {
                self.0.into_inner()
            }

            /// As std's.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $of {
                point();
                self.0.load(order)
            }

            /// As std's.
            #[track_caller]
            pub fn store(&self, value: $of, order: Ordering) {
                point();
                self.0.store(value, order);
            }

            /// As std's.
            ///
            /// # Errors
            ///
            /// The value, if it is not `current`.
            #[track_caller]
            pub fn compare_exchange(
                &self,
                current: $of,
                new: $of,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$of, $of> {
                point();
                self.0.compare_exchange(current, new, success, failure)
            }

            /// As std's.
            ///
            /// # Errors
            ///
            /// The value, if it is not `current`.
            #[track_caller]
            pub fn compare_exchange_weak(
                &self,
                current: $of,
                new: $of,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$of, $of> {
                point();
                self.0.compare_exchange_weak(current, new, success, failure)
            }

            /// As std's. The value may have changed between `update` and the exchange, which is
            /// tried again then.
            ///
            /// # Errors
            ///
            /// The value, if there is no new one.
            #[track_caller]
            pub fn fetch_update(
                &self,
                set: Ordering,
                fetch: Ordering,
                mut update: impl FnMut($of) -> Option<$of>,
            ) -> Result<$of, $of> {
                let mut before = self.load(fetch);
                while let Some(next) = update(before) {
                    match self.compare_exchange(before, next, set, fetch) {
                        Ok(before) => return Ok(before),
                        Err(now) => before = now,
                    }
                }
                Err(before)
            }

            atomics! { @methods $of; swap $($group)* }
        }

        impl From<$of> for $name {
            fn from(value: $of) -> Self {
                Self::new(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
    (@methods $of:ty; $($method:ident)*) => {$(
        /// As std's.
        #[track_caller]
        pub fn $method(&self, value: $of, order: Ordering) -> $of {
            point();
            self.0.$method(value, order)
        }
    )*};
}

atomics! {
    AtomicBool bool { fetch_and fetch_nand fetch_or fetch_xor }
    AtomicI8 i8 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicI16 i16 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicI32 i32 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicI64 i64 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicIsize isize { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicU8 u8 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicU16 u16 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicU32 u32 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicU64 u64 { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
    AtomicUsize usize { fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min }
}

/// std's [`AtomicPtr`](atomic::AtomicPtr).
pub struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    /// With this value.
    pub const fn new(value: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(value))
    }

    /// The value, which nobody else can see meanwhile.
    pub fn get_mut(&mut self) -> &mut *mut T {
        self.0.get_mut()
    }

    /// The value at the end.
    pub fn into_inner(self) -> *mut T {
        self.0.into_inner()
    }

    /// As std's.
    #[track_caller]
    pub fn load(&self, order: Ordering) -> *mut T {
        point();
        self.0.load(order)
    }

    /// As std's.
    #[track_caller]
    pub fn store(&self, value: *mut T, order: Ordering) {
        point();
        self.0.store(value, order);
    }

    /// As std's.
    #[track_caller]
    pub fn swap(&self, value: *mut T, order: Ordering) -> *mut T {
        point();
        self.0.swap(value, order)
    }

    /// As std's.
    ///
    /// # Errors
    ///
    /// The value, if it is not `current`.
    #[track_caller]
    pub fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        point();
        self.0.compare_exchange(current, new, success, failure)
    }
}

impl<T> fmt::Debug for AtomicPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

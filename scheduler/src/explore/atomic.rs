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
    ($($name:ident $(<$of:ident>)?: $value:ty { $($method:ident)* })*) => {$(
        #[doc = concat!("std's [`", stringify!($name), "`](atomic::", stringify!($name), ").")]
        pub struct $name $(<$of>)? (atomic::$name $(<$of>)?);

        impl $(<$of>)? $name $(<$of>)? {
            /// With this value.
            pub const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            /// The value, which nobody else can see meanwhile.
            pub fn get_mut(&mut self) -> &mut $value {
                self.0.get_mut()
            }

            /// The value at the end.
            pub fn into_inner(self) -> $value {
                self.0.into_inner()
            }

            /// As std's.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                point();
                self.0.load(order)
            }

            /// As std's.
            #[track_caller]
            pub fn store(&self, value: $value, order: Ordering) {
                point();
                self.0.store(value, order);
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
                mut update: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                let mut before = self.load(fetch);
                while let Some(next) = update(before) {
                    match self.compare_exchange(before, next, set, fetch) {
                        Ok(before) => return Ok(before),
                        Err(now) => before = now,
                    }
                }
                Err(before)
            }

            exchanges! { $value; compare_exchange compare_exchange_weak }
            replacements! { $value; swap $($method)* }
        }

        impl $(<$of>)? Default for $name $(<$of>)? {
            fn default() -> Self {
                Self(Default::default())
            }
        }

        impl $(<$of>)? From<$value> for $name $(<$of>)? {
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }

        impl $(<$of>)? fmt::Debug for $name $(<$of>)? {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

macro_rules! exchanges {
    ($value:ty; $($method:ident)*) => {$(
        /// As std's.
        ///
        /// # Errors
        ///
        /// The value, if the exchange has failed.
        #[track_caller]
        pub fn $method(
            &self,
            current: $value,
            new: $value,
            success: Ordering,
            failure: Ordering,
        ) -> Result<$value, $value> {
            point();
            self.0.$method(current, new, success, failure)
        }
    )*};
}

macro_rules! replacements {
    ($value:ty; $($method:ident)*) => {$(
        /// As std's.
        #[track_caller]
        pub fn $method(&self, value: $value, order: Ordering) -> $value {
            point();
            self.0.$method(value, order)
        }
    )*};
}

macro_rules! integers {
    ($($name:ident $value:ty)*) => {
        atomics! {
            $($name: $value {
                fetch_add fetch_sub fetch_and fetch_nand fetch_or fetch_xor fetch_max fetch_min
            })*
        }
    };
}

atomics! {
    AtomicBool: bool { fetch_and fetch_nand fetch_or fetch_xor }
    AtomicPtr<T>: *mut T {}
}

integers! {
    AtomicI8 i8 AtomicI16 i16 AtomicI32 i32 AtomicI64 i64 AtomicIsize isize
    AtomicU8 u8 AtomicU16 u16 AtomicU32 u32 AtomicU64 u64 AtomicUsize usize
}

//! What keeps a coroutine's handles on their thread, so that an error of the compiler says no more
//! than that they stay there.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Marks a type as one that is neither `Send` nor `Sync`, nor safe to use behind a caught panic.
pub(super) type StaysHere = PhantomData<*mut UnsafeCell<()>>;

/// A field whose own type must not decide that, because the error would name it. [`StaysHere`] is a
/// field of the same struct and decides.
#[repr(transparent)]
pub(super) struct Hidden<T>(pub(super) T);

// SAFETY: a struct with such a field has one of the type `StaysHere` beside it, which keeps the
// whole on its thread.
unsafe impl<T> Send for Hidden<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Hidden<T> {}
impl<T> UnwindSafe for Hidden<T> {}
impl<T> RefUnwindSafe for Hidden<T> {}

//! What keeps a handle on its thread, so that an error of the compiler says no more than that it
//! stays there.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};

/// Marks a type as one that is neither `Send` nor `Sync`, nor safe to use behind a caught panic.
pub type StaysHere = PhantomData<*mut UnsafeCell<()>>;

/// A field whose own type must not decide that, because the error would name it. [`StaysHere`] is a
/// field of the same struct and decides.
#[repr(transparent)]
pub struct Hidden<T>(T);

// SAFETY: a struct with such a field has one of the type `StaysHere` beside it, which keeps the
// whole on its thread: so it was promised to `new`.
unsafe impl<T> Send for Hidden<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Hidden<T> {}
impl<T> UnwindSafe for Hidden<T> {}
impl<T> RefUnwindSafe for Hidden<T> {}

impl<T> Hidden<T> {
    /// # Safety
    ///
    /// It becomes a field of a struct that has one of the type [`StaysHere`], too, and stays there.
    #[inline]
    pub const unsafe fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Hidden<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Hidden<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

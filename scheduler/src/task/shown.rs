//! Pointers of a thread that handlers of signals on that thread may follow.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering, compiler_fence};

/// A pointer, or none, to something that is alive at each instruction of the thread at which the
/// pointer is there, so that a handler may look at it.
///
/// The thread writes it, and handlers on that thread and other threads only read. So what has to be
/// atomic are the writes, and those reads; the ones of the thread itself are plain, and the
/// compiler may merge them.
#[repr(transparent)]
pub(crate) struct Shown<T>(AtomicPtr<T>, PhantomData<Cell<*const T>>);

impl<T> Shown<T> {
    pub(crate) const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()), PhantomData)
    }

    /// For the code of the thread.
    #[inline(always)]
    pub(crate) fn get(&self) -> Option<NonNull<T>> {
        // SAFETY: no write comes in between: this is the thread that writes, and a handler on it
        // does not.
        NonNull::new(unsafe { *self.0.as_ptr() })
    }

    /// For a handler, whatever it has interrupted, and for other threads, which may not look at
    /// what it points to.
    pub(crate) fn get_from_outside(&self) -> Option<NonNull<T>> {
        NonNull::new(self.0.load(Ordering::Relaxed))
    }

    /// Shows what a handler may read from now on.
    #[inline(always)]
    pub(crate) fn set(&self, shown: NonNull<T>) {
        // What it reads there was written before: see `clear`.
        compiler_fence(Ordering::Release);
        self.0.store(shown.as_ptr(), Ordering::Relaxed);
    }

    /// Shows nothing any more: what was shown may go from now on.
    #[inline(always)]
    pub(crate) fn clear(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
        // For a handler on this thread the compiler alone could change the order.
        compiler_fence(Ordering::SeqCst);
    }

    /// Shows `shown`, or nothing, instead of what may go from now on.
    #[inline(always)]
    pub(crate) fn replace(&self, shown: Option<NonNull<T>>) {
        // See `set` and `clear`.
        compiler_fence(Ordering::Release);
        self.0.store(shown.map_or(ptr::null_mut(), NonNull::as_ptr), Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }
}

impl<T> Default for Shown<T> {
    fn default() -> Self {
        Self::none()
    }
}

//! Which task of a worker runs, for the worker's thread, signal handlers on it, and the watch.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering, compiler_fence};

use crate::task::Control;

/// The running task, if there is one. At each instruction of the thread its control block is alive,
/// so that a handler may look at it.
///
/// The worker's thread writes it, and handlers on that thread and other threads only read. So what
/// has to be atomic are the writes, and those reads; the ones of the thread itself are plain, and
/// the compiler may merge them.
pub(super) struct Running(AtomicPtr<Control>);

impl Running {
    pub(super) const fn none() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// For the code of the thread.
    #[inline(always)]
    pub(super) fn get(&self) -> Option<NonNull<Control>> {
        // SAFETY: no write comes in between: a worker stays on its thread, and a handler does not
        // write.
        NonNull::new(unsafe { *self.0.as_ptr() })
    }

    /// For a handler, whatever it has interrupted, and for other threads, which may not look at the
    /// task.
    pub(super) fn get_from_outside(&self) -> Option<NonNull<Control>> {
        NonNull::new(self.0.load(Ordering::Relaxed))
    }

    /// Notes that a task is about to run.
    #[inline(always)]
    pub(super) fn set(&self, task: NonNull<Control>) {
        // What a handler reads of the task was written before: see `clear`.
        compiler_fence(Ordering::Release);
        self.0.store(task.as_ptr(), Ordering::Relaxed);
    }

    /// Notes that no task runs: the last one's control block may go from now on.
    #[inline(always)]
    pub(super) fn clear(&self) {
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
        // For a handler on this thread the compiler alone could change the order.
        compiler_fence(Ordering::SeqCst);
    }
}

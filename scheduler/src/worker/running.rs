//! Which task of a worker runs, for the worker's thread and signal handlers on it.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering, compiler_fence};

use crate::task::Control;

/// The running task, if there is one. At each instruction of the thread its control block is alive,
/// so that a handler may look at it.
///
/// The worker's thread writes it, and handlers on that thread only read. So what has to be atomic
/// are the writes, and the reads of handlers; those of the thread itself are plain ones, which the
/// compiler may merge.
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

    /// For a handler, whatever it has interrupted.
    pub(super) fn get_in_handler(&self) -> Option<NonNull<Control>> {
        NonNull::new(self.0.load(Ordering::Relaxed))
    }

    /// Notes that a task is about to run.
    #[inline(always)]
    pub(super) fn set(&self, task: NonNull<Control>) {
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

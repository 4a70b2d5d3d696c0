//! Shares of a control block: what keeps it beside the task and its join handle.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};

use super::{CancelledBy, Control, Task, join};
use crate::cancel;
use crate::explore::points::pass;

/// Keeps a control block. It says nothing about whether the task has ended.
pub(crate) struct Share(NonNull<Control>);

// SAFETY: it gives access to the atomic words of a control block, and to fields that never change.
unsafe impl Send for Share {}
// SAFETY: as above.
unsafe impl Sync for Share {}

impl Share {
    /// A share of a block that the caller keeps meanwhile.
    pub(crate) fn of(task: &Control) -> Self {
        // Relaxed: the block is there, and what it tells is ordered by other words.
        task.extras_or_new().shares.fetch_add(1, Ordering::Relaxed);
        Self(NonNull::from(task))
    }

    pub(crate) fn task(&self) -> &Control {
        // SAFETY: the block stays as long as the share.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Share {
    fn clone(&self) -> Self {
        Self::of(self.task())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // SAFETY: the share is given back, and not used any more.
        unsafe { join::free(self.0) }
    }
}

/// Gives up one party's part in a control block. True if it was the last: the block is the
/// caller's, and its extras are dropped.
///
/// # Safety
///
/// The party has a part in the block, and does not use it again.
#[inline]
pub(super) unsafe fn give_up(control: NonNull<Control>) -> bool {
    // SAFETY: the block stays as long as the party's part in it.
    let has_extras = unsafe { control.as_ref() }.extras().is_some();
    // SAFETY: the caller's promise.
    !has_extras || unsafe { give_up_with_extras(control) }
}

/// # Safety
///
/// As for [`give_up`]; there are extras.
#[cold]
#[inline(never)]
unsafe fn give_up_with_extras(control: NonNull<Control>) -> bool {
    // SAFETY: as above.
    let extras = unsafe { control.as_ref() }.extras().expect("there are some");
    let was_last = extras.shares.fetch_sub(1, Ordering::Release) == 1;
    if was_last {
        // All that the others did with the block comes before its end.
        fence(Ordering::Acquire);
        // SAFETY: nobody else has a part in the block.
        unsafe { ManuallyDrop::drop(&mut (*control.as_ptr()).extras) };
    }
    was_last
}

/// Cancels a task from anywhere, and outlives its [`JoinHandle`](super::JoinHandle), from which it
/// comes: see [`JoinHandle::cancel_handle`](super::JoinHandle::cancel_handle).
///
/// It does not keep the task alive, nor its result. When the task has ended it does nothing.
///
/// # Examples
///
/// ```
/// use lisle::task::Cancelled;
///
/// lisle::run(|| {
///     let server = lisle::spawn(|| lisle::channel::never::<()>().recv());
///     let stop = server.cancel_handle();
///     lisle::spawn(move || stop.cancel());
///     assert!(Cancelled::of(&server.join().unwrap_err()).is_some());
/// });
/// ```
#[derive(Clone)]
pub struct CancelHandle(Share);

impl CancelHandle {
    pub(super) fn new(task: &Control) -> Self {
        Self(Share::of(task))
    }

    /// Cancels the task: see [`JoinHandle::cancel`](super::JoinHandle::cancel).
    #[track_caller]
    pub fn cancel(&self) {
        pass();
        cancel::cancel(self.0.task(), CancelledBy::Handle);
    }

    /// Whether the task has ended.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let task = lisle::spawn(|| lisle::sleep(std::time::Duration::from_secs(3600)));
    ///     let stop = task.cancel_handle();
    ///     assert!(!stop.is_finished());
    ///     stop.cancel();
    ///     assert!(task.join().is_err() && stop.is_finished());
    /// });
    /// ```
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        pass();
        self.0.task().has_ended()
    }

    /// The task's identity.
    pub fn task(&self) -> Task {
        self.0.task().identity()
    }
}

impl fmt::Debug for CancelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelHandle").field("task", &self.task()).finish_non_exhaustive()
    }
}

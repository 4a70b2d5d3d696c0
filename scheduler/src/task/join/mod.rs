//! Joining: how a result gets from the task that ends to the party that waits for it.
//!
//! The two share a control block with a [`WaitCell`], whose event says what has become of the other
//! party:
//!
//! - FINISHED, from the task: the handle takes the result and frees the block;
//! - DETACHED, from a handle that is dropped: the task frees the block when it ends;
//! - LEFT, from a task that is left behind: there is no result, and the block is never freed.
//!
//! So the handle frees the block, unless it was dropped before the task ended; then the task does.

mod cancel_on_drop;
mod handle;

use std::any::Any;
use std::mem::offset_of;
use std::ptr::NonNull;

pub use self::cancel_on_drop::CancelOnDrop;
pub use self::handle::JoinHandle;
pub(crate) use self::handle::discard;
use super::end_sign::EndSign;
use super::{Control, Slab, share};
use crate::wait_cell::{Event, WaitCell};
use crate::worker::{self, Worker};

const FINISHED: Event = Event::new(0);
const DETACHED: Event = Event::new(1);
const LEFT: Event = Event::new(2);

pub(super) struct JoinState(WaitCell);

impl JoinState {
    /// Where a debugger finds which event there was, and how it knows that the task has ended.
    pub(super) const EVENT: usize = offset_of!(Self, 0) + WaitCell::STATE;
    pub(super) const ENDED: usize = FINISHED.code() as usize;

    pub(super) fn new() -> Self {
        Self(WaitCell::new())
    }

    /// The task's last step, to FINISHED or LEFT. True if there will be no joiner.
    ///
    /// After a false the block of a finished task may be gone, so the caller must not touch it
    /// again.
    #[inline(always)]
    fn end(&self, event: Event) -> bool {
        let before = self.0.notify(event);
        // FINISHED: nobody joins, and the task is left behind in a destructor of its result.
        debug_assert!(
            matches!(before, None | Some(DETACHED)) || (before, event) == (Some(FINISHED), LEFT)
        );
        before.is_some()
    }

    /// The same for a task that is likely to have no joiner: if so, an atomic step is spared.
    #[inline(always)]
    fn end_detached(&self, event: Event) -> bool {
        // A handle that is gone does not come back.
        let is_detached = self.0.event() == Some(DETACHED);
        if is_detached {
            self.0.replace(event);
        }
        is_detached || self.end(event)
    }

    /// The handle's last step if it does not join. True if the task has already finished, and has
    /// left result and block to the handle.
    #[inline]
    fn detach(&self) -> bool {
        self.0.try_set(DETACHED) == Err(FINISHED)
    }
}

/// Publishes the result of a task that has run. True if there will be no joiner: then result and
/// control block stay with the caller, which gets rid of them by [`drop_result`] and [`free`].
/// After a false the block may be gone.
///
/// # Safety
///
/// The caller is the running side, which ends here, on the task's home.
#[inline(always)]
pub(crate) unsafe fn finish(task: NonNull<Control>) -> bool {
    // SAFETY: the block is alive until `end` of the join state returns.
    let is_detached = unsafe { task.as_ref() }.join.end(FINISHED);
    // SAFETY: if there will be no joiner, the block is the caller's.
    unsafe { show_end_of_detached(task, is_detached) }
}

/// As [`finish`], for a task of a scope.
///
/// # Safety
///
/// As for [`finish`].
#[inline(always)]
pub(crate) unsafe fn finish_in_scope(task: NonNull<Control>) -> bool {
    // SAFETY: as in `finish`.
    let is_detached = unsafe { task.as_ref() }.join.end_detached(FINISHED);
    // SAFETY: if there will be no joiner, the block is the caller's.
    unsafe { show_end_of_detached(task, is_detached) }
}

/// The last step of a task's end, which has found out whether the task `is_detached`. Passes that
/// on.
///
/// # Safety
///
/// If the task is detached, its block is alive.
#[inline(always)]
unsafe fn show_end_of_detached(task: NonNull<Control>, is_detached: bool) -> bool {
    // SAFETY: the caller's promise.
    if is_detached && let Some(sign) = unsafe { task.as_ref() }.end_sign() {
        sign.end();
    }
    is_detached
}

impl Control {
    /// Whether nothing has to be dropped of the task's result if that is no panic.
    pub(crate) fn has_plain_result(&self) -> bool {
        self.vtable.is_plain
    }

    /// Whether the task has run to its end, or was left behind. Its result may still be dropped.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.join.0.event(), Some(FINISHED | LEFT))
    }

    /// Where the handle's side learns of the end of the task.
    pub(super) fn join_cell(&self) -> &WaitCell {
        &self.join.0
    }

    #[inline(always)]
    fn end_sign(&self) -> Option<&EndSign> {
        self.extras()?.end_sign.get()
    }
}

/// Lets the joiner know that the task was left behind. Its block must stay for ever.
pub(crate) fn leave(task: &Control) {
    let is_detached = task.join.end(LEFT);
    // SAFETY: the caller has the task, whose block is not freed.
    unsafe { show_end_of_detached(NonNull::from(task), is_detached) };
}

/// Drops the result of a task without a joiner, and returns the payload of its panic. This is user
/// code, which may suspend.
///
/// # Safety
///
/// [`finish`] has returned true, and this is called once.
pub(crate) unsafe fn drop_result(task: NonNull<Control>) -> Option<Box<dyn Any + Send>> {
    // SAFETY: the handle is gone, so the result is the caller's.
    unsafe {
        let control = task.as_ref();
        (control.vtable.drop_result)(control.payload.get())
    }
}

/// Gives up one party's part in a control block. The last one drops what is left in it, and frees
/// it.
///
/// # Safety
///
/// The party is the task and its handle, both of which have let go, the payload being empty; or a
/// share. It does not use the block again.
pub(crate) unsafe fn free(control: NonNull<Control>) {
    worker::with_current(|worker| {
        // SAFETY: the caller's promise.
        unsafe { free_into(worker.map(Worker::slab), control) }
    });
}

/// Does [`free`] for a caller that knows the slab of its worker, if it runs on one.
///
/// # Safety
///
/// As for [`free`].
#[inline]
pub(crate) unsafe fn free_into(slab: Option<&Slab>, control: NonNull<Control>) {
    // SAFETY: the caller's promise: the block stays as long as its part in it. Then nobody else has
    // one any more. A stack is left in it if it has not started.
    unsafe {
        if !share::give_up(control) {
            return;
        }
        control.drop_in_place();
        match slab {
            Some(slab) => slab.free(control),
            None => Slab::free_shared(control),
        }
    }
}

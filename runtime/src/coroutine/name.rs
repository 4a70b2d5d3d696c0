//! Names of coroutines: references that keep nothing alive and notice when it is gone.

use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::rc::Rc;

use super::Status;
use super::core::Core;

/// Shared by a coroutine and its names; empty once the coroutine is dropped.
pub(super) type Tag<Input, Yield, Return> = Rc<Cell<Option<NonNull<Core<Input, Yield, Return>>>>>;

/// A name of a coroutine, to [transfer](super::Yielder::transfer) to it.
///
/// A name does not keep its coroutine alive, so coroutines can know each other's names without a
/// cycle of ownership.
pub struct Name<Input, Yield, Return>(Tag<Input, Yield, Return>);

pub(super) fn tag<Input, Yield, Return>(
    core: NonNull<Core<Input, Yield, Return>>,
) -> Tag<Input, Yield, Return> {
    Rc::new(Cell::new(Some(core)))
}

/// Called when the coroutine is dropped.
#[cold]
pub(super) fn forget<Input, Yield, Return>(tag: Tag<Input, Yield, Return>) {
    tag.set(None);
}

impl<Input, Yield, Return> Name<Input, Yield, Return> {
    pub(super) fn of(tag: &Tag<Input, Yield, Return>) -> Self {
        Self(tag.clone())
    }

    /// Where the coroutine stands, or `None` if it was dropped.
    #[inline]
    pub fn status(&self) -> Option<Status> {
        // SAFETY: a coroutine empties its tag before its core goes away.
        self.0.get().map(|core| unsafe { core.as_ref() }.status())
    }

    #[inline]
    #[track_caller]
    pub(super) fn suspended_core(&self) -> NonNull<Core<Input, Yield, Return>> {
        match (self.status(), self.0.get()) {
            (Some(Status::Suspended), Some(core)) => core,
            (status, _) => refuse(status),
        }
    }
}

#[cold]
#[track_caller]
fn refuse(status: Option<Status>) -> ! {
    panic!(
        "cannot transfer to a coroutine that {}",
        match status {
            None => "was dropped",
            Some(Status::Finished) => "is finished",
            Some(_) => "is running already",
        }
    )
}

impl<Input, Yield, Return> Clone for Name<Input, Yield, Return> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<Input, Yield, Return> fmt::Debug for Name<Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Name").field("status", &self.status()).finish_non_exhaustive()
    }
}

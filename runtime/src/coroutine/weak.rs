//! Weak handles of coroutines: they keep nothing alive, and notice when the coroutine is gone.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::rc::Rc;

use super::CoroutineStatus;
use super::core::Core;
use crate::here::{Hidden, StaysHere};

/// Shared by a coroutine and its weak handles; empty once the coroutine is dropped.
pub(super) type Tag<Input, Yield, Return> = Rc<Cell<Option<NonNull<Core<Input, Yield, Return>>>>>;

/// A weak handle of a [`Coroutine`](super::Coroutine), to [transfer](super::Yielder::transfer) to
/// it.
///
/// It does not keep its coroutine alive, so coroutines can know each other without a cycle of
/// ownership. [`downgrade`](super::Coroutine::downgrade) makes one.
///
/// # Examples
///
/// ```
/// use lisle::coroutine::{Coroutine, CoroutineStatus, Yielder};
///
/// let coroutine = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
/// let weak = coroutine.downgrade();
/// assert_eq!(weak.status(), Some(CoroutineStatus::Suspended));
/// coroutine.resume(());
/// assert_eq!(weak.status(), Some(CoroutineStatus::Finished));
/// drop(coroutine);
/// assert_eq!(weak.status(), None);
/// ```
pub struct WeakCoroutine<Input, Yield, Return> {
    tag: Hidden<Tag<Input, Yield, Return>>,
    _stays_here: StaysHere,
}

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

impl<Input, Yield, Return> WeakCoroutine<Input, Yield, Return> {
    pub(super) fn of(tag: &Tag<Input, Yield, Return>) -> Self {
        // SAFETY: `_stays_here` is beside it, and it stays where it is.
        Self { tag: unsafe { Hidden::new(tag.clone()) }, _stays_here: PhantomData }
    }

    /// Where the coroutine stands, or `None` if it was dropped.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, CoroutineStatus, Yielder};
    ///
    /// let coroutine = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
    /// let weak = coroutine.downgrade();
    /// assert_eq!(weak.status(), Some(CoroutineStatus::Suspended));
    /// drop(coroutine);
    /// assert_eq!(weak.status(), None);
    /// ```
    #[inline]
    pub fn status(&self) -> Option<CoroutineStatus> {
        // SAFETY: a coroutine empties its tag before its core goes away.
        self.tag.get().map(|core| unsafe { core.as_ref() }.status())
    }

    #[inline]
    #[track_caller]
    pub(super) fn suspended_core(&self) -> NonNull<Core<Input, Yield, Return>> {
        match (self.status(), self.tag.get()) {
            (Some(CoroutineStatus::Suspended), Some(core)) => core,
            (status, _) => refuse(status),
        }
    }
}

#[cold]
#[track_caller]
fn refuse(status: Option<CoroutineStatus>) -> ! {
    panic!(
        "cannot transfer to a coroutine that {}",
        match status {
            None => "was dropped",
            Some(CoroutineStatus::Finished) => "is finished",
            Some(_) => "is running already",
        }
    )
}

impl<Input, Yield, Return> Clone for WeakCoroutine<Input, Yield, Return> {
    fn clone(&self) -> Self {
        Self::of(&self.tag)
    }
}

impl<Input, Yield, Return> fmt::Debug for WeakCoroutine<Input, Yield, Return> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakCoroutine").field("status", &self.status()).finish_non_exhaustive()
    }
}

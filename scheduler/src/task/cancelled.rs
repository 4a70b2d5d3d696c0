//! What a cancellation leaves: the payload with which it unwinds a task, and what that tells.

use std::any::Any;
use std::fmt;

use crate::cancel::RegionId;

/// The panic payload of what was cancelled: a task, whose `join` returns it as its error, or a
/// region of a task such as [`timeout`](crate::timeout), which catches it.
///
/// It unwinds a task from the place where it waits, so that its destructors run. No panic message
/// is printed. Code that catches panics should let it pass: the next wait unwinds again.
///
/// # Examples
///
/// ```
/// use lisle::task::{Cancelled, CancelledBy};
///
/// lisle::run(|| {
///     let task = lisle::spawn(|| lisle::channel::never::<()>().recv());
///     task.cancel();
///     let payload = task.join().unwrap_err();
///     assert_eq!(Cancelled::of(&payload).unwrap().by(), CancelledBy::Handle);
///
///     let panicking = lisle::spawn(|| std::panic::panic_any("no luck"));
///     assert!(Cancelled::of(&panicking.join().unwrap_err()).is_none());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cancelled {
    by: CancelledBy,
    region: Option<RegionId>,
}

/// What has cancelled a task, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CancelledBy {
    /// A handle of the task: [`JoinHandle::cancel`](crate::JoinHandle::cancel) or
    /// [`CancelHandle::cancel`](crate::CancelHandle::cancel).
    Handle,
    /// The [`scope`](fn@crate::scope) to which the task belongs.
    Scope,
    /// The end of a region's time, or its token: see [`timeout`](crate::timeout) and
    /// [`cancellable`](crate::cancellable).
    Region,
    /// The end of the runtime.
    Runtime,
}

/// Why a task is cancelled, in one byte: the first cause, and whether its runtime ends.
#[derive(Clone, Copy)]
pub(super) struct Cause(u8);

impl Cause {
    pub(super) const NONE: Self = Self(0);
    const THE_END: u8 = 0x80;

    pub(super) fn and(self, by: CancelledBy) -> Self {
        let first = if self.0 == 0 { by as u8 + 1 } else { self.0 };
        Self(first | if by == CancelledBy::Runtime { Self::THE_END } else { 0 })
    }

    pub(super) fn first(self) -> Option<CancelledBy> {
        CancelledBy::from_code((self.0 & !Self::THE_END).checked_sub(1)?)
    }

    pub(super) fn has_the_end(self) -> bool {
        self.0 & Self::THE_END != 0
    }
}

impl CancelledBy {
    pub(super) fn from_code(code: u8) -> Option<Self> {
        let all = [Self::Handle, Self::Scope, Self::Region, Self::Runtime];
        all.into_iter().find(|by| *by as u8 == code)
    }
}

impl Cancelled {
    /// A whole task was cancelled.
    pub(crate) fn task(by: CancelledBy) -> Self {
        Self { by, region: None }
    }

    /// Only what runs in a region was.
    pub(crate) fn region(region: RegionId) -> Self {
        Self { by: CancelledBy::Region, region: Some(region) }
    }

    /// Whether it is this region that catches the payload.
    pub(crate) fn is_of(&self, region: Option<RegionId>) -> bool {
        self.region.is_some() && self.region == region
    }

    /// The cancellation, if a panic's payload is one. Takes what `join` and `catch_unwind` return,
    /// by reference.
    pub fn of<'a>(payload: &'a (dyn Any + Send + 'static)) -> Option<&'a Self> {
        // A reference to a box becomes one to a value that is a box, and not to what is in it.
        let inner = payload.downcast_ref::<Box<dyn Any + Send>>().map_or(payload, |inner| &**inner);
        inner.downcast_ref()
    }

    /// What has cancelled the task.
    pub fn by(&self) -> CancelledBy {
        self.by
    }
}

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.by {
            CancelledBy::Handle => "the task was cancelled by a handle",
            CancelledBy::Scope => "the task was cancelled with its scope",
            CancelledBy::Region => "what ran in a region was cancelled",
            CancelledBy::Runtime => "the task was cancelled because its runtime has ended",
        })
    }
}

impl std::error::Error for Cancelled {}

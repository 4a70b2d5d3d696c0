//! Regions of plain threads: their waits end with the innermost region's time at the latest.
//!
//! A thread has no worker that would end its wait, so each wait looks at the thread's regions
//! itself. They are a list through the frames that have opened them, as a task's.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::Arc;
use std::time::Instant;

use lisle_runtime::internal::{attached, primitive};

use super::region::{Limits, RegionId, caught};
use super::token::RegionLink;
use crate::task::Cancelled;

primitive::thread_local! {
    /// The region or shield that was entered last and is still open; null if there is none.
    static INNERMOST: Cell<*const Region> = Cell::new(ptr::null())
}

/// An open region, or a shield.
struct Region {
    outer: *const Region,
    is_shield: bool,
    /// The earliest end of this region and those around it, up to a shield.
    first_deadline: Option<Instant>,
    deadline: Option<Instant>,
    is_over: Cell<bool>,
    link: Option<Arc<RegionLink>>,
    id: RegionId,
}

impl Region {
    fn is_over(&self) -> bool {
        let is_over = self.is_over.get()
            || self.link.as_ref().is_some_and(|link| link.is_cancelled())
            || self.deadline.is_some_and(|deadline| deadline <= Instant::now());
        self.is_over.set(is_over);
        is_over
    }
}

/// Sets the innermost region, until it is dropped.
struct Innermost {
    before: *const Region,
}

impl Innermost {
    fn set(region: *const Region) -> Self {
        Self { before: INNERMOST.with(|innermost| innermost.replace(region)) }
    }
}

impl Drop for Innermost {
    fn drop(&mut self) {
        INNERMOST.with(|innermost| innermost.set(self.before));
    }
}

/// The regions and shields that a thread is in, innermost first.
struct Entered<'a>(Option<&'a Region>);

impl<'a> Iterator for Entered<'a> {
    type Item = &'a Region;

    #[inline]
    fn next(&mut self) -> Option<&'a Region> {
        let region = self.0?;
        // SAFETY: the frame of an outer region outlives those of all regions inside.
        self.0 = unsafe { region.outer.as_ref() };
        Some(region)
    }
}

/// Calls `look` with those of the calling thread.
#[inline]
fn with_entered<R>(look: impl FnOnce(Entered<'_>) -> R) -> R {
    // SAFETY: a region is in the list as long as its frame is there, and the caller is inside.
    look(Entered(unsafe { INNERMOST.with(Cell::get).as_ref() }))
}

/// Calls `matches` with those that no shield keeps from having their effect.
#[inline]
fn any_exposed(matches: impl FnMut(&Region) -> bool) -> bool {
    with_entered(|entered| entered.take_while(|region| !region.is_shield).any(matches))
}

/// Calls `look` with the outermost of them that is over, if there is one.
fn with_struck<R>(look: impl FnOnce(&Region) -> R) -> Option<R> {
    with_entered(|entered| {
        let exposed = entered.take_while(|region| !region.is_shield);
        exposed.filter(|region| region.is_over()).last().map(look)
    })
}

pub(super) fn run<T>(limits: Limits, body: impl FnOnce() -> T) -> Option<T> {
    let region = Region {
        outer: INNERMOST.with(Cell::get),
        is_shield: false,
        first_deadline: limits.deadline.into_iter().chain(first_deadline()).min(),
        deadline: limits.deadline,
        is_over: Cell::new(limits.is_over),
        link: limits.link,
        id: RegionId::next(),
    };
    let outcome = attached(|| {
        let _inside = Innermost::set(&region);
        catch_unwind(AssertUnwindSafe(body))
    });
    match outcome {
        Ok(value) => Some(value),
        Err(payload) => caught(payload, Some(region.id)),
    }
}

/// Runs `body`, in which no region outside of it counts.
pub(super) fn shield<R>(body: impl FnOnce() -> R) -> R {
    let shield = Region {
        outer: INNERMOST.with(Cell::get),
        is_shield: true,
        first_deadline: None,
        deadline: None,
        is_over: Cell::new(false),
        link: None,
        id: RegionId::next(),
    };
    attached(|| {
        let _inside = Innermost::set(&shield);
        body()
    })
}

/// When a wait of the calling thread has to end at the latest.
#[inline]
pub(crate) fn first_deadline() -> Option<Instant> {
    with_entered(|mut entered| entered.next()?.first_deadline)
}

/// Whether another party may end a region of the calling thread at any time.
#[cfg(not(lisle_loom))]
pub(crate) fn may_be_struck() -> bool {
    any_exposed(|region| region.link.is_some())
}

/// Whether a cancellation point would unwind the calling thread.
#[inline]
pub(crate) fn is_struck() -> bool {
    any_exposed(Region::is_over)
}

/// Whether what a cancellation point would unwind to is a region whose time is over.
pub(super) fn is_out_of_time() -> bool {
    let is_cancelled =
        with_struck(|region| region.link.as_ref().is_some_and(|link| link.is_cancelled()));
    is_cancelled == Some(false)
}

/// Whether a region of the calling thread is over, whatever shields there are.
pub(super) fn is_cancelled() -> bool {
    with_entered(|mut entered| entered.any(Region::is_over))
}

/// Unwinds the calling thread to the outermost of its regions that is over, if there is one.
/// Returns in a destructor amid an unwinding, and where nothing can be unwound.
pub(crate) fn check() {
    if let Some(payload) = with_struck(|region| Cancelled::region(region.id))
        && cfg!(panic = "unwind")
        && !std::thread::panicking()
    {
        resume_unwind(Box::new(payload));
    }
}

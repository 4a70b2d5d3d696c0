//! Regions: parts of a task that are cancelled without the rest of it.
//!
//! A region is a frame: it is opened by a function, and over when that returns or unwinds. The open
//! regions of a task are a list through these frames, innermost first, and so is what is asked when
//! something is cancelled: from the inside out, up to the first shield, the outermost region that
//! is cancelled is the one that is struck, or the task itself. The payload that unwinds the task
//! names the region, and only that region catches it. Of several that are cancelled the outermost
//! is taken because it would be struck next anyway.
//!
//! All of it belongs to the task's home. What other threads have is a [`RegionLink`].

use std::cell::Cell;
use std::num::NonZeroU64;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use lisle_runtime::internal::attached;

use super::on_thread;
use super::token::RegionLink;
use crate::clock::now;
use crate::task::{Cancelled, Control, Shielding};
use crate::timer::Alarm;
use crate::worker::{self, Worker};

/// Tells the regions of the process apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RegionId(NonZeroU64);

impl RegionId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(NonZeroU64::new(number).expect("numbers start at 1"))
    }
}

/// An open region of a task, in the frame that has opened it.
pub(crate) struct Region {
    task: NonNull<Control>,
    outer: *const Region,
    /// The shield that the task had entered between the next outer region and this one.
    shielding_outside: Shielding,
    deadline: Option<Instant>,
    link: Option<Arc<RegionLink>>,
    is_cancelled: Cell<bool>,
    /// How often the task was unwound to here.
    strikes: Cell<u8>,
    /// Made when it is first told.
    id: Cell<Option<RegionId>>,
}

/// What is struck when a cancellation strikes a task.
pub(crate) enum Struck<'a> {
    Task,
    Region(&'a Region),
}

/// What ends a region early.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) deadline: Option<Instant>,
    /// Whether that is known to be over.
    pub(super) is_over: bool,
    pub(super) link: Option<Arc<RegionLink>>,
}

/// Runs `body` in a region of the calling task, or of the calling plain thread. `None` if it was
/// cancelled and unwound to here.
#[inline]
pub(super) fn run<T>(limits: Limits, body: impl FnOnce() -> T) -> Option<T> {
    let here = 0_u8;
    // SAFETY: the reference is used in this call alone.
    let worker = unsafe { worker::current() };
    match worker.and_then(|worker| Some((worker, worker.running_task()?))) {
        // On its own stack the task cannot leave the region but by its end.
        Some((worker, task)) if task.owns((&raw const here).addr()) => {
            run_in_task(worker, task, limits, body)
        }
        Some((worker, task)) => run_in_coroutine(worker, task, limits, body),
        None => on_thread::run(limits, body),
    }
}

#[inline(never)]
fn run_in_coroutine<T>(
    worker: &Worker,
    task: &Control,
    limits: Limits,
    body: impl FnOnce() -> T,
) -> Option<T> {
    attached(|| run_in_task(worker, task, limits, body))
}

#[inline(always)]
fn run_in_task<T>(
    worker: &Worker,
    task: &Control,
    limits: Limits,
    body: impl FnOnce() -> T,
) -> Option<T> {
    let innermost = &task.extras_or_new().region;
    let link_is_cancelled = limits.link.as_ref().is_some_and(|link| link.is_cancelled());
    let region = Region {
        task: NonNull::from(task),
        outer: innermost.get(),
        shielding_outside: task.set_shielding(Shielding::None),
        deadline: limits.deadline,
        link: limits.link,
        is_cancelled: Cell::new(limits.is_over || link_is_cancelled),
        strikes: Cell::new(0),
        id: Cell::new(None),
    };
    innermost.set(&region);
    let deadline = limits.deadline.filter(|_| !limits.is_over);
    let timer = deadline.map(|deadline| worker.set_timer(deadline, Alarm::of_region(&region)));
    if let Some(link) = &region.link {
        link.open(&region);
    }
    // Of a region that is not over nothing is changed: what else is cancelled strikes inside as it
    // does outside, since a shield around the region counts there, too.
    if region.is_cancelled.get() {
        task.find_exposure();
    }
    let outcome = catch_unwind(AssertUnwindSafe(body));
    if let Some(timer) = timer {
        worker.remove_timer(timer);
    }
    if let Some(link) = &region.link {
        link.close();
    }
    innermost.set(region.outer);
    task.set_shielding(region.shielding_outside);
    if region.is_cancelled.get() {
        task.find_exposure();
    }
    match outcome {
        Ok(value) => Some(value),
        Err(payload) => caught(payload, region.id.get()),
    }
}

/// Lets a payload pass that is not this region's.
#[cold]
pub(super) fn caught<T>(
    payload: Box<dyn std::any::Any + Send>,
    region: Option<RegionId>,
) -> Option<T> {
    match payload.downcast_ref::<Cancelled>() {
        Some(cancelled) if cancelled.is_of(region) => None,
        _ => resume_unwind(payload),
    }
}

impl Region {
    pub(crate) fn task(&self) -> &Control {
        // SAFETY: the region is in a frame of the task, which has not finished.
        unsafe { self.task.as_ref() }
    }

    pub(crate) fn cancel(&self) {
        self.is_cancelled.set(true);
    }

    /// Its name in payloads.
    pub(crate) fn id(&self) -> RegionId {
        let id = self.id.get().unwrap_or_else(RegionId::next);
        self.id.set(Some(id));
        id
    }

    /// Counts an unwinding to here. Returns how many there were, with this one.
    pub(crate) fn count_strike(&self) -> u8 {
        let strikes = self.strikes.get().saturating_add(1);
        self.strikes.set(strikes);
        strikes
    }

    /// Whether a region that is cancelled was so by its time.
    pub(super) fn is_out_of_time(&self) -> bool {
        self.link.as_ref().is_none_or(|link| !link.is_cancelled())
    }

    /// Whether it was to be cancelled by now, although the worker may not have looked yet.
    fn is_over(&self) -> bool {
        self.is_cancelled.get()
            || self.link.as_ref().is_some_and(|link| link.is_cancelled())
            || self.deadline.is_some_and(|deadline| deadline <= now())
    }
}

impl Control {
    /// The regions that the task is in, innermost first.
    fn regions(&self) -> impl Iterator<Item = &Region> {
        let innermost = self.extras().map_or(ptr::null(), |extras| extras.region.get());
        // SAFETY: a region is in the list as long as its frame is there.
        let (first, next) =
            unsafe { (innermost.as_ref(), |region: &&Region| region.outer.as_ref()) };
        std::iter::successors(first, next)
    }

    /// What a cancellation strikes now.
    pub(crate) fn struck(&self) -> Option<Struck<'_>> {
        let (mut struck, mut only_the_end) = (None, false);
        let mut shielding = self.shielding();
        let mut regions = self.regions();
        loop {
            match shielding {
                Shielding::None => {}
                Shielding::FromAllButTheEnd => only_the_end = true,
                Shielding::FromAll => return struck,
            }
            let Some(region) = regions.next() else { break };
            if region.is_cancelled.get() && !only_the_end {
                struck = Some(Struck::Region(region));
            }
            shielding = region.shielding_outside;
        }
        let strikes_task = if only_the_end { self.meets_the_end() } else { self.is_cancelled() };
        if strikes_task { Some(Struck::Task) } else { struck }
    }

    /// Whether the task is in a shield, also in one outside of its regions.
    pub(crate) fn is_shielded(&self) -> bool {
        let outside = self.regions().map(|region| region.shielding_outside);
        outside.chain([self.shielding()]).any(|shielding| shielding == Shielding::FromAll)
    }

    /// Whether the task or a region that it is in was cancelled, as far as is known here, whatever
    /// shields it is in. What it says strikes at the next point, so it does not look at the clock.
    pub(crate) fn is_cancelled_anywhere(&self) -> bool {
        self.is_cancelled() || self.regions().any(|region| region.is_cancelled.get())
    }

    /// Finds out whether the running task was cancelled, before its worker reads that in its mail.
    pub(crate) fn look_for_cancel(&self) {
        if let Some(by) = self.requested_cancel()
            && !self.is_cancelled()
        {
            self.cancel(by);
        }
        let mut found = false;
        for region in self.regions().filter(|region| !region.is_cancelled.get()) {
            if region.is_over() {
                region.cancel();
                found = true;
            }
        }
        if found {
            self.find_exposure();
        }
    }
}

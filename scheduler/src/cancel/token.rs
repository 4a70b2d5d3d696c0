//! Tokens: the right to cancel a region from anywhere.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use lisle_runtime::internal::primitive::thread::{self, Thread};

use super::region::{Limits, Region, run};
use crate::explore::points::pass;
use crate::post::Request;
use crate::task::{Cancelled, CancelledBy, Control, Share, Whereabouts};
use crate::worker::{self, Worker};

/// What parties elsewhere know of a region.
pub(crate) struct RegionLink {
    is_cancelled: AtomicBool,
    party: Party,
    /// Null if the region is over. Home.
    region: AtomicPtr<Region>,
}

/// The party whose region it is.
enum Party {
    Task(Share),
    Thread(Thread),
}

impl RegionLink {
    pub(super) fn new() -> Self {
        let party = worker::with_current(|worker| {
            worker.and_then(Worker::running_task).map(|task: &Control| Share::of(task))
        });
        Self {
            is_cancelled: AtomicBool::new(false),
            party: party.map_or_else(|| Party::Thread(thread::current()), Party::Task),
            region: AtomicPtr::new(ptr::null_mut()),
        }
    }

    pub(super) fn open(&self, region: &Region) {
        self.region.store(ptr::from_ref(region).cast_mut(), Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.region.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// The region, if it is open.
    ///
    /// # Safety
    ///
    /// The caller is the home of the task whose region it is, and has no task run while it uses the
    /// result.
    pub(crate) unsafe fn region(&self) -> Option<&Region> {
        // SAFETY: the task stores null before it leaves the frame.
        unsafe { self.region.load(Ordering::Relaxed).as_ref() }
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Acquire)
    }

    fn cancel(self: &Arc<Self>) {
        if self.is_cancelled.swap(true, Ordering::AcqRel) {
            return;
        }
        match &self.party {
            Party::Task(share) => {
                // Only a task that has started opens a region.
                if let Whereabouts::StartedOn(home) = share.task().whereabouts()
                    && !share.task().has_ended()
                {
                    worker::ask(home, Request::CancelRegion(self.clone()));
                }
            }
            Party::Thread(thread) => thread.unpark(),
        }
    }
}

/// Cancels the region that a call of [`cancellable`] has opened, from anywhere.
///
/// When the region is over it does nothing.
///
/// # Examples
///
/// ```
/// use lisle::task::{CancelToken, cancellable};
///
/// lisle::run(|| {
///     let mut kept: Option<CancelToken> = None;
///     let outcome = cancellable(|token| {
///         kept = Some(token.clone());
///         token.cancel();
///         assert!(token.is_cancelled());
///         lisle::yield_now(); // unwinds to the region
///     });
///     assert!(outcome.is_err());
///     kept.unwrap().cancel(); // too late: nothing happens
/// });
/// ```
#[derive(Clone)]
pub struct CancelToken(Arc<RegionLink>);

impl CancelToken {
    /// A token for a region that the caller opens.
    pub(crate) fn new() -> Self {
        Self(Arc::new(RegionLink::new()))
    }

    /// Cancels what runs in the region: it is unwound from its present wait or the next one.
    #[track_caller]
    pub fn cancel(&self) {
        pass();
        self.0.cancel();
    }

    /// Whether the region was cancelled by this token or a clone.
    #[track_caller]
    pub fn is_cancelled(&self) -> bool {
        pass();
        self.0.is_cancelled()
    }
}

impl fmt::Debug for CancelToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelToken").field("is_cancelled", &self.is_cancelled()).finish()
    }
}

/// Runs `body` in a region that its token can cancel, alone of all that the calling task does.
///
/// When the token is used, `body` is unwound from its present wait or the next one, its
/// destructors run, and this returns an error. If `body` returns a value all the same, that counts.
/// Regions may be nested in any way, with [`timeout`](crate::timeout) too: each catches what is
/// meant for itself and lets all else pass. A [`shield`](fn@crate::shield) inside puts the
/// cancellation off, and one outside does not matter.
///
/// On a plain thread it works in Lisle's waits, and nowhere else, and in
/// [`check_cancelled`](fn@crate::check_cancelled). In a program built with `panic = "abort"`
/// nothing can be unwound: waits in a region that is cancelled fail instead, as if the other side
/// were gone.
///
/// # Errors
///
/// [`Cancelled`], if `body` was unwound.
///
/// # Panics
///
/// With the panic of `body`. A coroutine that has entered a region cannot be suspended inside,
/// which panics.
///
/// # Examples
///
/// ```
/// use lisle::channel::{bounded, never};
///
/// lisle::run(|| {
///     let (give, take) = bounded(1);
///     let waiting = lisle::spawn(move || {
///         lisle::task::cancellable(|token| {
///             give.send(token.clone()).unwrap();
///             never::<()>().recv()
///         })
///         .is_err()
///     });
///     take.recv().unwrap().cancel();
///     assert!(waiting.join().unwrap()); // the task has gone on
/// });
/// ```
pub fn cancellable<T>(body: impl FnOnce(&CancelToken) -> T) -> Result<T, Cancelled> {
    let token = CancelToken::new();
    in_region_of(&token, || body(&token)).ok_or(Cancelled::task(CancelledBy::Region))
}

/// Runs `body` in the region that the token cancels, which the calling party has made. `None` if it
/// was unwound.
pub(crate) fn in_region_of<T>(token: &CancelToken, body: impl FnOnce() -> T) -> Option<T> {
    run(Limits { link: Some(token.0.clone()), ..Limits::default() }, body)
}

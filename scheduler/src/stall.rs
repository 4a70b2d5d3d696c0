//! The notice of a stall: what all tasks of a runtime wait for when they have waited for long and
//! only a thread that is not the runtime's could wake one.
//!
//! That is no deadlock, but whoever waits for a program that hangs would like to know. The worker
//! that goes to sleep last finds it out and calls for the others, since each can describe its own
//! tasks only. The one that comes last prints.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::deadlock::TaskReport;

/// What the workers of a team know of the one notice that they give. It takes no part in any
/// protocol, and a model has none.
#[derive(Default)]
pub(crate) struct Stall {
    is_wanted: AtomicBool,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    /// Workers whose tasks are not described yet.
    missing: usize,
    reports: Vec<TaskReport>,
}

impl Stall {
    /// Whether the workers should describe their tasks, once each.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// Has `workers` describe their tasks. False if that was begun before.
    pub(crate) fn begin(&self, workers: usize) -> bool {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_wanted() {
            return false;
        }
        gathered.missing = workers;
        self.is_wanted.store(true, Ordering::Release);
        true
    }

    /// Takes what a worker has to say; gives what all have said if it was the last.
    pub(crate) fn add(&self, reports: Vec<TaskReport>) -> Option<Vec<TaskReport>> {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.reports.extend(reports);
        // A worker that has come since is one too many.
        gathered.missing = gathered.missing.checked_sub(1)?;
        (gathered.missing == 0).then(|| mem::take(&mut gathered.reports))
    }
}

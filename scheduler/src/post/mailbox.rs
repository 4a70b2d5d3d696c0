//! The mailbox of a worker: what it is asked to do, beside waking tasks.
//!
//! A request lies in the mailbox before the knock that calls for it, and both happen under the
//! mailbox's lock. So an owner that has been knocked at finds the request, and one that finds a
//! request has been knocked at.

use std::mem;

use lisle_runtime::internal::primitive::{Arc, Mutex, MutexGuard};

use crate::cancel::RegionLink;
use crate::deadlock::Survey;
use crate::dump::Census;
use crate::scope::CancelAtHome;
use crate::task::Share;

/// What other threads may ask a worker to do. It does so at its next poll.
pub(crate) enum Request {
    /// Cancel this task, if it has started here.
    Cancel(Share),
    /// Cancel this region of a task of the worker's.
    CancelRegion(std::sync::Arc<RegionLink>),
    /// Cancel the tasks of this scope that were spawned here.
    CancelScope(CancelAtHome),
    /// Say what the parked tasks wait for.
    Describe(Arc<Survey>),
    /// Say what all tasks do, as the worker in this place.
    Dump(Arc<Census>, (usize, usize)),
    /// Cancel all tasks: the team ends.
    Stop,
}

pub(super) struct Mailbox {
    /// What is to be done, in the order in which it came; `None` once the owner reads no more.
    requests: Mutex<Option<Vec<Request>>>,
}

impl Mailbox {
    pub(super) fn new() -> Self {
        Self { requests: Mutex::new(Some(Vec::new())) }
    }

    /// Takes all requests.
    pub(super) fn take(&self) -> Vec<Request> {
        self.requests.lock().as_mut().map(mem::take).unwrap_or_default()
    }

    /// Lets no more requests in. False if there are some, which must be carried out first.
    pub(super) fn close(&self) -> bool {
        let mut requests = self.requests.lock();
        let is_empty = requests.as_ref().is_none_or(Vec::is_empty);
        if is_empty {
            *requests = None;
        }
        is_empty
    }

    pub(super) fn open(&self) -> Slot<'_> {
        Slot(self.requests.lock())
    }
}

/// The slot of a mailbox, through which requests come in.
pub(super) struct Slot<'a>(MutexGuard<'a, Option<Vec<Request>>>);

impl Slot<'_> {
    /// Puts a request in, or gives it back if the owner reads no more.
    pub(super) fn put(&mut self, request: Request) -> Result<(), Request> {
        let Some(requests) = self.0.as_mut() else { return Err(request) };
        requests.push(request);
        Ok(())
    }
}

//! A poller: it blocks one thread until a descriptor is ready or the bell rings.
//!
//! [`Queue`] is what the operating system does: four functions, of which a loom model has a double.
//! On top of that a poller knows which sources are registered with it, so that they can be given up
//! when their owner ends.

#[cfg(lisle_loom)]
pub(super) mod double;
#[cfg(not(lisle_loom))]
mod epoll;
#[cfg(not(lisle_loom))]
mod thread;

#[cfg(lisle_loom)]
pub(super) use double::{Descriptor, Fd, Queue};
#[cfg(not(lisle_loom))]
pub(super) use epoll::{Descriptor, Fd, Queue};
#[cfg(not(lisle_loom))]
pub(super) use thread::{ThreadBell, Waited};

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle_runtime::internal::fork::{generation, watched_generation};
use lisle_runtime::internal::primitive::Mutex;

/// What has become possible, as the operating system reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The other side is gone or something has failed: every wait in a direction that is ready
    /// ends.
    pub(super) ended: bool,
    /// It is not only that more data, or more room for them, has come.
    pub(super) irregular: bool,
}

/// How many reports ahead one is announced, so that what it changes is in the cache by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(lisle_loom, allow(dead_code, reason = "the double announces nothing"))]
pub(super) enum Distance {
    Far = 6,
    Near = 3,
}

pub(super) struct Poller {
    queue: Queue,
    /// Even, not 0, and no other one's in this process, before or after.
    number: usize,
    /// The process whose worker it serves, as it is known by its forks.
    process: u32,
    /// The tokens of what is registered, or `None` once the owner has ended.
    registered: Mutex<Option<BTreeSet<u64>>>,
}

impl Poller {
    /// The poller of the calling thread.
    pub(super) fn new() -> io::Result<Self> {
        // Not modelled: nothing but the number itself depends on it.
        static NEXT: AtomicUsize = AtomicUsize::new(2);
        let number = NEXT.fetch_add(2, Ordering::Relaxed);
        let registered = Mutex::new(Some(BTreeSet::new()));
        Ok(Self { queue: Queue::new()?, number, process: watched_generation(), registered })
    }

    /// What tells it from all others, also from those that are gone, whose memory it may have.
    #[inline]
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// Whether this is the copy that a fork child has of its parent's. The system's part is not
    /// copied: what the child changed there it would change for the parent.
    pub(super) fn is_the_parents(&self) -> bool {
        self.process != generation()
    }

    /// Has everything reported that becomes possible for `fd`, and what is possible already. False
    /// if the owner has ended.
    pub(super) fn add(&self, fd: Fd<'_>, token: u64) -> io::Result<bool> {
        let mut registered = self.registered.lock();
        let Some(registered) = registered.as_mut() else { return Ok(false) };
        self.queue.add(fd, token)?;
        registered.insert(token);
        Ok(true)
    }

    /// Ends the registration of `fd`. A report that is under way may still arrive.
    pub(super) fn remove(&self, fd: Fd<'_>, token: u64) {
        if self.is_the_parents() {
            return;
        }
        let mut registered = self.registered.lock();
        if registered.as_mut().is_some_and(|registered| registered.remove(&token)) {
            self.queue.remove(fd);
        }
    }

    /// Nothing can be registered any more. Returns what was.
    pub(super) fn end(&self) -> BTreeSet<u64> {
        self.registered.lock().take().unwrap_or_default()
    }

    /// Blocks the owner until something is reported, the bell rings, or `timeout` has passed. Gives
    /// every report to `deliver`, and says whether that has returned true for one. `announce` is
    /// called with reports that are still some places away.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        announce: impl Fn(u64, Distance),
        mut deliver: impl FnMut(u64, Readiness) -> bool,
    ) -> bool {
        let mut delivered = false;
        let report = |token, readiness| delivered |= deliver(token, readiness);
        self.queue.wait(timeout, announce, report);
        delivered
    }

    pub(super) fn ring(&self) {
        self.queue.ring();
    }
}

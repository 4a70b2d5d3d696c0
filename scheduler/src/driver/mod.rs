//! What an idle worker blocks in, how it is called back, and how descriptors wake tasks.
//!
//! A worker begins with the operating system's parking, which costs nothing to have. At the first
//! wait of one of its tasks for a descriptor it gets a [`Poller`], an epoll of its own, and blocks
//! in that from then on. `README.md` beside this file has the protocols.
//!
//! Two halves. The [`Driver`] is the worker's own: it blocks and looks. A [`Bell`] is for all
//! threads: it calls the worker back, and may outlive it.
//!
//! A ring is kept: one that comes before [`Driver::block`] makes that return at once. `block` may
//! also return for no reason. So its caller looks again at what it waits for, which a ringer
//! changes first.

mod poller;
mod source;

pub use source::{Direction, Patience, Source};

use std::cell::{Cell, OnceCell};
use std::io;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::thread::{self, Thread};
use lisle_runtime::internal::primitive::{Arc, Mutex};

use self::poller::Poller;
use crate::carry::{Identity, Mate, Rested};

/// How long a busy worker runs tasks between two looks at its descriptors.
const LOOK_INTERVAL: Duration = Duration::from_micros(20);

/// An idle moment of this length has been over when it began.
const AT_ONCE: Duration = Duration::from_micros(2);

/// How long a worker blocks at most before it tries to go home again.
const AWAY: Duration = Duration::from_millis(10);

/// After this many rests in a row in which nobody came, a worker blocks at once, until another
/// thread has woken one of its tasks.
const MOST_VAIN_RESTS: u32 = 4;

/// The half of the worker's own thread.
pub(crate) struct Driver {
    bell: Bell,
    poller: OnceCell<Arc<Poller>>,
    /// When the descriptors were last looked at, on the worker's clock.
    last_look: Cell<Instant>,
    /// They were looked at after the worker has read its clock.
    has_just_looked: Cell<bool>,
    /// Whether a report is being delivered.
    delivers: Cell<bool>,
    /// The worker's idle moments are over as soon as they begin, of late.
    expects_reports: Cell<bool>,
    /// How many tasks of the worker wait for a descriptor, wherever that is registered.
    waits: Cell<usize>,
    /// How often it has looked at its descriptors, and what was reported.
    looks: Cell<u64>,
    reports: Cell<u64>,
    /// The worker's identity, if others may carry it.
    identity: Option<Identity>,
    /// How often in a row nobody has come while the worker rested.
    vain_rests: Cell<u32>,
}

/// Calls a worker back. It needs nothing of the worker, which may be gone when it rings.
#[derive(Clone)]
pub(crate) struct Bell(Arc<Callee>);

struct Callee {
    thread: Thread,
    /// The worker's identity, in which it may rest instead.
    mate: Option<Mate>,
    /// What the worker blocks in, once it has one. A lock orders this against the inbox: a waker
    /// that has found the worker asleep finds the poller too in which it sleeps.
    poller: Mutex<Option<Arc<Poller>>>,
}

impl Driver {
    /// The driver of the calling thread, whose worker others `may_carry`, where that is possible,
    /// and whose clock shows `now`.
    pub(crate) fn new(may_carry: bool, now: Instant) -> Self {
        let identity = may_carry.then(Identity::of_this_thread).flatten();
        let mate = identity.as_ref().map(Identity::mate);
        let callee = Callee { thread: thread::current(), mate, poller: Mutex::new(None) };
        Self {
            bell: Bell(Arc::new(callee)),
            poller: OnceCell::new(),
            last_look: Cell::new(now),
            has_just_looked: Cell::new(false),
            delivers: Cell::new(false),
            expects_reports: Cell::new(true),
            waits: Cell::new(0),
            looks: Cell::new(0),
            reports: Cell::new(0),
            identity,
            vain_rests: Cell::new(0),
        }
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Whether the worker should [rest](Self::rest) before it blocks.
    pub(crate) fn may_rest(&self) -> bool {
        self.can_be_left() && self.vain_rests.get() < MOST_VAIN_RESTS
    }

    /// Whether the worker may be left to others. One that has a poller must hear of its
    /// descriptors.
    pub(crate) fn can_be_left(&self) -> bool {
        self.identity.is_some() && self.poller.get().is_none()
    }

    /// Waits as [`block`](Self::block) does, and lets another worker's thread run this worker
    /// meanwhile. False if nobody came: then it is time to block.
    pub(crate) fn rest(&self, timeout: Option<Duration>) -> bool {
        let Some(identity) = &self.identity else { return false };
        let rested = identity.rest(timeout) == Rested::Called;
        if !rested {
            self.vain_rests.set(self.vain_rests.get() + 1);
        }
        rested
    }

    /// Another thread has woken a task of the worker's: it may do so again.
    pub(crate) fn note_company(&self) {
        self.vain_rests.set(0);
    }

    /// Rests while the calling thread runs `mate`. False, and at once, if that does not rest.
    pub(crate) fn carry(&self, mate: Mate, timeout: Option<Duration>) -> bool {
        self.identity.as_ref().is_some_and(|identity| identity.carry(mate, timeout))
    }

    /// Whether this worker may carry others, and they it.
    #[inline]
    pub(crate) fn carries(&self) -> bool {
        self.identity.is_some()
    }

    /// Sees to it that the worker's own thread runs it from now on.
    pub(crate) fn go_home(&self) {
        self.identity.iter().for_each(Identity::go_home);
    }

    /// Blocks until the bell has rung, a descriptor has woken a task, or `timeout` has passed. True
    /// if a task was woken, perhaps one of this worker.
    ///
    /// A worker blocks at home, so that the thread which runs it keeps no other worker from its
    /// own. If that thread is busy, this one blocks for a while.
    pub(crate) fn block(&self, mut timeout: Option<Duration>) -> bool {
        if let Some(identity) = self.identity.as_ref().filter(|identity| identity.is_away()) {
            if identity.try_to_go_home() == Rested::Called {
                return false;
            }
            timeout = Some(timeout.map_or(AWAY, |timeout| timeout.min(AWAY)));
        }
        match (self.poller.get(), timeout) {
            (Some(poller), timeout) => self.wait(poller, timeout),
            (None, None) => {
                thread::park();
                false
            }
            (None, Some(timeout)) => {
                thread::park_timeout(timeout);
                false
            }
        }
    }

    /// Wakes the tasks whose descriptors have become ready, without blocking. True if there were
    /// any.
    pub(crate) fn look(&self) -> bool {
        self.poller.get().is_some_and(|poller| self.wait(poller, Some(Duration::ZERO)))
    }

    /// Looks as a busy worker does: only if the last look was some time ago. `now` is the worker's
    /// clock, which it has just read.
    #[inline]
    pub(crate) fn look_now_and_then(&self, now: Instant) {
        if self.poller.get().is_none() {
            return;
        }
        if self.has_just_looked.replace(false) {
            self.last_look.set(now);
        // What a model does must not depend on a clock.
        } else if cfg!(lisle_loom)
            || now.saturating_duration_since(self.last_look.get()) >= LOOK_INTERVAL
        {
            self.look();
            self.has_just_looked.set(false);
            self.last_look.set(now);
        }
    }

    /// Looks as a worker does that has nothing to run, if something is likely to be found.
    /// Otherwise what it blocks in will look. `now` is the worker's clock. True if tasks were
    /// woken.
    pub(crate) fn look_before_idling(&self, now: Instant) -> bool {
        self.expects_reports.get() && self.look_unless_just_done(now)
    }

    /// Looks, unless that was done when the worker read its clock, which is `now`.
    pub(crate) fn look_unless_just_done(&self, now: Instant) -> bool {
        if now == self.last_look.get() {
            return false;
        }
        let found = self.look();
        self.has_just_looked.set(false);
        self.last_look.set(now);
        self.expects_reports.set(found);
        found
    }

    /// The worker has been idle, for this long.
    pub(crate) fn note_idle_moment(&self, length: Duration) {
        // What a model does must not depend on a clock.
        if length <= AT_ONCE && !cfg!(lisle_loom) {
            self.expects_reports.set(true);
        }
    }

    fn wait(&self, poller: &Poller, timeout: Option<Duration>) -> bool {
        self.has_just_looked.set(true);
        self.looks.set(self.looks.get() + 1);
        // SAFETY: sources alone register with a poller, by their tokens.
        let fetch = |token, distance| unsafe { source::fetch(token, distance) };
        poller.wait(timeout, fetch, |token, readiness| {
            self.reports.set(self.reports.get() + 1);
            self.delivers.set(true);
            // SAFETY: see above.
            let delivered = unsafe { source::deliver(token, readiness) };
            self.delivers.set(false);
            delivered
        })
    }

    /// Whether what wakes a task now is a descriptor.
    pub(crate) fn delivers(&self) -> bool {
        self.delivers.get()
    }

    /// How many tasks of the worker wait for a descriptor, or for what Lisle's threads do for them.
    pub(crate) fn waits(&self) -> usize {
        self.waits.get()
    }

    /// How often it has looked at its descriptors, and how many were ready in all.
    pub(crate) fn looks_and_reports(&self) -> (u64, u64) {
        (self.looks.get(), self.reports.get())
    }

    /// Whether a descriptor may wake a task of this worker some day.
    pub(crate) fn has_waits(&self) -> bool {
        self.waits.get() != 0
    }

    /// The owner ends. What is registered here has no owner from now on. Tasks of other workers
    /// that wait for it are woken and look again.
    pub(crate) fn end(&self) {
        if let Some(poller) = self.poller.get() {
            source::disown(poller);
        }
    }

    /// Counts a wait of one of the worker's tasks, for a descriptor or for what another thread of
    /// Lisle's does for it, until it is dropped.
    pub(crate) fn begin_wait(&self) -> CountedWait<'_> {
        self.waits.set(self.waits.get() + 1);
        CountedWait(self)
    }

    /// The poller, which the first call makes.
    fn poller(&self) -> io::Result<&Arc<Poller>> {
        if let Some(poller) = self.poller.get() {
            if poller.is_the_parents() {
                return Err(io::Error::other("this runtime was started before the process forked"));
            }
            return Ok(poller);
        }
        let poller = Arc::new(Poller::new()?);
        *self.bell.0.poller.lock() = Some(poller.clone());
        Ok(self.poller.get_or_init(|| poller))
    }
}

pub(crate) struct CountedWait<'a>(&'a Driver);

impl Drop for CountedWait<'_> {
    fn drop(&mut self) {
        self.0.waits.set(self.0.waits.get() - 1);
    }
}

impl Bell {
    /// The identity in which the worker may rest.
    pub(crate) fn mate(&self) -> Option<Mate> {
        self.0.mate
    }

    pub(crate) fn ring(self) {
        if self.0.mate.is_some_and(Mate::ring) {
            return;
        }
        let poller = self.0.poller.lock().clone();
        match poller {
            Some(poller) => poller.ring(),
            None => self.0.thread.unpark(),
        }
    }
}

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
use std::time::Duration;

use lisle_runtime::internal::primitive::thread::{self, Thread};
use lisle_runtime::internal::primitive::{Arc, Mutex};

use self::poller::Poller;

/// How long a busy worker runs tasks between two looks at its descriptors.
const LOOK_INTERVAL: Duration = Duration::from_micros(20);

/// The half of the worker's own thread.
pub(crate) struct Driver {
    bell: Bell,
    poller: OnceCell<Arc<Poller>>,
    /// When the descriptors were last looked at, on the worker's clock.
    last_look: Cell<Duration>,
    /// How many tasks of the worker wait for a descriptor, wherever that is registered.
    waits: Cell<usize>,
}

/// Calls a worker back. It needs nothing of the worker, which may be gone when it rings.
#[derive(Clone)]
pub(crate) struct Bell(Arc<Callee>);

struct Callee {
    thread: Thread,
    /// What the worker blocks in, once it has one. A lock orders this against the inbox: a waker
    /// that has found the worker asleep finds the poller too in which it sleeps.
    poller: Mutex<Option<Arc<Poller>>>,
}

impl Driver {
    /// The driver of the calling thread.
    pub(crate) fn new() -> Self {
        let callee = Callee { thread: thread::current(), poller: Mutex::new(None) };
        Self {
            bell: Bell(Arc::new(callee)),
            poller: OnceCell::new(),
            last_look: Cell::new(Duration::ZERO),
            waits: Cell::new(0),
        }
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Blocks until the bell has rung, a descriptor has woken a task, or `timeout` has passed. True
    /// if a task was woken, perhaps one of this worker.
    pub(crate) fn block(&self, timeout: Option<Duration>) -> bool {
        match (self.poller.get(), timeout) {
            (Some(poller), timeout) => poller.wait(timeout, source::deliver),
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
        let poller = self.poller.get();
        poller.is_some_and(|poller| poller.wait(Some(Duration::ZERO), source::deliver))
    }

    /// Looks as a busy worker does: only if the last look was some time ago. `now` is the worker's
    /// clock.
    #[inline]
    pub(crate) fn look_now_and_then(&self, now: Duration) {
        if self.poller.get().is_none() {
            return;
        }
        // What a model does must not depend on a clock.
        if cfg!(lisle_loom) || now.saturating_sub(self.last_look.get()) >= LOOK_INTERVAL {
            self.last_look.set(now);
            self.look();
        }
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
    pub(crate) fn ring(self) {
        let poller = self.0.poller.lock().clone();
        match poller {
            Some(poller) => poller.ring(),
            None => self.0.thread.unpark(),
        }
    }
}

//! What an idle worker blocks in, and how it is called back.
//!
//! This is the seam for another way to block, such as a poller of sockets: it would wait for its
//! events in [`Driver::block`] and be interrupted by a [`Bell`]. Today a worker blocks as any thread
//! does, in the operating system's parking.
//!
//! A ring is kept: one that comes before `block` makes that return at once. `block` may also return
//! for no reason. So its caller looks again at what it waits for, which a ringer changes first.

use std::time::Duration;

use lisle_runtime::primitive::Mutex;
use lisle_runtime::primitive::thread::{self, Thread};

pub(crate) struct Driver {
    /// Set when the worker gets its thread, before it can block.
    thread: Mutex<Option<Thread>>,
}

/// Calls a worker back. It needs nothing of the worker, who may be gone when it rings.
pub(crate) struct Bell(Thread);

impl Driver {
    pub(crate) fn new() -> Self {
        Self { thread: Mutex::new(None) }
    }

    /// Makes the driver the calling thread's.
    pub(crate) fn occupy(&self) {
        *self.thread.lock() = Some(thread::current());
    }

    /// The bell of a worker that has its thread.
    pub(crate) fn bell(&self) -> Bell {
        Bell(self.thread.lock().clone().expect("only a worker that has come is called"))
    }

    /// Blocks the owner until its bell has rung or `timeout` has passed.
    pub(crate) fn block(&self, timeout: Option<Duration>) {
        match timeout {
            None => thread::park(),
            Some(timeout) => thread::park_timeout(timeout),
        }
    }
}

impl Bell {
    pub(crate) fn ring(self) {
        self.0.unpark();
    }
}

//! How the operations of one object wait.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use lisle_scheduler::internal::{Direction, Patience};

/// Settings are of one object and not of what it refers to: a clone has its own.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// An operation that would have to wait fails.
    nonblocking: AtomicBool,
    /// How long to wait for each direction, in nanoseconds; 0 is for ever.
    timeouts: [AtomicU64; 2],
}

impl Settings {
    pub(crate) fn patience(&self, direction: Direction) -> Patience {
        if self.nonblocking.load(Relaxed) {
            return Patience::None;
        }
        self.timeout(direction).map_or(Patience::Endless, Patience::For)
    }

    pub(crate) fn is_nonblocking(&self) -> bool {
        self.nonblocking.load(Relaxed)
    }

    pub(crate) fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Relaxed);
    }

    pub(crate) fn timeout(&self, direction: Direction) -> Option<Duration> {
        match self.timeouts[direction as usize].load(Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    pub(crate) fn set_timeout(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            let message = "a time-out of zero: use set_nonblocking to wait for nothing";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let nanos = timeout.map_or(0, |time| time.as_nanos().try_into().unwrap_or(u64::MAX));
        self.timeouts[direction as usize].store(nanos, Relaxed);
        Ok(())
    }
}

impl Clone for Settings {
    fn clone(&self) -> Self {
        let copy = |value: &AtomicU64| AtomicU64::new(value.load(Relaxed));
        Self {
            nonblocking: AtomicBool::new(self.is_nonblocking()),
            timeouts: self.timeouts.each_ref().map(copy),
        }
    }
}

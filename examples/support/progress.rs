//! [`Progress`]: how far a long run is.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use super::grouped;

/// Says on standard error how far a run is: once a second on a terminal, and ever more seldom in a
/// file or a pipe, where all lines stay. A run of less than a second stays silent.
pub struct Progress {
    what: &'static str,
    total: usize,
    is_terminal: bool,
    next_line: Instant,
    interval: Duration,
}

const FIRST_INTERVAL: Duration = Duration::from_secs(1);

impl Progress {
    /// A run begins that has `total` of `what` before it.
    pub fn new(what: &'static str, total: usize) -> Self {
        Self::start(what, total, io::stderr().is_terminal(), Instant::now())
    }

    /// A run has begun at `start`.
    pub fn start(what: &'static str, total: usize, is_terminal: bool, start: Instant) -> Self {
        let (next_line, interval) = (start + FIRST_INTERVAL, FIRST_INTERVAL);
        Self { what, total, is_terminal, next_line, interval }
    }

    /// The run has come to `done`. Looks at the clock, so a tight loop calls it now and then only.
    pub fn at(&mut self, done: usize) {
        if let Some(line) = self.line(done, Instant::now()) {
            eprintln!("{line}");
        }
    }

    /// What there is to say if the run has come to `done` by `now`.
    pub fn line(&mut self, done: usize, now: Instant) -> Option<String> {
        if now < self.next_line {
            return None;
        }
        if !self.is_terminal {
            self.interval *= 2;
        }
        self.next_line = now + self.interval;
        let percent = 100.0 * done as f64 / self.total as f64;
        let (done, total) = (grouped(done), grouped(self.total));
        Some(format!("{done} of {total} {} ({percent:.0} %)", self.what))
    }
}

//! [`Progress`]: how far a long run is.

use std::time::{Duration, Instant};

use super::grouped;

/// Says on standard error how far a run is, once a second. A shorter run stays silent.
pub struct Progress {
    what: &'static str,
    total: usize,
    next_line: Instant,
}

const INTERVAL: Duration = Duration::from_secs(1);

impl Progress {
    /// A run begins that has `total` of `what` before it.
    pub fn new(what: &'static str, total: usize) -> Self {
        Self { what, total, next_line: Instant::now() + INTERVAL }
    }

    /// The run has come to `done`. Looks at the clock, so a tight loop calls it now and then only.
    pub fn at(&mut self, done: usize) {
        let now = Instant::now();
        if now >= self.next_line {
            self.next_line = now + INTERVAL;
            let percent = 100.0 * done as f64 / self.total as f64;
            let (done, total) = (grouped(done), grouped(self.total));
            eprintln!("{done} of {total} {} ({percent:.0} %)", self.what);
        }
    }
}

//! How late the timers of many tasks are.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The deadlines of `timers`, and how far they were missed.
///
/// They lie a second apart at the most, in an order that looks random, and begin late enough for
/// every task to have armed its timer.
#[derive(Debug)]
pub struct Lateness {
    base: Instant,
    tasks: u64,
    total_ns: AtomicU64,
    woken: AtomicU64,
}

/// From the opening of the gate to the first deadline.
const HEAD_START: Duration = Duration::from_secs(1);
/// From the first deadline to the last.
const SPREAD_US: u64 = 1_000_000;
/// It has no divisor in common with [`SPREAD_US`], so its multiples reach every microsecond of
/// that.
const STRIDE: u64 = 618_033;

impl Lateness {
    /// Deadlines that count from now.
    pub fn new(tasks: u64) -> Self {
        let base = Instant::now() + HEAD_START;
        Self { base, tasks, total_ns: AtomicU64::new(0), woken: AtomicU64::new(0) }
    }

    /// When a task wants to be woken.
    pub fn due(&self, task: u64) -> Instant {
        self.base + Duration::from_micros(task * STRIDE % SPREAD_US)
    }

    /// The task has been woken, now.
    ///
    /// # Panics
    ///
    /// If that was too early.
    pub fn woken(&self, task: u64) {
        let now = Instant::now();
        let late = now.checked_duration_since(self.due(task)).expect("no timer fires early");
        self.total_ns.fetch_add(late.as_nanos() as u64, Relaxed);
        self.woken.fetch_add(1, Relaxed);
    }

    /// The mean.
    ///
    /// # Panics
    ///
    /// If a task has not been woken.
    pub fn mean(&self) -> Duration {
        assert_eq!(self.woken.load(Relaxed), self.tasks, "each task was woken once");
        Duration::from_nanos(self.total_ns.load(Relaxed) / self.tasks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_spread() {
        let lateness = Lateness::new(4);
        let mut due: Vec<_> = (0..4).map(|task| lateness.due(task)).collect();
        due.sort();
        due.dedup();
        assert_eq!(due.len(), 4);
        assert!(due[3] - due[0] > Duration::from_millis(500));
    }

    #[test]
    #[should_panic(expected = "no timer fires early")]
    fn too_early() {
        Lateness::new(1).woken(0);
    }
}

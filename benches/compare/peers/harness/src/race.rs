//! Many tasks that start together.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};
use std::time::{Duration, Instant};

/// Counts the tasks at the gate and at the goal, and takes the time from the first that starts to
/// the last that arrives. So neither creating nor joining them counts.
#[derive(Debug)]
pub struct Race {
    tasks: u64,
    at_gate: AtomicU64,
    at_goal: AtomicU64,
    start: OnceLock<Instant>,
    end: OnceLock<Instant>,
}

impl Race {
    /// A race of this many.
    pub fn new(tasks: u64) -> Self {
        Self {
            tasks,
            at_gate: AtomicU64::new(0),
            at_goal: AtomicU64::new(0),
            start: OnceLock::new(),
            end: OnceLock::new(),
        }
    }

    /// One more is about to wait at the gate.
    pub fn at_gate(&self) {
        self.at_gate.fetch_add(1, AcqRel);
    }

    /// Whether all are at the gate.
    pub fn is_ready(&self) -> bool {
        self.at_gate.load(Acquire) == self.tasks
    }

    /// One has passed the gate.
    pub fn started(&self) {
        self.start.get_or_init(Instant::now);
    }

    /// One is at the goal.
    pub fn at_goal(&self) {
        if self.at_goal.fetch_add(1, AcqRel) + 1 == self.tasks {
            self.end.get_or_init(Instant::now);
        }
    }

    /// Whether all are at the goal.
    pub fn is_over(&self) -> bool {
        self.end.get().is_some()
    }

    /// The time of the race.
    ///
    /// # Panics
    ///
    /// If some have not arrived: then the program has not done its work.
    pub fn time(&self) -> Duration {
        let end = self.end.get().expect("all tasks have arrived");
        *end - *self.start.get().expect("a task has started")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_over_when_all_have_arrived() {
        let race = Race::new(2);
        race.at_gate();
        assert!(!race.is_ready());
        race.at_gate();
        assert!(race.is_ready());
        race.started();
        race.at_goal();
        assert!(!race.is_over());
        race.started();
        race.at_goal();
        assert!(race.is_over());
        race.time();
    }
}

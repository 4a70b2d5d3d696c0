//! What benchmarks of tasks on several workers share.

use std::hint;
use std::sync::atomic::{AtomicUsize, Ordering::AcqRel, Ordering::Acquire};
use std::time::{Duration, Instant};

use crate::cpu::work;

/// How long the spawner of `torn` computes between its two spawns.
pub const GAP: Duration = Duration::from_millis(3);

/// Until then the tasks of `actors` and `jobs` have started, and wait.
pub const START: Duration = Duration::from_millis(20);

/// Computes for a while.
pub fn spin(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        hint::spin_loop();
    }
}

/// Two tasks meet here once, and neither leaves its worker before both have come: so they are on
/// two workers.
#[derive(Debug, Default)]
pub struct Meeting(AtomicUsize);

impl Meeting {
    /// Waits for the other one, computing.
    pub fn attend(&self) {
        self.0.fetch_add(1, AcqRel);
        while self.0.load(Acquire) < 2 {
            hint::spin_loop();
        }
    }
}

/// The time in which one thread alone does all the jobs of `actors` or `jobs`, and their sum.
pub fn jobs_alone(jobs: u64, steps: u64) -> (u64, Duration) {
    let start = Instant::now();
    let sum = (0..jobs).map(|job| work(job, steps)).fold(0, u64::wrapping_add);
    (sum, start.elapsed())
}

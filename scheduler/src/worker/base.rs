//! The base: what the thread's own stack does while no task is runnable.

use std::hint;
use std::time::{Duration, Instant};

use super::{CURRENT, Worker};
use crate::deadlock::{self, Deadlock};

/// How long an idle worker looks for work before it sleeps. Waking a sleeping thread takes as long
/// as this, so spinning at most doubles the price of a pause and saves it for a short one.
const SPIN: Duration = Duration::from_micros(50);

/// The pauses after which a worker that other threads of the process might still wake looks whether
/// those threads are gone.
const FIRST_RECHECK: Duration = Duration::from_millis(1);
const LAST_RECHECK: Duration = Duration::from_secs(1);

/// Makes a worker the calling thread's, until it is dropped.
pub(crate) struct Enter;

impl Enter {
    pub(crate) fn new(worker: &Worker) -> Self {
        CURRENT.with(|current| current.set(worker));
        Self
    }
}

impl Drop for Enter {
    fn drop(&mut self) {
        CURRENT.with(|current| current.set(std::ptr::null()));
    }
}

impl Worker {
    /// Runs tasks until all have finished. If they come to a deadlock, gives them up and says so.
    pub(crate) fn run_to_end(&self) -> Option<Deadlock> {
        let mut deadlock = None;
        let mut recheck = FIRST_RECHECK;
        while self.live.get() > 0 {
            while let Some(next) = self.pick() {
                recheck = FIRST_RECHECK;
                self.run_from_base(next);
            }
            self.poll();
            if !self.ready.is_empty() || self.live.get() == 0 || self.spin() {
                continue;
            }
            let next_deadline = self.timers.borrow().next_deadline();
            match next_deadline {
                Some(deadline) => {
                    self.post.sleep(Some(deadline.saturating_duration_since(Instant::now())));
                }
                None if self.shutting_down.get() => self.post.sleep(None),
                None => match self.find_deadlock() {
                    Some(found) => {
                        deadlock = Some(found);
                        self.shut_down();
                    }
                    // A model has no clock, and must notice a worker that only a timeout would wake.
                    None if cfg!(lisle_loom) => self.post.sleep(None),
                    None => {
                        self.post.sleep(Some(recheck));
                        recheck = (recheck * 2).min(LAST_RECHECK);
                    }
                },
            }
        }
        deadlock
    }

    /// Waits a moment for work. True if there is some.
    fn spin(&self) -> bool {
        if cfg!(lisle_loom) {
            return false;
        }
        let end = Instant::now() + SPIN;
        while Instant::now() < end {
            for _ in 0..16 {
                if self.post.inbox.has_tasks() {
                    return true;
                }
                hint::spin_loop();
            }
        }
        false
    }

    /// Nothing is runnable and no timer is pending. Reports a deadlock if nothing else can ever wake
    /// a task.
    fn find_deadlock(&self) -> Option<Deadlock> {
        if deadlock::others_may_wake_us(self.foreign_threads) {
            return None;
        }
        // Looked at after the threads: a thread that has gone cannot post anything any more.
        if self.post.inbox.has_tasks() {
            return None;
        }
        deadlock::report(&self.started, self.clock.get())
    }
}

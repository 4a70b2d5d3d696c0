//! Finding out that nothing has happened for long, and saying so; see [`stall`](crate::stall).

use std::time::{Duration, Instant};

use lisle_runtime::last_words::complain;

use super::Worker;
use crate::deadlock::{self, Deadlock};

/// A time in which no worker of the team has had anything to do.
#[derive(Clone, Copy)]
pub(super) struct Quiet {
    since: Instant,
    /// The team's count of awakenings at the last look.
    awakenings: usize,
}

impl Worker {
    /// Gives notice if nothing of the team has gone on for so long. To be called by the worker that
    /// is the last one awake whenever it has looked around, `anew` if it has run something since
    /// the last time.
    #[cold]
    pub(super) fn watch_for_stall(&self, after: Duration, anew: bool) {
        let before = self.quiet.take().filter(|_| !anew);
        if !self.is_stuck() {
            return;
        }
        let awakenings = self.team.awakenings();
        let since = match before {
            // The one awakening is its own.
            Some(quiet) if awakenings == quiet.awakenings.wrapping_add(1) => quiet.since,
            _ => Instant::now(),
        };
        self.quiet.set(Some(Quiet { since, awakenings }));
        if since.elapsed() >= after && self.team.stall.begin(self.team.threads()) {
            self.team.knock_at_all();
            self.describe_for_stall();
        }
    }

    /// Says what its tasks wait for, if it has not, and prints if all have.
    #[cold]
    pub(super) fn describe_for_stall(&self) {
        if self.told_stall.replace(true) {
            return;
        }
        let mut reports = Vec::new();
        deadlock::describe(&self.started, self.clock.get(), &mut reports);
        if let Some(reports) = self.team.stall.add(reports) {
            let settings = &self.team.settings;
            let deadlock = Deadlock::of(settings.name.clone(), reports);
            complain(format_args!(
                "{}",
                deadlock.as_stall(settings.stall_notice.unwrap_or_default())
            ));
        }
    }
}

//! A stall: nothing has happened for long, and the runtime reports what its tasks wait for.
//!
//! It may be no deadlock, because a foreign thread could still wake a task, but the user of a
//! program that hangs would like to know. The worker that goes to sleep last finds it out, as it
//! does with a deadlock, and asks all workers to answer a [`Survey`].

use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::{abort_with, complain};

use super::Worker;
use super::leaving::report_shielded;
use crate::clock::VirtualClock;
use crate::deadlock::{self, Deadlock, Purpose, Survey};

/// A time in which no worker of the team has had anything to do.
#[derive(Clone, Copy)]
pub(super) struct Quiet {
    since: Instant,
    /// The team's count of awakenings at the last look.
    awakenings: usize,
}

impl Worker {
    /// Reports a stall if no task of the team has run for as long as `after`. The last worker that
    /// is awake calls this whenever it has looked around, with `anew` if it has run something since
    /// the last time.
    #[cold]
    pub(super) fn watch_for_stall(&self, after: Duration, anew: bool) {
        let before = self.quiet.take().filter(|_| !anew);
        // Only a started runtime can be without tasks.
        if !self.is_stuck() || self.team.metrics().total().live_tasks == 0 {
            return;
        }
        let awakenings = self.team.idle.awakenings();
        let since = match before {
            // The one awakening is its own.
            Some(quiet) if awakenings == quiet.awakenings.wrapping_add(1) => quiet.since,
            _ => Instant::now(),
        };
        self.quiet.set(Some(Quiet { since, awakenings }));
        if since.elapsed() >= after {
            self.team.give_notice_of_stall(after);
        }
    }

    /// Answers what this worker's tasks wait for. The last one to answer carries out the survey's
    /// purpose.
    #[cold]
    pub(super) fn answer(&self, survey: &Survey) {
        let mut reports = Vec::new();
        deadlock::describe(&self.started, self.clock.get(), &mut reports);
        let Some(reports) = survey.answer(reports) else { return };
        let deadlock = Deadlock::of(self.team.settings.name.clone(), reports);
        match survey.purpose {
            Purpose::Deadlock => self.team.end_in(deadlock),
            Purpose::End => abort_with(format_args!(
                "{deadlock}\n\nthe runtime ends, but these tasks wait in a shield, out of which \
                 they cannot be unwound, so that the process has to end"
            )),
            Purpose::Shields => report_shielded(deadlock.tasks()),
            Purpose::Clock(duration) => {
                let holds = self.team.clock.as_ref().map_or(0, VirtualClock::holds);
                complain(format_args!("{}", deadlock.as_held_clock(duration, holds)));
            }
            Purpose::Stall(duration) => complain(format_args!("{}", deadlock.as_stall(duration))),
        }
    }
}

//! Virtual time: which worker moves the clock of a team, and when. See [`clock`](crate::clock).

use std::time::{Duration, Instant};

use super::Worker;
use crate::clock::VirtualClock;

/// After which time it is said what holds a clock for which tasks wait, if the runtime has no time
/// for stalls.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked at whether that time has passed.
const RECHECK: Duration = Duration::from_secs(1);

impl Worker {
    /// What time it is for the tasks.
    #[inline]
    pub(crate) fn now(&self) -> Instant {
        self.team.clock.as_ref().map_or_else(Instant::now, VirtualClock::now)
    }

    /// What time it was for the tasks at the last look at the clock.
    pub(super) fn now_by_last_look(&self) -> Instant {
        let clock = self.team.clock.as_ref();
        clock.map_or_else(|| self.clock.get(), VirtualClock::now)
    }

    /// How long to sleep until `deadline`, that of the first timer. Announces it to the worker that
    /// will move the clock.
    #[cold]
    pub(super) fn until_virtual(&self, deadline: Option<Instant>) -> Option<Duration> {
        let clock = self.team.clock.as_ref()?;
        clock.announce(self.index, deadline);
        clock.until(deadline?)
    }

    /// Whether there are timers in the team, and their clock stands.
    pub(super) fn waits_for_virtual_time(&self) -> bool {
        let clock = self.team.clock.as_ref();
        clock.is_some_and(|clock| clock.stands() && clock.first_deadline().is_some())
    }

    /// Moves the clock to the first deadline of the team, or sleeps if something holds it. The
    /// worker is the last one that is awake, and has run something since the last time if this is
    /// `anew`.
    #[cold]
    pub(super) fn await_clock(&self, anew: bool, recheck: &mut Duration) {
        let Some(clock) = &self.team.clock else { return };
        // Read before the look at the others: they have not woken since then.
        let first = clock.first_deadline();
        let is_held = self.driver.has_waits() || clock.holds() > 0;
        if !is_held && self.team.is_quiescent(self.index) && !self.has_arrivals() {
            return first.into_iter().for_each(|first| self.move_clock(clock, first));
        }
        let before = self.clock_held_since.get().filter(|_| !anew);
        let since = before.unwrap_or_else(Instant::now);
        self.clock_held_since.set(Some(since));
        let patience = self.team.settings.stall_notice.unwrap_or(PATIENCE);
        if since.elapsed() >= patience {
            self.team.tell_what_holds_the_clock(patience);
        }
        *recheck = RECHECK;
        // In a model a pause has no end of its own: it would hide a wake-up that was lost.
        self.sleep(None, (!cfg!(lisle_loom)).then_some(RECHECK.min(patience)));
    }

    fn move_clock(&self, clock: &VirtualClock, moment: Duration) {
        clock.move_to(moment);
        let posts = self.team.posts.all();
        let others = clock.workers_due().filter(|&index| index != self.index);
        others.for_each(|index| posts[index].knock());
    }

    /// Moves the clock to this worker's first deadline, for tasks in shields that outlast the end
    /// of their runtime. False if that is not virtual, or nothing waits for it, or something holds
    /// it.
    pub(super) fn move_clock_at_end(&self) -> bool {
        let Some(clock) = &self.team.clock else { return false };
        let Some(deadline) = self.timers.borrow().next_deadline() else { return false };
        let moves = clock.stands() && clock.holds() == 0 && !self.driver.has_waits();
        if moves {
            clock.move_to(deadline.saturating_duration_since(clock.start()));
        }
        moves
    }
}

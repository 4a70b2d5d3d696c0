//! The base: what the thread's own stack does while no task is runnable.

use std::hint;
use std::mem;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::abort_on_unwind;

use super::Worker;
use super::stealing::Sight;
use crate::blocking;
use crate::deadlock::{self, ForeignThreads};
use crate::team::{Role, Team};
use crate::trace::What;

/// How long the watcher naps between two looks at the others' backlogs, the first time and at most.
const FIRST_NAP: Duration = Duration::from_micros(100);
const LAST_NAP: Duration = Duration::from_millis(1);

/// A worker wakes for timers no sooner than this after it has done so before, if several are due by
/// then. A wake-up costs the system ten times as much as a timer; `NOTES.md` has the figures.
const BUNDLE: Duration = Duration::from_micros(350);

/// A worker that foreign threads might still wake looks whether they are gone: after the first
/// pause, and then after ever longer ones.
const FIRST_RECHECK: Duration = Duration::from_millis(1);
const LAST_RECHECK: Duration = Duration::from_secs(1);

/// Spins that the builder sets to this length or a longer one never pause.
const LONG_SPIN: Duration = Duration::from_millis(50);

impl Worker {
    /// Runs tasks until the team stops and all tasks of this worker have finished.
    pub(crate) fn run_to_end(&self) {
        // A panic of the base itself would leave tasks behind whose frames borrow from the caller.
        let message = "a worker has panicked outside of any task";
        {
            // A model has neither threads of the system nor a watch.
            let _seat = (!cfg!(lisle_loom)).then(|| self.post.seat().take(self));
            self.post.worker.store(ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
            abort_on_unwind(message, || self.run_until_stopped());
            self.post.worker.store(ptr::null_mut(), Ordering::Relaxed);
            self.driver.go_home();
        }
        self.driver.end();
        self.post.end();
    }

    fn run_until_stopped(&self) {
        // A thread that was just started counts as an awakening. Otherwise a worker that looks at
        // all others at this moment would overlook it.
        self.team.idle.note_awakening();
        self.follow_recording();
        let mut recheck = FIRST_RECHECK;
        let mut quiet_since = None;
        // A thread is started when a watcher is wanted, or for a task from outside.
        if self.was_appointed() {
            let sights = self.sight_backlogs();
            if !cfg!(lisle_loom) {
                self.spin();
            }
            self.watch(sights, &mut recheck);
        } else if self.index > 0 {
            // It was counted as asleep.
            self.team.idle.leave(Role::Sleeper);
        }
        loop {
            while let Some(next) = self.pick() {
                recheck = FIRST_RECHECK;
                quiet_since = None;
                self.post.note_rest(false);
                self.run_from_base(next);
            }
            if self.tell_of_ends() {
                continue;
            }
            if self.carry_mate() {
                self.poll_after_carrying();
                continue;
            }
            self.post.note_rest(true);
            self.poll();
            if self.has_more_to_do() || self.driver.look_before_idling(self.clock.get()) {
                continue;
            }
            if self.shutting_down.get() {
                if self.unfinished() == 0 && self.post.close() {
                    return;
                }
                self.await_last_tasks(&mut quiet_since);
                if self.post.was_appointed() {
                    // Another worker took it for an idle one, but it is not counted as such.
                    self.team.idle.leave(Role::Watcher);
                }
                continue;
            }
            self.be_idle(&mut recheck);
        }
    }

    /// Whether tasks are runnable, or would be if there were memory for them.
    pub(super) fn has_more_to_do(&self) -> bool {
        !self.queue.is_empty() || !self.team.injector.is_empty() || !self.post.placed.is_empty()
    }

    /// Whether other threads have something for this worker.
    pub(super) fn has_arrivals(&self) -> bool {
        self.post.has_mail() || !self.team.injector.is_empty()
    }

    /// Waits for work, or finds some. Returns when there may be something to run.
    fn be_idle(&self, recheck: &mut Duration) {
        self.publish_rest();
        let (sights, start, idle_since) = (self.sight_backlogs(), Instant::now(), self.clock.get());
        // The other side of an exchange is to find this worker at rest, and to carry it. And a
        // model does not spin.
        let spins =
            !cfg!(lisle_loom) && self.spins.are_worthwhile(start) && !self.calls.alternate();
        if spins && self.driver.look_unless_just_done(idle_since) {
            // No spin was needed for that.
        } else if spins && self.spin() {
            self.spins.note_catch();
        } else if spins {
            self.spins.note_vain_spin();
            self.post.add(|counters| &counters.vain_spins, 1);
            self.be_idle_and_sleep(sights, recheck);
        } else {
            self.be_idle_and_sleep(sights, recheck);
            self.judge_sleep(start.elapsed());
        }
        // The worker may have been called for a new task, and one that goes on first may compute
        // for long: the new one is where others find it.
        self.poll();
        let idle = self.clock.get().saturating_duration_since(idle_since);
        self.post.add(|counters| &counters.idle, idle.as_nanos() as u64);
        self.driver.note_idle_moment(idle);
        self.begin_round();
    }

    fn be_idle_and_sleep(&self, sights: Vec<Sight>, recheck: &mut Duration) {
        if self.team.idle.enter() == Role::Sleeper {
            if self.team.is_alone() {
                self.sleep_last(recheck);
            } else {
                self.sleep(self.until_next_timer(), None);
            }
            self.team.idle.note_awakening();
            if !self.was_appointed() {
                return self.team.idle.leave(Role::Sleeper);
            }
        }
        self.watch(sights, recheck);
    }

    /// Leaves the sleepers to run something.
    pub(super) fn stop_sleeping(&self) {
        if self.was_appointed() {
            return self.stop_watching();
        }
        self.team.idle.leave(Role::Sleeper);
    }

    /// Becomes the watcher if this worker was appointed. True if so. Called only while the worker
    /// is counted as asleep: a watcher is appointed from the sleepers.
    fn was_appointed(&self) -> bool {
        let appointed = self.post.was_appointed();
        if appointed {
            self.team.idle.accept_appointment();
        }
        appointed
    }

    /// Looks at the others' backlogs until one has lasted, something arrives here, or all sleep.
    fn watch(&self, mut sights: Vec<Sight>, recheck: &mut Duration) {
        let mut nap = FIRST_NAP;
        loop {
            if self.post.has_mail() || self.has_more_to_do() || self.steal(&sights) {
                return self.stop_watching();
            }
            if self.team.watcher_falls_asleep() {
                self.sleep_last(recheck);
                self.team.idle.note_awakening();
                return self.stop_sleeping();
            }
            self.renew_sights(&mut sights);
            let timer = self.until_next_timer();
            let is_soon = timer.is_some_and(|timer| timer <= LAST_NAP);
            // A timer that is due soon ends a nap as well. And in a model a nap has no end of its
            // own: it would hide a wake-up that was lost.
            let pause = (!is_soon && !cfg!(lisle_loom)).then_some(nap);
            self.sleep(timer, pause);
            self.team.idle.note_awakening();
            if is_soon {
                self.steal(&sights);
                return self.stop_watching();
            }
            nap = (nap * 2).min(LAST_NAP);
        }
    }

    /// The watcher has work. Another one takes its place if there is something to watch: the
    /// spawner has seen that there was a watcher, and may not look again.
    fn stop_watching(&self) {
        self.team.idle.leave(Role::Watcher);
        let mut others = self.team.posts.others(self.index);
        if self.team.idle.wants_watcher() && others.any(|post| !post.backlog.is_empty()) {
            Team::call_watcher(&self.team);
        }
    }

    /// Only this worker of the team is awake, and it is about to sleep.
    fn sleep_last(&self, recheck: &mut Duration) {
        let timer = self.until_next_timer();
        if timer.is_none() && self.waits_for_virtual_time() {
            return self.await_clock(*recheck == FIRST_RECHECK, recheck);
        }
        if timer.is_some() || self.driver.has_waits() {
            return self.sleep(timer, None);
        }
        let stall_notice = self.team.settings.stall_notice;
        if !self.team.detects_deadlocks() && stall_notice.is_none() {
            return self.sleep(None, None);
        }
        if self.team.detects_deadlocks() {
            let calls = blocking::standing();
            let others_may_wake_us = self.team.others_may_wake_us(self.team.own_threads());
            // Looked at after the threads: a thread that has gone cannot post anything any more. A
            // task that was awake meanwhile may have left a blocking call behind.
            if !others_may_wake_us && self.is_stuck() && blocking::standing() == calls {
                return self.team.declare_deadlock();
            }
        }
        if let Some(after) = stall_notice {
            self.watch_for_stall(after, *recheck == FIRST_RECHECK);
        }
        // A model has no clock, and must notice a worker that only a timeout would wake.
        self.sleep(None, (!cfg!(lisle_loom)).then_some(*recheck));
        *recheck = (*recheck * 2).min(LAST_RECHECK);
    }

    /// See [`PostOwner::sleep`](crate::post::PostOwner::sleep). A long sleep gives unused memory
    /// back.
    pub(super) fn sleep(&self, timer: Option<Duration>, pause: Option<Duration>) {
        let is_wanted = || self.team.is_wanted();
        self.note(What::Sleep);
        self.post.sleep(&self.driver, timer, pause, is_wanted, self.rest_to_come());
        self.note(What::Awake);
    }

    /// Whether no task of this team goes on by itself. The caller has nothing to run, no timer and
    /// no task that waits for a descriptor.
    pub(super) fn is_stuck(&self) -> bool {
        let is_at_rest = || self.team.is_quiescent(self.index) && !self.has_arrivals();
        if !is_at_rest() {
            return false;
        }
        if !self.team.any_awaits_hand_over() {
            return true;
        }
        // A wake-up that is under way comes from another thread, even if the user said that none
        // wakes tasks. If there is no other thread, the unparker was forgotten. The threads are
        // counted before it is looked whether one of them has posted something.
        let own = self.team.own_threads();
        !deadlock::others_may_wake_us(ForeignThreads::MayWake, own, &[]) && is_at_rest()
    }

    /// Notes whether spinning before a sleep would have been worthwhile.
    fn judge_sleep(&self, idle: Duration) {
        // What a model does must not depend on a clock.
        let soon = self.team.settings.spin.saturating_mul(3);
        if !cfg!(lisle_loom) && idle <= soon && (self.post.has_mail() || self.has_more_to_do()) {
            self.spins.note_short_sleep();
        }
    }

    /// What the worker waits for next has to wake a thread first. That takes as long as a spin and
    /// longer, and on a busy machine a spin keeps that thread from its processor.
    pub(crate) fn expect_a_long_pause(&self) {
        self.spins.skip_next();
    }

    /// Spins for a moment until something is posted, but not beyond the next timer, nor when the
    /// processor was taken from it meanwhile. True if something was posted.
    fn spin(&self) -> bool {
        let timer = self.until_next_timer().unwrap_or(Duration::MAX);
        let (start, spin) = (Instant::now(), self.team.settings.spin.min(timer));
        let mut now = start;
        while now.duration_since(start) < spin {
            for _ in 0..16 {
                if self.has_arrivals() {
                    return true;
                }
                hint::spin_loop();
            }
            if self.driver.look() {
                return true;
            }
            let before = mem::replace(&mut now, Instant::now());
            if self.may_pause_spinning() && self.spins.are_preempted(before, now) {
                return false;
            }
        }
        false
    }

    /// A program that asks for spins of this length wants them in any case.
    fn may_pause_spinning(&self) -> bool {
        self.team.settings.spin < LONG_SPIN
    }

    pub(super) fn until_next_timer(&self) -> Option<Duration> {
        let timers = self.timers.borrow();
        if self.team.clock.is_some() {
            return self.until_virtual(timers.next_deadline());
        }
        if timers.is_empty() {
            return None;
        }
        // What a model does must not depend on a clock.
        let deadline = if cfg!(lisle_loom) {
            timers.next_deadline()?
        } else {
            timers.next_bundle(self.last_fired.get() + BUNDLE)?
        };
        Some(deadline.saturating_duration_since(Instant::now()))
    }
}

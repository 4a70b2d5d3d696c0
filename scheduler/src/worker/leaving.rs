//! Tasks that are left behind: they have started, they will not finish, and they cannot be unwound.
//!
//! That is a task which
//! - is cancelled in a program built with `panic = "abort"`, where nothing can be unwound;
//! - catches its cancellation again and again;
//! - waits for a hand-over that will never end, while everything else has come to rest.
//!
//! It is never continued. Its stack is leaked with all that is on it, as if each value there had
//! been forgotten, and so is its control block. Its joiner gets [`Cancelled`].
//!
//! Its frames stay, so what has been lent out of them stays valid. They may borrow from two places
//! besides: from thread-locals, so a thread of the runtime's own on which a task was left behind
//! does not end (`README.md` names the one thread that does), and, `main` alone, from the caller of
//! `run`, so a `run` whose main task would be left behind aborts the process.

use std::mem;
use std::panic::{Location, resume_unwind};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use lisle_runtime::internal::in_section;
use lisle_runtime::internal::last_words::{abort_with, complain};
use lisle_runtime::switch::{Context, switch};

use super::Worker;
use super::waits::forbidden;
use crate::blocking;
use crate::cancel::Region;
use crate::deadlock::{ForeignThreads, TaskReport};
use crate::scope::Bonds;
use crate::task::{Cancelled, CancelledBy, Control, Phase, join};

/// How often a task may catch its cancellation before it is left behind.
pub(crate) const MOST_STRIKES: u8 = 100;

/// How many tasks may be spawned on a worker while its runtime ends. The closures of later ones are
/// not even dropped: their destructors may be what spawns.
const MOST_LATE_SPAWNS: u32 = 1 << 20;

/// How long a runtime that ends, and in which all is quiet, waits for hand-overs that are under
/// way.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many tasks are named at most; of the others only the number is printed.
const MOST_NAMED: usize = 10;

impl Worker {
    /// Unwinds the current task, which is cancelled, from the wait at `place`. One that has caught
    /// that before lets others run first, and is left behind if it does so for ever.
    #[cold]
    pub(crate) fn strike(&self, place: &'static Location<'static>) -> ! {
        let me = self.current_task();
        let strikes = me.count_strike();
        let may_suspend = !in_section();
        if !cfg!(panic = "unwind") {
            if !may_suspend {
                forbidden();
            }
            self.leave_current();
        }
        if strikes > 1 && may_suspend {
            if strikes > MOST_STRIKES {
                report_swallowing(me, place, "is left behind");
                self.leave_current();
            }
            self.let_others_run(me);
        } else if strikes == MOST_STRIKES + 1 {
            let what = "cannot be left behind inside no_suspend, so that its runtime does not end";
            report_swallowing(me, place, what);
        }
        resume_unwind(Box::new(Cancelled::task(me.cause())))
    }

    /// Unwinds the current task to the region, as `strike` does to its base. One that catches that
    /// for ever is reported, and goes on.
    #[cold]
    pub(super) fn strike_in_region(&self, region: &Region, place: &'static Location<'static>) -> ! {
        let me = self.current_task();
        let strikes = region.count_strike();
        if strikes == MOST_STRIKES + 1 {
            report_swallowing(me, place, "is in a region whose time is over");
        }
        if strikes > 1 && !in_section() {
            self.let_others_run(me);
        }
        resume_unwind(Box::new(Cancelled::region(region.id())))
    }

    fn let_others_run(&self, me: &Control) {
        self.queue.push(NonNull::from(me));
        self.suspend(me);
    }

    /// Suspends the current task for ever.
    pub(crate) fn leave_current(&self) -> ! {
        let me = NonNull::from(self.current_task());
        // SAFETY: the task has started on this worker and has not finished. It is in no queue, and
        // nobody has an unparker: it runs.
        unsafe { self.leave(me) };
        self.current.clear();
        let next = self.pick();
        let to = self.successor(next);
        // Not `switch_for_good`, as from a task that has finished: this stack stays in use.
        let mut never = Context::NONE;
        // SAFETY: nobody else will continue what was made current, or the base.
        unsafe { switch(&raw mut never, to) };
        abort_with(format_args!("a task was continued that had been left behind"))
    }

    /// Counts a task as ended. It is suspended, or about to be, and never continued.
    ///
    /// # Safety
    ///
    /// The task is in the list of started tasks and in no queue.
    unsafe fn leave(&self, task: NonNull<Control>) {
        // SAFETY: the task has not finished.
        let control = unsafe { task.as_ref() };
        mem::forget(control.take_stack());
        control.phase.set(Phase::LeftBehind);
        // SAFETY: the caller's promise.
        unsafe { self.started.remove(task) };
        self.left_behind.set(true);
        if self.main.get() == Some(task) {
            self.left_main.set(true);
        }
        if let Some(bond) = control.bond() {
            // SAFETY: it is the task's.
            unsafe { Bonds::leave_behind(bond) };
        }
        join::leave(control);
    }

    /// Whether the main task of this runtime was left behind.
    pub(crate) fn has_left_main(&self) -> bool {
        self.left_main.get()
    }

    /// Whether a task was left behind here, so that this thread may not end.
    pub(crate) fn has_left_any(&self) -> bool {
        self.left_behind.get()
    }

    /// Waits for the last tasks of a runtime that ends: those in a shield, which wait as usual, and
    /// those whose hand-over has begun. If nothing is left that could end a hand-over, the task
    /// that waits for it is left behind.
    pub(super) fn await_last_tasks(&self, quiet_since: &mut Option<Instant>) {
        if self.move_clock_at_end() {
            return;
        }
        let timer = self.until_next_timer();
        // A model has no clock, and no party that never ends.
        if cfg!(lisle_loom) || timer.is_some() || self.driver.has_waits() {
            *quiet_since = None;
            return self.doze(timer, None);
        }
        let quiet = quiet_since.get_or_insert_with(Instant::now).elapsed();
        let pause = quiet.clamp(Duration::from_millis(1), Duration::from_millis(100));
        let calls = blocking::standing();
        // The threads are counted before it is looked whether one has posted something. A thread
        // that has begun a hand-over will most likely end it, whatever the user says of others.
        let others_may_wake = |policy| self.team.others_may_wake_last_tasks(policy);
        let others_may_hand_over = others_may_wake(ForeignThreads::MayWake);
        let others_may_wake = others_may_wake(self.team.settings.foreign_threads);
        let is_quiescent = self.team.is_quiescent(self.index) && !self.post.has_mail();
        if is_quiescent && blocking::standing() == calls {
            let others_may_hand_over = others_may_hand_over && self.team.any_awaits_hand_over();
            if self.team.any_exposed_awaits_hand_over() {
                if (quiet >= PATIENCE || !others_may_hand_over) && self.leave_waiting() {
                    return;
                }
            } else if self.is_endless(quiet, others_may_wake || others_may_hand_over) {
                self.team.declare_endless();
            }
        }
        self.doze(None, Some(pause));
    }

    fn doze(&self, timer: Option<Duration>, pause: Option<Duration>) {
        self.sleep(timer, pause);
        self.team.idle.note_awakening();
    }

    /// Whether the tasks in shields, all that is left of the team, will never go on. If another
    /// thread might wake them, or deadlocks are not looked for, has it said once which tasks are
    /// awaited.
    fn is_endless(&self, quiet: Duration, others_may_wake: bool) -> bool {
        if self.team.settings.deadlock_detection && !others_may_wake {
            return true;
        }
        if quiet >= PATIENCE {
            self.team.tell_of_shields();
        }
        false
    }

    /// Leaves the tasks behind that wait for hand-overs, outside of shields. False if there are
    /// none.
    #[cold]
    fn leave_waiting(&self) -> bool {
        let mut waiting = Vec::new();
        self.started.for_each(|task| {
            if task.phase.get() == Phase::AwaitsUnpark && !task.is_shielded() {
                waiting.push(NonNull::from(task));
            }
        });
        for &task in &waiting[..waiting.len().min(MOST_NAMED)] {
            // SAFETY: the task is in the list of the started ones, and so has not finished.
            report_waiting(unsafe { task.as_ref() });
        }
        if let Some(more @ 1..) = waiting.len().checked_sub(MOST_NAMED) {
            complain(format_args!("{more} more tasks wait so, and are left behind"));
        }
        let are_some = !waiting.is_empty();
        if are_some {
            // Leaked: should the hand-over end some day, the task is posted here, without effect.
            mem::forget(self.team.clone());
        }
        for task in waiting {
            self.team.end_hand_over(true);
            // SAFETY: the task is in the list of the started ones; it is suspended and in no queue,
            // as long as its unparker is not used, which `LeftBehind` turns into nothing from now
            // on.
            unsafe { self.leave(task) };
        }
        are_some
    }

    /// Cancels a task that is spawned while the runtime ends. It inherits its parent's strikes and
    /// one more, so that tasks which spawn each other in destructors come to an end.
    #[cold]
    pub(crate) fn cancel_from_birth(&self, task: &Control) {
        let births = self.late_spawns.get().saturating_add(1);
        self.late_spawns.set(births);
        // SAFETY: the current task has not finished.
        let parent = self.current.get().map_or(0, |task| unsafe { task.as_ref() }.strikes());
        if births <= MOST_LATE_SPAWNS && parent < MOST_STRIKES - 1 {
            return task.cancel_from_birth(parent + 1, CancelledBy::Runtime);
        }
        if !self.spawns_without_end.replace(true) {
            complain(format_args!(
                "destructors spawn tasks without end while their runtime ends: what is spawned at \
                 {} is left behind, and not even dropped",
                task.spawned_at
            ));
        }
        task.cancel_from_birth(MOST_STRIKES, CancelledBy::Runtime);
    }
}

fn report_swallowing(task: &Control, place: &Location<'_>, outcome: &str) {
    complain(format_args!(
        "task {}, spawned at {}, has caught its cancellation {MOST_STRIKES} times, the last time \
         from {place}, and {outcome}: let a panic pass whose payload is `Cancelled`",
        task.title(),
        task.spawned_at,
    ));
}

/// Says which tasks in shields a runtime that ends waits for.
#[cold]
pub(super) fn report_shielded(tasks: &[TaskReport]) {
    for task in &tasks[..tasks.len().min(MOST_NAMED)] {
        complain(format_args!(
            "a runtime that ends waits for task {}, spawned at {}, which is in a shield, {} at {}",
            task.task().title(),
            task.spawned_at(),
            task.reason(),
            task.parked_at(),
        ));
    }
    if let Some(more @ 1..) = tasks.len().checked_sub(MOST_NAMED) {
        complain(format_args!("it waits for {more} more tasks in shields"));
    }
}

fn report_waiting(task: &Control) {
    let Some(record) = task.park_record() else { return };
    complain(format_args!(
        "task {}, spawned at {}, is left behind {} at {}: its partner has begun to serve it and \
         does not finish, as when a `SelectedOperation` is forgotten",
        task.title(),
        task.spawned_at,
        record.reason(),
        record.place,
    ));
}

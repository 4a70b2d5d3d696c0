//! Parking the current task, and everything that can end its wait.

use std::hint::cold_path;
use std::ptr::NonNull;
use std::time::Instant;

use lisle_runtime::internal::{in_section, panics, prefetch};

use super::{Worker, locals, with_allowance};
use crate::park::{COMMIT_PANICKED, Object, Party, Place, Unparker, Wake, undisturbed};
use crate::task::{Control, ParkRecord, Phase};
use crate::timer::{Alarm, Timer, Whose};
use crate::trace::Cause;
use crate::turn::Allowance;

impl Worker {
    /// See [`park`](crate::park::park).
    #[inline(always)]
    #[track_caller]
    pub(crate) fn park(
        &self,
        object: &dyn Object,
        place: Place,
        deadline: Option<Instant>,
        commit: impl FnOnce(Unparker),
        retract: impl FnOnce() -> Option<Unparker>,
    ) -> Wake {
        let me = self.current_task();
        // True inside the closures of a park, too: they run in a section.
        if me.is_exposed() || in_section() {
            // They may hold a lock that the panic hook wants, and what the caller has begun.
            drop((commit, retract));
            return self.refuse(me, place);
        }
        let record = ParkRecord { object, place, since: self.clock.get() };
        me.begin_park(&record);
        let unparker = Unparker::new(Party::Task(NonNull::from(me)));
        undisturbed(COMMIT_PANICKED, || commit(unparker));
        let mut wake = match deadline {
            None => self.wait(me),
            Some(deadline) => self.wait_until(me, deadline),
        };
        if wake != Wake::Unparked {
            wake = self.end_early(me, wake, retract);
        }
        me.end_park();
        wake
    }

    /// Suspends the current task until something ends its wait.
    #[inline(always)]
    fn wait(&self, me: &Control) -> Wake {
        // `commit` may have used the unparker itself, or let another task of this thread use it.
        if me.phase.get() == Phase::Running {
            me.phase.set(Phase::Parked);
            self.suspend_in_wait(me);
        }
        ended(me)
    }

    fn wait_until(&self, me: &Control, deadline: Instant) -> Wake {
        if me.phase.get() == Phase::Running && deadline <= self.now() {
            if !with_allowance(Allowance::fail) {
                return Wake::TimedOut;
            }
            // As if the timer had fired: others run first, and one of them may use the unparker.
            me.phase.set(Phase::TimedOut);
            self.give_way(me);
            return ended(me);
        }
        let timer = self.set_timer(deadline, Alarm::of_wait(me));
        let wake = self.wait(me);
        self.remove_timer(timer);
        wake
    }

    #[inline(never)]
    pub(crate) fn set_timer(&self, deadline: Instant, alarm: Alarm) -> Timer {
        self.timers.borrow_mut().insert(deadline, alarm)
    }

    #[inline(never)]
    pub(crate) fn remove_timer(&self, timer: Timer) {
        self.timers.borrow_mut().remove(timer);
    }

    /// Ends a wait whose unparker was not used, and makes sure that it will not be used later. Then
    /// unwinds the task, if its wait ends by a cancellation.
    // Not inlined: what it keeps would make the stack frame of each wait larger, and the frames of
    // a chain of tasks that wait for each other have to fit into the nearest cache.
    #[cold]
    #[inline(never)]
    fn end_early(
        &self,
        me: &Control,
        mut wake: Wake,
        retract: impl FnOnce() -> Option<Unparker>,
    ) -> Wake {
        if !Party::Task(NonNull::from(me)).take_back(retract) {
            wake = self.await_unpark(me, wake);
        }
        if wake == Wake::Failed {
            self.fail_wait(me);
        }
        wake
    }

    #[cold]
    #[inline(never)]
    fn fail_wait(&self, me: &Control) {
        let place = me.park_record().expect("the wait has not ended").place;
        me.end_park();
        self.check_cancelled(place);
    }

    /// Waits for a waker that has taken the unparker away, and is about to use or to drop it.
    #[cold]
    #[inline(never)]
    fn await_unpark(&self, me: &Control, wake: Wake) -> Wake {
        if me.take_abandoned() {
            return wake;
        }
        if me.phase.get() == Phase::Running {
            let exposed = !me.is_shielded();
            self.team.begin_hand_over(exposed);
            me.phase.set(Phase::AwaitsUnpark);
            self.suspend_in_wait(me);
            self.team.end_hand_over(exposed);
        }
        me.phase.set(Phase::Running);
        if me.take_abandoned() { wake } else { Wake::Unparked }
    }

    /// The current task cannot wait: unwinds it, has its wait fail, or panics at a misuse.
    #[cold]
    #[track_caller]
    fn refuse(&self, me: &Control, place: Place) -> Wake {
        if me.is_exposed() {
            self.check_cancelled(place);
            return Wake::Failed;
        }
        if me.is_parking() {
            panic!("a task cannot park inside the commit or retract closure of a park");
        }
        if locals::are_gone() {
            return Wake::Failed;
        }
        forbidden()
    }

    #[inline(always)]
    fn suspend_in_wait(&self, me: &Control) {
        if panics::under_way() {
            return self.suspend_amid_panic(me);
        }
        self.suspend(me);
    }

    /// Suspends a task that waits in a destructor which a panic has called.
    #[cold]
    #[inline(never)]
    fn suspend_amid_panic(&self, me: &Control) {
        match panics::set_aside() {
            Some(panics) => {
                self.suspend(me);
                panics.restore();
            }
            // `thread::panicking()` would be true for the other tasks. So the wait is over, as in a
            // cancelled task.
            None if me.phase.get() == Phase::Parked => me.phase.set(Phase::Cancelled),
            // A waker is about to end the wait, and must be awaited.
            None => self.suspend(me),
        }
    }

    /// The task's unparker was dropped. A task that waits for its waker goes on.
    #[cold]
    pub(super) fn deliver_abandonment(&self, task: NonNull<Control>) {
        // SAFETY: a task cannot finish while its unparker, or the end of that, is under way.
        let control = unsafe { task.as_ref() };
        control.set_abandoned();
        if control.phase.get() == Phase::AwaitsUnpark {
            self.queue.push_woken(task);
        }
    }

    /// Does [`deliver_unpark`](Self::deliver_unpark), and notes it if something is recorded.
    pub(super) fn deliver_and_note_unpark(&self, task: NonNull<Control>) {
        // SAFETY: as there.
        let phase = || unsafe { task.as_ref() }.phase.get();
        if self.tracer.is_on() && matches!(phase(), Phase::Parked | Phase::AwaitsUnpark) {
            self.note_wake(task, Cause::Elsewhere);
        }
        self.deliver_unpark(task);
    }

    /// The task's unparker was used: the task becomes runnable if it is suspended.
    #[inline(always)]
    pub(super) fn deliver_unpark(&self, task: NonNull<Control>) {
        // SAFETY: a task cannot finish while its unparker, or the wake-up it gave, is under way.
        let control = unsafe { task.as_ref() };
        let before = control.phase.replace(Phase::Unparked);
        debug_assert_ne!(before, Phase::Unparked, "an unparker is used once");
        if matches!(before, Phase::Parked | Phase::AwaitsUnpark) {
            self.queue.push_woken(task);
        }
    }

    /// Wakes the tasks whose deadline had passed at the last look at the clock.
    pub(super) fn fire_timers(&self) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = self.now_by_last_look();
        let mut previous: Option<Alarm> = None;
        loop {
            let due = self.timers.borrow_mut().pop_due(now);
            if let Some(alarm) = due {
                self.last_fired.set(self.clock.get());
                self.post.add(|counters| &counters.fired, 1);
                // Most likely not in a cache: it is prefetched during the search for the next
                // timer.
                prefetch(alarm.address());
            }
            if let Some(alarm) = std::mem::replace(&mut previous, due) {
                // SAFETY: a wait or a region takes its timer out before it is over, and this one
                // was still there in this call, since when no task has had a turn.
                match unsafe { alarm.whose() } {
                    Whose::Wait(task) => self.interrupt(task, Phase::TimedOut),
                    Whose::Region(region) => self.strike_region(region),
                }
            } else if due.is_none() {
                return;
            }
        }
    }

    /// Ends a wait, if the task is parked, by its deadline or a cancellation.
    pub(super) fn interrupt(&self, task: &Control, cause: Phase) {
        if task.phase.get() == Phase::Parked {
            task.phase.set(cause);
            let timer = cause == Phase::TimedOut;
            self.note_wake(NonNull::from(task), if timer { Cause::Timer } else { Cause::Cancel });
            self.queue.push_woken(NonNull::from(task));
        }
    }
}

/// What has ended the wait of a task that goes on now.
#[inline]
fn ended(me: &Control) -> Wake {
    let phase = me.phase.replace(Phase::Running);
    if phase == Phase::Unparked {
        return Wake::Unparked;
    }
    cold_path();
    if phase == Phase::Cancelled { Wake::Failed } else { Wake::TimedOut }
}

/// Whether the task can be left. Panics inside [`no_suspend`](lisle_runtime::no_suspend).
#[inline]
#[track_caller]
pub(super) fn may_suspend() -> bool {
    !in_section() || refuse_to_yield()
}

/// False if the task must not be left and goes on.
#[cold]
#[track_caller]
fn refuse_to_yield() -> bool {
    if locals::are_gone() {
        // Threads may have something to end.
        std::thread::yield_now();
        return false;
    }
    forbidden()
}

#[cold]
#[track_caller]
pub(super) fn forbidden() -> ! {
    panic!(
        "a task cannot wait or yield inside no_suspend: the section holds something of the \
         thread's that other tasks must not see"
    )
}

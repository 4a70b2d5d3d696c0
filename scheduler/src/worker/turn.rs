//! Taking turns: picking the next task and switching to it.

use std::panic::Location;
use std::ptr::{self, NonNull};

use lisle_runtime::internal::{in_section, panics, prefetch};
use lisle_runtime::switch::{Context, switch, switch_for_good};

use super::waits::may_suspend;
use super::{Worker, with_allowance};
use crate::cancel::check_cancelled_at;
use crate::explore::Passage;
use crate::park::Place;
use crate::task::{Control, Runnable};
use crate::turn::Allowance;

/// Prefetch distances, in turns. The frame's address is read from the control block, so that comes
/// first.
const FETCH_CONTROL: usize = 6;
const FETCH_FRAME: usize = 3;

impl Worker {
    /// Lets the other runnable tasks go first, then unwinds the current task if it is cancelled.
    /// Does nothing where the task may not be suspended.
    ///
    /// Inlined up to the user's code, as is `suspend`: the processor predicts a return from the
    /// last call, which after a switch was another task's. Each call saved is a misprediction
    /// saved.
    #[inline(always)]
    #[track_caller]
    pub(super) fn yield_now(&self) {
        if !may_suspend() {
            return;
        }
        let me = self.current_task();
        self.give_way(me);
        if me.is_exposed() {
            // Not by `self`, which would have to be kept across the switch.
            check_cancelled_at(Location::caller());
        }
    }

    /// Lets all runnable tasks go first. Does nothing amid a panic that cannot be set aside:
    /// `thread::panicking()` would be true for the other tasks.
    #[inline(always)]
    pub(super) fn give_way(&self, me: &Control) {
        if panics::under_way() {
            return self.give_way_amid_panic(me);
        }
        self.go_last(me);
    }

    #[cold]
    #[inline(never)]
    fn give_way_amid_panic(&self, me: &Control) {
        if let Some(panics) = panics::set_aside() {
            self.go_last(me);
            panics.restore();
        }
    }

    /// Puts the running task at the tail of the queue and returns when it has its turn. Fast path:
    /// one `exchange` both queues `me` and takes the next task.
    #[inline(always)]
    fn go_last(&self, me: &Control) {
        let next = if self.begin_turn() || self.queue.defers() {
            self.go_last_slowly(me)
        } else {
            let next = self.queue.exchange(NonNull::from(me), || self.cancel_reservation());
            let Some(next) = next else { return };
            Some(self.prepare_turn(next))
        };
        self.leave_to(next, me);
    }

    /// Slow path of `go_last`: queues `me`, polls if that is due, and returns the next task.
    #[cold]
    #[inline(never)]
    fn go_last_slowly(&self, me: &Control) -> Option<Runnable> {
        if self.heeds_turns.get() {
            self.go_last_heedfully(me);
        } else {
            self.queue.push(NonNull::from(me));
            if self.poll_is_due() {
                self.poll();
            }
        }
        self.next_and_note()
    }

    /// What precedes the next turn while each takes the slow path.
    #[cold]
    #[inline(never)]
    fn go_last_heedfully(&self, me: &Control) {
        if self.is_explored() {
            return self.choose_other(me);
        }
        self.queue.push(NonNull::from(me));
        if self.poll_is_due() && self.lets_poll() {
            self.poll();
        }
    }

    #[inline(always)]
    fn next_and_note(&self) -> Option<Runnable> {
        let next = self.next();
        if self.heeds_turns.get() {
            self.note_turn(next.as_ref());
        }
        next
    }

    /// Ends the turn of a task that has used up its allowance; see [`turn`](crate::turn). It goes
    /// on at once where it must not be suspended.
    #[cold]
    pub(crate) fn next_turn(&self, place: Place) {
        if self.is_explored() {
            return self.pass(Passage::Waiting(place));
        }
        // No current task: main's result is being dropped on the base stack.
        let Some(me) = self.current.get() else { return };
        // SAFETY: the current task has not finished.
        let me = unsafe { me.as_ref() };
        if in_section() {
            return with_allowance(Allowance::postpone);
        }
        with_allowance(Allowance::renew);
        if self.crowd.is_left_by(me) {
            return;
        }
        // It was a long turn: mail may have come, and a timer may be due.
        let may_be_due = !self.timers.borrow().is_empty() || self.driver.has_waits();
        if may_be_due || self.has_arrivals() {
            self.poll();
        }
        self.give_way(me);
        if me.is_exposed() {
            self.check_cancelled(place);
        }
    }

    /// Leaves the current task, which is in a queue or will be woken by its unparker. Returns when
    /// it has its next turn.
    #[inline(always)]
    pub(super) fn suspend(&self, me: &Control) {
        self.leave_to(self.pick(), me);
    }

    /// Runs `next`, or the base if there is none, until `me` has its turn.
    #[inline(always)]
    pub(super) fn leave_to(&self, next: Option<Runnable>, me: &Control) {
        match next {
            Some(next) if ptr::eq(&*next, me) => {}
            Some(next) => self.switch_to(me.context_slot(), next),
            None => self.switch_to_base(me.context_slot()),
        }
    }

    /// Takes the task whose turn it is out of the queue.
    #[inline(always)]
    pub(super) fn pick(&self) -> Option<Runnable> {
        if self.begin_turn() {
            return self.pick_slowly();
        }
        self.next()
    }

    /// Does [`pick`](Self::pick) when it is time to poll, or while turns are recorded.
    #[cold]
    #[inline(never)]
    fn pick_slowly(&self) -> Option<Runnable> {
        if self.heeds_turns.get() {
            self.pick_heedfully();
        } else {
            self.poll_before_pick();
        }
        self.next_and_note()
    }

    /// What precedes the next turn while each takes the slow path.
    #[cold]
    #[inline(never)]
    fn pick_heedfully(&self) {
        if self.is_explored() {
            self.choose_next();
        } else if self.lets_poll() {
            self.poll_before_pick();
        }
    }

    /// Polls, unless the worker is about to idle and to carry the mate that it has called.
    #[inline(always)]
    fn poll_before_pick(&self) {
        if self.calls.is_silent() && self.queue.is_empty() {
            self.count_switches(self.interval());
        } else {
            self.poll();
        }
    }

    /// Counts a turn that is about to begin. Tells whether it is time to poll before.
    #[inline(always)]
    fn begin_turn(&self) -> bool {
        with_allowance(Allowance::renew);
        self.until_poll.set(self.until_poll.get() - 1);
        self.poll_is_due()
    }

    #[inline(always)]
    fn poll_is_due(&self) -> bool {
        self.until_poll.get() == 0
    }

    #[inline(always)]
    pub(super) fn next(&self) -> Option<Runnable> {
        let task = self.queue.next(|| self.cancel_reservation())?;
        Some(self.prepare_turn(task))
    }

    /// Wraps a task that was just dequeued, and prefetches the coming ones.
    #[inline(always)]
    fn prepare_turn(&self, task: NonNull<Control>) -> Runnable {
        self.look_ahead();
        // SAFETY: it was in the queue, and is in none now.
        unsafe { Runnable::new(task) }
    }

    /// Prefetches what the coming turns will touch. A short queue, whose tasks stay in the nearest
    /// cache, pays for one comparison only.
    #[inline(always)]
    fn look_ahead(&self) {
        if self.queue.len() <= FETCH_CONTROL {
            return;
        }
        if let Some(task) = self.queue.peek(FETCH_CONTROL) {
            prefetch(task.as_ptr().cast());
        }
        if let Some(task) = self.queue.peek(FETCH_FRAME) {
            // SAFETY: tasks in a queue are not finished.
            let frame = unsafe { task.as_ref() }.context().frame();
            prefetch(frame);
            prefetch(frame.wrapping_add(64));
        }
    }

    /// Continues `next`, or starts it, leaving the present continuation in `save`.
    #[inline(always)]
    fn switch_to(&self, save: *mut Context, next: Runnable) {
        let to = next.context();
        if to == Context::NONE {
            return self.switch_to_new(save, next);
        }
        self.current.set(next.into_raw());
        // SAFETY: the task is suspended on this thread, and was taken out of the queue, so nothing
        // else will continue it. `save` is a field of a live control block, or the base's.
        unsafe { switch(save, to) }
    }

    /// Does [`switch_to`](Self::switch_to) for a task that has not started. Each of the two has a
    /// switch of its own: for a shared one the compiler would test twice which of them it is.
    #[inline(always)]
    fn switch_to_new(&self, save: *mut Context, next: Runnable) {
        match self.outfit(next) {
            // SAFETY: the task is fresh, and out of the queue; the rest is as in `switch_to`.
            Some(to) => unsafe { switch(save, to) },
            None => self.switch_to_base(save),
        }
    }

    fn switch_to_base(&self, save: *mut Context) {
        if self.current.get().is_some() {
            self.current.clear();
            // SAFETY: a task runs, so the base is suspended, on this thread.
            unsafe { switch(save, self.base.get()) }
        }
    }

    /// Makes `next` the current task, or none if there is none that can run, and says where to go
    /// on.
    #[inline(always)]
    pub(super) fn successor(&self, next: Option<Runnable>) -> Context {
        if let Some(next) = next {
            let to = next.context();
            if to != Context::NONE {
                self.current.set(next.into_raw());
                return to;
            }
            if let Some(to) = self.outfit(next) {
                return to;
            }
        }
        self.current.clear();
        self.base.get()
    }

    /// Leaves the stack of a task that has finished. Inlined: a call that does not return would put
    /// the processor's predictions of returns out of step.
    #[inline(always)]
    pub(super) fn leave_for_good(&self, next: Option<Runnable>) -> ! {
        let to = self.successor(next);
        // SAFETY: nobody else will continue what was made current. Otherwise the base is suspended,
        // on this thread, since a task runs. Nothing is left on the stack that anybody needs.
        unsafe { switch_for_good(to) }
    }

    /// Runs `next` from the base. Returns when nothing is runnable any more, or a task could not
    /// have a stack.
    pub(super) fn run_from_base(&self, next: Runnable) {
        self.switch_to(self.base.as_ptr(), next);
    }
}

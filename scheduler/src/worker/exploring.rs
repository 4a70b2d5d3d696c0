//! Exploring: at each switch, and before each operation, an [`Engine`] says
//! which task goes on.
//!
//! It costs nothing where nothing is explored. A worker that explores counts each turn as the last
//! one before a poll, and each operation as the last one of a turn: so it comes here by the paths
//! that other workers take once in a number of turns and operations.

use std::any::Any;
use std::ptr::NonNull;

use lisle_runtime::internal::{in_section, panics};
use lisle_runtime::switch::Context;

use super::{Worker, with_allowance};
use crate::deadlock::{self, TaskReport};
use crate::explore::{Engine, Fault, Kind, Passage};
use crate::task::{Control, discard_panic};
use crate::turn::Allowance;

impl Worker {
    #[inline]
    pub(crate) fn is_explored(&self) -> bool {
        self.team.settings.engine.is_some()
    }

    /// Brings the task to the head of the queue that is to run next. The running one is not in the
    /// queue: it waits, or has ended.
    #[cold]
    pub(super) fn choose_next(&self) {
        let Some(engine) = &self.team.settings.engine else { return };
        self.let_things_happen(engine, !self.queue.is_empty());
        if engine.records()
            && let Some(me) = self.running_task()
            && let Some(record) = me.park_record()
        {
            engine.note_wait(me.id, record.reason(), record.place);
        }
        self.choose(engine, self.queue.len());
    }

    /// Does so for a task that has asked for others to run, and puts it into the queue. It is not
    /// chosen as long as others can run: it may wait for one of them.
    #[cold]
    pub(super) fn choose_other(&self, me: &Control) {
        let Some(engine) = &self.team.settings.engine else { return };
        self.let_things_happen(engine, true);
        engine.note_yield(me.id);
        let others = self.queue.len();
        self.queue.push(NonNull::from(me));
        self.choose(engine, others.max(1));
    }

    fn choose(&self, engine: &Engine, of: usize) {
        self.count_switches(1);
        with_allowance(Allowance::end_at_each_operation);
        if of > 0 {
            self.choose_in_queue(engine, Kind::Next, of, 0);
            self.note_chosen();
        }
    }

    /// Has one of the tasks in the queue go on next, or of `ahead` tasks before them. Tells which.
    fn choose_in_queue(&self, engine: &Engine, kind: Kind, of: usize, ahead: usize) -> usize {
        let parting = self.running_task().map(|task| task.id);
        let number = |place: usize| match place.checked_sub(ahead) {
            Some(place) => self.queued(place).id.number(),
            None => self.current_task().id.number(),
        };
        let Some(chosen) = engine.choose_task(kind, of, parting, number) else {
            self.team.stop();
            return 0;
        };
        if chosen > ahead {
            self.queue.bring_to_head(chosen - ahead);
        }
        chosen
    }

    /// The task at the head of the queue was chosen. If it starts now, its first operation is no
    /// choice of its own, unless it has made others runnable by then.
    fn note_chosen(&self) {
        let starts = self.queued(0).context() == Context::NONE;
        self.starting.set(starts.then(|| self.queue.pushes()));
    }

    fn queued(&self, place: usize) -> &Control {
        let task = self.queue.peek(place).expect("there are as many tasks in the queue");
        // SAFETY: tasks in a queue have not finished.
        unsafe { task.as_ref() }
    }

    /// What does not wait for a task to part with its turn: mail comes, and a time-out may fire.
    /// That comes too early if a task `could_go_on`: else the clock moves anyway.
    fn let_things_happen(&self, engine: &Engine, could_go_on: bool) {
        if self.has_arrivals() {
            self.poll();
        }
        let first = self.timers.borrow().next_deadline();
        if could_go_on
            && let Some(first) = first
            && let Some(clock) = &self.team.clock
            && engine.strikes(Fault::EarlyTimeout, None, None)
        {
            clock.move_to(first.saturating_duration_since(clock.start()));
            self.poll();
        }
    }

    /// Whether the calling task is the only one there is.
    pub(crate) fn is_alone_here(&self) -> bool {
        let mut tasks = 0;
        self.started.for_each(|_| tasks += 1);
        tasks == 1 && self.queue.is_empty()
    }

    /// A task has panicked, and nobody wants to know.
    #[cold]
    pub(super) fn discard_panic(&self, panic: Box<dyn Any + Send>) {
        if let Some(engine) = &self.team.settings.engine {
            engine.note_panic(&*panic);
        }
        discard_panic(panic);
    }

    /// An execution has ended. Returns the tasks that are left of it, beside the calling one. If
    /// there are none, the clock shows what it showed when the execution began, and tasks are
    /// numbered anew.
    #[cold]
    pub(crate) fn reset_after_execution(&self) -> Vec<TaskReport> {
        let me = self.current_task().id;
        let mut left = Vec::new();
        deadlock::describe(&self.started, self.clock.get(), &mut left);
        left.retain(|task| task.task().id() != me);
        if left.is_empty()
            && let Some(clock) = &self.team.clock
        {
            clock.reset();
            // The calling task, the main task, has number 1 for ever.
            self.numbers.begin_at(2);
        }
        left
    }

    /// Before something that the running task does: another one may go first.
    #[cold]
    pub(crate) fn pass(&self, passage: Passage) {
        let Some(engine) = &self.team.settings.engine else { return };
        // No current task: main's result is being dropped on the base stack.
        let Some(me) = self.running_task() else { return };
        // Also for the task that goes first, and comes to an operation of its own.
        with_allowance(Allowance::end_at_each_operation);
        if in_section() || panics::under_way() {
            return;
        }
        if matches!(passage, Passage::Release(_)) && !engine.sees_releases() {
            return;
        }
        if self.starting.take() != Some(self.queue.pushes()) {
            self.let_others_go_first(engine, me);
        }
        if engine.records() {
            engine.note_passage(me.id, passage);
        }
        match passage {
            Passage::Waiting(place) if me.is_exposed() => self.check_cancelled(place),
            Passage::Quick(place) if self.is_shutting_down() => self.check_cancelled(place),
            _ => {}
        }
    }

    fn let_others_go_first(&self, engine: &Engine, me: &Control) {
        self.let_things_happen(engine, true);
        let of = self.queue.len() + 1;
        if self.choose_in_queue(engine, Kind::MayPreempt, of, 1) > 0 {
            self.queue.push(NonNull::from(me));
            self.note_chosen();
            self.count_switches(1);
            self.leave_to(self.next(), me);
        }
    }
}

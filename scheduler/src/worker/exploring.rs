//! Exploring: at each switch, and before each operation, an [`Engine`] says
//! which task goes on.
//!
//! It costs nothing where nothing is explored. A worker that explores counts each turn as the last
//! one before a poll, and each operation as the last one of a turn: so it comes here by the paths
//! that other workers take once in a number of turns and operations.

use std::any::Any;
use std::ptr::NonNull;

use lisle_runtime::internal::panics;

use super::{Worker, with_allowance};
use crate::deadlock::{self, TaskReport};
use crate::explore::{Candidate, Engine};
use crate::park::Place;
use crate::task::{Control, TaskId, discard_panic};
use crate::turn::Allowance;

/// How the running task parts with its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It waits, or has ended.
    Waits,
    /// It asks for others to run, and is the last in the queue.
    Yields,
    /// It could go on, and is the last in the queue.
    CouldGoOn,
}

impl Worker {
    #[inline]
    pub(super) fn is_explored(&self) -> bool {
        self.team.settings.engine.is_some()
    }

    /// Brings the task to the head of the queue that is to run next.
    pub(super) fn choose_next(&self, parting: Parting) {
        if let Some(engine) = &self.team.settings.engine {
            self.choose(engine, parting);
        }
    }

    #[cold]
    fn choose(&self, engine: &Engine, parting: Parting) {
        self.count_switches(1);
        if self.has_arrivals() {
            self.poll();
        }
        with_allowance(Allowance::end_at_each_operation);
        if engine.records()
            && let Some(me) = self.running_task()
            && let Some(record) = me.park_record()
        {
            engine.note_wait(me.id, record.reason(), record.place);
        }
        if parting == Parting::Yields {
            engine.note_yield(self.current_task().id);
        }
        let len = self.queue.len();
        let candidate = |place| {
            // SAFETY: tasks in a queue have not finished.
            let task = self.queue.peek(place).map(|task| unsafe { task.as_ref() });
            task.map(|task| Candidate { task: task.id, place })
        };
        // The one that could go on comes first: it does if nothing else is said.
        let last_first = (parting == Parting::CouldGoOn).then(|| len - 1);
        let rest = match parting {
            Parting::Waits => 0..len,
            Parting::CouldGoOn => 0..len - 1,
            // Not itself again, as long as others can run: it may wait for one of them.
            Parting::Yields => 0..(len - 1).max(1),
        };
        let parting_task = self.running_task().map(|task| task.id);
        let candidates = last_first.into_iter().chain(rest).filter_map(candidate);
        match engine.choose_task(parting_task, candidates, last_first.is_some()) {
            Some(0) | None => {}
            Some(place) => self.queue.bring_to_head(place),
        }
        if engine.is_too_long() {
            self.team.stop();
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
            self.next_ids.set(TaskId::numbers_from(2));
        }
        left
    }

    /// Before an operation of the running task: another one may go first.
    #[cold]
    pub(super) fn pass_point(&self, me: &Control, place: Place) {
        with_allowance(Allowance::renew);
        if panics::under_way() {
            return;
        }
        self.queue.push(NonNull::from(me));
        self.choose_next(Parting::CouldGoOn);
        self.leave_to(self.next(), me);
        with_allowance(Allowance::end_at_each_operation);
        if let Some(engine) = &self.team.settings.engine {
            engine.note_operation(me.id, place);
        }
        if me.is_exposed() {
            self.check_cancelled(place);
        }
    }
}

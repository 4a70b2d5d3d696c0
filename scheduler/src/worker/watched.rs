//! What a worker says about itself when the [`watch`](crate::watch) asks because one of its tasks
//! keeps its thread for long.

use std::backtrace::Backtrace;
use std::ptr::{self, NonNull};
use std::time::Instant;

use lisle_runtime::internal::stack_pointer;

use super::Worker;
use crate::task::{Control, Phase};
use crate::watch::{Answer, EndOfTurn, Name, Sighted, Turn};

impl Worker {
    /// The turn that the worker is in, if it runs a task. Fit for a handler on its thread.
    pub(crate) fn turn(&self) -> Option<Turn> {
        // SAFETY: it is alive.
        unsafe { Self::turn_from_outside(NonNull::from(self)) }
    }

    /// The same, for any thread.
    ///
    /// # Safety
    ///
    /// The worker is alive.
    pub(crate) unsafe fn turn_from_outside(worker: NonNull<Self>) -> Option<Turn> {
        // SAFETY: alive, says the caller. What is read of the two is atomic; the rest of the worker
        // is its own thread's.
        let (current, started) =
            unsafe { (&(*worker.as_ptr()).current, &(*worker.as_ptr()).started) };
        let task = current.get_from_outside()?;
        Some(Turn::new(task.addr().get(), started.inserted()))
    }

    /// Describes the running task, which keeps the thread, if it holds up others. Called in a
    /// signal handler, at any instruction of the thread while it runs this worker: it reads what
    /// never changes, and what is atomic.
    pub(crate) fn task_that_holds_up(&self) -> Option<Answer> {
        (self.held_up() > 0).then(|| self.running_task_from_outside())?
    }

    /// Describes the running task, whatever it does. Called as the former.
    pub(crate) fn running_task_from_outside(&self) -> Option<Answer> {
        let current = self.current.get_from_outside()?;
        // SAFETY: the control block of the current task is alive. Its number, its name and the
        // place of its spawn were written before it became that.
        let task = unsafe { current.as_ref() };
        Some(Answer {
            // SAFETY: the call has no conditions.
            thread: unsafe { libc::gettid() },
            id: task.id,
            name: task.name().map(Name::new),
            spawned_at: task.spawned_at,
            others: self.held_up(),
        })
    }

    /// Describes the started tasks of the worker but the running one, the newest first, as far as
    /// there is room.
    ///
    /// # Safety
    ///
    /// The caller is a signal handler on the thread that runs this worker, in a turn of a task.
    pub(crate) unsafe fn sight_others(&self, sighted: &mut Vec<Sighted>) {
        let current = self.current.get_from_outside().map_or(ptr::null(), |task| task.as_ptr());
        let visit = |task: &Control| {
            if ptr::eq(task, current) {
                return true;
            }
            // There may be no allocation here.
            let has_room = sighted.len() < sighted.capacity();
            if has_room {
                sighted.push(Sighted {
                    id: task.id,
                    name: task.name().map(Name::new),
                    spawned_at: task.spawned_at,
                    // SAFETY: it has its home here, and another one has its turn.
                    wait: unsafe { task.wait_from_handler() },
                });
            }
            has_room
        };
        // SAFETY: the caller's promise.
        unsafe { self.started.visit_from_handler(visit) };
    }

    /// How many tasks have started here and not ended, for any thread.
    ///
    /// # Safety
    ///
    /// The worker is alive.
    pub(crate) unsafe fn started_from_outside(worker: NonNull<Self>) -> usize {
        // SAFETY: alive, says the caller. The count is atomic.
        unsafe { &(*worker.as_ptr()).started }.len()
    }

    /// How many tasks cannot go on while the running one blocks the thread: those that have started
    /// here, those that were placed here and, if there is no other worker that could start them,
    /// the new ones. Those of `spawn_local` are not counted: nothing that can be read here knows of
    /// them.
    fn held_up(&self) -> usize {
        let own = self.started.len().saturating_sub(1) + self.post.placed.len();
        if !self.team.is_alone() {
            return own;
        }
        own + self.post.backlog.len() + self.team.injector.len()
    }

    /// Whether the watch looks for long turns, so that each has to be told from the next.
    pub(super) fn is_watched(&self) -> bool {
        self.team.settings.is_watched()
    }

    /// The present turn ends. Tells the watch how, if it has asked for that.
    pub(super) fn tell_end_of_turn(&self) {
        if self.post.seat().awaits_end() {
            self.describe_end_of_turn();
        }
    }

    #[cold]
    fn describe_end_of_turn(&self) {
        let parked = |phase| matches!(phase, Phase::Parked | Phase::AwaitsUnpark);
        let task = self.running_task();
        let record =
            task.filter(|task| parked(task.phase.get())).and_then(|task| task.park_record());
        self.post.seat().tell_end(self.turn(), || EndOfTurn {
            at: Instant::now(),
            wait: record.map(|record| (record.reason(), record.place)),
            backtrace: task.filter(|task| has_room(task)).map(|_| Backtrace::capture()),
        });
    }
}

/// Whether a backtrace can be taken on the running task's stack.
fn has_room(task: &Control) -> bool {
    const ROOM: usize = 16 << 10;
    let here = stack_pointer();
    task.bottom_below(here).is_some_and(|bottom| here - bottom.addr() >= ROOM)
}

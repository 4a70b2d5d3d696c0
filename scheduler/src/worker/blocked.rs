//! What a worker says about itself when the [`watch`](crate::watch) asks because one of its tasks
//! blocks its thread.

use std::ptr::NonNull;

use super::Worker;
use crate::watch::{Answer, Name, Turn};

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

    /// Describes the running task, which has blocked the thread, if it holds up others. Called in a
    /// signal handler, at any instruction of the thread while it runs this worker: it reads what
    /// never changes, and what is atomic.
    pub(crate) fn blocked_task(&self) -> Option<Answer> {
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

    /// How many tasks cannot go on while the running one blocks the thread: those that have started
    /// here and, if there is no other worker that could start them, those that have not. New ones
    /// of `spawn_local` are not counted: nothing that can be read here knows of them.
    fn held_up(&self) -> usize {
        let started = self.started.len().saturating_sub(1);
        if !self.team.is_alone() {
            return started;
        }
        started + self.post.backlog.len() + self.team.injector.len()
    }
}

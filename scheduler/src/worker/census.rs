//! What a worker says of its tasks when a [dump](mod@crate::dump) is made.

use std::backtrace::Backtrace;
use std::ptr;
use std::time::Instant;

use lisle_runtime::switch::on_top_of;

use super::Worker;
use crate::deadlock;
use crate::dump::{Census, Seen, TaskDump, TaskGroup, TaskState};
use crate::post::Post;
use crate::task::{Control, Phase};

impl Worker {
    /// Whether this is the worker's post.
    pub(crate) fn has_post(&self, post: &Post) -> bool {
        self.post.is(post)
    }

    /// Counts this worker's tasks, and describes some of each kind.
    #[cold]
    pub(crate) fn take_census(&self, census: &Census, seen: Seen) -> Vec<TaskGroup> {
        let now = Instant::now();
        if !self.is_explored() {
            // So that no wait which begins later seems to have begun before.
            self.clock.set(now);
        }
        let mut roll = census.roll();
        self.started.for_each(|task| roll.note_started(task, self.state_of(task, seen), now));
        self.queue.for_each_new(|task| {
            roll.note_new(task, || TaskDump::new(task, TaskState::NotStarted, Some(self.index)));
        });
        // A watcher may have found an empty backlog meanwhile.
        self.share_backlog();
        roll.into_groups(|task, state| {
            let wait = deadlock::describe_wait(task, now);
            let traced = census.wants_backtraces().then(|| self.backtrace(task)).flatten();
            TaskDump::new(task, state, Some(self.index)).with(wait, traced)
        })
    }

    fn state_of(&self, task: &Control, seen: Seen) -> TaskState {
        match task.phase.get() {
            Phase::Parked | Phase::AwaitsUnpark => TaskState::Waiting,
            Phase::Running if seen == Seen::InTurn && self.is_current(task) => TaskState::Running,
            _ => TaskState::Ready,
        }
    }

    fn is_current(&self, task: &Control) -> bool {
        self.current.get().is_some_and(|current| ptr::eq(current.as_ptr(), task))
    }

    /// The calls by which a started task of this worker has come to where it is.
    fn backtrace(&self, task: &Control) -> Option<Backtrace> {
        if self.is_current(task) {
            // The caller runs on its stack, even if it is about to leave it.
            return Some(Backtrace::force_capture());
        }
        let bottom = task.bottom_below(task.context().frame().addr())?;
        // SAFETY: a task that has started and is not the current one is suspended, by a switch that
        // has stored its context. Nobody continues it before this worker does. To capture calls
        // none of our code.
        unsafe { on_top_of(task.context(), bottom, Backtrace::force_capture) }
    }
}

//! New tasks on their way to a worker.
//!
//! A team has an injector for those that a thread which is no worker of the team has spawned: any
//! worker takes them, when it looks around or has nothing to do. Each post has one for those that
//! were placed on its worker: that one alone takes them. A worker that takes a task counts it and
//! reserves a stack for it, as for a task of its own.
//!
//! No task is lost when the team ends: the lock orders each `push` and `close`. What was pushed
//! before is seen by every worker that knows of the end and looks once more, and is cancelled by
//! the first that does; what comes later is refused.

use std::collections::VecDeque;
use std::ptr::NonNull;

use lisle_runtime::internal::primitive::Mutex;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::task::Control;

#[derive(Default)]
pub(crate) struct Injector {
    tasks: Mutex<VecDeque<NewTask>>,
    /// The number of tasks, to be looked at without the lock.
    len: AtomicUsize,
    /// Whether nothing is taken in any more. Changed under the lock.
    closed: AtomicBool,
}

/// A task that has not started, and that no other thread knows.
pub(crate) struct NewTask(NonNull<Control>);

// SAFETY: the maker has promised that closure and result may go to any thread.
unsafe impl Send for NewTask {}

impl NewTask {
    /// # Safety
    ///
    /// The task has not started, the caller has the only right to start it, and its closure and its
    /// result are `Send`.
    pub(crate) unsafe fn new(task: NonNull<Control>) -> Self {
        Self(task)
    }

    pub(crate) fn into_raw(self) -> NonNull<Control> {
        self.0
    }
}

impl Injector {
    /// Adds a new task.
    ///
    /// # Errors
    ///
    /// The task, if the injector is closed.
    pub(crate) fn push(&self, task: NewTask) -> Result<(), NewTask> {
        let mut tasks = self.tasks.lock();
        if self.is_closed() {
            return Err(task);
        }
        tasks.push_back(task);
        self.len.store(tasks.len(), Ordering::Relaxed);
        Ok(())
    }

    /// Takes the oldest task.
    pub(crate) fn pop(&self) -> Option<NewTask> {
        let mut tasks = self.tasks.lock();
        let task = tasks.pop_front();
        self.len.store(tasks.len(), Ordering::Relaxed);
        task
    }

    /// Calls `visit` with each task, oldest first.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(&Control)) {
        let tasks = self.tasks.lock();
        // SAFETY: a task that is here has not started, and is taken out with the lock held.
        tasks.iter().for_each(|task| visit(unsafe { task.0.as_ref() }));
    }

    /// How many tasks there are, as far as the caller can know: of what happens meanwhile it may
    /// see nothing.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there are none, with the same reservation.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes nothing in from now on.
    pub(crate) fn close(&self) {
        let _tasks = self.tasks.lock();
        self.closed.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

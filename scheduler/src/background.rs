//! The workers of a runtime that no thread has entered: all have threads of their own.

use std::io;
use std::panic::Location;

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::stack::Stack;

use crate::metrics::Metrics;
use crate::per_process::PerProcess;
use crate::post::NewTask;
use crate::runtime::{Runtime, prepare_process, serve};
use crate::spawn::Builder;
use crate::task::{Birth, Control, JoinHandle, Slab, TaskId};
use crate::team::{Settings, Team};

pub(crate) struct Background {
    team: Arc<Team>,
}

impl Background {
    /// Starts the first worker. Others follow when there is work for them.
    pub(crate) fn start(settings: &Settings) -> io::Result<Self> {
        prepare_process(settings);
        // The threads outside, of which there is always one, can spawn and send.
        let settings = Settings { deadlock_detection: false, ..settings.clone() };
        let team = Arc::new(Team::new(settings, serve));
        Team::start_first(&team)?;
        Ok(Self { team })
    }

    /// Spawns a task from any thread.
    pub(crate) fn spawn<F, T>(
        &self,
        builder: Builder,
        spawned_at: &'static Location<'static>,
        body: F,
    ) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        if self.team.is_of_parent() {
            return Err(left_in_the_parent());
        }
        let stack = match builder.stack_size {
            Some(size) => Some(Stack::allocate(size)?),
            // Only to see now whether there is memory: the worker that starts the task has warm
            // ones.
            None => Stack::allocate(self.team.settings.stack_size).map(|_| None)?,
        };
        let birth = Birth { id: TaskId::next(), name: builder.name, spawned_at, stack };
        let slot = Slab::default().allocate();
        // SAFETY: the slot comes from a slab; closure and result are `Send` and may live for ever.
        // The handle is the only one, and its type is the closure's.
        let handle = unsafe {
            Control::create(slot, birth, body);
            JoinHandle::new(slot)
        };
        // SAFETY: the task is new, and its closure and its result are `Send`.
        let started = self.team.start(unsafe { NewTask::new(slot) });
        assert!(started.is_ok(), "a runtime that is borrowed has not ended");
        Ok(handle)
    }

    pub(crate) fn metrics(&self) -> Metrics {
        self.team.metrics()
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if !self.team.is_of_parent() {
            self.team.stop();
        }
        Team::join_threads(&self.team);
    }
}

impl std::fmt::Debug for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Background").field("threads", &self.team.threads()).finish()
    }
}

/// The runtime of tasks that are spawned outside of any other. It lasts as long as the process; a
/// fork child has one of its own.
pub(crate) fn default_runtime() -> io::Result<&'static Runtime> {
    static DEFAULT: PerProcess<Runtime> = PerProcess::new();
    DEFAULT.get_or_try(Runtime::new)
}

/// The threads of a runtime do not come along into a fork child.
pub(crate) fn left_in_the_parent() -> io::Error {
    io::Error::other(
        "this runtime was started before the process forked, and its threads are not in this process: \
         make a new runtime here, or use the default one by calling spawn",
    )
}

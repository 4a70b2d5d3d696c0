//! Ending a runtime within a time, and saying which tasks have not ended by then.

use std::fmt::{self, Display, Formatter};
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::{self, Mutex};

use crate::deadlock::TaskReport;
use crate::park::{Place, Reason, Unparker, park};
use crate::post::Request;
use crate::task::Task;
use crate::team::Team;
use crate::worker;

/// How long the workers have to say which tasks they still have. One that computes, or blocks in a
/// call of the system, does not answer.
const PATIENCE: Duration = Duration::from_millis(250);

/// The error of [`Runtime::shutdown_timeout`](crate::Runtime::shutdown_timeout): tasks that had not
/// ended in time. The runtime goes on ending.
#[derive(Clone, Debug)]
pub struct ShutdownTimeout {
    runtime: Arc<str>,
    tasks: Vec<UnfinishedTask>,
    busy_threads: Vec<String>,
}

/// One task in a [`ShutdownTimeout`].
#[derive(Clone, Debug)]
pub struct UnfinishedTask {
    pub(crate) task: Task,
    pub(crate) spawned_at: Place,
    pub(crate) wait: Option<TaskReport>,
}

impl ShutdownTimeout {
    /// The tasks that have started and had not ended, as far as their workers could say it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::shield;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = lisle::channel::bounded::<()>(1);
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     shield(|| ends.recv())
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.tasks().len(), 1);
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn tasks(&self) -> &[UnfinishedTask] {
        &self.tasks
    }

    /// The names of the runtime's threads on which a task computes, or blocks in a call that is not
    /// Lisle's. Which tasks are there is not known.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = lisle::Runtime::builder().name("mail").start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = std::sync::mpsc::channel::<()>();
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     ends.recv() // blocks the thread
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(late.busy_threads(), ["mail-0"]);
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn busy_threads(&self) -> &[String] {
        &self.busy_threads
    }
}

impl UnfinishedTask {
    /// The task's identity.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::shield;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = lisle::channel::bounded::<()>(1);
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     shield(|| ends.recv())
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// println!("task {} has not ended", late.tasks()[0].task().id());
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The call that spawned it.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::shield;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = lisle::channel::bounded::<()>(1);
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     shield(|| ends.recv())
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// println!("spawned in line {}", late.tasks()[0].spawned_at().line());
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn spawned_at(&self) -> Place {
        self.spawned_at
    }

    /// What it waits for, if it waits.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::task::shield;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let (begun, begins) = lisle::channel::bounded(1);
    /// let (end, ends) = lisle::channel::bounded::<()>(1);
    /// let task = runtime.spawn(move || {
    ///     begun.send(()).unwrap();
    ///     shield(|| ends.recv())
    /// });
    /// begins.recv().unwrap();
    /// let late = runtime.shutdown_timeout(Duration::from_millis(1)).unwrap_err();
    /// println!("it waits: {:?}", late.tasks()[0].wait().map(|wait| wait.reason()));
    /// drop(end);
    /// # drop(task);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn wait(&self) -> Option<&TaskReport> {
        self.wait.as_ref()
    }
}

impl Display for ShutdownTimeout {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "the runtime '{}' has not ended in time", self.runtime)?;
        for thread in &self.busy_threads {
            write!(f, "\n\nthread '{thread}' is busy and does not say with which task")?;
        }
        self.tasks.iter().try_for_each(|task| write!(f, "\n\n{task}"))
    }
}

impl Display for UnfinishedTask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.wait {
            Some(wait) => wait.fmt(f),
            None => {
                write!(f, "task {}: running\n    spawned at {}", self.task.title(), self.spawned_at)
            }
        }
    }
}

impl std::error::Error for ShutdownTimeout {}

/// Ends a team, and waits for that no longer than `timeout`.
pub(super) fn shut_down(
    team: &primitive::Arc<Team>,
    timeout: Duration,
) -> Result<(), ShutdownTimeout> {
    team.stop();
    let error = |tasks, busy_threads| ShutdownTimeout {
        runtime: team.settings.title().into(),
        tasks,
        busy_threads,
    };
    let caller = worker::with_current(|worker| {
        let own = worker.filter(|worker| worker.is_of(team))?;
        Some(own.current_task().unfinished())
    });
    if let Some(caller) = caller {
        // It would wait for itself.
        return Err(error(vec![caller], Vec::new()));
    }
    // A deadline that cannot be expressed never comes.
    let deadline = Instant::now().checked_add(timeout);
    if Team::join_threads_until(team, deadline) {
        return Ok(());
    }
    let (mut tasks, busy) = RollCall::hold(team);
    tasks.sort_by_key(|unfinished| unfinished.task.id());
    if tasks.is_empty() && busy.is_empty() {
        return Ok(());
    }
    let thread_name = |index| format!("{}-{index}", team.settings.thread_name);
    Err(error(tasks, busy.into_iter().map(thread_name).collect()))
}

/// The workers of a team are asked which tasks they still have.
pub(crate) struct RollCall(Mutex<Called>);

struct Called {
    /// Workers that have not answered.
    missing: Vec<usize>,
    tasks: Vec<UnfinishedTask>,
    /// Waits until none is missing.
    caller: Option<Unparker>,
}

impl RollCall {
    /// Returns the tasks that the workers have named, and the workers that have not answered.
    fn hold(team: &Team) -> (Vec<UnfinishedTask>, Vec<usize>) {
        const REASON: Reason = Reason::new("asking which tasks of a runtime are left");
        let workers = team.threads();
        let called = Called { missing: (0..workers).collect(), tasks: Vec::new(), caller: None };
        let roll_call = primitive::Arc::new(Self(Mutex::new(called)));
        let asked = team.posts.ask_first(workers, || Request::List(roll_call.clone()));
        let mut called = roll_call.0.lock();
        // The others have no tasks any more, and end.
        called.missing.retain(|index| asked.contains(index));
        if called.missing.is_empty() {
            drop(called);
        } else {
            // Whatever ends the wait: what is there then is told.
            let _ = park(
                REASON,
                Some(Instant::now() + PATIENCE),
                |unparker| {
                    called.caller = Some(unparker);
                    drop(called);
                },
                || roll_call.0.lock().caller.take(),
            );
        }
        let mut called = roll_call.0.lock();
        (mem::take(&mut called.tasks), mem::take(&mut called.missing))
    }

    /// Takes the answer of a worker.
    pub(crate) fn answer(&self, worker: usize, tasks: Vec<UnfinishedTask>) {
        let mut called = self.0.lock();
        called.tasks.extend(tasks);
        called.missing.retain(|&index| index != worker);
        let caller = if called.missing.is_empty() { called.caller.take() } else { None };
        drop(called);
        if let Some(caller) = caller {
            caller.unpark();
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use crate::Runtime;
    use crate::driver::Driver;
    use crate::post::PostOwner;
    use crate::team::Door;

    #[test]
    fn a_worker_that_reads_no_more_requests_is_not_waited_for() {
        let settings = Runtime::builder().workers(1).settings().unwrap();
        let team = Team::new(settings, Door::Started, |_, _| unreachable!("nothing starts"));
        assert!(PostOwner::claim(team.posts.clone(), 0, &Driver::new(false)).close());
        let (tasks, busy) = RollCall::hold(&team);
        assert!(tasks.is_empty());
        assert_eq!(busy, [0; 0], "it would have been told of after a wait in vain");
    }
}

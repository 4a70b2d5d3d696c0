//! Deadlocks: how one is recognised, and what is said of it.
//!
//! A worker that has nothing runnable, no timer pending and nothing in its inbox cannot go on by
//! itself. It is deadlocked if nobody else can wake it either. A plain thread may hold a sender that
//! no scheduler knows of, so a report is made only if every thread of the process is the runtime's
//! own, by the kernel's list, or if the user has said that other threads do not count.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::park::Reason;
use crate::task::{Phase, Task, TaskList};

/// Whether threads that do not belong to the runtime count as able to wake its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignThreads {
    /// Any other thread of the process may wake a task some day, so while there is one, nothing is
    /// reported. Never wrong, and the default.
    #[default]
    MayWake,
    /// Other threads never wake a task, so their presence does not put off a report. For tests,
    /// whose harness keeps threads of its own.
    NeverWake,
}

/// Whether a runtime looks for deadlocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeadlockReport {
    /// A deadlock ends the run with a report. The default.
    #[default]
    On,
    /// Tasks that nothing can wake wait for ever.
    Off,
}

/// Every task was parked and nothing was left that could wake one of them.
///
/// [`Runtime::run`](crate::Runtime::run) returns it; [`run`](crate::run) panics with its text. The
/// text lists each task: number and name, what it waits for and where, for how long, and where it
/// was spawned.
#[derive(Clone, Debug)]
pub struct Deadlock {
    runtime: Option<Arc<str>>,
    tasks: Vec<TaskReport>,
}

/// One task in a [`Deadlock`].
#[derive(Clone, Debug)]
pub struct TaskReport {
    task: Task,
    spawned_at: &'static Location<'static>,
    reason: Reason,
    parked_at: &'static Location<'static>,
    parked_for: Duration,
}

impl Deadlock {
    /// The parked tasks, oldest first.
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }
}

impl TaskReport {
    /// Who the task is.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The call that spawned it.
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// What it waits for.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The call in which it waits.
    pub fn parked_at(&self) -> &'static Location<'static> {
        self.parked_at
    }

    /// How long it has waited. Counted from the worker's last look at its clock before the wait
    /// began, which happens every 64 switches and whenever the worker is idle, so it may be a little
    /// too long, and never too short.
    pub fn parked_for(&self) -> Duration {
        self.parked_for
    }
}

impl fmt::Display for Deadlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runtime {
            Some(name) => write!(f, "deadlock: all tasks of runtime '{name}' are asleep")?,
            None => write!(f, "deadlock: all tasks are asleep")?,
        }
        write!(f, " and nothing can wake them")?;
        self.tasks.iter().try_for_each(|task| write!(f, "\n\n{task}"))
    }
}

impl fmt::Display for TaskReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {}", self.task.id())?;
        if let Some(name) = self.task.name() {
            write!(f, " '{name}'")?;
        }
        write!(f, ": {} for {:.3} s", self.reason, self.parked_for.as_secs_f64())?;
        write!(f, "\n    at {}\n    spawned at {}", self.parked_at, self.spawned_at)
    }
}

impl std::error::Error for Deadlock {}

impl Deadlock {
    pub(crate) fn of(runtime: Option<Arc<str>>, mut tasks: Vec<TaskReport>) -> Self {
        tasks.sort_by_key(|report| report.task.id());
        Self { runtime, tasks }
    }
}

/// Describes the tasks of a worker that are parked.
pub(crate) fn report(tasks: &TaskList, now: Duration, reports: &mut Vec<TaskReport>) {
    tasks.for_each(|task| {
        reports.extend(task.park_record().map(|record| TaskReport {
            task: Task { id: task.id, name: task.name.clone() },
            spawned_at: task.spawned_at,
            reason: record.reason,
            parked_at: record.location,
            parked_for: now.saturating_sub(record.since),
        }));
    });
}

/// Whether a task of this worker is certain to be woken soon.
pub(crate) fn any_awaits_unpark(tasks: &TaskList) -> bool {
    let mut any = false;
    tasks.for_each(|task| any |= task.phase.get() != Phase::Parked);
    any
}

/// Threads of runtimes that have ended on which a task was left behind. They wake nobody.
static STAYING_THREADS: AtomicUsize = AtomicUsize::new(0);

/// Lets the calling thread do nothing for ever.
pub(crate) fn stay_for_ever() -> ! {
    STAYING_THREADS.fetch_add(1, Ordering::Release);
    loop {
        std::thread::park();
    }
}

/// Whether a thread that is not one of the runtime's own, of which there are `own`, could wake one of
/// its tasks.
pub(crate) fn others_may_wake_us(policy: ForeignThreads, own: usize) -> bool {
    match policy {
        ForeignThreads::NeverWake => false,
        ForeignThreads::MayWake => {
            let own = own + STAYING_THREADS.load(Ordering::Acquire);
            thread_count().is_none_or(|count| count != own)
        }
    }
}

/// How many threads the process has, by the kernel's list. A model has no such list.
fn thread_count() -> Option<usize> {
    if cfg!(lisle_loom) {
        return None;
    }
    std::fs::read_dir("/proc/self/task").ok().map(Iterator::count)
}

//! [`Deadlock`]: the tasks that wait, each as its worker describes it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::park::{Awaited, Handles, Place, Reason};
use crate::task::{Control, Task, TaskList};

/// Every task was parked and nothing was left that could wake one of them.
///
/// [`RuntimeBuilder::run`](crate::RuntimeBuilder::run) returns it; [`run`](crate::run) panics with
/// its text. [`tasks`](Self::tasks) has each task: number and name, what it waits for and where,
/// for how long, and where it was spawned. The text tells the same, and counts the tasks that wait
/// alike: those that were spawned at one place and wait at one place for one reason.
///
/// ```text
/// deadlock: all tasks are asleep and nothing can wake them
///
/// task 1 'main': joining a task for 0.120 s
///     at src/main.rs:14:22
///     spawned at src/main.rs:6:5
///     waits for task 2
///
/// 1,000 tasks: receiving from a channel for 0.118 to 0.120 s
///     at src/main.rs:11:28
///     spawned at src/main.rs:9:9
///     1 sender is alive
///     these are 2, 3, 4, 5, 6, 7, 8, 9 and 992 more
/// ```
///
/// For a task that waits at a channel it says how many handles the other end has left: often one
/// that should have been dropped, as the sender in `main` here, which keeps the tasks waiting for
/// more.
///
/// # What is not seen
///
/// A task that blocks its thread by other means than Lisle's counts as running. Above all: the
/// initialiser of a `LazyLock`, `OnceLock` or `Once` that waits, for a message or in a `sleep`,
/// while another task of the same thread wants the value; and a guard of a `std::sync::Mutex` that
/// is held while its task waits. Both block the thread for ever, with the very task that they wait
/// for, and no report comes: make such a value before two tasks can want it, and drop a guard
/// before a wait. [`stall_notice`](crate::RuntimeBuilder::stall_notice) says which task blocks a
/// worker.
#[derive(Clone, Debug)]
pub struct Deadlock {
    pub(super) runtime: Option<Arc<str>>,
    pub(super) tasks: Vec<TaskReport>,
}

/// A task that waits, in a [`Deadlock`] or a [`Dump`](crate::Dump).
#[derive(Clone, Debug)]
pub struct TaskReport {
    pub(super) task: Task,
    pub(super) spawned_at: Place,
    pub(super) reason: Reason,
    pub(super) parked_at: Place,
    pub(super) parked_for: Duration,
    pub(super) awaited: Vec<Awaited>,
}

impl Deadlock {
    pub(crate) fn of(runtime: Option<Arc<str>>, mut tasks: Vec<TaskReport>) -> Self {
        tasks.sort_by_key(|report| report.task.id());
        relate(&mut tasks.iter_mut().collect::<Vec<_>>());
        find_gone_holders(&mut tasks);
        Self { runtime, tasks }
    }

    /// The parked tasks, oldest first.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| lisle::channel::never::<()>().recv())
    ///     .unwrap_err();
    /// assert_eq!(deadlock.tasks().len(), 1);
    /// ```
    pub fn tasks(&self) -> &[TaskReport] {
        &self.tasks
    }
}

impl TaskReport {
    /// The task's identity.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| lisle::channel::never::<()>().recv())
    ///     .unwrap_err();
    /// assert_eq!(deadlock.tasks()[0].task().name(), Some("main"));
    /// ```
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The call that spawned it.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| lisle::channel::never::<()>().recv())
    ///     .unwrap_err();
    /// println!("spawned in {}", deadlock.tasks()[0].spawned_at().file());
    /// ```
    pub fn spawned_at(&self) -> Place {
        self.spawned_at
    }

    /// Why it waits.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let (_sender, receiver) = lisle::channel::unbounded::<()>();
    ///         receiver.recv()
    ///     })
    ///     .unwrap_err();
    /// assert_eq!(deadlock.tasks()[0].reason().as_str(), "receiving from a channel");
    /// ```
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The call in which it waits, or that made the iterator over which it waits.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| lisle::channel::never::<()>().recv())
    ///     .unwrap_err();
    /// println!("waits in line {}", deadlock.tasks()[0].parked_at().line());
    /// ```
    pub fn parked_at(&self) -> Place {
        self.parked_at
    }

    /// How long it has waited. Counted from the worker's last look at its clock before the wait
    /// began, which happens every 64 switches and whenever the worker is idle, so it may be a
    /// little too long, and never too short.
    ///
    /// ```
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
    ///     .run(|| lisle::channel::never::<()>().recv())
    ///     .unwrap_err();
    /// println!("has waited for {:?}", deadlock.tasks()[0].parked_for());
    /// ```
    pub fn parked_for(&self) -> Duration {
        self.parked_for
    }

    /// What could have ended the wait, as far as it is known: one thing for each operation of a
    /// select.
    ///
    /// ```
    /// use lisle::deadlock::{Awaited, ForeignThreads};
    ///
    /// let deadlock = lisle::Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| lisle::spawn(|| lisle::channel::never::<()>().recv()).join())
    ///     .unwrap_err();
    /// let [Awaited::Task(awaited)] = deadlock.tasks()[0].awaited() else { panic!("it joins") };
    /// assert_eq!(awaited.id(), deadlock.tasks()[1].task().id());
    /// ```
    pub fn awaited(&self) -> &[Awaited] {
        &self.awaited
    }
}

impl TaskReport {
    /// The same, but for what could have ended the wait.
    pub(crate) fn without_awaited(&self) -> Self {
        Self { awaited: Vec::new(), task: self.task.clone(), ..*self }
    }
}

/// Describes the tasks of a worker that are parked.
pub(crate) fn describe(tasks: &TaskList, now: Instant, reports: &mut Vec<TaskReport>) {
    tasks.for_each(|task| reports.extend(describe_wait(task, now)));
}

/// Describes the wait of a task, if it is parked. Called on its home.
pub(crate) fn describe_wait(task: &Control, now: Instant) -> Option<TaskReport> {
    let record = task.park_record()?;
    let mut awaited = Vec::new();
    let reason = record.described(|object| {
        object.describe(&mut |thing| awaited.push(thing));
        object.reason()
    });
    Some(TaskReport {
        task: task.identity(),
        spawned_at: task.spawned_at,
        reason,
        parked_at: record.place,
        parked_for: now.saturating_duration_since(record.since),
        awaited,
    })
}

impl TaskReport {
    /// A wait of which no more is known.
    pub(crate) fn bare(
        task: Task,
        spawned_at: Place,
        (reason, parked_at): (Reason, Place),
        parked_for: Duration,
    ) -> Self {
        Self { task, spawned_at, reason, parked_at, parked_for, awaited: Vec::new() }
    }
}

/// Notes what some of the tasks have to do with what others wait for.
pub(crate) fn relate(tasks: &mut [&mut TaskReport]) {
    find_holders(tasks);
    name_holders(tasks);
}

/// Notes which tasks wait at the other end of what others wait at, so that they have a handle to
/// it.
fn find_holders(tasks: &mut [&mut TaskReport]) {
    let mut found: HashMap<_, Vec<Task>> = HashMap::new();
    for report in tasks.iter() {
        for handles in report.awaited.iter().filter_map(handles_of) {
            let holders = found.entry((handles.object, handles.own_kind)).or_default();
            if holders.last().is_none_or(|last| last.id() != report.task.id()) {
                holders.push(report.task.clone());
            }
        }
    }
    let found: HashMap<_, Arc<[Task]>> =
        found.into_iter().map(|(key, tasks)| (key, tasks.into())).collect();
    for awaited in tasks.iter_mut().flat_map(|report| &mut report.awaited) {
        if let Awaited::Handles(handles) = awaited
            && let Some(tasks) = found.get(&(handles.object, handles.kind()))
        {
            handles.held_by = tasks.clone();
        }
    }
}

fn handles_of(awaited: &Awaited) -> Option<&Handles> {
    match awaited {
        Awaited::Handles(handles) => Some(handles),
        Awaited::Task(_) | Awaited::Release(_) => None,
    }
}

/// Notes which holders of locks are none of `tasks`, which are all that there are.
fn find_gone_holders(tasks: &mut [TaskReport]) {
    let all: HashSet<_> = tasks.iter().map(|report| report.task.id()).collect();
    for awaited in tasks.iter_mut().flat_map(|report| &mut report.awaited) {
        if let Awaited::Release(held) = awaited {
            held.is_gone = held.by().is_some_and(|holder| !all.contains(&holder.id()));
        }
    }
}

/// Gives the tasks that hold locks their names: a lock knows the number alone.
fn name_holders(tasks: &mut [&mut TaskReport]) {
    let names: HashMap<_, _> =
        tasks.iter().map(|report| (report.task.id(), report.task.clone())).collect();
    for awaited in tasks.iter_mut().flat_map(|report| &mut report.awaited) {
        if let Awaited::Release(held) = awaited
            && let Some(holder) = &mut held.by
            && let Some(task) = names.get(&holder.id())
        {
            *holder = task.clone();
        }
    }
}

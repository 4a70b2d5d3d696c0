//! Dumps: what every task of every runtime does at this moment.
//!
//! What a worker's tasks do only the worker may look at, so each is asked for it
//! ([`census`]). It counts tasks that are alike and describes some of each kind ([`roll`]), so that
//! a dump stays small however many tasks there are.

mod census;
mod hints;
mod json;
mod roll;
mod text;

pub(crate) use census::{Census, Member, Seen, of_team as dump_of};
pub use hints::Hint;
pub(crate) use json::Text as JsonText;
pub(crate) use roll::Roll;

use std::backtrace::Backtrace;
use std::sync::Arc;
use std::time::Duration;

use crate::deadlock::{Tally, TaskReport};
use crate::park::{Place, Reason};
use crate::task::Task;

/// How many tasks of a group are described, unless another number is asked for.
const MOST_TASKS: usize = 1000;

/// What every task of every runtime of the process does.
///
/// It neither stops the tasks nor changes what they do next. Each worker is asked, and answers
/// between two turns of its tasks, at a moment of its own: a task that another worker takes
/// meanwhile may be listed twice or be missing. A worker that computes, or blocks in a call that is
/// not Lisle's, cannot answer: after 250 ms it is listed as [busy](Dump::busy_workers), with the
/// task that runs there and with the places where its others wait. A sleeping worker is woken for
/// it.
///
/// The calling task parks meanwhile, in a shield; inside
/// [`no_suspend`](fn@lisle_runtime::no_suspend) its thread blocks. On a plain thread it blocks. In
/// the child of a fork there are the runtimes of the child alone.
///
/// A worker takes some 0.3 µs for each of its tasks, a third of a second for a million.
/// [`DumpOptions`] has backtraces, too.
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let (sender, receiver) = lisle::channel::unbounded::<u32>();
///     let task = lisle::spawn(move || receiver.recv());
///     lisle::yield_now();
///     println!("{}", lisle::dump());
///     # assert!(lisle::dump().to_string().contains("receiving from a channel"));
///     drop(sender);
///     # task.join().unwrap().unwrap_err();
/// });
/// ```
pub fn dump() -> Dump {
    DumpOptions::new().capture()
}

/// What a [`dump`] contains.
///
/// ```
/// use lisle::dump::DumpOptions;
///
/// lisle::run(|| {
///     let dump = DumpOptions::new().backtraces(true).tasks_per_group(3).capture();
///     println!("{dump}");
///     # assert!(dump.tasks().next().unwrap().backtrace().is_some());
/// });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "it captures nothing by itself"]
pub struct DumpOptions {
    backtraces: bool,
    most: usize,
}

impl Default for DumpOptions {
    fn default() -> Self {
        Self { backtraces: false, most: MOST_TASKS }
    }
}

impl DumpOptions {
    /// No backtraces, and the first thousand tasks of each group.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the calls are captured by which each described task has come to where it waits. A
    /// worker needs some microseconds for each. The names of the functions are looked up when the
    /// backtrace is printed, by the thread that prints it.
    pub fn backtraces(mut self, backtraces: bool) -> Self {
        self.backtraces = backtraces;
        self
    }

    /// How many tasks of each group are described one by one, the oldest ones. The others are
    /// counted. At least one is described. Of a worker that is busy only the newest 10,000 are
    /// known.
    pub fn tasks_per_group(mut self, most: usize) -> Self {
        self.most = most.max(1);
        self
    }

    /// Captures a dump. See [`dump`].
    pub fn capture(self) -> Dump {
        census::of_all(self)
    }
}

/// What the tasks of some runtimes did at one moment: a [`dump`] has been made.
///
/// Its text tells tasks together that are alike, the largest groups first:
///
/// ```text
/// runtime 'mail': 1,003 tasks on 2 workers
///
/// 1,000 tasks: receiving from a channel for 0.118 to 0.120 s
///     at src/main.rs:11:28
///     spawned at src/main.rs:9:9
///     1 sender is alive
///     these are 3, 4, 5, 6, 7, 8, 9, 10 and 992 more
///
/// 2 tasks: not started
///     spawned at src/main.rs:17:9
///     these are 1004 and 1005
///
/// task 1 'main': running
///     spawned at src/main.rs:6:5
/// ```
#[derive(Clone, Debug)]
pub struct Dump {
    pub(crate) runtimes: Vec<RuntimeDump>,
    hints: Vec<Hint>,
}

/// One runtime in a [`Dump`].
#[derive(Clone, Debug)]
pub struct RuntimeDump {
    pub(crate) name: Arc<str>,
    pub(crate) workers: usize,
    pub(crate) groups: Vec<TaskGroup>,
    pub(crate) busy: Vec<BusyWorker>,
}

/// Tasks in a [`Dump`] that are alike: spawned at one place, in one state, and if they wait, at one
/// place and for one reason.
#[derive(Clone, Debug)]
pub struct TaskGroup {
    state: TaskState,
    spawned_at: Place,
    wait: Option<(Reason, Place)>,
    tally: Tally,
    tasks: Vec<TaskDump>,
}

/// One task in a [`Dump`].
#[derive(Clone, Debug)]
pub struct TaskDump {
    task: Task,
    spawned_at: Place,
    state: TaskState,
    worker: Option<usize>,
    wait: Option<TaskReport>,
    backtrace: Option<Arc<Backtrace>>,
}

/// What a task in a [`Dump`] does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// It runs: it has made the dump.
    Running,
    /// It waits for something: see [`TaskDump::wait`].
    Waiting,
    /// It could go on, and other tasks are before it.
    Ready,
    /// It has not begun yet.
    NotStarted,
}

/// A worker in a [`Dump`] that did not answer in time: one of its tasks computes, or blocks in a
/// call that is not Lisle's. A signal handler on its thread shows where its other tasks wait that
/// have started; those that have not are counted only.
#[derive(Clone, Debug)]
pub struct BusyWorker {
    pub(crate) worker: usize,
    pub(crate) thread: String,
    pub(crate) running: Option<(Task, Place)>,
    pub(crate) tasks: u64,
    pub(crate) described: usize,
    pub(crate) not_started: usize,
}

impl Dump {
    /// Waits that seem to have no end, although other tasks go on: tasks of which each waits for
    /// the next by a join or for a lock, in a circle, and those that wait for a lock whose holder
    /// has ended. Only tasks that are described are looked at, and the second only if all are.
    ///
    /// ```
    /// assert!(lisle::run(|| lisle::dump().hints().is_empty()));
    /// ```
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }

    /// The runtimes, in the order in which they began.
    pub fn runtimes(&self) -> &[RuntimeDump] {
        &self.runtimes
    }

    /// All tasks that are described, those of one group after the other.
    ///
    /// ```
    /// lisle::run(|| {
    ///     let dump = lisle::dump();
    ///     assert!(dump.tasks().any(|task| task.task().name() == Some("main")));
    /// });
    /// ```
    pub fn tasks(&self) -> impl Iterator<Item = &TaskDump> {
        self.runtimes.iter().flat_map(RuntimeDump::tasks)
    }

    /// How many tasks there are, with those that are counted only.
    ///
    /// ```
    /// assert!(lisle::run(|| lisle::dump().task_count()) >= 1);
    /// ```
    pub fn task_count(&self) -> usize {
        self.runtimes.iter().map(RuntimeDump::task_count).sum()
    }

    /// The workers that have not answered.
    pub fn busy_workers(&self) -> impl Iterator<Item = &BusyWorker> {
        self.runtimes.iter().flat_map(|runtime| &runtime.busy)
    }
}

impl RuntimeDump {
    /// The runtime's name, or that of its threads.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().name("mail");
    /// let dump = runtime.run(|| lisle::dump()).unwrap();
    /// assert!(dump.runtimes().iter().any(|runtime| runtime.name() == "mail"));
    /// ```
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many workers it may have.
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The tasks that are alike, the largest groups first.
    pub fn groups(&self) -> &[TaskGroup] {
        &self.groups
    }

    /// All tasks that are described.
    pub fn tasks(&self) -> impl Iterator<Item = &TaskDump> {
        self.groups.iter().flat_map(TaskGroup::tasks)
    }

    /// How many tasks there are, with those that are counted only.
    pub fn task_count(&self) -> usize {
        self.groups.iter().map(TaskGroup::task_count).sum()
    }

    /// The workers that have not answered.
    pub fn busy_workers(&self) -> &[BusyWorker] {
        &self.busy
    }
}

impl TaskGroup {
    /// What they do.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// The call that spawned each of them.
    pub fn spawned_at(&self) -> Place {
        self.spawned_at
    }

    /// Why they wait, if they do.
    pub fn reason(&self) -> Option<Reason> {
        self.wait.map(|(reason, _)| reason)
    }

    /// Where they wait, if they do.
    pub fn parked_at(&self) -> Option<Place> {
        self.wait.map(|(_, place)| place)
    }

    /// How many there are.
    pub fn task_count(&self) -> usize {
        self.tally.tasks
    }

    /// For how long they have waited, the latest and the first of them. Zero for tasks that do not
    /// wait.
    pub fn parked_for(&self) -> (Duration, Duration) {
        (self.tally.least, self.tally.most)
    }

    /// Those that are described, oldest first.
    pub fn tasks(&self) -> &[TaskDump] {
        &self.tasks
    }
}

impl TaskDump {
    /// The task's identity.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The call that spawned it.
    pub fn spawned_at(&self) -> Place {
        self.spawned_at
    }

    /// What it does.
    pub fn state(&self) -> TaskState {
        self.state
    }

    /// The number of the worker that has it, from 0 on; `None` if none has taken it yet.
    pub fn worker(&self) -> Option<usize> {
        self.worker
    }

    /// What it waits for, if it waits.
    pub fn wait(&self) -> Option<&TaskReport> {
        self.wait.as_ref()
    }

    /// The calls by which it has come to where it is, innermost first, if they were [asked
    /// for](DumpOptions::backtraces). `None` also if it has not started, is inside of a coroutine,
    /// has less than 16 KiB of stack left, or if the switch is `ucontext`.
    pub fn backtrace(&self) -> Option<&Backtrace> {
        self.backtrace.as_deref()
    }
}

impl BusyWorker {
    /// The worker's number, from 0 on.
    pub fn worker(&self) -> usize {
        self.worker
    }

    /// The name of its thread. The first worker of [`run`](crate::run) has its caller's thread, for
    /// which this is the name that it would have otherwise.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The task that ran when it was asked, if it could be learnt.
    pub fn running(&self) -> Option<&Task> {
        self.running.as_ref().map(|(task, _)| task)
    }

    /// How many of its started tasks it shows, which are in the groups: the newest 10,000. What
    /// they wait for is not known, but where and since when; and one that has been woken meanwhile
    /// seems to wait.
    pub fn described(&self) -> usize {
        self.described
    }

    /// How many of its tasks have not started, without those of
    /// [`spawn_local`](crate::spawn_local).
    pub fn not_started(&self) -> usize {
        self.not_started
    }

    /// How many tasks it had when it last counted them: each 64 switches.
    pub fn task_count(&self) -> u64 {
        self.tasks
    }
}

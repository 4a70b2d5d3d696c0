//! Asking the workers what their tasks do.

use std::backtrace::Backtrace;
use std::sync::{Arc as StdArc, Mutex as StdMutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use std::{iter, mem};

use lisle_runtime::internal::in_section;
use lisle_runtime::internal::primitive::{Arc, Mutex};

use super::{
    BusyWorker, Dump, DumpOptions, Roll, RuntimeDump, TaskDump, TaskGroup, TaskState, hints,
};
use crate::cancel::shield;
use crate::deadlock::{Tally, TaskReport, relate};
use crate::injector::Injector;
use crate::park::{Reason, Unparker, park};
use crate::post::{Posts, Request, directory};
use crate::settings::Settings;
use crate::task::{Control, Task, TaskId};
use crate::team::Team;
use crate::watch::{Glimpse, Name, Sighted};
use crate::worker;

/// How long the workers have to answer.
const PATIENCE: Duration = Duration::from_millis(250);

/// How long it may take a busy worker's thread to say which task it runs.
const GLIMPSE: Duration = Duration::from_millis(100);

const REASON: Reason = Reason::new("asking the workers for a dump");

/// How many tasks a busy worker shows, the newest: the handler that does holds up the worker.
const MOST_SIGHTED: usize = 10_000;

/// Why a task of a busy worker waits. What it waits for would have to be asked, and could wait
/// itself.
const UNKNOWN: Reason = Reason::new("waiting, or woken since its worker is busy");

/// A team, as a dump needs it.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) posts: Arc<Posts>,
    pub(crate) injector: Arc<Injector>,
    pub(crate) settings: Settings,
}

/// The workers of some teams are asked what their tasks do.
pub(crate) struct Census {
    options: DumpOptions,
    answers: Mutex<Answers>,
}

/// In which team and by which of its workers.
type Seat = (usize, usize);

#[derive(Default)]
struct Answers {
    /// Those that have not answered.
    missing: Vec<Seat>,
    given: Vec<(usize, Vec<TaskGroup>)>,
    /// Waits until none is missing.
    caller: Option<Unparker>,
}

/// What a worker sees of its tasks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// From between two turns.
    BetweenTurns,
    /// From inside the turn of the task that asks.
    InTurn,
}

/// A dump of all runtimes of the process.
pub(super) fn of_all(options: DumpOptions) -> Dump {
    let began = Instant::now();
    let members = directory::all();
    let mut dump = of(&members, options);
    let mut found = hints::find(&dump);
    // The last look shows that the tasks have waited all along, see `hints`.
    for _ in 0..2 {
        if found.is_empty() {
            break;
        }
        let again = of(&members, DumpOptions::new().tasks_per_group(options.most));
        found = hints::confirmed(found, &again, began.elapsed());
    }
    dump.hints = found;
    dump
}

/// A dump of one runtime.
pub(crate) fn of_team(team: &Team) -> RuntimeDump {
    let mut dump = of(&[team.as_member()], DumpOptions::new());
    dump.runtimes.pop().expect("it is of one runtime")
}

/// A dump of some runtimes.
fn of(members: &[Member], options: DumpOptions) -> Dump {
    let census = Arc::new(Census { options, answers: Mutex::default() });
    // Before the workers: what they take meanwhile counts twice rather than not at all.
    for (team, member) in members.iter().enumerate() {
        census.answers.lock().given.push((team, census.unclaimed(member)));
    }
    Census::ask(&census, members);
    census.await_answers();
    let mut answers = mem::take(&mut *census.answers.lock());
    let runtimes = members.iter().enumerate().map(|(team, member)| {
        let of_team = answers.given.iter_mut().filter(|(of, _)| *of == team);
        let groups = of_team.flat_map(|(_, groups)| mem::take(groups));
        let missing = answers.missing.iter().filter(|(of, _)| *of == team);
        let missing = missing.map(|&(_, worker)| worker).collect();
        let (busy, of_busy): (Vec<_>, Vec<_>) = busy_workers(member, missing).into_iter().unzip();
        RuntimeDump {
            name: member.settings.title().into(),
            workers: member.settings.workers.get(),
            groups: super::roll::merge(groups.chain(of_busy.into_iter().flatten()), options.most),
            busy,
        }
    });
    let mut dump = Dump { runtimes: runtimes.collect(), hints: Vec::new() };
    let groups = dump.runtimes.iter_mut().flat_map(|runtime| &mut runtime.groups);
    let tasks = groups.flat_map(|group| &mut group.tasks);
    relate(&mut tasks.filter_map(|task| task.wait.as_mut()).collect::<Vec<_>>());
    dump
}

impl Census {
    /// The tasks that wait for a worker to take them.
    fn unclaimed(&self, member: &Member) -> Vec<TaskGroup> {
        let mut roll = self.roll();
        let mut note = |task: &Control, worker| {
            roll.note_new(task, || TaskDump::new(task, TaskState::NotStarted, worker));
        };
        member.injector.for_each(|task| note(task, None));
        for (worker, post) in member.posts.all().iter().enumerate() {
            post.placed.for_each(|task| note(task, Some(worker)));
        }
        roll.into_groups(|_, _| unreachable!("no task of an injector has started"))
    }

    pub(crate) fn roll(&self) -> Roll {
        Roll::new(self.options.most)
    }

    pub(crate) fn wants_backtraces(&self) -> bool {
        self.options.backtraces
    }

    fn ask(this: &Arc<Self>, members: &[Member]) {
        // The caller's own worker answers at once, while the caller still runs.
        for (team, member) in members.iter().enumerate() {
            worker::with_current(|worker| {
                if let Some(worker) = worker
                    && let Some(index) = member.posts.index_of(worker.post())
                {
                    this.answer((team, index), worker.take_census(this, Seen::InTurn));
                }
            });
        }
        let seats = members.iter().enumerate().flat_map(|(team, member)| {
            (0..member.posts.all().len()).map(move |worker| (team, worker))
        });
        for seat in seats {
            let posts = &members[seat.0].posts;
            let post = &posts.all()[seat.1];
            let is_own =
                worker::with_current(|worker| worker.is_some_and(|own| own.has_post(post)));
            if is_own || !post.has_owner() {
                continue;
            }
            this.answers.lock().missing.push(seat);
            if !post.ask(Request::Dump(this.clone(), seat)) {
                this.answer(seat, Vec::new());
            }
        }
    }

    /// Takes the answer of a worker.
    pub(crate) fn answer(&self, seat: Seat, groups: Vec<TaskGroup>) {
        let mut answers = self.answers.lock();
        answers.given.push((seat.0, groups));
        answers.missing.retain(|&missing| missing != seat);
        let caller = if answers.missing.is_empty() { answers.caller.take() } else { None };
        drop(answers);
        if let Some(caller) = caller {
            caller.unpark();
        }
    }

    fn await_answers(&self) {
        let deadline = Instant::now() + PATIENCE;
        let is_complete = || self.answers.lock().missing.is_empty();
        if in_section() {
            while !is_complete() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(1));
            }
            return;
        }
        // Not for long, and there is always something to be told.
        shield(|| {
            let mut answers = self.answers.lock();
            if answers.missing.is_empty() {
                return;
            }
            // Whatever ends the wait: what is there then is told.
            let _ = park(
                REASON,
                Some(deadline),
                |unparker| {
                    answers.caller = Some(unparker);
                    drop(answers);
                },
                || self.answers.lock().caller.take(),
            );
        });
    }
}

/// Describes the workers that have not answered, with those of their tasks that they show.
fn busy_workers(member: &Member, missing: Vec<usize>) -> Vec<(BusyWorker, Vec<TaskGroup>)> {
    /// A thread answers one dump at a time.
    static GLIMPSES: StdMutex<()> = StdMutex::new(());
    if missing.is_empty() {
        return Vec::new();
    }
    let _one_at_a_time = GLIMPSES.lock().unwrap_or_else(PoisonError::into_inner);
    let glimpses: Vec<_> =
        missing.iter().map(|&worker| Glimpse::begin(&member.posts, worker, MOST_SIGHTED)).collect();
    let deadline = Instant::now() + GLIMPSE;
    iter::zip(missing, glimpses)
        .map(|(worker, glimpse)| {
            let post = &member.posts.all()[worker];
            let glimpsed = glimpse.and_then(|glimpse| glimpse.end(deadline)).unwrap_or_default();
            let busy = BusyWorker {
                worker,
                thread: format!("{}-{worker}", member.settings.thread_name),
                running: glimpsed
                    .running
                    .map(|answer| (task(answer.id, answer.name), answer.spawned_at)),
                tasks: post.metrics().live_tasks,
                described: glimpsed.others.len(),
                not_started: post.backlog.len(),
            };
            (busy, groups_of(worker, glimpsed.others).collect())
        })
        .collect()
}

/// A group for each task that a busy worker shows.
fn groups_of(worker: usize, sighted: Vec<Sighted>) -> impl Iterator<Item = TaskGroup> {
    let now = Instant::now();
    sighted.into_iter().map(move |sighted| {
        let identity = task(sighted.id, sighted.name);
        let (spawned_at, wait) = (sighted.spawned_at, sighted.wait);
        let time = wait.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(since));
        let wait = wait.map(|(place, _)| (UNKNOWN, place));
        let state = if wait.is_some() { TaskState::Waiting } else { TaskState::Ready };
        let report = wait.map(|wait| TaskReport::bare(identity.clone(), spawned_at, wait, time));
        let worker = Some(worker);
        let described =
            TaskDump { task: identity, spawned_at, state, worker, wait: report, backtrace: None };
        let tally = Tally { tasks: 1, least: time, most: time };
        TaskGroup { state, spawned_at, wait, tally, tasks: vec![described] }
    })
}

fn task(id: TaskId, name: Option<Name>) -> Task {
    Task { id, name: name.map(|name| name.as_str().into()) }
}

impl TaskDump {
    /// The task, which is kept from ending meanwhile, without what it waits for.
    pub(crate) fn new(task: &Control, state: TaskState, worker: Option<usize>) -> Self {
        Self {
            task: task.identity(),
            spawned_at: task.spawned_at,
            state,
            worker,
            wait: None,
            backtrace: None,
        }
    }

    /// With what it waits for, if it still does, and how it has come there.
    pub(crate) fn with(self, wait: Option<TaskReport>, backtrace: Option<Backtrace>) -> Self {
        let wait = wait.filter(|_| self.state == TaskState::Waiting);
        Self { wait, backtrace: backtrace.map(StdArc::new), ..self }
    }
}

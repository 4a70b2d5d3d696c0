//! Waits that seem to have no end: tasks that wait for each other while others run.
//!
//! Workers describe their tasks one after the other, so what one dump shows need not have been true
//! at one moment. What is found is looked for twice more, and counts only if all its tasks have
//! been waiting since before the first look, and wait for the same. A task that waits does nothing,
//! so that what it held in the middle look it held at the same moment as the others.

use std::collections::{HashMap, HashSet};
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{Dump, TaskDump};
use crate::deadlock::TaskReport;
use crate::park::{Awaited, Place};
use crate::task::{Task, TaskId};

/// Some tasks of a [`Dump`] that wait for what they themselves would have to do, or for what nobody
/// will.
///
/// It is known that they wait so. A time-out or a cancellation may yet end the wait, or a guard
/// that another task of the same worker was given.
///
/// Waits at channels, and for what a program shares by an `Arc`, are in none: which tasks hold the
/// other ends is not known.
#[derive(Clone, Debug)]
pub struct Hint {
    tasks: Vec<Task>,
    /// The holder of a lock, which has ended, and where it has taken the lock.
    gone: Option<(TaskId, Place)>,
}

impl Hint {
    /// The tasks: each waits for the next, and the last for the first. A single one waits for
    /// itself, or for a task that [has ended](Self::is_abandoned).
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    fn is_same(&self, other: &Self) -> bool {
        let ids = |hint: &Self| hint.tasks.iter().map(Task::id).collect::<Vec<_>>();
        self.gone == other.gone && ids(self) == ids(other)
    }

    /// Whether the task waits for a lock whose holder has ended, and has left its guard behind.
    pub fn is_abandoned(&self) -> bool {
        self.gone.is_some()
    }
}

impl Display for Hint {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let first = self.tasks[0].title();
        if let Some((holder, place)) = self.gone {
            write!(f, "hint: task {first} waits for a lock that task {holder} has taken")?;
            return write!(f, "\n    at {place}\n    and has not let go of before it has ended");
        }
        if self.tasks.len() == 1 {
            return write!(f, "hint: task {first} waits for itself");
        }
        write!(f, "hint: tasks wait for each other: {first}")?;
        self.tasks[1..].iter().try_for_each(|task| write!(f, " for {}", task.title()))?;
        write!(f, " for {first}")
    }
}

/// What a dump seems to show, each cycle from its oldest task on.
pub(super) fn find(dump: &Dump) -> Vec<Hint> {
    let waits: HashMap<_, _> =
        dump.tasks().filter_map(TaskDump::wait).map(|wait| (wait.task().id(), wait)).collect();
    let mut hints = cycles(&waits);
    if is_complete(dump) {
        let all: HashSet<_> = dump.tasks().map(|task| task.task().id()).collect();
        hints.extend(waits.values().filter_map(|wait| abandoned(wait, &all)));
    }
    hints.sort_by_key(|hint| hint.tasks[0].id());
    hints
}

/// Of these, what a later dump shows, too, in which the tasks have waited for `since` or longer.
pub(super) fn confirmed(hints: Vec<Hint>, dump: &Dump, since: Duration) -> Vec<Hint> {
    let again = find(dump);
    let waiting: HashSet<_> = dump
        .tasks()
        .filter(|task| task.wait().is_some_and(|wait| wait.parked_for() > since))
        .map(|task| task.task().id())
        .collect();
    let is_old = |hint: &Hint| hint.tasks.iter().all(|task| waiting.contains(&task.id()));
    let is_found = |hint: &Hint| again.iter().any(|other| other.is_same(hint));
    hints.into_iter().filter(|hint| is_old(hint) && is_found(hint)).collect()
}

/// The one task that has to do something before this one can go on, if there is one.
fn awaited(wait: &TaskReport) -> Option<TaskId> {
    match wait.awaited() {
        [Awaited::Task(task)] => Some(task.id()),
        [Awaited::Release(held)] if held.times() == 1 => held.by().map(Task::id),
        _ => None,
    }
}

fn cycles(waits: &HashMap<TaskId, &TaskReport>) -> Vec<Hint> {
    let next = |id: TaskId| waits.get(&id).and_then(|wait| awaited(wait));
    let mut seen = HashSet::new();
    let mut hints = Vec::new();
    for &start in waits.keys() {
        let (mut path, mut at) = (Vec::new(), Some(start));
        while let Some(id) = at.filter(|id| seen.insert(*id)) {
            path.push(id);
            at = next(id);
        }
        let Some(begin) = at.and_then(|id| path.iter().position(|&other| other == id)) else {
            continue;
        };
        let mut cycle = path.split_off(begin);
        let oldest = cycle.iter().enumerate().min_by_key(|(_, id)| **id).map_or(0, |(at, _)| at);
        cycle.rotate_left(oldest);
        let tasks = cycle.iter().map(|id| waits[id].task().clone()).collect();
        hints.push(Hint { tasks, gone: None });
    }
    hints
}

/// Whether each task is described, so that one which is not there has ended.
fn is_complete(dump: &Dump) -> bool {
    let groups = || dump.runtimes().iter().flat_map(|runtime| runtime.groups());
    dump.busy_workers().next().is_none()
        && groups().all(|group| group.tasks().len() == group.task_count())
}

fn abandoned(wait: &TaskReport, all: &HashSet<TaskId>) -> Option<Hint> {
    let [Awaited::Release(held)] = wait.awaited() else { return None };
    let holder = held.by().map(Task::id).filter(|holder| !all.contains(holder))?;
    (held.times() == 1)
        .then(|| Hint { tasks: vec![wait.task().clone()], gone: Some((holder, held.since())) })
}

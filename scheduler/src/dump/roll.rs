//! The tasks of one worker, as they are counted.

use std::collections::{HashMap, VecDeque};
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use super::{TaskDump, TaskGroup, TaskState};
use crate::deadlock::Tally;
use crate::park::{Place, Reason};
use crate::task::Control;

pub(crate) struct Roll {
    /// How many tasks of a group are described.
    most: usize,
    groups: HashMap<Key, Found>,
}

/// What tasks of a group have in common. Places and texts are told apart by their addresses, which
/// is faster; [`merge`] puts together what reads the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    state: TaskState,
    spawned_at: *const Location<'static>,
    wait: Option<(*const str, *const Location<'static>)>,
}

struct Found {
    spawned_at: Place,
    wait: Option<(Reason, Place)>,
    tally: Tally,
    /// Started tasks to be described, of which the list has the newest first: the last ones that
    /// were found.
    last: VecDeque<NonNull<Control>>,
    described: Vec<TaskDump>,
}

impl Roll {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, groups: HashMap::new() }
    }

    /// Notes a task that has started, on its home, where none ends before
    /// [`into_groups`](Self::into_groups).
    pub(crate) fn note_started(&mut self, task: &Control, state: TaskState, now: Instant) {
        let most = self.most;
        let record = task.park_record().filter(|_| state == TaskState::Waiting);
        let wait = record.map(|record| (record.reason(), record.place));
        let time =
            record.map_or(Duration::ZERO, |record| now.saturating_duration_since(record.since));
        let found = self.count(state, task.spawned_at, wait, time);
        if found.last.len() == most {
            found.last.pop_front();
        }
        found.last.push_back(NonNull::from(task));
    }

    /// Notes a task that has not started, and cannot start before this returns. `describe` is
    /// called if it is one of the first of its kind.
    pub(crate) fn note_new(&mut self, task: &Control, describe: impl FnOnce() -> TaskDump) {
        let most = self.most;
        let found = self.count(TaskState::NotStarted, task.spawned_at, None, Duration::ZERO);
        if found.described.len() < most {
            found.described.push(describe());
        }
    }

    fn count(
        &mut self,
        state: TaskState,
        spawned_at: Place,
        wait: Option<(Reason, Place)>,
        time: Duration,
    ) -> &mut Found {
        let address = |place: Place| ptr::from_ref(place);
        let key = Key {
            state,
            spawned_at: address(spawned_at),
            wait: wait.map(|(reason, place)| (ptr::from_ref(reason.as_str()), address(place))),
        };
        let found = self.groups.entry(key).or_insert_with(|| Found {
            spawned_at,
            wait,
            tally: Tally { tasks: 0, least: time, most: time },
            last: VecDeque::new(),
            described: Vec::new(),
        });
        found.tally = found.tally.and(Tally { tasks: 1, least: time, most: time });
        found
    }

    /// What was found. `describe` describes a task that has started.
    pub(crate) fn into_groups(
        self,
        mut describe: impl FnMut(&Control, TaskState) -> TaskDump,
    ) -> Vec<TaskGroup> {
        let groups = self.groups.into_iter().map(|(key, mut found)| {
            // SAFETY: a task that was noted has started here, and has not ended since, as the
            // caller has seen to.
            let described = found.last.iter().rev().map(|task| unsafe { task.as_ref() });
            found.described.extend(described.map(|task| describe(task, key.state)));
            TaskGroup {
                state: key.state,
                spawned_at: found.spawned_at,
                wait: found.wait,
                tally: found.tally,
                tasks: found.described,
            }
        });
        groups.collect()
    }
}

/// Puts groups together that are alike, each with its `most` oldest tasks, the largest first.
pub(super) fn merge(groups: impl IntoIterator<Item = TaskGroup>, most: usize) -> Vec<TaskGroup> {
    let mut places = HashMap::new();
    let mut merged: Vec<TaskGroup> = Vec::new();
    for group in groups {
        let key = (group.state, group.spawned_at, group.wait);
        let place = *places.entry(key).or_insert(merged.len());
        match merged.get_mut(place) {
            None => merged.push(group),
            Some(alike) => {
                alike.tally = alike.tally.and(group.tally);
                alike.tasks.extend(group.tasks);
            }
        }
    }
    for group in &mut merged {
        group.tasks.sort_by_key(|task| task.task.id());
        group.tasks.truncate(most);
    }
    let first = |group: &TaskGroup| group.tasks.first().map(|task| task.task.id());
    merged.sort_by_key(|group| (std::cmp::Reverse(group.tally.tasks), group.state, first(group)));
    merged
}

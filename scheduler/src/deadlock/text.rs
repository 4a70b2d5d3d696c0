//! The text of a [`Deadlock`]: tasks that wait alike are listed together.

use std::collections::HashMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::{Deadlock, TaskReport};
use crate::park::{Awaited, Held, Place};
use crate::task::{Task, TaskId};

/// How many tasks of a group are named, and how many things that one of them waits for.
const SHOWN: usize = 8;

impl Display for Deadlock {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.runtime {
            Some(name) => write!(f, "deadlock: all tasks of runtime '{name}' are asleep")?,
            None => write!(f, "deadlock: all tasks are asleep")?,
        }
        write!(f, " and nothing can wake them")?;
        write_groups(f, &self.tasks)
    }
}

/// The same for tasks that another thread might wake, but has not for long.
pub(crate) struct Stalled<'a>(&'a Deadlock, Duration);

impl Deadlock {
    pub(crate) fn as_stall(&self, duration: Duration) -> Stalled<'_> {
        Stalled(self, duration)
    }
}

impl Display for Stalled<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(Deadlock { runtime, tasks }, duration) = self;
        write!(f, "all tasks")?;
        if let Some(name) = runtime {
            write!(f, " of runtime '{name}'")?;
        }
        write!(f, " have waited for {duration:?}, and only another thread could wake them")?;
        write_groups(f, tasks)
    }
}

/// The same for tasks of which some wait for a clock that something holds.
pub(crate) struct HeldClock<'a> {
    tasks: &'a Deadlock,
    duration: Duration,
    holds: usize,
}

impl Deadlock {
    pub(crate) fn as_held_clock(&self, duration: Duration, holds: usize) -> HeldClock<'_> {
        HeldClock { tasks: self, duration, holds }
    }
}

impl Display for HeldClock<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { tasks: Deadlock { runtime, tasks }, duration, holds } = self;
        write!(f, "the virtual clock")?;
        if let Some(name) = runtime {
            write!(f, " of runtime '{name}'")?;
        }
        write!(f, " has stood for {duration:?}, and tasks wait for it. It is held by ")?;
        match holds {
            0 => write!(f, "tasks that wait for a socket or another descriptor")?,
            1 => write!(f, "1 blocking call or `time::hold`")?,
            _ => write!(f, "{holds} blocking calls and `time::hold`s")?,
        }
        write_groups(f, tasks)
    }
}

fn write_groups(f: &mut Formatter<'_>, tasks: &[TaskReport]) -> fmt::Result {
    groups(tasks).iter().try_for_each(|group| write!(f, "\n\n{group}"))
}

impl std::error::Error for Deadlock {}

impl Display for TaskReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        Group::of(vec![self]).fmt(f)
    }
}

/// Tasks that wait alike, oldest first; at least one.
pub(crate) struct Group<'a> {
    pub(crate) tasks: Vec<&'a TaskReport>,
    pub(crate) tally: Tally,
}

/// How many tasks wait alike, and for how long: also those of which a report knows no more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tally {
    pub(crate) tasks: usize,
    pub(crate) least: Duration,
    pub(crate) most: Duration,
}

impl Tally {
    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            tasks: self.tasks + other.tasks,
            least: self.least.min(other.least),
            most: self.most.max(other.most),
        }
    }
}

impl<'a> Group<'a> {
    fn of(tasks: Vec<&'a TaskReport>) -> Self {
        let times = || tasks.iter().map(|report| report.parked_for);
        let (least, most) = (times().min(), times().max());
        let (least, most) = (least.unwrap_or_default(), most.unwrap_or_default());
        Self { tally: Tally { tasks: tasks.len(), least, most }, tasks }
    }
}

/// The groups in the order of their oldest tasks.
pub(crate) fn groups<'a>(tasks: impl IntoIterator<Item = &'a TaskReport>) -> Vec<Group<'a>> {
    let mut places = HashMap::new();
    let mut groups: Vec<Vec<&TaskReport>> = Vec::new();
    for task in tasks {
        let awaits: Vec<_> = task.awaited.iter().map(kind).collect();
        let key = (task.reason, task.parked_at, task.spawned_at, awaits);
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Vec::new());
        }
        groups[place].push(task);
    }
    groups.into_iter().map(Group::of).collect()
}

/// What things that are told together have in common: what they are, and a lock's holder.
fn kind(awaited: &Awaited) -> (&'static str, Option<(Option<TaskId>, Place)>) {
    match awaited {
        Awaited::Task(_) => ("task", None),
        Awaited::Handles(handles) => (handles.kind(), None),
        Awaited::Release(held) => ("lock", Some((held.by().map(Task::id), held.since()))),
    }
}

impl Display for Group<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let first = self.tasks[0];
        let Tally { tasks, .. } = self.tally;
        if tasks == 1 {
            write!(f, "task {}", first.task.title())?;
        } else {
            write!(f, "{} tasks", Count(tasks))?;
        }
        write!(f, ": {}{}", first.reason, Times(self.tally))?;
        write!(f, "\n    at {}\n    spawned at {}", first.parked_at, first.spawned_at)?;
        for place in 0..first.awaited.len().min(SHOWN) {
            let awaited: Vec<_> =
                self.tasks.iter().filter_map(|task| task.awaited.get(place)).collect();
            write!(f, "\n    {}", Awaiting(&awaited))?;
        }
        match first.awaited.len().saturating_sub(SHOWN) {
            0 => {}
            more => write!(f, "\n    and {} more", Count(more))?,
        }
        if tasks == 1 {
            return Ok(());
        }
        let named: Vec<_> = self.tasks.iter().map(|report| &report.task).collect();
        write!(f, "\n    these are {}", FirstOf { named: &named, of: tasks })
    }
}

/// ` for 0.118 to 0.120 s`: for how long they have waited. Nothing if that is not worth a word, as
/// when the last task has begun to wait only just now.
struct Times(Tally);

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const NONE: &str = "0.000";
        let seconds = |time: Duration| format!("{:.3}", time.as_secs_f64());
        let (least, most) = (seconds(self.0.least), seconds(self.0.most));
        match &*least {
            _ if most == NONE => Ok(()),
            NONE => write!(f, " for up to {most} s"),
            _ if least == most => write!(f, " for {most} s"),
            _ => write!(f, " for {least} to {most} s"),
        }
    }
}

/// One of the things that each task of a group waits for, of the same kind for each.
struct Awaiting<'a>(&'a [&'a Awaited]);

impl Display for Awaiting<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Awaited::Release(held) = self.0[0] {
            return write_held(f, held);
        }
        let (mut tasks, mut alive, mut holders) = (Vec::new(), Vec::new(), Vec::new());
        for awaited in self.0 {
            match awaited {
                Awaited::Task(task) => tasks.push(task),
                Awaited::Handles(handles) => {
                    alive.push(handles.alive());
                    holders.extend(handles.held_by());
                }
                Awaited::Release(_) => unreachable!("things of one kind are told together"),
            }
        }
        let (Some(least), Some(&most)) = (alive.iter().min(), alive.iter().max()) else {
            return write!(f, "waits for {}", Tasks(&tasks));
        };
        if *least != most {
            write!(f, "{} to ", Count(*least))?;
        }
        let (s, are) = if most == 1 { ("", "is") } else { ("s", "are") };
        write!(f, "{} {}{s} {are} alive", Count(most), kind(self.0[0]).0)?;
        holders.sort_unstable_by_key(|task| task.id());
        holders.dedup_by_key(|task| task.id());
        if holders.is_empty() { Ok(()) } else { write!(f, ", held by {}", Tasks(&holders)) }
    }
}

/// The lock for which each task of a group waits.
fn write_held(f: &mut Formatter<'_>, held: &Held) -> fmt::Result {
    match held.times() {
        1 => write!(f, "it was {}", held.how)?,
        times => write!(f, "{} readers have {} it, the last of them", Count(times), held.how)?,
    }
    write!(f, " at {} by ", held.since())?;
    match held.by() {
        Some(task) if held.is_gone => {
            write!(f, "task {}, which has ended or is of another runtime", task.title())
        }
        Some(task) => write!(f, "task {}", task.title()),
        None => write!(f, "a plain thread"),
    }
}

/// `task 1 'main'`, or `tasks 1 'main', 2 and 7 more`.
struct Tasks<'a>(&'a [&'a Task]);

impl Display for Tasks<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let these = FirstOf { named: self.0, of: self.0.len() };
        write!(f, "task{} {these}", if self.0.len() == 1 { "" } else { "s" })
    }
}

/// `1 'main', 2 and 7 more`: some tasks of a number of tasks.
pub(crate) struct FirstOf<'a> {
    pub(crate) named: &'a [&'a Task],
    pub(crate) of: usize,
}

impl Display for FirstOf<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let shown = self.named.len().min(SHOWN);
        for (place, task) in self.named[..shown].iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { ", " }, task.title())?;
        }
        match self.of - shown {
            0 => Ok(()),
            more => write!(f, " and {} more", Count(more)),
        }
    }
}

/// A number with a comma between each three digits.
pub(crate) struct Count(pub(crate) usize);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

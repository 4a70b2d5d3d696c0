//! The events of all workers put together: turns, sleeps, wake-ups, spans.

use std::collections::{BTreeMap, HashMap};

use super::event::{Cause, How, What};
use super::session::Collected;
use crate::park::Place;

/// All times are nanoseconds since the recording began.
#[derive(Clone, Debug, Default)]
pub(super) struct Timeline {
    pub(super) lanes: Vec<Lane>,
    pub(super) tasks: BTreeMap<u64, TaskInfo>,
    pub(super) spans: Vec<Span>,
    pub(super) counters: Vec<(u64, &'static str, f64)>,
    pub(super) lost: u64,
}

/// A worker.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) title: String,
    pub(super) turns: Vec<Turn>,
    pub(super) sleeps: Vec<Sleep>,
    pub(super) steals: Vec<Steal>,
}

/// The rest of a worker, whose thread sleeps or runs another worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleep {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) carries: Option<u64>,
}

/// New tasks taken from another worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steal {
    pub(super) at: u64,
    pub(super) tasks: u64,
    pub(super) from: u64,
}

/// A turn of a task.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    pub(super) task: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) how: How,
    pub(super) reason: Option<(&'static str, Place)>,
    /// What made the task runnable, if that is known.
    pub(super) ready: Option<Ready>,
}

/// Since when a task was runnable, and why.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) at: u64,
    pub(super) why: Why,
    /// The lane of what has made it so.
    pub(super) lane: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Spawned { by: u64 },
    Woken { by: u64, cause: Cause },
    Yielded,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TaskInfo {
    pub(super) name: Option<String>,
    /// The parts of the name, of which a ring may have lost some.
    name_parts: BTreeMap<u8, Vec<u8>>,
    pub(super) spawned_at: Option<Place>,
}

/// A part of a task's work, or of a plain thread's, whose task is 0.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) task: u64,
    pub(super) name: &'static str,
    pub(super) start: u64,
    pub(super) end: u64,
    /// The lane on which it began, which is behind all for what is done outside of workers.
    pub(super) lane: usize,
}

impl Timeline {
    pub(super) fn of(collected: Vec<Collected>) -> Self {
        let mut this = Self::default();
        let end = collected.iter().filter_map(|lane| lane.events.last()).map(|event| event.0).max();
        let end = end.unwrap_or(0);
        let mut ready: HashMap<u64, Vec<Ready>> = HashMap::new();
        let mut open = HashMap::new();
        let titled = collected.iter().filter(|lane| lane.title.is_some());
        for (lane, one) in
            titled.chain(collected.iter().filter(|lane| lane.title.is_none())).enumerate()
        {
            this.lost += one.lost;
            this.add_lane(one, end, lane, &mut ready, &mut open);
        }
        this.spans.extend(open.into_iter().flat_map(|((task, name), starts)| {
            starts.into_iter().map(move |(start, lane)| Span { task, name, start, end, lane })
        }));
        this.tasks.values_mut().for_each(TaskInfo::join_name);
        this.spans.sort_by_key(|span| span.start);
        this.counters.sort_by_key(|counter| counter.0);
        ready.values_mut().for_each(|all| all.sort_by_key(|ready| ready.at));
        for turn in this.lanes.iter_mut().flat_map(|lane| &mut lane.turns) {
            turn.ready = ready.get(&turn.task).and_then(|all| last_before(all, turn.start));
        }
        this
    }

    fn add_lane(
        &mut self,
        collected: &Collected,
        end: u64,
        lane: usize,
        ready: &mut HashMap<u64, Vec<Ready>>,
        open: &mut HashMap<(u64, &'static str), Vec<(u64, usize)>>,
    ) {
        let (mut turns, mut sleeps, mut steals) = (Vec::<Turn>::new(), Vec::new(), Vec::new());
        let (mut present, mut asleep): (Option<(u64, u64)>, Option<Sleep>) = (None, None);
        for &(at, what) in &collected.events {
            let mut is_ready = |task, why| {
                ready.entry(task).or_default().push(Ready { at, why, lane });
            };
            match what {
                What::Turn { how, reason, next } => {
                    if let Some((task, start)) = present.take() {
                        let reason = reason.map(|(text, place)| (text.0, place));
                        turns.push(Turn { task, start, end: at, how, reason, ready: None });
                        if how == How::Yields {
                            is_ready(task, Why::Yielded);
                        }
                    }
                    if next != 0 {
                        present = Some((next, at));
                        self.tasks.entry(next).or_default();
                    }
                }
                What::Wake { task, by, cause } => is_ready(task, Why::Woken { by, cause }),
                What::Spawn { task, by, spawned_at } => {
                    self.tasks.entry(task).or_default().spawned_at = Some(spawned_at);
                    is_ready(task, Why::Spawned { by });
                }
                What::Known { task, spawned_at } => {
                    self.tasks.entry(task).or_default().spawned_at = Some(spawned_at);
                }
                What::Name { task, part, bytes } => {
                    let bytes = bytes.into_iter().take_while(|&byte| byte != 0).collect();
                    self.tasks.entry(task).or_default().name_parts.insert(part, bytes);
                }
                What::Sleep => asleep = Some(Sleep { start: at, end, carries: None }),
                What::Carried { worker } => {
                    asleep = asleep.map(|sleep| Sleep { carries: Some(worker), ..sleep });
                }
                What::Awake => sleeps.extend(asleep.take().map(|sleep| Sleep { end: at, ..sleep })),
                What::Steal { tasks, from } => steals.push(Steal { at, tasks, from }),
                What::SpanBegin { task, name } => {
                    open.entry((task, name.0)).or_default().push((at, lane));
                }
                What::SpanEnd { task, name } => {
                    let begun = open.get_mut(&(task, name.0)).and_then(Vec::pop);
                    let span = |(start, lane)| Span { task, name: name.0, start, end: at, lane };
                    self.spans.extend(begun.map(span));
                }
                What::Counter { name, value } => self.counters.push((at, name.0, value)),
            }
        }
        if let Some((task, start)) = present {
            let how = How::Nothing;
            turns.push(Turn { task, start, end: end.max(start), how, reason: None, ready: None });
        }
        sleeps.extend(asleep.map(|sleep| Sleep { end: end.max(sleep.start), ..sleep }));
        if let Some(title) = collected.title.clone() {
            self.lanes.push(Lane { title, turns, sleeps, steals });
        }
    }

    /// Whether a span has begun and ended in one turn of its task.
    pub(super) fn is_in_one_turn(&self, span: &Span) -> bool {
        let turns = self.lanes.get(span.lane).map_or(&[][..], |lane| &lane.turns);
        let behind = turns.partition_point(|turn| turn.start <= span.start);
        let turn = turns[..behind].last();
        turn.is_some_and(|turn| turn.task == span.task && span.end <= turn.end)
    }

    /// How messages call a task.
    pub(super) fn title(&self, task: u64) -> String {
        match self.tasks.get(&task).and_then(|info| info.name.as_ref()) {
            Some(name) => format!("{task} '{name}'"),
            None => task.to_string(),
        }
    }
}

/// What made a task runnable before a turn: the first cause since its turn before, as a wake-up
/// from elsewhere is noted once more where it arrives.
fn last_before(all: &[Ready], start: u64) -> Option<Ready> {
    let behind = all.partition_point(|ready| ready.at <= start);
    let last = all[..behind].last()?;
    let told = all[..behind].iter().rev().take_while(|ready| ready.why != Why::Yielded).take(2);
    let by_task = told.filter(|ready| matches!(ready.why, Why::Woken { by, .. } if by != 0)).last();
    let is_echo = matches!(last.why, Why::Woken { by: 0, cause: Cause::Elsewhere });
    Some(*by_task.filter(|_| is_echo).unwrap_or(last))
}

impl TaskInfo {
    fn join_name(&mut self) {
        let bytes: Vec<u8> = self.name_parts.values().flatten().copied().collect();
        let name = || String::from_utf8_lossy(&bytes).into_owned();
        self.name = (!bytes.is_empty()).then(name);
    }
}

//! The trace event format.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::model::{Lane, Sleep, Span, Steal, Timeline, Turn, Why};
use crate::dump::JsonText;

/// Microseconds, as the format has them.
struct Micros(u64);

impl std::fmt::Display for Micros {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

pub(super) fn write(timeline: &Timeline, out: &mut impl Write) -> io::Result<()> {
    write!(out, r#"{{"displayTimeUnit":"ns","traceEvents":["#)?;
    write!(out, r#"{{"name":"process_name","ph":"M","pid":1,"tid":0,"ts":0"#)?;
    write!(out, r#","args":{{"name":"tasks"}}}}"#)?;
    let (within, across): (Vec<_>, Vec<_>) =
        timeline.spans.iter().partition(|span| timeline.is_in_one_turn(span));
    for (number, lane) in timeline.lanes.iter().enumerate() {
        let title = JsonText(&lane.title);
        write!(out, ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{number}")?;
        write!(out, r#","ts":0,"args":{{"name":{title}}}}}"#)?;
        let spans = within.iter().copied().filter(|span| span.lane == number);
        write_slices(timeline, number, slices(lane, spans), out)?;
        for &Steal { at, tasks, from } in &lane.steals {
            write!(out, ",\n{{\"name\":\"steals\",\"cat\":\"steal\",\"ph\":\"i\",\"s\":\"t\"")?;
            write!(out, r#","pid":1,"tid":{number},"ts":{}"#, Micros(at))?;
            write!(out, r#","args":{{"tasks":{tasks},"of worker":{from}}}}}"#)?;
        }
    }
    let arrows = timeline.lanes.iter().enumerate().flat_map(|(lane, one)| {
        one.turns.iter().filter_map(move |turn| Some((lane, turn, turn.ready?)))
    });
    let arrows = arrows.filter_map(|(lane, turn, ready)| match ready.why {
        Why::Woken { by, .. } if by != 0 => Some(("wakes", lane, turn, ready)),
        Why::Spawned { by } if by != 0 => Some(("spawns", lane, turn, ready)),
        _ => None,
    });
    for (number, (what, lane, turn, ready)) in arrows.enumerate() {
        let (from, at, start) = (ready.lane, Micros(ready.at), Micros(turn.start));
        let head = format!(r#"{{"name":"{what}","cat":"{what}","id":{number},"pid":1"#);
        write!(out, ",\n{head},\"ph\":\"s\",\"tid\":{from},\"ts\":{at}}}")?;
        write!(out, ",\n{head},\"ph\":\"f\",\"bp\":\"e\",\"tid\":{lane},\"ts\":{start}}}")?;
    }
    for (number, span) in across.into_iter().enumerate() {
        let head =
            format!(r#"{{"name":{},"cat":"span","id":{number},"pid":1"#, JsonText(span.name));
        let task = JsonText(timeline.title(span.task));
        let (start, end) = (Micros(span.start), Micros(span.end));
        write!(out, ",\n{head},\"ph\":\"b\",\"ts\":{start},\"args\":{{\"task\":{task}}}}}")?;
        write!(out, ",\n{head},\"ph\":\"e\",\"ts\":{end}}}")?;
    }
    for &(at, name, value) in &timeline.counters {
        let value = if value.is_finite() { value } else { 0.0 };
        write!(out, ",\n{{\"name\":{},\"ph\":\"C\",\"pid\":1", JsonText(name))?;
        write!(out, r#","ts":{},"args":{{"value":{value}}}}}"#, Micros(at))?;
    }
    writeln!(out, "]}}")
}

/// Something on a lane that has a length. Spans lie within turns.
#[derive(Clone, Copy)]
enum Slice<'a> {
    Turn(&'a Turn),
    Sleep(&'a Sleep),
    Span(&'a Span),
}

impl Slice<'_> {
    fn start(self) -> u64 {
        match self {
            Slice::Turn(&Turn { start, .. })
            | Slice::Sleep(&Sleep { start, .. })
            | Slice::Span(&Span { start, .. }) => start,
        }
    }

    fn end(self) -> u64 {
        match self {
            Slice::Turn(&Turn { end, .. })
            | Slice::Sleep(&Sleep { end, .. })
            | Slice::Span(&Span { end, .. }) => end,
        }
    }

    /// Orders by start, what contains before what it contains, and else as it was.
    fn key(self) -> (u64, Option<Reverse<u64>>) {
        (self.start(), matches!(self, Slice::Span(_)).then_some(Reverse(self.end())))
    }
}

fn slices<'a>(lane: &'a Lane, spans: impl Iterator<Item = &'a Span>) -> Vec<Slice<'a>> {
    let turns = lane.turns.iter().map(Slice::Turn);
    let sleeps = lane.sleeps.iter().map(Slice::Sleep);
    let mut slices: Vec<_> = turns.chain(sleeps).chain(spans.map(Slice::Span)).collect();
    slices.sort_by_key(|slice| slice.key());
    slices
}

/// Writes beginnings and ends in the order of time. A slice's start with its length would not do:
/// viewers add these as floating point numbers, and find that it ends after the next begins. What
/// is told of a turn stands at its end, as some viewers tell slices apart by what their beginning
/// says.
fn write_slices(
    timeline: &Timeline,
    lane: usize,
    slices: Vec<Slice<'_>>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut open: Vec<Slice<'_>> = Vec::new();
    for slice in slices {
        while let Some(over) = open.pop_if(|over| over.end() <= slice.start()) {
            write_end(timeline, lane, over, out)?;
        }
        write_edge(timeline, lane, slice, "B", slice.start(), out)?;
        write!(out, "}}")?;
        open.push(slice);
    }
    open.into_iter().rev().try_for_each(|slice| write_end(timeline, lane, slice, out))
}

/// Writes what the beginning and the end of a slice have alike.
fn write_edge(
    timeline: &Timeline,
    lane: usize,
    slice: Slice<'_>,
    phase: &str,
    at: u64,
    out: &mut impl Write,
) -> io::Result<()> {
    let (name, category) = match slice {
        Slice::Turn(turn) => (format!("task {}", timeline.title(turn.task)), "turn"),
        Slice::Sleep(Sleep { carries: None, .. }) => ("asleep".to_owned(), "sleep"),
        Slice::Sleep(Sleep { carries: Some(other), .. }) => {
            (format!("carries worker {other}"), "sleep")
        }
        Slice::Span(span) => (span.name.to_owned(), "span"),
    };
    let (name, at) = (JsonText(name), Micros(at));
    write!(out, ",\n{{\"name\":{name},\"cat\":\"{category}\",\"ph\":\"{phase}\",\"pid\":1")?;
    write!(out, r#","tid":{lane},"ts":{at}"#)
}

fn write_end(
    timeline: &Timeline,
    lane: usize,
    slice: Slice<'_>,
    out: &mut impl Write,
) -> io::Result<()> {
    write_edge(timeline, lane, slice, "E", slice.end(), out)?;
    if let Slice::Turn(turn) = slice {
        write_story(timeline, turn, out)?;
    }
    write!(out, "}}")
}

/// Writes how a turn ended, and what had made it possible.
fn write_story(timeline: &Timeline, turn: &Turn, out: &mut impl Write) -> io::Result<()> {
    write!(out, r#","args":{{"end":"{}""#, turn.how.as_str())?;
    if let Some((reason, place)) = turn.reason {
        write!(out, r#","for":{},"at":{}"#, JsonText(reason), JsonText(place))?;
    }
    if let Some(place) = timeline.tasks.get(&turn.task).and_then(|info| info.spawned_at) {
        write!(out, r#","spawned at":{}"#, JsonText(place))?;
    }
    if let Some(ready) = turn.ready {
        write!(out, r#","had to wait, us":{}"#, Micros(turn.start.saturating_sub(ready.at)))?;
        match ready.why {
            Why::Woken { by: 0, cause } => write!(out, r#","woken by":"{}""#, cause.as_str())?,
            Why::Woken { by, .. } => {
                write!(out, r#","woken by":{}"#, JsonText(timeline.title(by)))?;
            }
            Why::Spawned { .. } | Why::Yielded => {}
        }
    }
    write!(out, "}}")
}

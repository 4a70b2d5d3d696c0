//! The trace event format.

use std::cmp::Reverse;
use std::io::{self, Write};
use std::{mem, process};

use super::event::Cause;
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
    Writer { timeline, process: process::id(), separator: "", out }.write()
}

struct Writer<'a, W> {
    timeline: &'a Timeline,
    process: u32,
    /// What stands before the next event.
    separator: &'static str,
    out: &'a mut W,
}

impl<W: Write> Writer<'_, W> {
    fn write(&mut self) -> io::Result<()> {
        let timeline = self.timeline;
        let (within, across): (Vec<_>, Vec<_>) =
            timeline.spans.iter().partition(|span| timeline.is_in_one_turn(span));
        write!(self.out, r#"{{"displayTimeUnit":"ns","traceEvents":["#)?;
        self.write_title("process_name", 0, "tasks")?;
        for (number, lane) in timeline.lanes.iter().enumerate() {
            self.write_title("thread_name", number, &lane.title)?;
            let spans = within.iter().copied().filter(|span| span.lane == number);
            self.write_slices(number, slices(lane, spans))?;
            lane.steals.iter().try_for_each(|steal| self.write_steal(number, steal))?;
        }
        let outside = timeline.lanes.len();
        if across.iter().any(|span| span.lane == outside) {
            self.write_title("thread_name", outside, "other threads")?;
        }
        self.write_arrows()?;
        self.write_across(&across)?;
        for &(at, name, value) in &timeline.counters {
            let value = if value.is_finite() { value } else { 0.0 };
            self.begin(name, "counter", "C", 0, at)?;
            write!(self.out, r#","args":{{"value":{value}}}}}"#)?;
        }
        writeln!(self.out, "]}}")
    }

    /// Writes what all events have, and leaves this one open.
    fn begin(
        &mut self,
        name: &str,
        category: &str,
        phase: &str,
        lane: usize,
        at: u64,
    ) -> io::Result<()> {
        let separator = mem::replace(&mut self.separator, ",\n");
        let (name, pid, at) = (JsonText(name), self.process, Micros(at));
        write!(self.out, r#"{separator}{{"name":{name},"cat":"{category}","ph":"{phase}""#)?;
        write!(self.out, r#","pid":{pid},"tid":{lane},"ts":{at}"#)
    }

    fn write_title(&mut self, of: &str, lane: usize, title: &str) -> io::Result<()> {
        self.begin(of, "__metadata", "M", lane, 0)?;
        write!(self.out, r#","args":{{"name":{}}}}}"#, JsonText(title))
    }

    fn write_steal(&mut self, lane: usize, steal: &Steal) -> io::Result<()> {
        let Steal { at, tasks, from } = steal;
        self.begin("steals", "steal", "i", lane, *at)?;
        write!(self.out, r#","s":"t","args":{{"tasks":{tasks},"of worker":{from}}}}}"#)
    }

    /// Writes an arrow from what has made a turn possible to the turn, if that was a task.
    fn write_arrows(&mut self) -> io::Result<()> {
        let mut number = 0;
        for (lane, one) in self.timeline.lanes.iter().enumerate() {
            for turn in &one.turns {
                let Some(ready) = turn.ready else { continue };
                let what = match ready.why {
                    Why::Woken { by, .. } if by != 0 => "wakes",
                    Why::Spawned { by } if by != 0 => "spawns",
                    _ => continue,
                };
                self.begin(what, what, "s", ready.lane, ready.at)?;
                write!(self.out, r#","id":{number}}}"#)?;
                self.begin(what, what, "f", lane, turn.start)?;
                write!(self.out, r#","id":{number},"bp":"e"}}"#)?;
                number += 1;
            }
        }
        Ok(())
    }

    /// Writes the spans that do not lie within a turn.
    fn write_across(&mut self, spans: &[&Span]) -> io::Result<()> {
        for (number, span) in spans.iter().enumerate() {
            let task = JsonText(self.timeline.title(span.task));
            self.begin(span.name, "span", "b", span.lane, span.start)?;
            write!(self.out, r#","id":{number},"args":{{"task":{task}}}}}"#)?;
            self.begin(span.name, "span", "e", span.lane, span.end)?;
            write!(self.out, r#","id":{number}}}"#)?;
        }
        Ok(())
    }

    /// Writes beginnings and ends in the order of time. A slice's start with its length would not
    /// do: viewers add these as floating point numbers, and find that it ends after the next
    /// begins. What is told of a turn stands at its end, as some viewers tell slices apart by what
    /// their beginning says.
    fn write_slices(&mut self, lane: usize, slices: Vec<Slice<'_>>) -> io::Result<()> {
        let mut open: Vec<Slice<'_>> = Vec::new();
        for slice in slices {
            while let Some(over) = open.pop_if(|over| over.end() <= slice.start()) {
                self.write_end(lane, over)?;
            }
            self.write_edge(lane, slice, "B", slice.start())?;
            write!(self.out, "}}")?;
            open.push(slice);
        }
        open.into_iter().rev().try_for_each(|slice| self.write_end(lane, slice))
    }

    /// Writes what the beginning and the end of a slice have alike.
    fn write_edge(
        &mut self,
        lane: usize,
        slice: Slice<'_>,
        phase: &str,
        at: u64,
    ) -> io::Result<()> {
        let (name, category) = match slice {
            Slice::Turn(turn) => (&*format!("task {}", self.timeline.title(turn.task)), "turn"),
            Slice::Sleep(Sleep { carries: None, .. }) => ("asleep", "sleep"),
            Slice::Sleep(Sleep { carries: Some(other), .. }) => {
                (&*format!("carries worker {other}"), "sleep")
            }
            Slice::Span(span) => (span.name, "span"),
        };
        self.begin(name, category, phase, lane, at)
    }

    fn write_end(&mut self, lane: usize, slice: Slice<'_>) -> io::Result<()> {
        self.write_edge(lane, slice, "E", slice.end())?;
        if let Slice::Turn(turn) = slice {
            self.write_story(turn)?;
        }
        write!(self.out, "}}")
    }

    /// Writes how a turn ended, and what had made it possible.
    fn write_story(&mut self, turn: &Turn) -> io::Result<()> {
        let (timeline, out) = (self.timeline, &mut *self.out);
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
                Why::Woken { by: 0, cause } => {
                    write!(out, r#","woken by":"{}""#, cause.as_str())?;
                }
                Why::Woken { by, cause } => {
                    let what = if cause == Cause::Cancel { "cancelled" } else { "woken" };
                    write!(out, r#","{what} by":{}"#, JsonText(timeline.title(by)))?;
                }
                Why::Spawned { .. } | Why::Yielded => {}
            }
        }
        write!(out, "}}")
    }
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

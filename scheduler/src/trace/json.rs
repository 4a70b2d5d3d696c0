//! The trace event format.

use std::io::{self, Write};

use super::model::{Sleep, Steal, Timeline, Turn, Why};
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
    write!(out, r#"{{"name":"process_name","ph":"M","pid":1,"args":{{"name":"tasks"}}}}"#)?;
    for (lane, one) in timeline.lanes.iter().enumerate() {
        let title = JsonText(&one.title);
        write!(out, ",\n{{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":{lane}")?;
        write!(out, r#","args":{{"name":{title}}}}}"#)?;
        for turn in &one.turns {
            write_turn(timeline, lane, turn, out)?;
        }
        for &Sleep { start, end, carries } in &one.sleeps {
            let name =
                carries.map_or("asleep".to_owned(), |other| format!("carries worker {other}"));
            write!(out, ",\n{{\"name\":\"{name}\",\"cat\":\"sleep\",\"ph\":\"X\",\"pid\":1")?;
            write!(out, r#","tid":{lane},"ts":{},"dur":{}}}"#, Micros(start), Micros(end - start))?;
        }
        for &Steal { at, tasks, from } in &one.steals {
            write!(
                out,
                ",\n{{\"name\":\"steals\",\"cat\":\"steal\",\"ph\":\"i\",\"s\":\"t\",\"pid\":1"
            )?;
            write!(
                out,
                r#","tid":{lane},"ts":{},"args":{{"tasks":{tasks},"of worker":{from}}}}}"#,
                Micros(at)
            )?;
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
    for (number, span) in timeline.spans.iter().enumerate() {
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

fn write_turn(
    timeline: &Timeline,
    lane: usize,
    turn: &Turn,
    out: &mut impl Write,
) -> io::Result<()> {
    let title = JsonText(format!("task {}", timeline.title(turn.task)));
    let (start, long) = (Micros(turn.start), Micros(turn.end - turn.start));
    write!(out, ",\n{{\"name\":{title},\"cat\":\"turn\",\"ph\":\"X\",\"pid\":1,\"tid\":{lane}")?;
    write!(out, r#","ts":{start},"dur":{long},"args":{{"end":"{}""#, turn.how.as_str())?;
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
    write!(out, "}}}}")
}

//! The same as JSON.

use std::fmt::{self, Display, Formatter, Write};

use super::{Dump, TaskDump, TaskState};
use crate::park::Awaited;

impl Dump {
    /// The dump as JSON: for each runtime its groups, and for each group the tasks that are
    /// described; and the hints as text. Times are seconds, places are `file:line:column`.
    ///
    /// ```
    /// let json = lisle::run(|| lisle::dump().to_json());
    /// assert!(json.starts_with(r#"{"runtimes":[{"name":"#));
    /// ```
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out).expect("a string takes all that is written");
        out
    }

    fn write_json(&self, out: &mut String) -> fmt::Result {
        write!(out, r#"{{"runtimes":["#)?;
        for (place, runtime) in self.runtimes.iter().enumerate() {
            write!(out, r#"{}{{"name":{}"#, comma(place), Text(&runtime.name))?;
            write!(out, r#","workers":{},"busy":["#, runtime.workers)?;
            for (place, busy) in runtime.busy.iter().enumerate() {
                write!(out, r#"{}{{"worker":{}"#, comma(place), busy.worker)?;
                write!(out, r#","thread":{},"tasks":{}"#, Text(&busy.thread), busy.tasks)?;
                write!(out, r#","described":{}"#, busy.described)?;
                write!(out, r#","not_started":{}"#, busy.not_started)?;
                if let Some((task, spawned_at)) = &busy.running {
                    write!(out, r#","id":{},"name":{}"#, task.id(), Name(task.name()))?;
                    write!(out, r#","spawned_at":{}"#, Text(spawned_at))?;
                }
                out.push('}');
            }
            out.push_str(r#"],"groups":["#);
            for (place, group) in runtime.groups.iter().enumerate() {
                let state = state(group.state);
                write!(out, r#"{}{{"count":{}"#, comma(place), group.tally.tasks)?;
                write!(out, r#","state":"{state}","spawned_at":{}"#, Text(group.spawned_at))?;
                if let Some((reason, at)) = group.wait {
                    let (least, most) = (group.tally.least, group.tally.most);
                    write!(out, r#","reason":{},"at":{}"#, Text(reason), Text(at))?;
                    write!(
                        out,
                        r#","least":{},"most":{}"#,
                        least.as_secs_f64(),
                        most.as_secs_f64()
                    )?;
                }
                out.push_str(r#","tasks":["#);
                for (place, task) in group.tasks.iter().enumerate() {
                    out.push_str(comma(place));
                    write_task(out, task)?;
                }
                out.push_str("]}");
            }
            out.push_str("]}");
        }
        out.push_str(r#"],"hints":["#);
        for (place, hint) in self.hints.iter().enumerate() {
            write!(out, "{}{}", comma(place), Text(hint))?;
        }
        out.push_str("]}");
        Ok(())
    }
}

fn write_task(out: &mut String, task: &TaskDump) -> fmt::Result {
    write!(out, r#"{{"id":{},"name":{}"#, task.task.id(), Name(task.task.name()))?;
    match task.worker {
        Some(worker) => write!(out, r#","worker":{worker}"#)?,
        None => out.push_str(r#","worker":null"#),
    }
    if let Some(wait) = &task.wait {
        write!(out, r#","for":{},"awaited":["#, wait.parked_for().as_secs_f64())?;
        for (place, awaited) in wait.awaited().iter().enumerate() {
            out.push_str(comma(place));
            match awaited {
                Awaited::Task(task) => write!(out, r#"{{"task":{}}}"#, task.id())?,
                Awaited::Handles(handles) => {
                    write!(out, r#"{{"{}s":{}}}"#, handles.kind(), handles.alive())?;
                }
                Awaited::Release(held) => {
                    write!(out, r#"{{"held_since":{},"by":"#, Text(held.since()))?;
                    match held.by() {
                        Some(task) => write!(out, "{}}}", task.id())?,
                        None => out.push_str("null}"),
                    }
                }
            }
        }
        out.push(']');
    }
    if let Some(backtrace) = &task.backtrace {
        write!(out, r#","backtrace":{}"#, Text(backtrace))?;
    }
    out.push('}');
    Ok(())
}

fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Waiting => "waiting",
        TaskState::Ready => "ready",
        TaskState::NotStarted => "not started",
    }
}

fn comma(place: usize) -> &'static str {
    if place == 0 { "" } else { "," }
}

/// A string of JSON.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(Escaping(f), "{}", self.0)?;
        f.write_char('"')
    }
}

/// A string of JSON, or null.
struct Name<'a>(Option<&'a str>);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(name) => Text(name).fmt(f),
            None => f.write_str("null"),
        }
    }
}

struct Escaping<'a, 'b>(&'a mut Formatter<'b>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|char| match char {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            '\n' => self.0.write_str("\\n"),
            char if u32::from(char) < 0x20 => write!(self.0, "\\u{:04x}", u32::from(char)),
            // What would end a script element of a page, and lines of older JavaScript.
            '<' | '\u{2028}' | '\u{2029}' => write!(self.0, "\\u{:04x}", u32::from(char)),
            char => self.0.write_char(char),
        })
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(Text("a\"b\\c\nd\u{1}</é").to_string(), r#""a\"b\\c\nd\u0001\u003c/é""#);
        assert_eq!(Name(None).to_string(), "null");
        assert_eq!(Name(Some("x")).to_string(), r#""x""#);
    }
}

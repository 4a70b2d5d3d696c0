//! The page that shows a trace in a browser: `page.html`, with the data in place of a marker.

use std::collections::HashMap;
use std::io::{self, Write};

use super::model::{Timeline, Why};
use crate::dump::JsonText;

const PAGE: &str = include_str!("page.html");
const MARKER: &str = "/*DATA*/";

pub(super) fn write(timeline: &Timeline, out: &mut impl Write) -> io::Result<()> {
    let (before, after) = PAGE.split_once(MARKER).expect("the page has a place for the data");
    out.write_all(before.as_bytes())?;
    write_data(timeline, out)?;
    out.write_all(after.as_bytes())
}

/// Texts of which many turns have the same, each once.
#[derive(Default)]
struct Texts(HashMap<String, usize>, Vec<String>);

impl Texts {
    fn number(&mut self, text: String) -> usize {
        let Self(numbers, texts) = self;
        *numbers.entry(text).or_insert_with_key(|text| {
            texts.push(text.clone());
            texts.len() - 1
        })
    }
}

fn write_data(timeline: &Timeline, out: &mut impl Write) -> io::Result<()> {
    let mut texts = Texts::default();
    write!(out, "{{lost:{},lanes:[", timeline.lost)?;
    for lane in &timeline.lanes {
        write!(out, "{{title:{},sleeps:[", JsonText(&lane.title))?;
        lane.sleeps.iter().try_for_each(|sleep| {
            let carries = sleep.carries.map_or(-1, |worker| worker as i64);
            write!(out, "[{},{},{carries}],", sleep.start, sleep.end - sleep.start)
        })?;
        write!(out, "],steals:[")?;
        lane.steals
            .iter()
            .try_for_each(|steal| write!(out, "[{},{},{}],", steal.at, steal.tasks, steal.from))?;
        write!(out, "],turns:[")?;
        for turn in &lane.turns {
            let end = match turn.reason {
                Some((reason, place)) => format!("{} for: {reason}, at {place}", turn.how.as_str()),
                None => turn.how.as_str().to_owned(),
            };
            let (ready, by, lane, why) = match turn.ready {
                None => (turn.start, 0, 0, "not known".to_owned()),
                Some(ready) => {
                    let (by, why) = match ready.why {
                        Why::Spawned { by } => (by, "spawned".to_owned()),
                        Why::Woken { by, cause } => (by, format!("woken by {}", cause.as_str())),
                        Why::Yielded => (0, "it had let others run".to_owned()),
                    };
                    (ready.at, by, ready.lane, why)
                }
            };
            let waited = turn.start.saturating_sub(ready);
            let (end, why) = (texts.number(end), texts.number(why));
            write!(out, "[{},{},", turn.task, turn.start)?;
            write!(out, "{},{end},{waited},{by},{lane},{why}],", turn.end - turn.start)?;
        }
        write!(out, "]}},")?;
    }
    write!(out, "],tasks:{{")?;
    for (number, info) in &timeline.tasks {
        let name = info.name.as_deref().unwrap_or_default();
        let place = info.spawned_at.map(ToString::to_string).unwrap_or_default();
        write!(out, "{number}:[{},{}],", JsonText(name), texts.number(place))?;
    }
    write!(out, "}},spans:[")?;
    for span in &timeline.spans {
        let long = span.end - span.start;
        write!(out, "[{},{},{},{long}],", span.task, JsonText(span.name), span.start)?;
    }
    write!(out, "],counters:[")?;
    for &(at, name, value) in &timeline.counters {
        let value = if value.is_finite() { value } else { 0.0 };
        write!(out, "[{at},{},{value}],", JsonText(name))?;
    }
    write!(out, "],texts:[")?;
    texts.1.iter().try_for_each(|text| write!(out, "{},", JsonText(text)))?;
    write!(out, "]}}")
}

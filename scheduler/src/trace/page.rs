//! The page that shows a trace in a browser: `page.html`, with the data in place of a marker.

use std::collections::HashMap;
use std::io::{self, Write};

use super::model::{Lane, Timeline, Why};
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

/// Writes what comes one after the other, with commas between.
fn write_each<T, W: Write>(
    items: impl IntoIterator<Item = T>,
    out: &mut W,
    mut one: impl FnMut(T, &mut W) -> io::Result<()>,
) -> io::Result<()> {
    for (number, item) in items.into_iter().enumerate() {
        if number > 0 {
            write!(out, ",")?;
        }
        one(item, out)?;
    }
    Ok(())
}

fn write_data(timeline: &Timeline, out: &mut impl Write) -> io::Result<()> {
    let mut texts = Texts::default();
    write!(out, r#"{{"lost":{},"lanes":["#, timeline.lost)?;
    write_each(&timeline.lanes, out, |lane, out| write_lane(lane, &mut texts, out))?;
    write!(out, r#"],"tasks":{{"#)?;
    write_each(&timeline.tasks, out, |(number, info), out| {
        let name = JsonText(info.name.as_deref().unwrap_or_default());
        let place = info.spawned_at.map(ToString::to_string).unwrap_or_default();
        write!(out, r#""{number}":[{name},{}]"#, texts.number(place))
    })?;
    write!(out, r#"}},"spans":["#)?;
    write_each(&timeline.spans, out, |span, out| {
        let (name, long) = (JsonText(span.name), span.end - span.start);
        write!(out, "[{},{name},{},{long}]", span.task, span.start)
    })?;
    write!(out, r#"],"texts":["#)?;
    write_each(&texts.1, out, |text, out| write!(out, "{}", JsonText(text)))?;
    write!(out, "]}}")
}

fn write_lane(lane: &Lane, texts: &mut Texts, out: &mut impl Write) -> io::Result<()> {
    write!(out, r#"{{"title":{},"sleeps":["#, JsonText(&lane.title))?;
    write_each(&lane.sleeps, out, |sleep, out| {
        let carries = sleep.carries.map_or(-1, |worker| worker as i64);
        write!(out, "[{},{},{carries}]", sleep.start, sleep.end - sleep.start)
    })?;
    write!(out, r#"],"steals":["#)?;
    write_each(&lane.steals, out, |steal, out| {
        write!(out, "[{},{},{}]", steal.at, steal.tasks, steal.from)
    })?;
    write!(out, r#"],"turns":["#)?;
    write_each(&lane.turns, out, |turn, out| {
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
        let (waited, long) = (turn.start.saturating_sub(ready), turn.end - turn.start);
        let (end, why) = (texts.number(end), texts.number(why));
        write!(out, "[{},{},{long},{end},{waited},{by},{lane},{why}]", turn.task, turn.start)
    })?;
    write!(out, "]}}")
}

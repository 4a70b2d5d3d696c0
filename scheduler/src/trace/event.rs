//! What is recorded, as words of a ring.

use std::panic::Location;
use std::ptr;

use crate::park::Place;

/// How many words an event has, with its time.
pub(crate) const WORDS: usize = 6;

/// What happened. Tasks are numbers, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// The turn of a task is over, if there was one, and that of `next` begins, if there is one.
    Turn {
        how: How,
        reason: Option<(Text, Place)>,
        next: u64,
        spawned_at: Option<Place>,
    },
    /// A task became runnable.
    Wake {
        task: u64,
        by: u64,
        cause: Cause,
    },
    /// A task was spawned.
    Spawn {
        task: u64,
        by: u64,
        spawned_at: Place,
    },
    /// The beginning of a task's name.
    Name {
        task: u64,
        bytes: [u8; NAME],
    },
    /// The worker's thread goes to sleep, or has slept.
    Sleep,
    Awake,
    SpanBegin {
        task: u64,
        name: Text,
    },
    SpanEnd {
        task: u64,
        name: Text,
    },
    Counter {
        name: Text,
        value: f64,
    },
}

/// How many bytes of a name are kept.
pub(crate) const NAME: usize = 24;

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum How {
    /// None did.
    Nothing,
    Waits,
    Yields,
    Ends,
}

/// Why a task became runnable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cause {
    /// A task has woken it.
    Task,
    /// A thread that is no worker, or a descriptor.
    Elsewhere,
    Timer,
    Cancel,
}

/// A text of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) &'static str);

const TURN: u64 = 1;
const WAKE: u64 = 2;
const SPAWN: u64 = 3;
const NAMED: u64 = 4;
const SLEEP: u64 = 5;
const AWAKE: u64 = 6;
const SPAN_BEGIN: u64 = 7;
const SPAN_END: u64 = 8;
const COUNTER: u64 = 9;

/// Kind, a detail, and the length of a text share a word.
fn head(kind: u64, detail: u8, text: Option<Text>) -> u64 {
    let length = text.map_or(0, |text| text.0.len().min(u32::MAX as usize));
    kind | u64::from(detail) << 8 | (length as u64) << 32
}

fn of_place(place: Option<Place>) -> u64 {
    place.map_or(0, |place| ptr::from_ref(place).expose_provenance() as u64)
}

fn of_text(text: Option<Text>) -> u64 {
    text.map_or(0, |text| text.0.as_ptr().expose_provenance() as u64)
}

impl What {
    /// The words, the first of which is left for the time.
    #[inline]
    pub(super) fn encode(self) -> [u64; WORDS] {
        match self {
            Self::Turn { how, reason, next, spawned_at } => {
                let (text, place) = reason.unzip();
                let (place, spawned_at) = (of_place(place), of_place(spawned_at));
                [0, head(TURN, how as u8, text), next, spawned_at, place, of_text(text)]
            }
            Self::Wake { task, by, cause } => [0, head(WAKE, cause as u8, None), task, by, 0, 0],
            Self::Spawn { task, by, spawned_at } => {
                [0, head(SPAWN, 0, None), task, by, of_place(Some(spawned_at)), 0]
            }
            Self::Name { task, bytes } => {
                let word = |place: usize| {
                    let bytes = &bytes[place * 8..][..8];
                    u64::from_le_bytes(bytes.try_into().expect("it has eight"))
                };
                [0, head(NAMED, 0, None), task, word(0), word(1), word(2)]
            }
            Self::Sleep => [0, head(SLEEP, 0, None), 0, 0, 0, 0],
            Self::Awake => [0, head(AWAKE, 0, None), 0, 0, 0, 0],
            Self::SpanBegin { task, name } => {
                [0, head(SPAN_BEGIN, 0, Some(name)), task, 0, 0, of_text(Some(name))]
            }
            Self::SpanEnd { task, name } => {
                [0, head(SPAN_END, 0, Some(name)), task, 0, 0, of_text(Some(name))]
            }
            Self::Counter { name, value } => {
                [0, head(COUNTER, 0, Some(name)), value.to_bits(), 0, 0, of_text(Some(name))]
            }
        }
    }

    /// What the words say.
    ///
    /// # Safety
    ///
    /// They come from [`encode`](Self::encode), all from one call.
    pub(super) unsafe fn decode(words: [u64; WORDS]) -> Self {
        let [_, head, a, b, c, text] = words;
        // SAFETY: `encode` has written the address of a place that stays, or 0.
        let place = |word: u64| unsafe {
            ptr::with_exposed_provenance::<Location<'static>>(word as usize).as_ref()
        };
        let text = || {
            let start = ptr::with_exposed_provenance::<u8>(text as usize);
            // SAFETY: `encode` has written the address and the length of a text that stays.
            Text(unsafe {
                str::from_utf8_unchecked(std::slice::from_raw_parts(start, (head >> 32) as usize))
            })
        };
        let detail = (head >> 8) as u8;
        match head & 0xff {
            TURN => Self::Turn {
                how: How::from_code(detail),
                reason: place(c).map(|place| (text(), place)),
                next: a,
                spawned_at: place(b),
            },
            WAKE => Self::Wake { task: a, by: b, cause: Cause::from_code(detail) },
            SPAWN => {
                Self::Spawn { task: a, by: b, spawned_at: place(c).expect("a task has a place") }
            }
            NAMED => {
                let mut bytes = [0; NAME];
                let words = [b, c, words[5]];
                bytes
                    .iter_mut()
                    .zip(words.iter().flat_map(|word| word.to_le_bytes()))
                    .for_each(|(byte, from)| *byte = from);
                Self::Name { task: a, bytes }
            }
            SLEEP => Self::Sleep,
            AWAKE => Self::Awake,
            SPAN_BEGIN => Self::SpanBegin { task: a, name: text() },
            SPAN_END => Self::SpanEnd { task: a, name: text() },
            COUNTER => Self::Counter { name: text(), value: f64::from_bits(a) },
            _ => unreachable!("no event of this kind is recorded"),
        }
    }

    /// The beginning of a name.
    pub(crate) fn name(task: u64, name: &str) -> Self {
        let mut bytes = [0; NAME];
        let length = name.floor_char_boundary(NAME);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self::Name { task, bytes }
    }
}

impl How {
    fn from_code(code: u8) -> Self {
        [Self::Nothing, Self::Waits, Self::Yields, Self::Ends][usize::from(code)]
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "was running at the end",
            Self::Waits => "waits",
            Self::Yields => "lets others run",
            Self::Ends => "ends",
        }
    }
}

impl Cause {
    fn from_code(code: u8) -> Self {
        [Self::Task, Self::Elsewhere, Self::Timer, Self::Cancel][usize::from(code)]
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Task => "a task",
            Self::Elsewhere => "another thread or a descriptor",
            Self::Timer => "a timer",
            Self::Cancel => "a cancellation",
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn events_survive_a_ring() {
        let place = Location::caller();
        let name = Text("näme");
        let turn =
            |reason, next, spawned_at| What::Turn { how: How::Waits, reason, next, spawned_at };
        let events = [
            turn(Some((name, place)), 7, Some(place)),
            turn(None, 0, None),
            What::Wake { task: 1, by: 2, cause: Cause::Cancel },
            What::Spawn { task: u64::MAX, by: 0, spawned_at: place },
            What::name(3, "a name that is longer than can be kept"),
            What::name(3, ""),
            What::Sleep,
            What::Awake,
            What::SpanBegin { task: 1, name },
            What::SpanEnd { task: 0, name: Text("") },
            What::Counter { name, value: -0.5 },
        ];
        for event in events {
            // SAFETY: the words are whole.
            assert_eq!(unsafe { What::decode(event.encode()) }, event);
        }
    }
}

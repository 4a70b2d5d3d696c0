//! What is recorded, as words of a ring.

use std::panic::Location;
use std::ptr;

use crate::park::Place;

/// How many words an event has, with its time.
pub(crate) const WORDS: usize = 4;

/// An event as a ring has it: the time and the head share the first word.
pub(crate) type Words = [u64; WORDS];

/// What happened. Tasks are numbers, 0 for none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum What {
    /// The turn of a task is over, if there was one, and that of `next` begins, if there is one.
    Turn {
        how: How,
        reason: Option<(Text, Place)>,
        next: u64,
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
    /// A task was there when the recording began, or long ago.
    Known {
        task: u64,
        spawned_at: Place,
    },
    /// A part of a task's name, with zeros behind its end.
    Name {
        task: u64,
        part: u8,
        bytes: [u8; NAME_PART],
    },
    /// The worker's thread goes to sleep, or has slept.
    Sleep,
    Awake,
    /// While it sleeps, the worker's thread runs another worker.
    Carried {
        worker: u64,
    },
    /// The worker has taken tasks of another that have not started.
    Steal {
        tasks: u64,
        from: u64,
    },
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

/// How many bytes of a name an event has, and how many parts of one are kept.
pub(crate) const NAME_PART: usize = 16;
const NAME_PARTS: usize = 4;

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
    /// A thread that is no worker, or a task of another worker, which has said so there.
    Elsewhere,
    Descriptor,
    Timer,
    Cancel,
}

/// A text of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text(pub(crate) &'static str);

const TURN: u64 = 1;
const WAKE: u64 = 2;
const SPAWN: u64 = 3;
const KNOWN: u64 = 4;
const NAMED: u64 = 5;
const SLEEP: u64 = 6;
const AWAKE: u64 = 7;
const CARRIED: u64 = 8;
const STEAL: u64 = 9;
const SPAN_BEGIN: u64 = 10;
const SPAN_END: u64 = 11;
const COUNTER: u64 = 12;

/// The bits of the first word that are not the time's: a kind and a detail.
const HEAD_BITS: u32 = 8;
const KIND_BITS: u32 = 5;

/// Addresses of what the program has in its file are shorter than a word, so that the length of a
/// text fits above one.
const ADDRESS_BITS: u32 = 48;
const ADDRESS: u64 = (1 << ADDRESS_BITS) - 1;

/// The first word of an event.
#[inline(always)]
pub(super) fn stamped(head: u64, ticks: u64) -> u64 {
    head | ticks << HEAD_BITS
}

/// The ticks from `first` to the time in the first word of an event, of which the highest bits are
/// not there.
pub(super) fn ticks_since(first: u64, word: u64) -> u64 {
    (word >> HEAD_BITS).wrapping_sub(first) & (u64::MAX >> HEAD_BITS)
}

#[inline(always)]
fn head(kind: u64, detail: u8) -> u64 {
    kind | u64::from(detail) << KIND_BITS
}

#[inline(always)]
fn of_place(place: Place) -> u64 {
    ptr::from_ref(place).expose_provenance() as u64
}

/// The word with the length of a text, and the one with its address.
#[inline(always)]
fn of_text(text: Text) -> (u64, u64) {
    let length = text.0.len().min(usize::from(u16::MAX)) as u64;
    (length << ADDRESS_BITS, text.0.as_ptr().expose_provenance() as u64)
}

impl What {
    /// The words, of which the first is without the time.
    #[inline(always)]
    pub(super) fn encode(self) -> Words {
        match self {
            Self::Turn { how, reason: None, next } => [head(TURN, how as u8), next, 0, 0],
            Self::Turn { how, reason: Some((text, place)), next } => {
                let (length, text) = of_text(text);
                [head(TURN, how as u8), next, length | of_place(place), text]
            }
            Self::Wake { task, by, cause } => [head(WAKE, cause as u8), task, by, 0],
            Self::Spawn { task, by, spawned_at } => {
                [head(SPAWN, 0), task, by, of_place(spawned_at)]
            }
            Self::Known { task, spawned_at } => [head(KNOWN, 0), task, 0, of_place(spawned_at)],
            Self::Name { task, part, bytes } => {
                let [low, high] = [&bytes[..8], &bytes[8..]]
                    .map(|half| u64::from_le_bytes(half.try_into().expect("it has eight bytes")));
                [head(NAMED, part), task, low, high]
            }
            Self::Sleep => [head(SLEEP, 0), 0, 0, 0],
            Self::Awake => [head(AWAKE, 0), 0, 0, 0],
            Self::Carried { worker } => [head(CARRIED, 0), worker, 0, 0],
            Self::Steal { tasks, from } => [head(STEAL, 0), tasks, from, 0],
            Self::SpanBegin { task, name } => {
                let (length, text) = of_text(name);
                [head(SPAN_BEGIN, 0), task, length, text]
            }
            Self::SpanEnd { task, name } => {
                let (length, text) = of_text(name);
                [head(SPAN_END, 0), task, length, text]
            }
            Self::Counter { name, value } => {
                let (length, text) = of_text(name);
                [head(COUNTER, 0), value.to_bits(), length, text]
            }
        }
    }

    /// What the words say.
    ///
    /// # Safety
    ///
    /// They come from [`encode`](Self::encode), all from one call.
    pub(super) unsafe fn decode(words: Words) -> Self {
        let [first, a, b, c] = words;
        // SAFETY: `encode` has written the address of a place that stays, or 0.
        let place = |word: u64| unsafe {
            let address = (word & ADDRESS) as usize;
            ptr::with_exposed_provenance::<Location<'static>>(address).as_ref()
        };
        let text = || {
            let start = ptr::with_exposed_provenance::<u8>(c as usize);
            // SAFETY: `encode` has written the address of a text that stays, and its length, or
            // that of its beginning.
            let bytes = unsafe { std::slice::from_raw_parts(start, (b >> ADDRESS_BITS) as usize) };
            let whole = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
            Text(whole)
        };
        let detail = (first as u8) >> KIND_BITS;
        match first & ((1 << KIND_BITS) - 1) {
            TURN => Self::Turn {
                how: How::from_code(detail),
                reason: place(b).map(|place| (text(), place)),
                next: a,
            },
            WAKE => Self::Wake { task: a, by: b, cause: Cause::from_code(detail) },
            SPAWN => {
                Self::Spawn { task: a, by: b, spawned_at: place(c).expect("a task has a place") }
            }
            KNOWN => Self::Known { task: a, spawned_at: place(c).expect("a task has a place") },
            NAMED => {
                let mut bytes = [0; NAME_PART];
                bytes[..8].copy_from_slice(&b.to_le_bytes());
                bytes[8..].copy_from_slice(&c.to_le_bytes());
                Self::Name { task: a, part: detail, bytes }
            }
            SLEEP => Self::Sleep,
            AWAKE => Self::Awake,
            CARRIED => Self::Carried { worker: a },
            STEAL => Self::Steal { tasks: a, from: b },
            SPAN_BEGIN => Self::SpanBegin { task: a, name: text() },
            SPAN_END => Self::SpanEnd { task: a, name: text() },
            COUNTER => Self::Counter { name: text(), value: f64::from_bits(a) },
            _ => unreachable!("no event of this kind is recorded"),
        }
    }

    /// The beginning of a name, in parts.
    pub(crate) fn name(task: u64, name: &str) -> impl Iterator<Item = Self> {
        let name = &name[..name.floor_char_boundary(NAME_PART * NAME_PARTS)];
        name.as_bytes().chunks(NAME_PART).zip(0..).map(move |(chunk, part)| {
            let mut bytes = [0; NAME_PART];
            bytes[..chunk.len()].copy_from_slice(chunk);
            Self::Name { task, part, bytes }
        })
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
        [Self::Task, Self::Elsewhere, Self::Descriptor, Self::Timer, Self::Cancel]
            [usize::from(code)]
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Task => "a task",
            Self::Elsewhere => "another thread",
            Self::Descriptor => "a descriptor",
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
        let turn = |reason, next| What::Turn { how: How::Waits, reason, next };
        let events = [
            turn(Some((name, place)), 7),
            turn(None, 0),
            What::Wake { task: 1, by: 2, cause: Cause::Cancel },
            What::Spawn { task: u64::MAX, by: 0, spawned_at: place },
            What::Known { task: 9, spawned_at: place },
            What::Sleep,
            What::Awake,
            What::Carried { worker: 3 },
            What::Steal { tasks: 2, from: 1 },
            What::SpanBegin { task: 1, name },
            What::SpanEnd { task: 0, name: Text("") },
            What::Counter { name, value: -0.5 },
        ];
        let names =
            ["", "short", "a name that is longer than can be kept in any number of events ä"];
        let names = names.into_iter().flat_map(|name| What::name(3, name));
        for event in names.chain(events) {
            let [head, words @ ..] = event.encode();
            let [a, b, c] = words;
            // SAFETY: the words are whole.
            assert_eq!(unsafe { What::decode([stamped(head, u64::MAX), a, b, c]) }, event);
        }
        assert_eq!(What::name(3, "a name that is longer than two").count(), 2);
    }

    #[test]
    fn times_are_kept_although_their_highest_bits_are_not() {
        let first = u64::MAX - 5;
        assert_eq!(ticks_since(first, stamped(TURN, first.wrapping_add(1 << 50))), 1 << 50);
        assert_eq!(ticks_since(first, stamped(TURN, first)), 0);
    }
}

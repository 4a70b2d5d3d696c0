//! What the watch asks a worker, and what the handler on the worker's thread answers.
//!
//! The watch, or a dump, asks about one [`Turn`]: of the task that the thread was running when it
//! began to wait in the kernel, or when the turn was first seen. The handler answers if it has
//! interrupted that turn and no other, so a signal that comes late, when the thread has gone on,
//! names no innocent task. It prints nothing by itself: standard error may be a pipe that nobody
//! reads. It leaves its answer here, and the watch says it.
//!
//! One word has the state:
//!
//! ```text
//!           watch asks                 handler: this turn            handler is done
//!   NONE --------------> the turn ----------------------> ANSWERING ----------------> ANSWERED
//!    ^                     |   ^                                                          |
//!    |                     |   +-- watch asks anew                                        |
//!    +--- handler: another +                                                              |
//!    +------------------------------- watch has said it ----------------------------------+
//! ```
//!
//! The answer belongs to the handler in ANSWERING, and to the watch in ANSWERED, and in NONE, where
//! it can make room for the next one: a handler allocates nothing.

use std::cell::UnsafeCell;
use std::mem;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::park::Place;
use crate::task::TaskId;

/// A turn of a task on one worker. Two turns that follow each other differ, unless they are the
/// same task's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Turn(u64);

impl Turn {
    /// The turn of the task at `address`, on a worker that has begun this many.
    pub(crate) fn new(address: usize, begun: usize) -> Self {
        // The low bits of an address are zero. Only the low bits of the other number can change in
        // the time that it takes a signal to come.
        const MARK: u64 = 1 << 63;
        Self(MARK | ((address as u64 >> 6) ^ ((begun as u64) << 42)))
    }

    /// Not 0.
    pub(super) fn number(self) -> u64 {
        self.0
    }
}

const NONE: u64 = 0;
const ANSWERING: u64 = 1;
const ANSWERED: u64 = 2;

pub(super) struct Question<A> {
    state: AtomicU64,
    answer: UnsafeCell<A>,
}

// SAFETY: the state says which of the two parties has access to the answer.
unsafe impl<A: Send> Sync for Question<A> {}

/// What a handler says of the turn that it has interrupted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) thread: libc::pid_t,
    pub(crate) id: TaskId,
    pub(crate) name: Option<Name>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// How many tasks cannot go on meanwhile.
    pub(crate) others: usize,
}

/// What a handler sees of a task that does not run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighted {
    pub(crate) id: TaskId,
    pub(crate) name: Option<Name>,
    pub(crate) spawned_at: Place,
    /// Where it waits, and since when, unless it has been woken and has run.
    pub(crate) wait: Option<(Place, Instant)>,
}

/// The name of a task, or its beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Name {
    bytes: [u8; Self::LONGEST],
    length: usize,
}

/// What a handler has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing was asked: the signal means something else.
    Nothing,
    /// The question was meant for this thread.
    Something,
}

/// What has become of the last question when the next one was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// A handler has seen it.
    Heard,
    /// It is still there: the thread has had no signal.
    Unheard,
}

impl<A: Default> Question<A> {
    pub(super) fn new() -> Self {
        Self { state: AtomicU64::new(NONE), answer: UnsafeCell::default() }
    }

    /// Makes room for the answer to the next question, and takes back the one that was asked
    /// before. False if a handler is about to answer that. Called by the one that asks.
    pub(super) fn prepare(&self, room: A) -> bool {
        let before = self.state.load(Ordering::Relaxed);
        // Acquire: a handler that has answered is done with the answer.
        if before == ANSWERING
            || self
                .state
                .compare_exchange(before, NONE, Ordering::Acquire, Ordering::Relaxed)
                .is_err()
        {
            return false;
        }
        // SAFETY: in NONE there is nothing for a handler to answer, and nobody else asks.
        unsafe { *self.answer.get() = room };
        true
    }

    /// Asks about a turn, unless an answer is there or on its way. Called by the one that asks.
    pub(super) fn ask(&self, turn: Turn) -> Before {
        let before = self.state.load(Ordering::Relaxed);
        if matches!(before, ANSWERING | ANSWERED) {
            return Before::Heard;
        }
        // Should the handler come in between, the question is not asked this time.
        let _ = self.state.compare_exchange(before, turn.0, Ordering::Release, Ordering::Relaxed);
        if before == NONE { Before::Heard } else { Before::Unheard }
    }

    /// Answers if the question is about the present turn: `answer` returns whether there is
    /// anything to say. Called by the handler.
    pub(super) fn hear(&self, present: Option<Turn>, answer: impl FnOnce(&mut A) -> bool) -> Asked {
        let asked = self.state.load(Ordering::Acquire);
        if matches!(asked, NONE | ANSWERING | ANSWERED) {
            return Asked::Nothing;
        }
        let is_present = present.is_some_and(|present| present.0 == asked);
        let next = if is_present { ANSWERING } else { NONE };
        let heard =
            self.state.compare_exchange(asked, next, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if heard && is_present {
            // SAFETY: in ANSWERING the answer is the handler's.
            let says = answer(unsafe { &mut *self.answer.get() });
            self.state.store(if says { ANSWERED } else { NONE }, Ordering::Release);
        }
        Asked::Something
    }

    /// The answer, until it is [said](Self::clear). Called by the one that asks.
    pub(super) fn answer(&self) -> Option<A>
    where
        A: Copy,
    {
        // SAFETY: in ANSWERED the answer is the caller's.
        (self.state.load(Ordering::Acquire) == ANSWERED).then(|| unsafe { *self.answer.get() })
    }

    /// The answer, which is gone then. Called by the one that asks.
    pub(super) fn take(&self) -> Option<A> {
        if self.state.load(Ordering::Acquire) != ANSWERED {
            return None;
        }
        // SAFETY: as above.
        let answer = mem::take(unsafe { &mut *self.answer.get() });
        self.clear();
        Some(answer)
    }

    /// The answer was said. Called by the one that asks.
    pub(super) fn clear(&self) {
        self.state.store(NONE, Ordering::Release);
    }
}

impl Name {
    const LONGEST: usize = 64;

    pub(crate) fn new(name: &str) -> Self {
        let length = name.floor_char_boundary(Self::LONGEST);
        let mut bytes = [0; Self::LONGEST];
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        Self { bytes, length }
    }

    pub(crate) fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn answer(answer: &mut Option<Answer>) -> bool {
        let id = TaskId(NonZeroU64::MIN);
        let name = Some(Name::new("näme"));
        *answer = Some(Answer { thread: 1, id, name, spawned_at: Location::caller(), others: 3 });
        true
    }

    #[test]
    fn a_question_is_answered_in_the_turn_that_it_is_about() {
        let question = Question::new();
        let turn = Turn::new(0x7f00_1234_5640, 7);
        assert_eq!(question.hear(Some(turn), answer), Asked::Nothing);
        assert_eq!(question.ask(turn), Before::Heard);
        assert!(question.answer().is_none());
        assert_eq!(question.hear(Some(turn), answer), Asked::Something);
        assert_eq!(question.answer().flatten().map(|answer| answer.others), Some(3));
        // Neither party gets ahead.
        assert_eq!(question.hear(Some(turn), answer), Asked::Nothing);
        assert_eq!(question.ask(turn), Before::Heard);
        assert_eq!(question.answer().flatten().unwrap().name.unwrap().as_str(), "näme");
        question.clear();
        assert!(question.answer().is_none());
        assert_eq!(question.hear(Some(turn), answer), Asked::Nothing);
    }

    #[test]
    fn a_signal_that_comes_late_is_no_answer() {
        let address = 0x7f00_1234_5640;
        let turn = Turn::new(address, 7);
        let later = [Some(Turn::new(address + 192, 7)), Some(Turn::new(address, 8)), None];
        for present in later {
            let question = Question::new();
            assert_eq!(question.ask(turn), Before::Heard);
            assert_eq!(question.hear(present, answer), Asked::Something);
            assert!(question.answer().is_none());
            assert_eq!(question.ask(turn), Before::Heard);
        }
    }

    /// Whether the signal was lost, or the thread takes none.
    #[test]
    fn a_question_that_nobody_has_heard_is_asked_anew() {
        let question = Question::new();
        let (first, second) = (Turn::new(0x1000, 1), Turn::new(0x2000, 2));
        assert_eq!(question.ask(first), Before::Heard);
        assert_eq!(question.ask(second), Before::Unheard);
        assert_eq!(question.hear(Some(first), answer), Asked::Something);
        assert!(question.answer().is_none());
        assert_eq!(question.ask(second), Before::Heard);
        assert_eq!(question.hear(Some(second), answer), Asked::Something);
        assert!(question.answer().is_some());
    }

    #[test]
    fn room_is_made_before_a_question_and_not_amid_an_answer() {
        let question = Question::<Vec<u32>>::new();
        let (first, second) = (Turn::new(0x1000, 1), Turn::new(0x2000, 2));
        let tell = |number| {
            move |answer: &mut Vec<u32>| {
                answer.push(number);
                true
            }
        };
        assert!(question.prepare(Vec::with_capacity(4)));
        assert_eq!(question.ask(first), Before::Heard);
        // Nobody has heard it, and it is taken back.
        assert!(question.prepare(Vec::with_capacity(4)));
        assert_eq!(question.hear(Some(first), tell(1)), Asked::Nothing);
        assert_eq!(question.ask(second), Before::Heard);
        question.hear(Some(second), |answer| {
            assert!(!question.prepare(Vec::new()), "the handler has it");
            tell(2)(answer)
        });
        assert_eq!(question.take(), Some(vec![2]));
        assert_eq!(question.take(), None);
        // An answer that came too late for the one that has asked.
        assert_eq!(question.ask(first), Before::Heard);
        question.hear(Some(first), tell(3));
        assert!(question.prepare(Vec::new()));
        assert_eq!(question.take(), None);
    }

    #[test]
    fn a_long_name_is_cut_between_two_characters() {
        assert_eq!(Name::new("").as_str(), "");
        let long = "x".repeat(63) + "äy";
        assert_eq!(Name::new(&long).as_str(), "x".repeat(63));
        assert_eq!(Name::new(&long[1..]).as_str(), "x".repeat(62) + "ä");
    }
}

//! The contract of the switch, the part about what it carries: the words of a call and its answer,
//! and where the answering side can be continued.

mod support;

use std::cell::Cell;
use std::mem;
use std::ptr;

use lisle_runtime::stack::Stack;
use lisle_runtime::switch::{Context, Entry, Word, answer, call, prepare, switch_for_good};
use support::switch::stack;

/// What the two sides share. The stack is leaked if a test fails, since it may be in use.
struct Talk {
    caller: Cell<Context>,
    answerer: Cell<Context>,
    heard: Cell<usize>,
    other: Cell<Context>,
}

fn word(number: usize) -> Word {
    Word::new(ptr::without_provenance_mut(number))
}

fn number(word: Word) -> usize {
    // SAFETY: the tests look only at words that were filled in.
    unsafe { word.assume_init() }.addr()
}

/// Runs `test` with a talk to a fresh stack, which begins with `entry` and has ended afterwards.
fn talk_to(entry: Entry, test: impl FnOnce(&Talk)) {
    let stack: mem::ManuallyDrop<Stack> = mem::ManuallyDrop::new(stack());
    let talk = Talk {
        caller: Cell::new(Context::NONE),
        answerer: Cell::new(Context::NONE),
        heard: Cell::new(0),
        other: Cell::new(Context::NONE),
    };
    // SAFETY: the stack is unused, and never used again if the test panics.
    talk.answerer.set(unsafe { prepare(stack.top(), entry, (&raw const talk).cast_mut().cast()) });
    test(&talk);
    drop(mem::ManuallyDrop::into_inner(stack));
}

impl Talk {
    /// Calls the answerer. Returns its word, if it has answered.
    #[inline(always)]
    fn call(&self, said: Word) -> Option<usize> {
        // SAFETY: the answerer is fresh, or has told where it continues, and is continued once.
        let (word, from) = unsafe { call(self.caller.as_ptr(), self.answerer.get(), said) };
        self.answerer.set(from);
        (from != Context::NONE).then(|| number(word))
    }

    /// Answers the caller. Returns the word of its next call.
    #[inline(always)]
    fn answer(&self, said: Word) -> usize {
        // SAFETY: the caller waits in a call, and is continued once.
        number(unsafe { answer(self.caller.get(), said) })
    }
}

/// # Safety
///
/// `data` is a talk whose caller waits.
unsafe extern "C" fn double(data: *mut ()) -> ! {
    // SAFETY: the test keeps the talk until it is over.
    let talk = unsafe { &*data.cast::<Talk>() };
    let mut said = talk.answer(word(7));
    while said != 0 {
        said = talk.answer(word(said.wrapping_mul(2)));
    }
    // SAFETY: the caller waits, and nothing here has a destructor.
    unsafe { switch_for_good(talk.caller.get()) }
}

#[test]
fn a_word_goes_each_way() {
    talk_to(double, |talk| {
        assert_eq!(talk.call(Word::uninit()), Some(7), "a fresh stack gets no word");
        for turn in 1..1_000_000_usize {
            let said = turn.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
            assert_eq!(talk.call(word(said)), Some(said.wrapping_mul(2)));
        }
        assert_eq!(talk.call(word(0)), None, "a side that leaves for good has not answered");
    });
}

/// # Safety
///
/// As for [`double`].
unsafe extern "C" fn call_back(data: *mut ()) -> ! {
    // SAFETY: as in `double`.
    let talk = unsafe { &*data.cast::<Talk>() };
    // SAFETY: the caller waits in a call, as this one does then.
    let (said, from) = unsafe { call(talk.other.as_ptr(), talk.caller.get(), word(5)) };
    talk.heard.set(number(said));
    assert!(from == Context::NONE);
    // SAFETY: the caller waits, and nothing here has a destructor.
    unsafe { switch_for_good(talk.caller.get()) }
}

#[test]
fn a_call_of_a_caller_is_no_answer_but_brings_its_word() {
    talk_to(call_back, |talk| {
        // SAFETY: the other side is fresh, and the second time where its call has stored it.
        unsafe {
            let (said, from) = call(talk.caller.as_ptr(), talk.answerer.get(), Word::uninit());
            assert_eq!((number(said), from), (5, Context::NONE));
            let (_, from) = call(talk.caller.as_ptr(), talk.other.get(), word(6));
            assert_eq!(from, Context::NONE);
        }
        assert_eq!(talk.heard.get(), 6);
    });
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
mod registers {
    use super::support::switch::registers::{PRESERVED, call_with, narrow, pin, widen};
    use super::*;

    const COUNT: usize = PRESERVED.len();
    const TURNS: usize = 20;

    fn pattern(side: u64) -> [u64; COUNT] {
        std::array::from_fn(|index| {
            (side * 100 + index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
        })
    }

    /// Calls `work` with a pattern in each of the preserved registers, and compares.
    fn assert_preserved(side: u64, work: extern "C" fn(*mut ()), talk: &Talk) {
        let before = pattern(side);
        let mut after = [0; COUNT];
        let talk = ptr::from_ref(talk).cast_mut().cast();
        // SAFETY: the arrays have a word for each register; the works take a talk.
        unsafe { call_with(work, talk, before.as_ptr(), after.as_mut_ptr()) };
        assert_eq!(before, after, "{PRESERVED:?}, side {side}");
    }

    extern "C" fn call_once(talk: *mut ()) {
        // SAFETY: called with a talk whose answerer is suspended.
        unsafe { &*talk.cast::<Talk>() }.call(word(1));
    }

    extern "C" fn answer_once(talk: *mut ()) {
        // SAFETY: called with a talk whose caller waits.
        unsafe { &*talk.cast::<Talk>() }.answer(word(2));
    }

    /// # Safety
    ///
    /// As for [`double`].
    unsafe extern "C" fn answer_with_patterns(data: *mut ()) -> ! {
        // SAFETY: as in `double`.
        let talk = unsafe { &*data.cast::<Talk>() };
        for turn in 0..TURNS {
            assert_preserved(2 * turn as u64, answer_once, talk);
        }
        // SAFETY: the caller waits, and nothing here has a destructor.
        unsafe { switch_for_good(talk.caller.get()) }
    }

    #[test]
    fn what_a_call_preserves_survives_on_both_sides() {
        talk_to(answer_with_patterns, |talk| {
            for turn in 0..=TURNS {
                assert_preserved(2 * turn as u64 + 1, call_once, talk);
            }
            assert!(talk.answerer.get() == Context::NONE, "it has ended");
        });
    }

    /// Keeps numbers in more registers of either kind than there are, over `$switch`.
    macro_rules! hold {
        ($seed:expr, $switch:expr, $($integer:ident $wide:ident)*) => {
            let seed = $seed as u64;
            let mut next = seed;
            $( next += 1; let $integer = pin(next); let $wide = widen(next); )*
            $switch;
            let mut next = seed;
            $( next += 1; assert!(pin($integer) == next && narrow($wide) == Some(next)); )*
        };
    }

    /// # Safety
    ///
    /// As for [`double`].
    unsafe extern "C" fn answer_holding(data: *mut ()) -> ! {
        // SAFETY: as in `double`.
        let talk = unsafe { &*data.cast::<Talk>() };
        for turn in 1..=TURNS {
            hold!(turn << 20, talk.answer(word(turn)),
                a a2 b b2 c c2 d d2 e e2 f f2 g g2 h h2 i i2 j j2 k k2 l l2 m m2 n n2 o o2 p p2
                q q2 r r2 s s2 t t2 u u2 v v2 w w2 x x2 y y2 z z2 aa aa2 bb bb2 cc cc2 dd dd2);
        }
        // SAFETY: the caller waits, and nothing here has a destructor.
        unsafe { switch_for_good(talk.caller.get()) }
    }

    #[test]
    fn values_of_every_kind_survive_where_it_is_inlined() {
        talk_to(answer_holding, |talk| {
            for turn in 1..=TURNS {
                hold!(turn << 40, assert_eq!(talk.call(word(1)), Some(turn)),
                    a a2 b b2 c c2 d d2 e e2 f f2 g g2 h h2 i i2 j j2 k k2 l l2 m m2 n n2 o o2 p p2
                    q q2 r r2 s s2 t t2 u u2 v v2 w w2 x x2 y y2 z z2 aa aa2 bb bb2 cc cc2 dd dd2);
            }
            assert_eq!(talk.call(word(1)), None);
        });
    }
}

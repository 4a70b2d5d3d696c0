//! Panics belong to the stack that unwinds, although the standard library counts them by thread.
//!
//! `std::thread::panicking()` asks whether the calling *thread* unwinds. If a task, or a coroutine,
//! is suspended by a destructor in the middle of its panic, whatever runs next on the thread would
//! be told that it unwinds: it would poison the mutexes that it unlocks, and would not be unwound
//! itself. So a stack that is left amid a panic has its panics [set aside](set_aside): taken off
//! the thread's count, and put back when the stack goes on. Then `panicking()` tells each stack the
//! truth about itself.
//!
//! # How a count is changed from outside
//!
//! The standard library has no call for that. But it adds 1 when an unwinding begins and takes 1
//! off where it is caught, each time from the count of the thread that runs at that moment. A
//! `Token` is a stack that is suspended by a destructor in between:
//!
//! - to begin one on a thread adds 1 to the thread's count;
//! - to end one on a thread takes 1 off there, wherever it was begun.
//!
//! What has ended is a `Spare`, which can begin again. No panic hook runs and nothing is printed.
//!
//! ```text
//!                      count of the helper    of the worker    in the pool
//!  a task unwinds                0                  1                  0
//!  the helper begins one         1                  1                  1
//!  the task is left              1                  0                 0   the task keeps the spare
//!  the task goes on              1                  1                 1   which it has begun
//!  ... and is unwound            1                  0                  1
//!  the helper ends the token     0                  0                  0
//! ```
//!
//! What a token takes off must have been added somewhere: on the thread of the pool's *helper*,
//! whose own count does not matter. As long as there is a token, the count of the whole process is
//! not zero, and then `panicking()` takes a nanosecond longer everywhere; so the helper ends those
//! that were not asked for lately. Going on needs no helper and cannot fail.
//!
//! To set one panic aside and put it back takes two unwindings of a short stack, some microseconds,
//! and the first time the start of a thread. A stack that does not unwind pays for one load, that
//! of [`under_way`].
//!
//! # Where it does not work
//!
//! All this relies on how the standard library counts, so the helper tries it before the first use.
//! If it fails, or if there is no memory or no thread, [`set_aside`] says so: the wait of a task
//! that unwinds ends at once as if the other side were gone, and a coroutine that is to be entered
//! or suspended amid a panic panics instead. With `panic = "abort"` nothing unwinds, and in a loom
//! model all threads are one; nothing is ever set aside there.
//!
//! # Where panics are set aside
//!
//! - Where a task is left (see `lisle-scheduler`), and where a thread enters a runtime amid a
//!   panic.
//! - Where a coroutine is suspended: its own panics, which it keeps until it goes on.
//! - Where a coroutine is resumed: the panics of the resumer's stack and of those below, until the
//!   coroutine has answered. Meanwhile the coroutine seems to be in no panic, but may not start an
//!   unwinding that would come out into the destructor that has resumed it: hence the
//!   [note](set_note).
//! - Not where a coroutine is dropped: its unwinding is a part of the one that drops it.

mod pool;
mod token;

use std::thread;

use self::token::Spare;
use crate::last_words::abort_with;
use crate::once::FirstSet;
use crate::stack::fork;

/// Whether the calling stack unwinds, and may be left only after [`set_aside`].
#[inline(always)]
pub fn under_way() -> bool {
    cfg!(panic = "unwind") && !cfg!(lisle_loom) && thread::panicking()
}

/// Panics that do not count now. They belong to one stack, and so to one thread.
///
/// Dropped, they never go on: their stack is left for ever.
#[derive(Debug)]
#[must_use = "the stack whose panics these are must not go on without them"]
pub struct Aside {
    /// As many as there are panics, each linked to the next.
    first: Option<Spare>,
    count: u32,
    /// Of the process that has set them aside: a fork child does not have the spares.
    generation: u32,
}

/// Takes all panics that are under way off the calling thread's count.
///
/// `None` if that is not possible; then nothing has changed.
#[cold]
#[inline(never)]
pub fn set_aside() -> Option<Aside> {
    let mut aside = Aside { first: None, count: 0, generation: fork::generation() };
    while under_way() {
        let Some(token) = pool::token() else {
            aside.restore();
            return None;
        };
        aside.push(token.end());
    }
    Some(aside)
}

impl Aside {
    /// Puts the panics back: the stack goes on.
    #[cold]
    #[inline(never)]
    pub fn restore(mut self) {
        while self.count > 0 {
            let spare = match self.pop() {
                Some(spare) => spare,
                None => replacement(),
            };
            pool::give_token(spare.begin());
        }
    }

    fn push(&mut self, spare: Spare) {
        spare.link(self.first.take());
        self.first = Some(spare);
        self.count += 1;
    }

    /// A spare for the next panic, if this process has it.
    fn pop(&mut self) -> Option<Spare> {
        self.count -= 1;
        if self.generation != fork::generation() {
            std::mem::forget(self.first.take());
            return None;
        }
        let spare = self.first.take()?;
        self.first = spare.unlink();
        Some(spare)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        while self.count > 0 {
            if let Some(spare) = self.pop() {
                pool::give_spare(spare);
            }
        }
    }
}

#[cold]
fn replacement() -> Spare {
    match Spare::new() {
        Ok(spare) => spare,
        Err(error) => abort_with(format_args!("a panic cannot go on in a fork child: {error}")),
    }
}

/// How many threads of the process serve this module. None of them ever wakes a task.
pub fn helper_threads() -> usize {
    pool::helper_threads()
}

/// Notes whether a destructor that unwinds waits for what the running task does, and returns the
/// note before. Does nothing on a plain thread.
pub type Note = fn(bool) -> bool;

static NOTE: FirstSet<Note> = FirstSet::new();

/// Sets the function that keeps the notes. The first call wins.
pub fn set_note(note: &'static Note) {
    NOTE.set(note);
}

/// Calls `enter`, which leaves the calling stack, with its panics set aside. `None`, without
/// calling it, if they cannot be set aside.
#[cold]
#[inline(never)]
pub(crate) fn amid_panic<R>(enter: impl FnOnce() -> R) -> Option<R> {
    let aside = set_aside()?;
    let note = |below| NOTE.get().is_some_and(|note| note(below));
    let before = note(true);
    let result = enter();
    note(before);
    aside.restore();
    Some(result)
}

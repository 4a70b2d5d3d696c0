//! A place where one party waits for one event: the counterpart of a `WaitQueue` without a queue.
//!
//! One word tells both sides how far the other one is:
//!
//! ```text
//!   EMPTY --- wait ---> WAITING --- notify ---> event, and the notifier wakes the waiter
//!     ^                    |
//!     +----- time-out -----+
//!   EMPTY --- notify or try_set ---> event, which a wait finds before it parks
//! ```
//!
//! Each arrow is one atomic read-modify-write, so exactly one side finds that it was second. The
//! event stays, and a code tells what it was: so one that comes before the wait is not lost, and a
//! side that only has to know whether it was first needs no second word.
//!
//! The unparker's field belongs to the waiter, but to the notifier that has replaced WAITING.
//!
//! What else waits alone does without:
//!
//! - a wait that only its deadline ends has no notifier: `park_until` in `sleep.rs`;
//! - where the event is part of a state under a lock, as in `team/threads.rs`, the unparker lies in
//!   that state: a word beside the lock would say the same again;
//! - a bell, as in the tests, wakes only a party that waits already, and that again and again: it
//!   keeps the unparker behind a lock.
//!
//! A cell whose waiter waits again and again, as in `future/`, is cleared in between.

#[cfg(all(test, lisle_loom))]
mod models;

use std::mem::{self, offset_of};
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU8, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;

use crate::park::{AsWait, Unparker, Wake, park};

/// The cell. The head of its file explains it.
///
/// It cannot end or move while a party waits: the wait borrows it, and holds the unparker until it
/// is used or taken back.
#[derive(Debug)]
pub struct WaitCell {
    state: AtomicU8,
    unparker: UnsafeCell<Option<Unparker>>,
}

/// What a cell is notified of: a code that its owner has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event(u8);

const EMPTY: u8 = 0;
const WAITING: u8 = 1;

impl Event {
    const FIRST: u8 = WAITING + 1;

    /// The event with this code.
    ///
    /// # Panics
    ///
    /// If `code` is larger than 253.
    pub const fn new(code: u8) -> Self {
        assert!(code <= u8::MAX - Self::FIRST, "the code of an event is too large");
        Self(code + Self::FIRST)
    }

    /// What a cell has in its place for the state.
    pub(crate) const fn code(self) -> u8 {
        self.0
    }

    #[inline]
    fn of(state: u8) -> Option<Self> {
        (state >= Self::FIRST).then_some(Self(state))
    }
}

// SAFETY: the word says which side may touch the unparker, and an unparker may be used anywhere.
unsafe impl Sync for WaitCell {}

impl WaitCell {
    /// Where a debugger finds its state.
    pub(crate) const STATE: usize = offset_of!(Self, state);

    /// A cell without an event.
    pub fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), unparker: UnsafeCell::new(None) }
    }

    /// The event, if there was one. Then all that was done before its `notify` is visible.
    #[inline]
    pub fn event(&self) -> Option<Event> {
        // Acquire pairs with the release in `notify`.
        Event::of(self.state.load(Ordering::Acquire))
    }

    /// Waits for the event, until `deadline`. See [`park`](fn@park), which it calls, for `wait`,
    /// panics and cancellation. If the event has come, it returns [`Wake::Unparked`] at once, also
    /// in a task that is cancelled.
    ///
    /// After any other result the party may wait again.
    ///
    /// # Safety
    ///
    /// No other party waits at this cell.
    #[inline(always)]
    #[track_caller]
    pub unsafe fn wait(&self, wait: impl AsWait, deadline: Option<Instant>) -> Wake {
        if self.event().is_some() {
            return Wake::Unparked;
        }
        park(wait, deadline, |unparker| self.announce(unparker), || self.retract())
    }

    /// Sets the event, in place of any earlier one, and wakes the waiter. Returns the earlier one.
    ///
    /// If it returns `None`, the other side may have ended the cell already.
    #[inline(always)]
    pub fn notify(&self, event: Event) -> Option<Event> {
        // Release publishes what was done before; acquire takes over the unparker, or what the
        // other side did before its event.
        let before = self.state.swap(event.0, Ordering::AcqRel);
        if before == WAITING {
            // The waiter stays, and with it the cell, until its unparker is used.
            self.take_unparker().expect("WAITING says that there is one").unpark();
        }
        Event::of(before)
    }

    /// Sets the event unless there was one before, which is the error. For the side that waits, and
    /// does not do so now: it wakes nobody.
    #[inline]
    pub fn try_set(&self, event: Event) -> Result<(), Event> {
        let (release, acquire) = (Ordering::Release, Ordering::Acquire);
        match self.state.compare_exchange(EMPTY, event.0, release, acquire) {
            Ok(_) => Ok(()),
            Err(before) => Err(Event::of(before).expect("the party that waits sets no event")),
        }
    }

    /// Makes the cell as new: it is without an event. For the side that waits, and does not do so
    /// now. What was done before an event that it had is visible.
    pub(crate) fn clear(&self) {
        // An exchange: a notifier that comes before it in the order of the word is seen, and one
        // that comes after it leaves its event. Acquire pairs with the release in `notify`.
        self.state.swap(EMPTY, Ordering::Acquire);
    }

    /// Sets the event in place of an earlier one. For a side that has found that one, which is the
    /// last thing that the other side does.
    #[inline]
    pub(crate) fn replace(&self, event: Event) {
        self.state.store(event.0, Ordering::Release);
    }

    /// Lets notifiers know that a party waits. If the event has come meanwhile, wakes it at once.
    #[inline]
    pub(crate) fn announce(&self, unparker: Unparker) {
        // SAFETY: the word is not WAITING, so the field is this party's, and empty.
        let before = self.unparker.with_mut(|field| unsafe { (*field).replace(unparker) });
        debug_assert!(before.is_none(), "an unparker is used or taken back before the next");
        // Nothing is to be dropped, but that the compiler does not know.
        mem::forget(before);
        // Release hands the unparker over; acquire is for what was done before the event.
        if self
            .state
            .compare_exchange(EMPTY, WAITING, Ordering::Release, Ordering::Acquire)
            .is_err()
        {
            self.wake_at_once();
        }
    }

    #[cold]
    #[inline(never)]
    fn wake_at_once(&self) {
        self.take_unparker().expect("it was announced").unpark();
    }

    /// Takes the announcement back, unless a notifier has already taken the unparker.
    pub(crate) fn retract(&self) -> Option<Unparker> {
        self.state
            .compare_exchange(WAITING, EMPTY, Ordering::Relaxed, Ordering::Acquire)
            .ok()
            .and_then(|_| self.take_unparker())
    }

    fn take_unparker(&self) -> Option<Unparker> {
        // SAFETY: the caller has just moved the word out of WAITING, or failed to move it in;
        // either way the field is its own.
        self.unparker.with_mut(|field| unsafe { (*field).take() })
    }
}

impl Default for WaitCell {
    fn default() -> Self {
        Self::new()
    }
}

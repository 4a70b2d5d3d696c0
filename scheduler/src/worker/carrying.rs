//! When a worker lets its thread run another one: see [`carry`](crate::carry).
//!
//! A task that wakes a sleeping mate's task most often waits for the answer soon, and then its
//! worker has nothing else to do. To wake the mate's thread would take that 50 µs, and the woken
//! thread would find the processor busy. So the mate is only *called*; when the turn has ended, it
//! is carried if the worker idles, and rung for if there are more tasks, since then two processors
//! are wanted.
//!
//! A task that computes on in its turn would keep the mate waiting. So a call is made without a
//! ring only by a worker whose latest *rounds*, from one idle moment to the next, were short; and
//! the keeper of the mate looks once in a millisecond.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Worker;
use crate::carry::Mate;
use crate::post::Post;
use crate::trace::What;

/// A longer round than this may have had something for two processors to do.
const SHORT_ROUND: Duration = Duration::from_micros(4);

/// After this many short rounds, a worker is taken for one side of an exchange.
const ENOUGH_ROUNDS: u32 = 4;

/// What is counted at most, and what a long round takes away from that: one of them may be due to
/// another process, two are not.
const MOST_ROUNDS: u32 = 16;
const LONG_ROUND_COSTS: u32 = 8;

/// This many rounds of an exchange are timed together, which is enough to notice a long one.
const ROUNDS_TIMED: u32 = 4;

/// The mates that a worker has called, and how it gets on with them.
pub(super) struct Calls {
    /// The mate that was called last in this turn.
    called: Cell<Option<Call>>,
    /// Whether a mate's task was woken since the worker idled last.
    has_woken: Cell<bool>,
    /// How many rounds in a row were short, within bounds.
    short_rounds: Cell<u32>,
    /// When the clock was last looked at between two rounds, and how many have ended since.
    clock: Cell<Instant>,
    untimed: Cell<u32>,
}

#[derive(Clone, Copy)]
struct Call {
    mate: Mate,
    has_rung: bool,
}

impl Calls {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            called: Cell::new(None),
            has_woken: Cell::new(false),
            short_rounds: Cell::new(0),
            clock: Cell::new(now),
            untimed: Cell::new(0),
        }
    }

    /// Notes that a mate's task was woken, and that the mate was awake.
    #[inline]
    pub(super) fn note_wake(&self) {
        self.has_woken.set(true);
    }

    /// Whether the worker is one side of an exchange: it waits for an answer whenever it idles, and
    /// that comes soon.
    pub(super) fn alternate(&self) -> bool {
        self.short_rounds.get() >= ENOUGH_ROUNDS
    }

    /// Whether a mate was called and has not been rung for.
    pub(super) fn is_silent(&self) -> bool {
        self.called.get().is_some_and(|call| !call.has_rung)
    }

    /// Forgets the mate that was called, and returns it if it has not been rung for.
    #[inline]
    fn take_silent(&self) -> Option<Mate> {
        self.called.get()?;
        self.called.take().filter(|call| !call.has_rung).map(|call| call.mate)
    }

    /// Takes the mate that was called, whether it has been rung for or not.
    fn take(&self) -> Option<Mate> {
        self.called.take().map(|call| call.mate)
    }
}

impl Worker {
    /// Calls a mate that was found asleep after one of its tasks was woken.
    #[inline]
    pub(super) fn call_mate(&self, post: &Post) {
        self.calls.has_woken.set(true);
        let Some(mate) = post.mate().filter(|_| self.driver.carries()) else { return post.ring() };
        self.ring_for_mate();
        let is_silent = self.calls.alternate() && mate.call();
        self.calls.called.set(Some(Call { mate, has_rung: !is_silent }));
        if is_silent {
            self.poll_after_this_turn();
        } else {
            post.ring();
        }
    }

    /// The worker has nothing to run: carries the mate that it has called. False, and at once, if
    /// there is none, or it does not rest. The caller is counted as busy.
    pub(super) fn carry_mate(&self) -> bool {
        let Some(mate) = self.calls.take() else { return false };
        if !self.driver.can_be_left()
            || self.has_arrivals()
            || self.has_more_to_do()
            || self.is_shutting_down()
        {
            mate.ring();
            return false;
        }
        // It does not become the watcher, as others do that idle: a busy worker which sees that
        // there is none appoints one, and one that stops watching does so.
        self.team.idle.enter_as_sleeper();
        let is_wanted = || self.team.is_wanted();
        let (timer, rest) = (self.until_next_timer(), || self.rest_to_come());
        self.note_carrying(mate);
        let carried = self.post.sleep_and_carry(mate, &self.driver, timer, is_wanted, rest);
        self.note(What::Awake);
        self.team.idle.note_awakening();
        self.stop_sleeping();
        if !carried {
            // It may be about to rest.
            mate.ring();
        }
        carried
    }

    /// The worker has other things to do: a mate that it has called is rung for.
    #[inline]
    pub(super) fn ring_for_mate(&self) {
        if let Some(mate) = self.calls.take_silent() {
            mate.ring();
        }
    }

    /// The worker goes on after it has rested, while its thread ran a mate.
    pub(super) fn poll_after_carrying(&self) {
        let (calls, untimed) = (&self.calls, self.calls.untimed.get() + 1);
        let waits_for_time = !self.timers.borrow().is_empty() || self.driver.has_waits();
        let is_one_of_many = calls.has_woken.get() && calls.alternate() && untimed < ROUNDS_TIMED;
        if is_one_of_many && !waits_for_time {
            calls.has_woken.set(false);
            calls.untimed.set(untimed);
            self.poll_by_old_clock();
        } else {
            self.poll();
            self.begin_round();
        }
    }

    /// Notes that the worker goes on after an idle moment. It has just looked at the clock.
    pub(super) fn begin_round(&self) {
        let calls = &self.calls;
        let now = self.clock.get();
        let length = now.saturating_duration_since(calls.clock.replace(now));
        let (rounds, counted) = (calls.short_rounds.get(), calls.untimed.replace(0) + 1);
        let are_short = calls.has_woken.replace(false) && length <= SHORT_ROUND;
        calls.short_rounds.set(if are_short {
            MOST_ROUNDS.min(rounds + counted)
        } else {
            rounds.saturating_sub(LONG_ROUND_COSTS)
        });
    }
}

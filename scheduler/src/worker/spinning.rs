//! Whether it is worthwhile to spin before a sleep.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// After this many spins in a row that were in vain, a worker sleeps at once.
const MOST_VAIN_SPINS: u32 = 4;

/// At most this many sleeps have to end soon before spinning is tried again.
const MOST_PATIENCE: u32 = 1024;

/// When this much is missing between two looks at the clock, the processor was taken from a thread
/// that span: it has run for so long that the system prefers others, and again and again would
/// have to wait for them when its work comes. A thread that sleeps gets its processor at once.
const PREEMPTED: Duration = Duration::from_micros(200);

/// So long a worker then does without spinning at first, and at most. It is the other's time slices
/// that it would otherwise lose against.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// What a worker knows of its idle moments.
pub(super) struct Spins {
    /// How many spins in a row were in vain.
    vain: Cell<u32>,
    /// How many sleeps without a spin before were so short that spinning should have caught their
    /// end, since spinning was given up.
    soon: Cell<u32>,
    /// How many of those it takes to try again: twice as many each time that this was in vain, half
    /// as many after each catch. What comes soon after the worker has fallen asleep may come
    /// because it sleeps, as from a worker that shares its processor. And what was caught then may
    /// have come because the processor was taken from the spinning thread.
    patience: Cell<u32>,
    /// The next idle moment is known to be long.
    skips_next: Cell<bool>,
    /// Since when, and for how long, it does without, because its processor was taken from it.
    pause: Cell<Option<(Instant, Duration)>>,
}

impl Spins {
    pub(super) fn new() -> Self {
        Self {
            vain: Cell::new(0),
            soon: Cell::new(0),
            patience: Cell::new(1),
            skips_next: Cell::new(false),
            pause: Cell::new(None),
        }
    }

    /// Whether to spin now.
    pub(super) fn are_worthwhile(&self, now: Instant) -> bool {
        !self.skips_next.take() && !self.are_given_up() && !self.are_paused(now)
    }

    fn are_paused(&self, now: Instant) -> bool {
        self.pause.get().is_some_and(|(since, length)| now.duration_since(since) < length)
    }

    /// A spin has lasted from `before` to `now` between two looks at the clock. True if it ends
    /// here, because the processor was taken from it: it is done without for a while, and for twice
    /// as long if that came soon after the last such pause.
    pub(super) fn are_preempted(&self, before: Instant, now: Instant) -> bool {
        if now.duration_since(before) < PREEMPTED {
            return false;
        }
        let length = match self.pause.get() {
            Some((since, length)) if now.duration_since(since) < length * 3 => {
                LONGEST_PAUSE.min(length * 2)
            }
            _ => FIRST_PAUSE,
        };
        self.pause.set(Some((now, length)));
        true
    }

    fn are_given_up(&self) -> bool {
        self.vain.get() >= MOST_VAIN_SPINS
    }

    /// The next spin would be in vain.
    pub(super) fn skip_next(&self) {
        self.skips_next.set(true);
    }

    /// Something came during a spin.
    pub(super) fn note_catch(&self) {
        self.vain.set(0);
        self.patience.set((self.patience.get() / 2).max(1));
    }

    /// A spin was in vain.
    pub(super) fn note_vain_spin(&self) {
        self.vain.set(self.vain.get() + 1);
    }

    /// Something came so soon after the worker fell asleep, without a spin, that one should have
    /// caught it.
    pub(super) fn note_short_sleep(&self) {
        if !self.are_given_up() {
            return;
        }
        self.soon.set(self.soon.get() + 1);
        if self.soon.get() >= self.patience.get() {
            self.soon.set(0);
            self.vain.set(0);
            self.patience.set(MOST_PATIENCE.min(self.patience.get() * 2));
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    /// How many of `moments` begin with a spin, all of which are in vain, if something always comes
    /// soon after the worker has fallen asleep.
    fn vain_spins(spins: &Spins, moments: u32) -> u32 {
        let (mut spun, now) = (0, Instant::now());
        for _ in 0..moments {
            if spins.are_worthwhile(now) {
                spun += 1;
                spins.note_vain_spin();
            } else {
                spins.note_short_sleep();
            }
        }
        spun
    }

    #[test]
    fn spinning_in_vain_becomes_ever_rarer() {
        let spins = Spins::new();
        assert_eq!(vain_spins(&spins, 5), 4, "the fifth is a sleep, after which it tries again");
        assert!(vain_spins(&spins, 10_000) < 100);
    }

    #[test]
    fn a_catch_makes_it_worthwhile_again() {
        let (spins, now) = (Spins::new(), Instant::now());
        vain_spins(&spins, 10_000);
        while !spins.are_worthwhile(now) {
            spins.note_short_sleep();
        }
        spins.note_catch();
        assert!(spins.are_worthwhile(now));
        assert!(vain_spins(&spins, 1_000) <= 8, "one catch does not say much");
        (0..MOST_PATIENCE.ilog2()).for_each(|_| spins.note_catch());
        assert_eq!(vain_spins(&spins, 4), 4);
        spins.note_short_sleep();
        assert!(spins.are_worthwhile(now), "one short sleep is enough after many");
    }

    #[test]
    fn a_worker_whose_processor_was_taken_does_without() {
        let (spins, start) = (Spins::new(), Instant::now());
        assert!(!spins.are_preempted(start, start + PREEMPTED / 2));
        assert!(spins.are_worthwhile(start));

        // It tries again after 50, 100, 200 ms and so on, always in vain.
        let (mut now, mut tries) = (start, 0);
        while now < start + Duration::from_secs(60) {
            if spins.are_worthwhile(now) {
                tries += 1;
                now += PREEMPTED;
                assert!(spins.are_preempted(now - PREEMPTED, now));
                assert!(!spins.are_worthwhile(now));
            }
            now += Duration::from_millis(1);
        }
        assert!((15..25).contains(&tries), "{tries}");

        // What was long ago says nothing of this one.
        now += 3 * LONGEST_PAUSE;
        assert!(spins.are_preempted(now - PREEMPTED, now));
        assert!(!spins.are_worthwhile(now + FIRST_PAUSE - PREEMPTED));
        assert!(spins.are_worthwhile(now + FIRST_PAUSE));
    }
}

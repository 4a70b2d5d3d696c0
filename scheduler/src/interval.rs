//! Intervals: waits for moments that are equally far apart.

use std::time::{Duration, Instant};

use crate::clock::now;
use crate::sleep::sleep_until;

/// Moments that are a period apart, for which a loop waits one after the other: [`interval`] and
/// [`interval_at`] make it.
///
/// A receiver whose messages are such moments, for a `select!`, is `lisle::channel::tick`.
#[derive(Debug)]
pub struct Interval {
    period: Duration,
    /// `None` if there is no representable moment any more.
    next: Option<Instant>,
    missed: MissedTick,
}

/// What becomes of moments that are over before somebody waits for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedTick {
    /// They come all at once, until the loop has caught up. Their number is kept.
    #[default]
    Burst,
    /// The next one is a period after the wait for the late one has ended. The distance is kept.
    Delay,
    /// They are left out, and the next one is a whole number of periods from the first. The beat is
    /// kept.
    Skip,
}

/// Moments that are `period` apart, the first of which is now.
///
/// # Panics
///
/// If `period` is zero.
///
/// # Examples
///
/// ```
/// use lisle::time::{MissedTick, interval};
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let start = Instant::now();
///     let mut beat = interval(Duration::from_millis(1)).missed(MissedTick::Skip);
///     for _ in 0..4 {
///         beat.tick(); // the first one does not wait
///     }
///     assert!(start.elapsed() >= Duration::from_millis(3));
/// });
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(now(), period)
}

/// Moments that are `period` apart, the first of which is `start`.
///
/// # Panics
///
/// If `period` is zero.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(!period.is_zero(), "the period of an interval must not be zero");
    Interval { period, next: Some(start), missed: MissedTick::default() }
}

impl Interval {
    /// Says what becomes of moments that are missed. The default is [`MissedTick::Burst`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::time::{MissedTick, interval};
    ///
    /// lisle::run(|| {
    ///     let mut ticks = interval(Duration::from_millis(2)).missed(MissedTick::Skip);
    ///     ticks.tick();
    ///     lisle::sleep(Duration::from_millis(7)); // three ticks are missed
    ///     ticks.tick(); // at once, for the first of them; the others are left out
    /// });
    /// ```
    pub fn missed(mut self, missed: MissedTick) -> Self {
        self.missed = missed;
        self
    }

    /// Waits for the next moment, and returns it. It does not wait if that is over, but then too
    /// gives the other tasks their turn now and then: see [`sleep_until`]. After the last
    /// representable moment it waits for ever.
    ///
    /// If the wait is unwound the moment is not lost: the next call waits for it.
    ///
    /// # Panics
    ///
    /// As [`sleep`](fn@crate::sleep).
    #[track_caller]
    pub fn tick(&mut self) -> Instant {
        let Some(due) = self.next else {
            crate::sleep::sleep(Duration::MAX);
            return now();
        };
        sleep_until(due);
        self.next = self.after(due, now());
        due
    }

    /// The moment after `due`, for which the wait has ended `now`.
    fn after(&self, due: Instant, now: Instant) -> Option<Instant> {
        /// A wake-up that is late by less than this is not a missed moment.
        const TOLERANCE: Duration = Duration::from_millis(5);
        let next = due.checked_add(self.period)?;
        if now.saturating_duration_since(due) <= TOLERANCE {
            return Some(next);
        }
        match self.missed {
            MissedTick::Burst => Some(next),
            MissedTick::Delay => now.checked_add(self.period),
            MissedTick::Skip => {
                let late = now.saturating_duration_since(due).as_nanos();
                let behind = late % self.period.as_nanos();
                // Less than a period, which is a duration.
                let ahead = self.period - Duration::from_nanos_u128(behind);
                now.checked_add(ahead)
            }
        }
    }

    /// Begins anew: the next moment is a period from now.
    pub fn reset(&mut self) {
        self.next = now().checked_add(self.period);
    }

    /// The distance of the moments.
    pub fn period(&self) -> Duration {
        self.period
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_millis(100);

    /// The moment after one that was late, in milliseconds from that.
    fn after(missed: MissedTick, late: u64) -> u64 {
        let due = now();
        let next = interval_at(due, PERIOD).missed(missed);
        let next = next.after(due, due + Duration::from_millis(late)).unwrap();
        (next - due).as_millis() as u64
    }

    #[test]
    fn what_is_on_time_is_a_period_apart() {
        for missed in [MissedTick::Burst, MissedTick::Delay, MissedTick::Skip] {
            assert_eq!([after(missed, 0), after(missed, 5)], [100, 100], "{missed:?}");
        }
    }

    #[test]
    fn what_is_missed_comes_late_or_never() {
        assert_eq!(after(MissedTick::Burst, 350), 100);
        assert_eq!(after(MissedTick::Delay, 350), 450);
        assert_eq!(after(MissedTick::Skip, 350), 400);
        assert_eq!(after(MissedTick::Skip, 30), 100);
        assert_eq!(after(MissedTick::Skip, 300), 400);
    }

    #[test]
    #[should_panic(expected = "the period of an interval must not be zero")]
    fn a_period_of_zero_is_refused() {
        let _ = interval(Duration::ZERO);
    }
}

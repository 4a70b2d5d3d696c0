//! std's `Instant`, read from the clock of the runtime.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::{self, Duration};

use super::now;

/// A moment by the clock of the caller's runtime: what std's [`Instant`](time::Instant) is by the
/// system's.
///
/// It has the methods of std's, so that a program can be tested with [virtual
/// time](crate::RuntimeBuilder::virtual_time) once it says `use lisle::time::Instant`. The two are
/// made of each other by `into`: a deadline is std's everywhere, as what [`now`] returns.
///
/// # Examples
///
/// ```
/// use lisle::time::{Instant, sleep, timeout_at};
/// use std::time::Duration;
///
/// lisle::Runtime::builder().virtual_time(true).run(|| {
///     let start = Instant::now();
///     sleep(Duration::from_secs(3600));
///     assert_eq!(start.elapsed(), Duration::from_secs(3600));
///
///     let deadline = start + Duration::from_secs(3601);
///     assert!(timeout_at(deadline.into(), || sleep(Duration::from_secs(5))).is_err());
///     assert_eq!(Instant::now(), deadline);
/// }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(time::Instant);

impl Instant {
    /// What time it is: as [`now`] says.
    #[inline]
    #[must_use]
    pub fn now() -> Self {
        Self(now())
    }

    /// The time since then by the clock of the caller's runtime, or zero.
    #[inline]
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        now().saturating_duration_since(self.0)
    }

    /// The time from the earlier moment to this one, or zero.
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.0.duration_since(earlier.0)
    }

    /// The time from the earlier moment to this one, or `None` if it is not the earlier one.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_duration_since(earlier.0)
    }

    /// The time from the earlier moment to this one, or zero.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_duration_since(earlier.0)
    }

    /// The moment this much later, if there is one.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }

    /// The moment this much earlier, if there is one.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.0.checked_sub(duration).map(Self)
    }
}

impl From<time::Instant> for Instant {
    fn from(moment: time::Instant) -> Self {
        Self(moment)
    }
}

impl From<Instant> for time::Instant {
    fn from(moment: Instant) -> Self {
        moment.0
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Panics if there is no such moment.
    #[track_caller]
    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// Panics if there is no such moment.
    #[track_caller]
    fn sub(self, duration: Duration) -> Self {
        Self(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    /// The time from the other moment to this one, or zero.
    fn sub(self, earlier: Self) -> Duration {
        self.0 - earlier.0
    }
}

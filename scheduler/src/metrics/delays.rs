//! The histogram of how long runnable tasks wait.

use std::fmt;
use std::time::Duration;

/// How long runnable tasks have waited for their turn: a histogram of samples.
///
/// A worker takes a sample now and then, at most once in 64 switches. It is the time in which all
/// tasks that were runnable at a moment had a turn, so that the last of them has waited as long. A
/// task that was runnable alone has not waited. What comes before a task is in a queue is not part
/// of it: that its worker computes before it learns of a wake-up from another thread, or has to be
/// woken itself.
///
/// Nothing is counted unless [that is asked for](crate::RuntimeBuilder::queue_delays).
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueDelays {
    pub(crate) counts: [u64; Self::BUCKETS],
    pub(crate) sum: Duration,
}

impl QueueDelays {
    /// Of 1, 2, 4, … µs, and the last without an end.
    pub(crate) const BUCKETS: usize = 24;

    /// The first whose bound is not below a delay.
    pub(crate) fn bucket_of(delay: Duration) -> usize {
        let microseconds = delay.as_nanos().div_ceil(1000).max(1);
        let bits = microseconds.next_power_of_two().trailing_zeros() as usize;
        bits.min(Self::BUCKETS - 1)
    }

    fn bound(bucket: usize) -> Duration {
        match bucket {
            _ if bucket + 1 == Self::BUCKETS => Duration::MAX,
            _ => Duration::from_micros(1 << bucket),
        }
    }

    /// How many delays were not above each of some bounds: 1 µs, and each time the double of that,
    /// up to about 4 s; at last [`Duration::MAX`], for all. That is what Prometheus calls the
    /// buckets of a histogram.
    ///
    /// ```
    /// let delays = lisle::metrics::QueueDelays::default();
    /// assert_eq!(delays.buckets().last(), Some((std::time::Duration::MAX, 0)));
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.counts.into_iter().enumerate();
        counts.scan(0, |sum, (bucket, count)| {
            *sum += count;
            Some((Self::bound(bucket), *sum))
        })
    }

    /// How many samples there are.
    ///
    /// ```
    /// assert_eq!(lisle::metrics::QueueDelays::default().count(), 0);
    /// ```
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all delays.
    ///
    /// ```
    /// assert!(lisle::metrics::QueueDelays::default().sum().is_zero());
    /// ```
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// A bound that this part of the delays, from 0 to 1, is not above: at most twice as much as
    /// the delay itself. `None` without samples; [`Duration::MAX`] beyond about 4 s.
    ///
    /// ```
    /// assert_eq!(lisle::metrics::QueueDelays::default().quantile(0.99), None);
    /// ```
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        let wanted = ((part.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        self.buckets().find(|(_, below)| *below >= wanted).map(|(bound, _)| bound)
    }

    /// Those of two workers.
    pub(crate) fn and(self, other: Self) -> Self {
        let counts = std::array::from_fn(|bucket| self.counts[bucket] + other.counts[bucket]);
        Self { counts, sum: self.sum + other.sum }
    }
}

impl fmt::Debug for QueueDelays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("QueueDelays");
        out.field("count", &self.count()).field("sum", &self.sum);
        out.field("median", &self.quantile(0.5)).field("p99", &self.quantile(0.99)).finish()
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    fn of(delays: &[Duration]) -> QueueDelays {
        let mut all = QueueDelays::default();
        for delay in delays {
            all.counts[QueueDelays::bucket_of(*delay)] += 1;
            all.sum = all.sum.saturating_add(*delay);
        }
        all
    }

    #[test]
    fn a_delay_is_counted_below_the_next_bound() {
        let microseconds = Duration::from_micros;
        for (delay, bound) in [
            (Duration::ZERO, microseconds(1)),
            (Duration::from_nanos(1), microseconds(1)),
            (microseconds(1), microseconds(1)),
            (Duration::from_nanos(1001), microseconds(2)),
            (microseconds(1024), microseconds(1024)),
            (microseconds(1025), microseconds(2048)),
            (microseconds(1 << 22), microseconds(1 << 22)),
            (microseconds((1 << 22) + 1), Duration::MAX),
            (Duration::MAX, Duration::MAX),
        ] {
            assert_eq!(of(&[delay]).quantile(1.0), Some(bound), "{delay:?}");
        }
    }

    #[test]
    fn quantiles_and_buckets_go_by_the_counts() {
        let micro = Duration::from_micros;
        let delays = of(&[micro(1), micro(2), micro(2), micro(100)]);
        assert_eq!((delays.count(), delays.sum()), (4, micro(105)));
        for (part, bound) in [(0.0, 1), (0.25, 1), (0.26, 2), (0.75, 2), (0.76, 128), (1.0, 128)] {
            assert_eq!(delays.quantile(part), Some(micro(bound)), "{part}");
        }
        let buckets: Vec<_> = delays.buckets().collect();
        assert_eq!(buckets.len(), QueueDelays::BUCKETS);
        assert_eq!(buckets[..3], [(micro(1), 1), (micro(2), 3), (micro(4), 3)]);
        assert_eq!(buckets[7], (micro(128), 4));
        assert_eq!(buckets.last(), Some(&(Duration::MAX, 4)));
    }
}

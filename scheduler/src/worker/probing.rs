//! How long tasks wait for their turns, measured by samples.
//!
//! Nothing is noted with a task: its control block has no room, and its turn no time. Instead the
//! worker notes, when it polls, how many tasks are in its queue, and looks at the clock again when
//! the last of them has its turn. Between two samples lie [`POLL_INTERVAL`] switches, so that they
//! cost one poll more in that time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::{POLL_INTERVAL, Worker};
use crate::metrics::QueueDelays;

/// A sample that was begun.
#[derive(Default)]
pub(super) struct Probe {
    /// When it was begun, by the worker's clock.
    since: Cell<Option<Instant>>,
    /// Turns until the last task has its own.
    left: Cell<u64>,
}

impl Worker {
    /// Counts turns that were given.
    pub(super) fn count_for_probe(&self, turns: u64) {
        let left = self.probe.left.get();
        if left > 0 {
            self.probe.left.set(left.saturating_sub(turns));
            if left <= turns {
                self.tracer.poll_next();
            }
        }
    }

    /// Turns until the next poll.
    pub(super) fn turns_until_poll(&self) -> u32 {
        match u32::try_from(self.probe.left.get()) {
            Ok(left @ 1..POLL_INTERVAL) => left,
            _ => POLL_INTERVAL,
        }
    }

    /// Ends a sample that is due, or begins one. The worker has just looked at its clock, and
    /// counted its switches.
    #[cold]
    pub(super) fn probe_queue(&self) {
        let probe = &self.probe;
        let waiting = self.queue.counts().runnable as u64;
        if let Some(since) = probe.since.get() {
            if probe.left.get() == 0 || waiting == 0 {
                probe.since.set(None);
                probe.left.set(0);
                self.note_queue_delay(self.clock.get().saturating_duration_since(since));
            }
        } else if waiting == 1 {
            self.note_queue_delay(Duration::ZERO);
        } else if waiting > 1 {
            probe.since.set(Some(self.clock.get()));
            probe.left.set(waiting - 1);
        }
        self.count_switches(self.interval());
    }

    fn note_queue_delay(&self, delay: Duration) {
        self.post.add(|counters| &counters.delays[QueueDelays::bucket_of(delay)], 1);
        let nanoseconds = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        self.post.add(|counters| &counters.delayed, nanoseconds);
    }
}

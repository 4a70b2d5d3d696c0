//! The counters of one worker. [`metrics`](mod@crate::metrics) says what they count.
//!
//! Their atomics are std's even in a model: nothing is decided by them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::{QueueDelays, WorkerMetrics};

/// Only the owner of the post writes them.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) switches: Counter,
    pub(crate) searches: Counter,
    pub(crate) steals: Counter,
    pub(crate) wakes_sent: Counter,
    pub(crate) wakes_received: Counter,
    pub(crate) sleeps: Counter,
    pub(crate) vain_spins: Counter,
    pub(crate) live: Counter,
    pub(crate) runnable: Counter,
    pub(crate) parked: Counter,
    pub(crate) stacks: Counter,
    pub(crate) started: Counter,
    /// How many of those have been counted again: tasks whose results have destructors that may
    /// wait.
    pub(crate) restarted: Counter,
    /// Nanoseconds.
    pub(crate) idle: Counter,
    pub(crate) timers: Counter,
    pub(crate) fired: Counter,
    pub(crate) io_waits: Counter,
    pub(crate) io_looks: Counter,
    pub(crate) io_reports: Counter,
    pub(crate) delays: [Counter; QueueDelays::BUCKETS],
    /// Nanoseconds.
    pub(crate) delayed: Counter,
}

/// A number that one thread writes and any may read.
#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Called by the owner of the post alone: two writers would lose counts.
    #[inline]
    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    #[inline]
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn read(&self) -> WorkerMetrics {
        WorkerMetrics {
            switches: self.switches.get(),
            searches: self.searches.get(),
            steals: self.steals.get(),
            wakes_sent: self.wakes_sent.get(),
            wakes_received: self.wakes_received.get(),
            sleeps: self.sleeps.get(),
            vain_spins: self.vain_spins.get(),
            live_tasks: self.live.get(),
            parked_tasks: self.parked.get(),
            runnable_tasks: self.runnable.get(),
            cached_stacks: self.stacks.get(),
            started_tasks: self.started.get().saturating_sub(self.restarted.get()),
            idle_time: Duration::from_nanos(self.idle.get()),
            pending_timers: self.timers.get(),
            fired_timers: self.fired.get(),
            io_waits: self.io_waits.get(),
            io_looks: self.io_looks.get(),
            io_reports: self.io_reports.get(),
            queue_delays: QueueDelays {
                counts: self.delays.each_ref().map(Counter::get),
                sum: Duration::from_nanos(self.delayed.get()),
            },
        }
    }
}

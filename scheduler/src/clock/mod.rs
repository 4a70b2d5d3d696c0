//! The clock by which tasks wait: the system's, or that of a runtime with [virtual
//! time](crate::RuntimeBuilder::virtual_time).
//!
//! Whatever computes a deadline for a wait asks [`now`]. A process in which there has been no
//! runtime with virtual time pays for that with one load and a branch.
//!
//! The clock of such a runtime stands while one of its tasks can run. When all of them wait, the
//! worker that falls asleep last moves it to the first deadline of the team, unless something
//! *holds* it that will wake a task without it: a task that waits for a descriptor, a blocking
//! call, or a [`Hold`].

mod control;
mod held;
pub(crate) mod instant;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Mutex;

pub use self::control::{advance, hold, pause, resume};
pub use self::held::Hold;
pub(crate) use self::held::hold_for_call;
use crate::worker;

/// Whether this process has had a runtime with virtual time.
static IS_IN_USE: AtomicBool = AtomicBool::new(false);

/// What time it is: by the clock of the caller's runtime in a task, by the system's elsewhere.
#[inline]
pub fn now() -> Instant {
    if IS_IN_USE.load(Ordering::Relaxed) { of_caller() } else { Instant::now() }
}

#[cold]
fn of_caller() -> Instant {
    worker::with_current(|worker| worker.map_or_else(Instant::now, |worker| worker.now()))
}

/// The clock of one runtime.
pub(crate) struct VirtualClock {
    start: Instant,
    reading: Mutex<Reading>,
    /// For each worker that sleeps, when its first timer is due, in nanoseconds since the start.
    due: Box<[AtomicU64]>,
    /// How much holds the clock, beside descriptors.
    holds: AtomicUsize,
    has_told: AtomicBool,
}

#[derive(Clone, Copy)]
struct Reading {
    /// What the clock showed when it was set last, counted from the start.
    set_to: Duration,
    /// Since when it runs, by the system's clock. `None` while it stands.
    runs_since: Option<Instant>,
}

/// In place of a moment: no timer is set.
const NEVER: u64 = u64::MAX;

impl VirtualClock {
    pub(crate) fn new(workers: usize) -> Self {
        IS_IN_USE.store(true, Ordering::Relaxed);
        Self {
            start: Instant::now(),
            reading: Mutex::new(Reading { set_to: Duration::ZERO, runs_since: None }),
            due: (0..workers).map(|_| AtomicU64::new(NEVER)).collect(),
            holds: AtomicUsize::new(0),
            has_told: AtomicBool::new(false),
        }
    }

    /// Before all that it will ever show.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn now(&self) -> Instant {
        let reading = *self.reading.lock();
        self.start + reading.shows()
    }

    /// Whether it stands still while tasks run.
    pub(crate) fn stands(&self) -> bool {
        self.reading.lock().runs_since.is_none()
    }

    /// How long to sleep until `deadline`: not at all if it has come, and until something else
    /// happens if the clock stands.
    pub(crate) fn until(&self, deadline: Instant) -> Option<Duration> {
        let left = deadline.saturating_duration_since(self.now());
        (left.is_zero() || !self.stands()).then_some(left)
    }

    /// A worker is about to sleep, and says when its first timer is due.
    pub(crate) fn announce(&self, worker: usize, deadline: Option<Instant>) {
        let due = deadline.map_or(NEVER, |deadline| self.since_start(deadline));
        // Before the announcement of the sleep, which the worker that looks has seen.
        self.due[worker].store(due, Ordering::Release);
    }

    /// When the first timer of all is due, as the announcements say.
    pub(crate) fn first_deadline(&self) -> Option<Duration> {
        let first = self.due.iter().map(|due| due.load(Ordering::Acquire)).min();
        first.filter(|&first| first != NEVER).map(Duration::from_nanos)
    }

    /// Which workers have a timer that is due.
    pub(crate) fn workers_due(&self) -> impl Iterator<Item = usize> {
        let shows = nanos(self.reading.lock().shows());
        let due = self.due.iter().enumerate();
        due.filter(move |(_, due)| due.load(Ordering::Acquire) <= shows).map(|(index, _)| index)
    }

    /// Moves the clock on to a moment after the start, unless that has passed.
    pub(crate) fn move_to(&self, moment: Duration) {
        let mut reading = self.reading.lock();
        let moment = moment.max(reading.shows());
        reading.set(moment);
    }

    /// Moves the clock on, but no further than a clock can show.
    pub(super) fn advance(&self, time: Duration) {
        let mut reading = self.reading.lock();
        let moment = reading.shows().saturating_add(time).min(Duration::from_nanos(NEVER - 1));
        if self.start.checked_add(moment).is_some() {
            reading.set(moment);
        }
    }

    /// Shows the start again. No task waits for it.
    pub(crate) fn reset(&self) {
        self.reading.lock().set(Duration::ZERO);
    }

    fn set_running(&self, runs: bool) {
        let mut reading = self.reading.lock();
        let shows = reading.shows();
        *reading = Reading { set_to: shows, runs_since: runs.then(Instant::now) };
    }

    fn since_start(&self, moment: Instant) -> u64 {
        nanos(moment.saturating_duration_since(self.start))
    }

    /// How many blocking calls and [`Hold`]s hold the clock.
    pub(crate) fn holds(&self) -> usize {
        self.holds.load(Ordering::Acquire)
    }

    /// Whether this is the first report about this clock.
    pub(crate) fn tells_first(&self) -> bool {
        !self.has_told.swap(true, Ordering::Relaxed)
    }
}

impl Reading {
    fn shows(self) -> Duration {
        self.set_to + self.runs_since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn set(&mut self, moment: Duration) {
        *self = Self { set_to: moment, runs_since: self.runs_since.map(|_| Instant::now()) };
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(NEVER)
}

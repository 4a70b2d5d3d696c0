//! Time: waits that end by the clock, while other tasks run.
//!
//! **Tests of what takes time** need not take it: in a runtime with [virtual
//! time](crate::RuntimeBuilder::virtual_time), as `#[lisle::test(virtual_time)]` makes one, the
//! clock stands while tasks run and jumps when all of them wait. [`now`] reads it, and [`Instant`]
//! is by it what std's is by the system's.
//!
//! Receivers whose messages come from the clock, for a `select!`, are in [`channel`]:
//! [`after`], [`at`] and [`tick`].
//!
//! ```
//! use std::time::{Duration, Instant};
//!
//! lisle::run(|| {
//!     let start = Instant::now();
//!     let sleepers: Vec<_> = (0..1000)
//!         .map(|_| lisle::spawn(|| lisle::time::sleep(Duration::from_millis(5))))
//!         .collect();
//!     for sleeper in sleepers {
//!         sleeper.join().unwrap();
//!     }
//!     assert!(start.elapsed() >= Duration::from_millis(5)); // and not 1000 times that
//! });
//! ```
//!
//! [`channel`]: mod@crate::channel
//! [`after`]: crate::channel::after
//! [`at`]: crate::channel::at
//! [`tick`]: crate::channel::tick

#[doc(inline)]
pub use lisle_scheduler::{
    Elapsed, Hold, Instant, Interval, MissedTick, advance, hold, interval, interval_at, now, pause,
    resume, sleep, sleep_until, timeout, timeout_at,
};

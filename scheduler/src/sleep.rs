//! Sleeping: a wait that nothing but its deadline ends.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::clock::now;
use crate::explore::points::pass;
use crate::park::{AsWait, Reason, Wake, park};
use crate::worker::yield_now;

/// Lets at least `duration` pass while other tasks run.
///
/// A task parks; a plain thread blocks. It is never too short, but in the destructors of a task
/// that is being cancelled: there it returns at once. With a `duration` of zero a task has its next
/// turn after all others. A duration that ends after the last representable [`Instant`] never ends.
///
/// # Panics
///
/// Unwinds a task that is cancelled. Panics in a task inside
/// [`no_suspend`](lisle_runtime::no_suspend).
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let start = Instant::now();
///     lisle::sleep(Duration::from_millis(2));
///     assert!(start.elapsed() >= Duration::from_millis(2));
/// });
/// ```
#[track_caller]
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        yield_now();
    } else {
        wait_until(now().checked_add(duration));
    }
}

/// Lets time pass until `deadline` while other tasks run. Returns at once if it has passed, but not
/// every time if it is asked again and again: see [`turn`](mod@crate::turn).
///
/// # Panics
///
/// As [`sleep`].
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let deadline = Instant::now() + Duration::from_millis(2);
///     lisle::sleep_until(deadline);
///     assert!(Instant::now() >= deadline);
/// });
/// ```
#[track_caller]
pub fn sleep_until(deadline: Instant) {
    wait_until(Some(deadline));
}

#[track_caller]
fn wait_until(deadline: Option<Instant>) {
    const REASON: Reason = Reason::new("sleeping");
    pass();
    let _ = park_until(REASON, deadline);
}

/// Parks the caller until `deadline`, or for ever: nobody gets the unparker. It ends with
/// [`Wake::TimedOut`] or [`Wake::Failed`]; see [`park`](fn@park) for the rest.
#[track_caller]
#[inline]
pub fn park_until(wait: impl AsWait, deadline: Option<Instant>) -> Wake {
    let unparker = Cell::new(None);
    park(wait, deadline, |mine| unparker.set(Some(mine)), || unparker.take())
}

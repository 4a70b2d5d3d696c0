//! Time-outs: regions that the clock ends.

use std::fmt;
use std::time::{Duration, Instant};

use super::region::{Limits, run};
use crate::clock::now;

/// The error of [`timeout`] and [`timeout_at`]: the time was over before the body had a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

/// Runs `body`, but for no longer than `duration`: when that has passed, `body` is unwound from its
/// present wait or the next one, with all that it has called, and its destructors run.
///
/// It stays on the calling task, so `body` may borrow. A value that `body` returns counts, although
/// it comes late. So with a `duration` of zero what need not wait is still done. A duration that
/// ends after the last representable [`Instant`] never ends.
///
/// Regions may be nested in any way: each catches what is meant for itself and lets all else pass,
/// as the cancellation of the whole task. A [`shield`](fn@crate::shield) inside puts the end off,
/// and one outside does not matter, so that a destructor can wait for a while and no longer.
/// In a destructor that runs amid an unwinding, however, waits that are over time fail as if the
/// other side were gone, and nothing is unwound. Code that computes without waiting has to call
/// [`check_cancelled`](fn@crate::check_cancelled) to notice.
///
/// On a plain thread it works in Lisle's waits, and nowhere else, and in `check_cancelled`. In a
/// program built with `panic = "abort"` nothing can be unwound: waits that are over time fail
/// instead.
///
/// # Errors
///
/// [`Elapsed`], if `body` was unwound.
///
/// # Panics
///
/// With the panic of `body`. A coroutine that has entered a region cannot be suspended inside,
/// which panics.
///
/// # Examples
///
/// ```
/// use lisle::channel::unbounded;
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded();
///     sender.send(1).unwrap();
///     let mut sum = 0;
///     let outcome = lisle::timeout(Duration::from_millis(2), || {
///         loop {
///             sum += receiver.recv().unwrap(); // the second one waits
///         }
///     });
///     assert!(outcome.is_err());
///     assert_eq!(sum, 1);
/// });
/// ```
pub fn timeout<T>(duration: Duration, body: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let is_over = duration.is_zero();
    let deadline = if is_over { None } else { now().checked_add(duration) };
    if deadline.is_none() && !is_over {
        return Ok(body());
    }
    until(Limits { deadline, is_over, link: None }, body)
}

/// As [`timeout`], until `deadline`. If that has passed, what need not wait is still done.
///
/// # Errors
///
/// As [`timeout`].
///
/// # Panics
///
/// As [`timeout`].
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let deadline = Instant::now() + Duration::from_millis(2);
///     assert_eq!(lisle::timeout_at(deadline, || 6 * 7), Ok(42));
///     assert!(lisle::timeout_at(deadline, || lisle::channel::never::<()>().recv()).is_err());
/// });
/// ```
pub fn timeout_at<T>(deadline: Instant, body: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let is_over = deadline <= now();
    until(Limits { deadline: Some(deadline), is_over, ..Limits::default() }, body)
}

#[inline]
fn until<T>(limits: Limits, body: impl FnOnce() -> T) -> Result<T, Elapsed> {
    run(limits, body).ok_or(Elapsed(()))
}

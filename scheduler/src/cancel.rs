//! Cancellation: where it strikes a task.
//!
//! A cancelled task is unwound at its *cancellation points*: in the wait in which it is found,
//! before it begins another, when it goes on after a yield, and in [`check_cancelled`]. Being
//! cancelled is a state and not an event: a task that catches the unwinding is unwound again at the
//! next point.
//!
//! A task that unwinds cannot be unwound once more. So in the destructors that run meanwhile a
//! cancellation point has no effect, but that a wait fails: see
//! [`Wake::Failed`](crate::park::Wake::Failed).

use std::panic::Location;

use crate::park::Place;
use crate::worker;

/// Unwinds the calling task if it is cancelled, by a panic with the payload
/// [`Cancelled`](crate::Cancelled).
///
/// Every wait does this, and so does [`yield_now`](crate::yield_now). A task that computes for
/// long, or that fails because of something which may be gone only since it was cancelled too, can
/// ask in between.
///
/// It returns in a task that is not cancelled and on a plain thread. It also returns if the task is
/// already unwinding, in the calling coroutine or in one that waits for that: a second panic would
/// abort the process.
///
/// A task that catches this and comes to another such point is unwound again, after the other
/// runnable tasks have had a turn. After 100 times that is reported and the task is left behind,
/// and so is in the first place any task of a program built with `panic = "abort"`: its stack is
/// leaked, and it does not go on.
///
/// # Examples
///
/// ```
/// use lisle::task::check_cancelled;
///
/// /// Goes no further than some hundred rounds if its runtime ends meanwhile.
/// fn search() -> u64 {
///     for n in 0_u64.. {
///         if n.is_multiple_of(512) {
///             check_cancelled();
///         }
///         if n == 10_000 {
///             return n;
///         }
///     }
///     unreachable!("it has found what it was looking for")
/// }
///
/// let found = lisle::run(|| lisle::spawn(search).join().unwrap());
/// assert_eq!(found, 10_000);
/// ```
#[inline]
#[track_caller]
pub fn check_cancelled() {
    check_cancelled_at(Location::caller());
}

/// As [`check_cancelled`], for an operation at a place that is not the caller's.
#[inline]
pub fn check_cancelled_at(place: Place) {
    worker::with_current(|worker| {
        if let Some(worker) = worker {
            worker.check_cancelled(place);
        }
    });
}

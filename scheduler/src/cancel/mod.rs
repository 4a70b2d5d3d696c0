//! Cancellation: where it strikes a task, and how a task is shielded from it.
//!
//! A cancelled task is unwound at its *cancellation points*: in the wait in which it is found,
//! before it begins another, when it goes on after a yield, and in [`check_cancelled`]. Being
//! cancelled is a state and not an event: a task that catches the unwinding is unwound again at the
//! next point.
//!
//! A task that unwinds cannot be unwound once more. So in the destructors that run meanwhile a
//! cancellation point has no effect, except that a wait fails: see
//! [`Wake::Failed`](crate::park::Wake::Failed). Inside a [`shield`] there are no cancellation
//! points, and waits work as usual, in destructors too.

#[cfg(all(test, lisle_loom))]
mod models;
mod on_thread;
mod region;
mod timeout;
mod token;

#[cfg(not(lisle_loom))]
pub(crate) use self::on_thread::may_be_struck;
pub(crate) use self::on_thread::{check as check_thread, first_deadline, is_struck};
pub(crate) use self::region::{Region, RegionId, Struck};
pub use self::timeout::{Elapsed, timeout, timeout_at};
pub use self::token::{CancelToken, cancellable};
pub(crate) use self::token::{RegionLink, in_region_of};

use std::io;
use std::panic::Location;

use lisle_runtime::internal::attached;

use crate::explore::points::pass;
use crate::park::Place;
use crate::post::Request;
use crate::task::{CancelledBy, Control, Share, Shielding, Whereabouts};
use crate::worker::{self, Worker};

/// Unwinds the calling task if it is cancelled, by a panic with the payload
/// [`Cancelled`](crate::Cancelled).
///
/// Every wait does this, and so does [`yield_now`](crate::yield_now). A long computation can ask in
/// between; so can a task whose operation has failed, perhaps only because its partner was
/// cancelled as well.
///
/// It returns in a task that is not cancelled and on a plain thread. It also returns if the task is
/// already unwinding, in the calling coroutine or in one that waits for that: a second panic would
/// abort the process.
///
/// A task that catches this and comes to another such point is unwound again, after the other
/// runnable tasks have had a turn. After 100 times that is reported and the task is *left behind*:
/// its stack is leaked, and it does not go on. In a program built with `panic = "abort"` a
/// cancelled task is left behind at once.
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
    pass();
    check_cancelled_at(Location::caller());
}

/// As [`check_cancelled`], for an operation at a place that is not the caller's, and that has come
/// to a point of an explored program by itself.
#[inline]
pub fn check_cancelled_at(place: Place) {
    worker::with_current(|worker| {
        if let Some(worker) = worker {
            worker.check_cancelled(place);
        } else {
            on_thread::check();
        }
    });
}

/// Whether the calling task is cancelled, or a region that it is in, such as a
/// [`timeout`](crate::timeout). It does not unwind, and tells also inside a [`shield`] and in
/// destructors, which may want to be brief then.
///
/// # Examples
///
/// ```
/// use lisle::task::{is_cancelled, shield};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let mut lines = 0;
///     let outcome = lisle::timeout(Duration::from_millis(2), || {
///         shield(|| {
///             while !is_cancelled() {
///                 lines += 1; // writes whole lines only
///                 lisle::yield_now();
///             }
///         });
///         lisle::yield_now();
///     });
///     assert!(outcome.is_err());
///     println!("{lines} lines");
/// });
/// ```
#[track_caller]
pub fn is_cancelled() -> bool {
    pass();
    worker::with_current(|worker| match worker {
        Some(worker) => worker.running_task().is_some_and(|task| {
            task.look_for_cancel();
            task.is_cancelled_anywhere()
        }),
        None => on_thread::is_cancelled(),
    })
}

/// The error of an operation whose wait has [failed](crate::park::Wake::Failed): its party is
/// cancelled and cannot be unwound. `TimedOut` if that is the end of a time limit, else `Other`.
#[cold]
pub fn cannot_wait() -> io::Error {
    let is_out_of_time = worker::with_current(|worker| match worker {
        Some(worker) => match worker.running_task().and_then(Control::struck) {
            Some(Struck::Region(region)) => region.is_out_of_time(),
            Some(Struck::Task) | None => false,
        },
        None => on_thread::is_out_of_time(),
    });
    if is_out_of_time {
        let message = "the time limit around it is over, and it cannot be unwound";
        return io::Error::new(io::ErrorKind::TimedOut, message);
    }
    io::Error::other("the task is being cancelled and cannot wait")
}

/// Asks for a task to be cancelled, from anywhere. The caller keeps its control block.
pub(crate) fn cancel(task: &Control, by: CancelledBy) {
    if task.has_ended() {
        return;
    }
    match task.request_cancel(by) {
        Some(Whereabouts::KeptBy(post) | Whereabouts::StartedOn(post)) => {
            worker::ask(post, Request::Cancel(Share::of(task)));
        }
        // The worker that accepts it sees the request; or it has been asked before.
        Some(Whereabouts::Nowhere) | None => {}
    }
}

/// Runs `body`, in which the calling task is not cancelled: it waits and yields as usual, although
/// its runtime ends.
///
/// It is for work that must be finished once it has begun, such as a protocol with a partner that
/// has to hear of the end, or a loan that has to come back. In the destructors of a task that
/// unwinds, where waits would fail, they succeed inside. Nothing happens at the end of a shield: a
/// task that was cancelled meanwhile is unwound at its next cancellation point outside. A shield
/// inside another adds nothing.
///
/// A runtime that ends waits for its tasks in shields, so `body` has to come to an end. If nothing
/// is left that could wake them, the process is aborted with a report of what they wait for. As
/// long as another thread might wake them, the report is printed after two seconds, and the runtime
/// goes on waiting.
///
/// A plain thread is never cancelled, but for its regions, such as a [`timeout`](crate::timeout),
/// which have no effect inside. A region inside of the shield does have its effect.
///
/// # Panics
///
/// With the panic of `body`. A coroutine that has entered a shield cannot be suspended inside,
/// which panics: the shield is the task's, which would go on outside of it. One that is resumed
/// inside may be suspended.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let writer = lisle::run(|| {
///     let writer = lisle::spawn(|| {
///         lisle::task::shield(|| {
///             lisle::sleep(Duration::from_millis(2)); // or writes what must not be cut short
///             "written"
///         })
///     });
///     lisle::yield_now();
///     writer
/// }); // waits for the writer
/// assert_eq!(writer.join().unwrap(), "written");
/// ```
pub fn shield<R>(body: impl FnOnce() -> R) -> R {
    in_shield(Shielding::FromAll, body)
}

/// Runs `body`, which waits for a lock: only the end of its runtime unwinds the calling task in it,
/// and nothing does while the task unwinds already.
///
/// Code that has to lock in order to clean up could not do so if the wait failed. Since a runtime
/// waits for such a task, locks that are never released abort the process, as in a [`shield`].
pub fn uninterrupted<R>(body: impl FnOnce() -> R) -> R {
    shield_unwinding(|| in_shield(Shielding::FromAllButTheEnd, body))
}

fn in_shield<R>(shielding: Shielding, body: impl FnOnce() -> R) -> R {
    let here = 0_u8;
    worker::with_current(|worker| match worker.and_then(Worker::running_task) {
        None => on_thread::shield(body),
        Some(task) => {
            let body = || {
                let outer = task.set_shielding(shielding.max(task.shielding()));
                let _shield = Shield { task, outer };
                task.find_exposure();
                body()
            };
            // On its own stack the task cannot leave the shield but by its end.
            if task.owns((&raw const here).addr()) { body() } else { attached(body) }
        }
    })
}

/// Runs `body`, which waits, and cannot say that the wait has failed: in a shield, if the calling
/// task unwinds already.
#[inline]
pub fn shield_unwinding<R>(body: impl FnOnce() -> R) -> R {
    let unwinds = std::thread::panicking()
        || worker::with_current(|worker| {
            worker.and_then(Worker::running_task).is_some_and(Control::unwinds_below)
        });
    if unwinds { shield(body) } else { body() }
}

struct Shield<'a> {
    task: &'a Control,
    outer: Shielding,
}

impl Drop for Shield<'_> {
    fn drop(&mut self) {
        self.task.set_shielding(self.outer);
        self.task.find_exposure();
    }
}

//! What a program does with the clock of its runtime.

use std::time::Duration;

use super::{Hold, VirtualClock, held};
use crate::worker::{self, yield_now};

/// Moves the clock of a runtime with [virtual time](crate::RuntimeBuilder::virtual_time) on at
/// once, although tasks could run, or something holds it. Then all other tasks have a turn.
///
/// It is one step: a task whose deadline lies in between finds that it has slept for too long, as
/// on a machine that was busy. `sleep(time)` goes from deadline to deadline instead, and is mostly
/// what a test wants.
///
/// The clock goes no further than some five hundred years from its start.
///
/// # Panics
///
/// If the caller is no task of a runtime with virtual time. Unwinds a task that is cancelled.
///
/// # Examples
///
/// ```
/// use lisle::time::{advance, now};
/// use std::time::Duration;
///
/// lisle::Runtime::builder().virtual_time(true).run(|| {
///     let opened = now();
///     advance(Duration::from_secs(3600));
///     assert_eq!(now() - opened, Duration::from_secs(3600));
/// });
/// ```
#[track_caller]
pub fn advance(time: Duration) {
    set(|clock| clock.advance(time));
    worker::with_current(|worker| worker.inspect(|worker| worker.poll()).map(drop));
    yield_now();
}

/// Has the clock stand again, after [`resume`]. It moves when all tasks wait.
///
/// # Panics
///
/// If the caller is no task of a runtime with virtual time.
#[track_caller]
pub fn pause() {
    set(|clock| clock.set_running(false));
}

/// Has the clock of a runtime with [virtual time](crate::RuntimeBuilder::virtual_time) run as fast
/// as the system's, from what it shows, until [`pause`].
///
/// # Panics
///
/// If the caller is no task of a runtime with virtual time.
///
/// # Examples
///
/// ```
/// use lisle::time::{pause, resume, sleep};
/// use std::time::{Duration, Instant};
///
/// lisle::Runtime::builder().virtual_time(true).run(|| {
///     let start = Instant::now();
///     resume();
///     sleep(Duration::from_millis(2)); // as long as it says
///     assert!(start.elapsed() >= Duration::from_millis(2));
///     pause();
///     sleep(Duration::from_secs(3600)); // at once
/// });
/// ```
#[track_caller]
pub fn resume() {
    set(|clock| clock.set_running(true));
}

/// Holds the clock of the calling task's runtime until the [`Hold`] is dropped, on whatever thread:
/// for a thread of the program's own, whose messages a runtime with [virtual
/// time](crate::RuntimeBuilder::virtual_time) would not wait for. Does nothing where the clock is
/// the system's.
///
/// # Examples
///
/// ```
/// use lisle::channel::unbounded;
/// use lisle::time::hold;
/// use std::time::Duration;
///
/// lisle::Runtime::builder().virtual_time(true).run(|| {
///     let (tx, rx) = unbounded();
///     let held = hold();
///     std::thread::spawn(move || {
///         tx.send("computed").unwrap();
///         drop(held);
///     });
///     assert_eq!(rx.recv_timeout(Duration::from_millis(1)), Ok("computed"));
/// });
/// ```
pub fn hold() -> Option<Hold> {
    held::hold_for_call()
}

/// Sets the clock of the caller's runtime, and has all workers look at it.
#[track_caller]
fn set(change: impl FnOnce(&VirtualClock)) {
    let team = worker::with_current(|worker| worker.map(|worker| worker.team().clone()));
    let Some((team, clock)) = team.as_ref().and_then(|team| Some((team, team.clock.as_ref()?)))
    else {
        panic!(
            "only a task of a runtime with virtual time sets its clock: write \
             `#[lisle::test(virtual_time)]` or `Runtime::builder().virtual_time(true)`"
        )
    };
    change(clock);
    team.look_at_clock();
}

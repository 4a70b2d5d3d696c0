//! The end of a task as a receiver.

use lisle_scheduler::internal::{AnyHandle, Sign};
use lisle_scheduler::{JoinHandle, ScopedJoinHandle, TryJoinHandle};

use crate::{Receiver, bounded};

/// The handle of a task as an arm of a [`select!`](crate::select!): wait for the end of a task, or
/// for something else.
///
/// # Examples
///
/// ```
/// use lisle::channel::{Done, select, unbounded};
///
/// lisle::run(|| {
///     let (lines, log) = unbounded();
///     let worker = lisle::spawn(move || {
///         lines.send("halfway").unwrap();
///         6 * 7
///     });
///     loop {
///         select! {
///             recv(log) -> line => match line {
///                 Ok(line) => println!("{line}"),
///                 Err(_) => break, // nobody is left that could write one
///             },
///             recv(worker.done()) -> _ => break,
///         }
///     }
///     assert_eq!(worker.join().unwrap(), 42);
/// });
/// ```
///
/// A deadline for a task, which goes on if it is late:
///
/// ```
/// use lisle::channel::{Done, after, select};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let slow = lisle::spawn(|| lisle::sleep(Duration::from_secs(3600)));
///     select! {
///         recv(slow.done()) -> _ => unreachable!(),
///         recv(after(Duration::from_millis(2))) -> _ => slow.cancel(),
///     }
///     assert!(slow.join().is_err());
/// });
/// ```
pub trait Done {
    /// A receiver that is disconnected when the task has ended, however it has: nothing is ever
    /// received from it. Then `join` returns at once.
    ///
    /// It does not block. The first call makes the receiver, and later ones return the same one. A
    /// clone of it may outlive the handle, and shows the end of a task that was detached, too. That
    /// a task is [left behind](fn@lisle_scheduler::check_cancelled), because it catches its
    /// cancellation again and again, counts as an end.
    fn done(&self) -> &Receiver<()>;
}

impl<T> Done for JoinHandle<T> {
    fn done(&self) -> &Receiver<()> {
        done(self)
    }
}

impl<T> Done for ScopedJoinHandle<'_, T> {
    fn done(&self) -> &Receiver<()> {
        done(self)
    }
}

impl<T> Done for TryJoinHandle<'_, T> {
    fn done(&self) -> &Receiver<()> {
        done(self)
    }
}

fn done(handle: &impl AnyHandle) -> &Receiver<()> {
    handle.end_sign(connection).downcast_ref().expect("no other crate gives tasks a sign")
}

/// The sender is dropped at the end of the task.
fn connection() -> Sign {
    let (sender, receiver) = bounded::<()>(0);
    (Box::new(sender), Box::new(receiver))
}

//! Goroutines for Rust: plain blocking code on green threads, a million tasks, channels.
//!
//! A *task* costs a page of memory instead of a thread, and a switch between two tasks some
//! nanoseconds instead of microseconds. Code inside a task is ordinary blocking Rust: it calls
//! functions, recurses, borrows and panics like any other, and when it sends to a full channel or
//! receives from an empty one, it waits while other tasks of the same thread run.
//!
//! ```
//! use lisle::channel::bounded;
//!
//! let total = lisle::run(|| {
//!     let (tx, rx) = bounded(0);
//!     for worker in 0..4u64 {
//!         let tx = tx.clone();
//!         lisle::spawn(move || {
//!             for n in 0..10 {
//!                 tx.send(worker * 100 + n).unwrap();
//!             }
//!         });
//!     }
//!     drop(tx); // the loop below ends when the last worker drops its sender
//!     rx.iter().sum::<u64>()
//! });
//! assert_eq!(total, 6180);
//! ```
//!
//! New here? The [`guide`] begins with [the first program](guide::start) and tells [what blocks a
//! worker](guide::blocking_and_io), and it has pages for those who come [from Go](guide::from_go)
//! or [from threads](guide::from_std_and_crossbeam).
//!
//! - [`run`] makes the calling thread run tasks, and ends with its main task.
//! - [`spawn`] starts a task, as `std::thread::spawn` starts a thread; [`JoinHandle::join`] waits
//!   for it.
//! - [`Coroutine`] and [`Generator`] work with and without tasks; [`mod@coroutine`] has all that
//!   belongs to them.
//! - [`channel`] has the channels: crossbeam-channel's names and behaviour, for tasks and threads.
//!
//! # What makes `spawn` safe
//!
//! A task stays on the thread on which it starts, so whatever it borrows from that thread stays
//! valid. Its stack ends in a guard. A stack is reused only when its task has finished or has been
//! unwound. A panic ends its task and nobody else. What is left to the user: do not suspend in the
//! initialiser of a `thread_local!`, in a scoped thread-local's closure or in a panic hook.
//! [`no_suspend`] turns such a suspension into a panic. Nor resume a coroutine, or wait in a task,
//! in the destructor of a thread-local, which also runs when a task calls `std::process::exit`:
//! what others of the thread have borrowed from its thread-locals may be gone by then.
//!
//! In a program that is built with `panic = "abort"` nothing can be unwound. A task that waits when
//! its runtime ends, and a coroutine that is suspended when it is dropped, are left behind: their
//! stacks are leaked, and no destructor runs. See [`run`].
//!
//! Values that belong to the thread are shared by its tasks. A `RefCell` in a thread-local or a
//! reentrant lock such as `stdout().lock()` does not tell two tasks of one thread apart, and a
//! `std::sync::MutexGuard` that is held while its task waits blocks every task of the thread that
//! tries to lock. A panic is a matter of its task alone, also while a destructor waits in the
//! middle of it: `std::thread::panicking()` tells each task, and each coroutine, about itself.

// A page of its own here, so that links to it lead somewhere whatever else is documented.
#[doc(inline)]
pub use lisle_channel as channel;
pub use lisle_runtime as runtime;
pub use lisle_scheduler as scheduler;

/// Coroutines and generators, with and without tasks: functions that are suspended and resumed.
///
/// A [`Coroutine`] runs in turn with whoever resumes it, and gets and gives a value each time. A
/// [`Generator`] is an iterator written as a function. Both suspend from any depth of calls by the
/// [`Yielder`](coroutine::Yielder) that their body gets. A [`ScopedCoroutine`] may borrow.
///
/// Inside a task they are part of it: when the body waits, for a message say, the whole task waits.
///
/// ```
/// use lisle::coroutine::{Coroutine, State, Yielder};
///
/// let runs = Coroutine::new(|yielder: &Yielder<char, usize, ()>, mut letter| {
///     loop {
///         let (first, mut length) = (letter, 0);
///         while letter == first {
///             length += 1;
///             letter = yielder.suspend(length);
///         }
///     }
/// });
/// let lengths = "aabbb".chars().map(|letter| runs.resume(letter));
/// assert!(lengths.eq([1, 2, 1, 2, 3].map(State::Yielded)));
/// ```
pub mod coroutine {
    pub use lisle_runtime::{
        Coroutine, Generator, Items, Name, ResumeError, ScopedCoroutine, State, Status, Yielder,
        no_suspend,
    };
}

pub mod guide;

pub use lisle_macros::{main, test};
pub use lisle_runtime::{Coroutine, Generator, ScopedCoroutine, no_suspend};
pub use lisle_scheduler::{
    Awaited, Builder, Cancelled, Deadlock, Detached, ForeignThreads, Handles, JoinHandle, Metrics,
    Runtime, RuntimeBuilder, Task, TaskId, TaskReport, WorkerMetrics, current, metrics, run, sleep,
    sleep_until, spawn, spawn_local, yield_now,
};

#[doc(hidden)]
pub mod internal;

/// Runs the README's code as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

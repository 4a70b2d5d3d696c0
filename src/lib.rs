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
//! - [`spawn`] starts a task, as `std::thread::spawn` starts a thread; [`task`] has
//!   all that belongs to it.
//! - [`mod@coroutine`] has coroutines and generators, which work with and without tasks.
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

pub mod channel;
pub mod coroutine;
pub mod deadlock;
pub mod guide;
#[doc(hidden)]
pub mod internal;
pub mod park;
pub mod task;
pub mod time;

#[doc(inline)]
pub use lisle_macros::{main, test};
#[doc(inline)]
pub use lisle_runtime::no_suspend;
#[doc(inline)]
pub use lisle_scheduler::{
    Handle, Metrics, Runtime, RuntimeBuilder, WorkerMetrics, metrics, run, sleep, sleep_until,
    spawn, spawn_local, yield_now,
};

/// Runs the README's code as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

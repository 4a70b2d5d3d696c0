//! Goroutines for Rust: plain blocking code on green threads, a million tasks, channels.
//!
//! A *task* costs a page of memory instead of a thread, and a switch between two tasks some
//! nanoseconds instead of microseconds. Code inside a task is ordinary blocking Rust: it calls
//! functions, recurses, borrows and panics like any other. When it sends to a full channel or
//! receives from an empty one, it waits, and other tasks of the same thread run.
//!
//! ```sh
//! cargo add lisle
//! ```
//!
//! ```
//! use lisle::channel::bounded;
//!
//! #[lisle::main]
//! fn main() {
//!     let (tx, rx) = bounded(0); // a rendezvous: both sides wait for each other
//!     for worker in 0..4u64 {
//!         let tx = tx.clone();
//!         lisle::spawn(move || {
//!             for n in 0..10 {
//!                 tx.send(worker * 100 + n).unwrap();
//!             }
//!         });
//!     }
//!     drop(tx); // the loop below ends when the last worker drops its sender
//!     assert_eq!(rx.iter().sum::<u64>(), 6180);
//! }
//! ```
//!
//! New here? The [`guide`] begins with [the first program](guide::start) and tells [what blocks a
//! worker](guide::blocking_and_io). It has pages on coming [from Go](guide::from_go) or [from
//! threads](guide::from_std_and_crossbeam).
//!
//! # A tour
//!
//! **Enter.** [`#[lisle::main]`](macro@main) makes `main` the first task; [`run`] does the same
//! anywhere. They use as many threads as the machine has cores. [`Runtime::builder`] sets up
//! something else: one worker, larger stacks, a name.
//!
//! **Tasks.** [`spawn`] starts a task, as `std::thread::spawn` starts a thread, and
//! [`join`](task::JoinHandle::join) gets its result. [`spawn_local`] keeps the task on the thread,
//! so that it need not be `Send`. The module [`task`] has the rest, such as the
//! [`Builder`](task::Builder) for a name or a larger stack. A long computation calls [`yield_now`]
//! now and then.
//!
//! **Channels.** The module [`channel`] has crossbeam-channel's names and behaviour:
//! [`bounded`](channel::bounded), [`unbounded`](channel::unbounded),
//! [`select!`](channel::select) for several operations at once, and the timer channels
//! [`after`](channel::after) and [`tick`](channel::tick). They connect plain threads, too, and
//! threads with tasks.
//!
//! **Locks.** The module [`sync`] has [`Mutex`](sync::Mutex), [`Condvar`](sync::Condvar),
//! [`Semaphore`](sync::Semaphore), [`WaitGroup`](sync::WaitGroup) and others, which may be held
//! over waits: [the guide](guide::choosing_a_lock) says which is for what.
//!
//! **Input and output.** [`net`] has std's sockets, and a [`Server`](net::Server); an operation
//! that would block parks its task. [`io::Io`] does the same for any other descriptor. [`fs`],
//! [`process`] and [`signal`] have std's files and programs, and the system's signals.
//! [`blocking()`] runs any other call that blocks on a thread of a pool. See the guide's page on
//! [servers](guide::servers).
//!
//! **Time.** [`sleep`] and [`sleep_until`] let other tasks run meanwhile; the module [`time`] has
//! an [`Interval`](time::Interval).
//!
//! **Tests.** [`#[lisle::test]`](macro@test) runs a test as a task. If all its tasks wait for each
//! other, it fails with a report instead of hanging. With `virtual_time` it does not take the time
//! that it tests, and with `explore` it is tried under many schedules: see [the
//! guide](guide::testing).
//!
//! **When something goes wrong.** If every task waits, a report says which tasks do, for what, and
//! where: see the module [`deadlock`]. The message of a panic is followed by the task's name and
//! [where it was spawned](RuntimeBuilder::panic_note). A stack that overflows is reported by the
//! task that it belongs to and by [what makes it larger](guide::stacks_and_memory).
//!
//! **Coroutines.** The module [`mod@coroutine`] has a [`Generator`](coroutine::Generator), which is
//! an iterator written as a function, and the [`Coroutine`](coroutine::Coroutine), which also takes
//! values. Both yield by [`suspend`](coroutine::Yielder::suspend). They need no runtime.
//!
//! **Runtimes.** [`run`] uses the calling thread as a worker and returns when the first task ends.
//! [`Runtime::builder`] sets up a runtime, and its [`start`](RuntimeBuilder::start) gives it
//! threads of its own. A [`Handle`] spawns into it from any thread. If such a runtime stands still,
//! [`stall_notice`](RuntimeBuilder::stall_notice) says what its tasks wait for.
//!
//! **Ends.** Tasks of a [`scope`] borrow from its surroundings, which wait for them; [`try_scope`]
//! ends with the first error. [`timeout`] unwinds what takes too long, and a
//! task's handle [cancels](task::JoinHandle::cancel) it. A [`Context`](task::Context) carries a
//! deadline and values along: [the guide](guide::cancelling) has the rest.
//!
//! When a runtime ends, the tasks that are left are cancelled: they unwind from where they wait.
//! [`task::shield`] puts that off, and a long computation asks for it by [`task::check_cancelled`].
//!
//! **Look inside.** [`dump()`] says what every task does, of every runtime, and [`dump::on_signal`]
//! does so whenever a signal comes. A [`trace`] shows what happened when, in a browser.
//! [`metrics()`] counts what each worker has done and has to do. [The guide](guide::seeing_inside)
//! shows all three, and the [watch](RuntimeBuilder::watch), which names the task that keeps others
//! waiting.
//!
//! **Futures.** [`block_on`] waits for a future, whose wakers may come from any thread: see the
//! module [`future`].
//!
//! **Build your own.** Everything that waits stands on the module [`mod@park`], and so can an
//! operation of yours. [`no_suspend`] turns a wait into a panic where nothing may wait.
//!
//! # What it is not
//!
//! - It is no executor of futures: its tasks wait without `async`. They can wait for a future, by
//!   [`block_on`]: see the module [`future`].
//! - It does not change what the standard library does: sockets, files and locks of `std` block the
//!   worker with all its tasks. Those of [`net`], [`fs`] and [`sync`] do not, and [`blocking()`]
//!   takes any other call; [the guide](guide::blocking_and_io) says more.
//! - It does not preempt. A task that computes keeps its thread until it waits or yields.
//! - It does not move a task to another thread once the task has started. Tasks that have not are
//!   taken over by workers that have nothing to do.
//!
//! # Where it runs
//!
//! On Linux with glibc, with Rust 1.95 or later. It switches in assembly on x86_64, aarch64 and
//! riscv64, and by `ucontext` on other processors. Linux 6.13 or later has cheaper guards for
//! stacks; before that, there can be some 32,000 stacks under the default `vm.max_map_count`.
//!
//! # What makes `spawn` safe
//!
//! A task stays on the thread on which it starts, so whatever it borrows from that thread stays
//! valid. Its stack ends in a guard. A stack is reused only when its task has finished or has been
//! unwound. A panic ends its own task and no other. What is left to the user: do not suspend in the
//! initialiser of a `thread_local!`, in a scoped thread-local's closure or in a panic hook.
//! [`no_suspend`] turns such a suspension into a panic. Do not resume a coroutine, or wait in a
//! task, in the destructor of a thread-local, which also runs when a task calls
//! `std::process::exit`: what others of the thread have borrowed from its thread-locals may be gone
//! by then.
//!
//! In a program that is built with `panic = "abort"` nothing can be unwound. A task that waits when
//! its runtime ends, and a coroutine that is suspended when it is dropped, are left behind: their
//! stacks are leaked, and no destructor runs. See [`run`].
//!
//! Values that belong to the thread are shared by its tasks. A `RefCell` in a thread-local or a
//! reentrant lock such as `stdout().lock()` does not tell two tasks of one thread apart. A
//! `std::sync::MutexGuard` that is held while its task waits blocks every task of the thread that
//! tries to lock. A panic is a matter of its task alone, also while a destructor waits in the
//! middle of it: `std::thread::panicking()` tells each task, and each coroutine, about itself. The
//! page on [safety](guide::safety) has the reasons.

pub mod channel;
mod context;
pub mod coroutine;
pub mod deadlock;
pub mod dump;
pub mod explore;
pub mod future;
pub mod guide;
#[doc(hidden)]
pub mod internal;
#[cfg(all(feature = "net", not(lisle_loom)))]
pub mod io;
pub mod metrics;
#[cfg(all(feature = "net", not(lisle_loom)))]
pub mod net;
pub mod park;
#[cfg(all(feature = "net", not(lisle_loom)))]
pub mod signal;
pub mod sync;
pub mod task;
pub mod time;
pub mod trace;

#[doc(inline)]
pub use lisle_macros::{main, test};
#[cfg(all(feature = "net", not(lisle_loom)))]
#[doc(inline)]
pub use lisle_net::{fs, process};
#[doc(inline)]
pub use lisle_runtime::no_suspend;
#[doc(inline)]
pub use lisle_scheduler::{
    Handle, Metrics, Runtime, RuntimeBuilder, ShutdownTimeout, WorkerMetrics, block_on, blocking,
    dump, metrics, run, scope, sleep, sleep_until, spawn, spawn_local, task_local, timeout,
    timeout_at, try_scope, yield_now,
};

/// Runs the README's code as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;

//! Which task runs next, and where: tasks, a cooperative round robin, park and unpark.
//!
//! Users come by the crate `lisle`, which has all of this in `lisle::task`, `lisle::park` and other
//! modules; so do the examples here.
//!
//! A task is a function on a stack of its own. Tasks of one worker take turns on one OS thread; a
//! turn ends when the task yields, parks or finishes, or has done [as much as fits](mod@turn) into
//! one. The order is strict: a task that becomes runnable goes to the tail of one queue, be it
//! spawned, woken or yielding. It bends only while very many tasks of a worker wait to start: see
//! [`spawn`](fn@spawn).
//!
//! ```
//! use std::sync::{Arc, Mutex};
//!
//! let order = Arc::new(Mutex::new(Vec::new()));
//! let one_worker = lisle::Runtime::builder().workers(1);
//! let done = one_worker.run(|| {
//!     let tasks: Vec<_> = (0..3)
//!         .map(|n| {
//!             let order = order.clone();
//!             lisle::spawn(move || {
//!                 order.lock().unwrap().push(n);
//!                 lisle::yield_now();
//!                 order.lock().unwrap().push(n + 10);
//!             })
//!         })
//!         .collect();
//!     for task in tasks {
//!         task.join().unwrap();
//!     }
//! });
//! done.unwrap();
//! assert_eq!(*order.lock().unwrap(), [0, 1, 2, 10, 11, 12]);
//! ```
//!
//! Everything that blocks does so through [`park`](mod@park).

#![warn(unreachable_pub)]
#![debugger_visualizer(gdb_script_file = "../lisle-gdb.py")]

mod blocking;
mod cancel;
mod carry;
mod clock;
mod deadlock;
mod debugger;
mod driver;
mod dump;
pub mod explore;
mod future;
mod injector;
mod interval;
mod local;
mod metrics;
#[cfg(all(test, lisle_loom))]
mod models;
mod panic_note;
pub mod park;
mod per_process;
mod post;
mod processor;
mod run_queue;
mod runtime;
mod scope;
mod settings;
mod sleep;
mod spawn;
mod task;
mod task_set;
mod team;
mod thread;
mod timer;
pub mod trace;
pub mod turn;
mod wait;
mod wait_cell;
mod wait_queue;
mod watch;
mod worker;

/// What Lisle's other crates use and users do not.
#[doc(hidden)]
pub mod internal {
    pub use crate::blocking::limited;
    pub use crate::cancel::{cannot_wait, check_cancelled_at, shield_unwinding, uninterrupted};
    pub use crate::deadlock::never_wakes_a_task;
    pub use crate::driver::{Direction, Patience, Source};
    pub use crate::future::FutureWait;
    pub use crate::sleep::park_until;
    pub use crate::task::{AnyHandle, Sign};
    pub use crate::wait_cell::{Event, WaitCell};
    pub use crate::wait_queue::{Chain, Taken, WaitQueue, Waiter};
    pub use crate::worker::{current_number, next_turn_at, next_turn_on_lock_at, note_accept};

    /// Where operations come by that end no turn, for programs that are explored.
    pub mod points {
        pub use crate::explore::points::*;
    }
}

pub use blocking::{JobHandle, blocking, spawn_blocking};
pub use cancel::{
    CancelToken, Elapsed, cancellable, check_cancelled, is_cancelled, shield, timeout, timeout_at,
};
pub use clock::instant::Instant;
pub use clock::{Hold, advance, hold, now, pause, resume};
pub use deadlock::{Deadlock, ForeignThreads, TaskReport};
pub use dump::{
    BusyWorker, Dump, DumpOptions, Hint, RuntimeDump, TaskDump, TaskGroup, TaskState, dump,
};
pub use future::{BlockOn, JoinFuture, block_on};
pub use interval::{Interval, MissedTick, interval, interval_at};
pub use local::{LocalKey, NotSet};
pub use metrics::{BlockingMetrics, Metrics, QueueDelays, StackMetrics, WorkerMetrics};
pub use runtime::{Handle, Runtime, RuntimeBuilder, ShutdownTimeout, run};
pub use scope::{Scope, ScopedJoinHandle, TryJoinHandle, TryScope, race, scope, try_scope};
pub use sleep::{sleep, sleep_until};
pub use spawn::{Builder, spawn, spawn_local};
pub use task::{
    CancelHandle, CancelOnDrop, Cancelled, CancelledBy, Detached, JoinHandle, Task, TaskId,
};
pub use task_set::TaskSet;
pub use wait::{Awaited, Handles, Held};
pub use worker::{current_task as current, metrics, yield_now};

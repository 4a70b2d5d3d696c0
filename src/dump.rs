//! Dumps: what every task does at this moment, for a person who has to find out why nothing goes
//! on.
//!
//! [`dump()`](crate::dump()) makes one, and [`DumpOptions`] one with backtraces. [`on_signal`]
//! prints one whenever a signal comes, such as SIGQUIT, which Ctrl-\ sends.
//!
//! ```
//! let one_worker = lisle::Runtime::builder().workers(1);
//! let done = one_worker.run(|| {
//!     let (sender, receiver) = lisle::channel::unbounded::<u32>();
//!     for _ in 0..1000 {
//!         let receiver = receiver.clone();
//!         lisle::spawn(move || receiver.recv());
//!     }
//!     lisle::yield_now();
//!     let text = lisle::dump().to_string();
//!     assert!(text.contains("1,000 tasks: receiving from a channel"), "{text}");
//!     # drop(sender);
//! });
//! done.unwrap();
//! ```

#[cfg(all(feature = "net", not(lisle_loom)))]
use std::io::{self, Write};

#[doc(inline)]
pub use lisle_scheduler::{
    BusyWorker, Dump, DumpOptions, Hint, RuntimeDump, TaskDump, TaskGroup, TaskState,
};

/// Prints a [dump](crate::dump()) to standard error whenever the signal comes, from now on and for
/// good.
///
/// A thread of its own, `lisle-dump`, does it, so that it works while every worker is busy. Reports
/// of deadlocks do not count it among the threads that might wake a task. The signal does nothing
/// else to the process any more: after `on_signal(SIGQUIT)` Ctrl-\ does not end it.
///
/// # Errors
///
/// If the signal is unknown or cannot be caught, or no thread can be started.
///
/// # Examples
///
/// ```no_run
/// #[lisle::main]
/// fn main() -> std::io::Result<()> {
///     lisle::dump::on_signal(lisle::signal::SIGQUIT)?;
///     // Now `kill -QUIT` says what the tasks do.
///     Ok(())
/// }
/// ```
#[cfg(all(feature = "net", not(lisle_loom)))]
pub fn on_signal(signal: i32) -> io::Result<()> {
    let signals = crate::signal::Signals::new([signal])?;
    std::thread::Builder::new().name("lisle-dump".into()).spawn(move || {
        lisle_scheduler::internal::never_wakes_a_task();
        while signals.recv().is_ok() {
            // There is nobody to tell that it could not be written.
            let _ = writeln!(io::stderr(), "{}", crate::dump());
        }
    })?;
    Ok(())
}

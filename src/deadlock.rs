//! Deadlocks: the report when all tasks wait and nothing can wake one.
//!
//! [`run`](crate::run) panics with the report. `run` of a [`RuntimeBuilder`](crate::RuntimeBuilder)
//! returns it as a [`Deadlock`], which lists the tasks, what each waits for and where.
//!
//! A thread of the process that is not Lisle's might wake a task one day. So while there is one,
//! nothing is reported, unless the program says by [`ForeignThreads`] that such threads never do.
//!
//! ```
//! use lisle::deadlock::ForeignThreads;
//!
//! let deadlock = lisle::Runtime::builder()
//!     .foreign_threads(ForeignThreads::NeverWake)
//!     .run(|| {
//!         let (_sender, receiver) = lisle::channel::unbounded::<u8>();
//!         receiver.recv() // the only sender is our own
//!     })
//!     .unwrap_err();
//! assert_eq!(deadlock.tasks().len(), 1);
//! println!("{deadlock}");
//! ```

#[doc(inline)]
pub use lisle_scheduler::{Awaited, Deadlock, ForeignThreads, Handles, Held, TaskReport};

//! Locks and meeting points for tasks and plain threads, in any mixture.
//!
//! A task that waits here lets its worker run other tasks. What is held may be held over any wait:
//! a guard of [`Mutex`] while its task sleeps costs nobody but those that want the same lock.

#[doc(inline)]
pub use lisle_sync::{Condvar, MappedMutexGuard, Mutex, MutexGuard, WaitTimeoutResult};

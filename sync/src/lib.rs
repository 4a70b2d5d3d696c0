//! Locks and meeting points for Lisle's tasks and for plain threads, in any mixture.
//!
//! Users come by `lisle::sync`, whose page explains them. This crate stands on
//! [`park`](mod@lisle_scheduler::park) alone; its README has the protocols.

#![warn(unreachable_pub)]

#[macro_use]
mod macros;

mod condvar;
mod holder;
mod mutex;
mod waiting;

pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};

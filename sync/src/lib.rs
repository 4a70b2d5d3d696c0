//! Locks and meeting points for Lisle's tasks and for plain threads, in any mixture.
//!
//! Users come by `lisle::sync`, whose page explains them. This crate stands on
//! [`park`](mod@lisle_scheduler::park) alone; its README has the protocols.

#![warn(unreachable_pub)]

#[macro_use]
mod macros;

mod barrier;
pub mod broadcast;
mod condvar;
mod holder;
mod mutex;
mod notify;
mod once;
mod rwlock;
mod semaphore;
mod wait_group;
mod waiting;
pub mod watch;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard};
pub use notify::{Notified, Notify};
pub use once::{LazyLock, Once, OnceLock};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{
    AcquireError, AcquireTimeoutError, OwnedSemaphorePermit, Semaphore, SemaphorePermit,
    TryAcquireError,
};
pub use wait_group::WaitGroup;

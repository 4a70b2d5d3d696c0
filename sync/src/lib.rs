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
mod ends;
mod holder;
#[cfg(all(feature = "lock_api", not(lisle_loom)))]
pub mod lock_api;
#[cfg(all(test, lisle_loom))]
mod models;
mod mutex;
mod notify;
mod once;
mod queued;
mod rwlock;
mod semaphore;
mod wait_group;
mod waiting;
pub mod watch;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use mutex::{MappedMutexGuard, Mutex, MutexGuard, OwnedMutexGuard};
pub use notify::{Notified, NotifiedFuture, Notify};
pub use once::{LazyLock, Once, OnceLock};
pub use rwlock::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    RwLock, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{
    AcquireError, AcquireFuture, AcquireOwnedFuture, AcquireTimeoutError, OwnedSemaphorePermit,
    Semaphore, SemaphorePermit, TryAcquireError,
};
pub use wait_group::WaitGroup;

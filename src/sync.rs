//! Locks and meeting points for tasks and plain threads, in any mixture.
//!
//! A task that waits here lets its worker run other tasks. What is held may be held over any wait:
//! a guard of [`Mutex`] while its task sleeps costs nobody but those that want the same lock. [The
//! guide](crate::guide::choosing_a_lock) says which is for what.
//!
//! ```
//! use lisle::sync::{Mutex, WaitGroup};
//! use std::sync::Arc;
//!
//! lisle::run(|| {
//!     let words = Arc::new(Mutex::new(Vec::new()));
//!     let group = WaitGroup::new();
//!     for word in ["one", "two", "three"] {
//!         let (words, group) = (words.clone(), group.clone());
//!         lisle::spawn(move || {
//!             words.lock().push(word);
//!             drop(group);
//!         });
//!     }
//!     group.wait(); // until all tasks have dropped theirs
//!     assert_eq!(words.lock().len(), 3);
//! });
//! ```
//!
//! | Type | For | Like |
//! |---|---|---|
//! | [`Mutex`], [`RwLock`] | a value that several parties change | `std::sync::nonpoison` |
//! | [`Condvar`] | waiting until such a value has changed | `std::sync::nonpoison` |
//! | [`Once`], [`OnceLock`], [`LazyLock`] | made once, perhaps after a wait | `std::sync` |
//! | [`Barrier`] | parties that wait for each other | `std::sync` |
//! | [`WaitGroup`] | waiting until all others are done | crossbeam |
//! | [`Semaphore`] | at most this many at a time | tokio |
//! | [`Notify`] | a wake-up without a value | tokio |
//! | [`watch`] | a value of which all see the latest version | tokio |
//! | [`broadcast`] | a channel of which each receiver gets every message | tokio |
//!
//! All but the last two and `WaitGroup` have a `const fn new`, so they can be `static`. What waits
//! has a form with a time-out and one with a deadline. A time-out of zero looks and gives up; one
//! that ends after the last representable `Instant`, such as `Duration::MAX`, never comes.
//!
//! `async` code, on any executor, waits at a [`Notify`] by `notify.notified().await` and for
//! permits by [`acquire_async`](Semaphore::acquire_async).
//!
//! A guard of a part of a value is made by `map` and `filter_map`, as
//! [`MutexGuard::map`]. One that borrows nothing, for a lock in an `Arc`, comes from the methods
//! with `owned` in their names, as [`Mutex::lock_owned`]. With the feature `lock_api` there are the
//! locks in the form of that crate, too, on which others build.
//!
//! # Panics and cancellation
//!
//! Nothing is poisoned but a [`LazyLock`], whose initialiser is gone. A party that unwinds drops
//! its guards, permits and handles like any other values, and a guarded value stays as it was left.
//!
//! Waiting for a lock, or for another party's initialiser, is not cut short by the cancellation of
//! a task, but only by the end of its runtime. Waits for conditions, permits, notifications,
//! groups, barriers and messages are. A party that leaves was not chosen by anybody: what it would
//! have got goes to the next. In a destructor of a task that unwinds, those that cannot say that
//! they have failed wait as in a [`shield`](crate::task::shield); those for messages fail.
//!
//! # Others have their turn
//!
//! What takes a lock or a permit without having to wait counts as an operation of the turn, as in
//! [`channel`](crate::channel#others-have-their-turn), and a `try_` that fails as a failure. So
//! tasks that only poll let others run.

#[doc(inline)]
#[cfg(feature = "lock_api")]
pub use lisle_sync::lock_api;
#[doc(inline)]
pub use lisle_sync::{
    AcquireError, AcquireFuture, AcquireOwnedFuture, AcquireTimeoutError, Barrier,
    BarrierWaitResult, Condvar, LazyLock, MappedMutexGuard, MappedRwLockReadGuard,
    MappedRwLockWriteGuard, Mutex, MutexGuard, Notified, NotifiedFuture, Notify, Once, OnceLock,
    OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock,
    RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit, TryAcquireError, WaitGroup,
    WaitTimeoutResult, broadcast, watch,
};

//! Every schedule worth fearing: a test that runs a program many times, and each time its tasks
//! take turns in another order.
//!
//! [`explore`] runs a closure under many schedules and fails with the shortest history that it
//! finds for a failure: a panic, a deadlock, a task that waits for ever, a program that does not
//! end. [`Explorer`] says how many, and by which [`Strategy`].
//!
//! ```
//! use lisle::channel::bounded;
//! use lisle::explore::explore;
//!
//! explore(|| {
//!     let (tx, rx) = bounded(1);
//!     let theirs = tx.clone();
//!     lisle::spawn(move || theirs.send(1).unwrap());
//!     lisle::spawn(move || tx.send(2).unwrap());
//!     assert_eq!(rx.iter().sum::<i32>(), 3); // in either order
//! });
//! ```
//!
//! The program is what it is elsewhere: real tasks on real stacks, all of Lisle's channels, locks
//! and timers. Another task may come first at each of their operations, at those of the atomics of
//! [`atomic`], and at a [`point`]. What the program does in between happens at once, as far as
//! other tasks can see: they take turns on one worker. So a data race between plain memory accesses
//! is not found, which safe Rust excludes.
//!
//! Time is [virtual](crate::RuntimeBuilder::virtual_time). What a program gets from elsewhere, by a
//! socket, a file, a thread of its own or the order of a `HashMap`, is not the same in each
//! execution, and makes a failure hard to repeat.

#[doc(inline)]
pub use lisle_scheduler::explore::{
    Cause, Explorer, Failure, Fault, Strategy, atomic, explore, point,
};

//! Channels between Lisle's tasks, between plain threads, and from one to the other, with the
//! interface and the meaning of [crossbeam-channel] 0.5.
//!
//! Users come by `lisle::channel`, whose page explains them. This crate stands on
//! [`park`](mod@lisle_scheduler::park) alone; its README has the protocols.
//!
//! # Others have their turn
//!
//! The page of `lisle::channel` has a section of this name: when an operation that need not wait
//! lets other tasks run.
//!
//! [crossbeam-channel]: https://docs.rs/crossbeam-channel

#![warn(unreachable_pub)]

mod blocking;
mod buffer;
mod channel;
mod claim;
mod done;
mod error;
mod futures;
mod iter;
mod linger;
mod meeting;
#[cfg(all(test, lisle_loom))]
mod models;
mod receiver;
mod report;
mod select;
mod sender;
mod timer;
mod waiter;
mod waitlist;
mod ways;

use std::convert::identity;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::now;

pub use crate::done::Done;
pub use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
#[cfg(feature = "futures-core")]
pub use crate::futures::RecvStream;
pub use crate::futures::{RecvFuture, SendFuture};
pub use crate::iter::{IntoIter, Iter, TryIter};
pub use crate::receiver::Receiver;
pub use crate::select::{
    ReadyTimeoutError, Select, SelectTimeoutError, SelectedOperation, TryReadyError, TrySelectError,
};
pub use crate::sender::Sender;

use crate::buffer::Buffer;
use crate::channel::Channel;
use crate::receiver::Source;
use crate::timer::Timer;

/// What the macros expand to. Not part of the interface.
#[doc(hidden)]
pub mod internal {
    pub use crate::claim::GrantCell;
    pub use crate::select::macros::{recv, send, unknown};
    pub use crate::select::{Case, Order, Promise, Selected, select, select_timeout, try_select};
}

/// Makes a channel that holds up to `capacity` messages.
///
/// Memory for all of them is allocated at once. With capacity 0 a send and a receive have to meet.
///
/// A message passes over the stacks of its parties, where it lies several times. On a task's
/// default stack of 256 KiB it may have some 24 KiB, in a debug build 6 KiB. Larger ones belong in
/// a `Box`.
///
/// # Panics
///
/// If memory for `capacity` messages cannot be had.
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let (sender, receiver) = lisle::channel::bounded(2);
///     sender.send(1).unwrap();
///     sender.send(2).unwrap();
///     assert!(sender.try_send(3).is_err());
///     assert_eq!(receiver.recv(), Ok(1));
///     assert!(sender.try_send(3).is_ok());
/// });
/// ```
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    with_buffer(Buffer::bounded(capacity))
}

/// Makes a channel that holds any number of messages.
///
/// Its memory grows and shrinks with the number of messages that wait in it. [`bounded`] says how
/// large a message may be.
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let (sender, receiver) = lisle::channel::unbounded();
///     for i in 0..1000 {
///         sender.send(i).unwrap();
///     }
///     drop(sender);
///     assert_eq!(receiver.iter().count(), 1000);
/// });
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    with_buffer(Buffer::unbounded())
}

/// Makes a receiver that gets one message, the time at which `duration` will have passed, as soon
/// as it has.
///
/// The channel counts as one of capacity 1 and is never disconnected. Clones of the receiver share
/// the message: one of them gets it. A duration that ends after the last representable [`Instant`]
/// never passes.
///
/// # Examples
///
/// ```
/// use lisle::channel::{after, select, unbounded};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (_sender, receiver) = unbounded::<u8>();
///     select! {
///         recv(receiver) -> _ => unreachable!("nobody sends"),
///         recv(after(Duration::from_millis(1))) -> time => println!("it is {time:?}"),
///     }
/// });
/// ```
pub fn after(duration: Duration) -> Receiver<Instant> {
    match now().checked_add(duration) {
        Some(when) => at(when),
        None => never(),
    }
}

/// Makes a receiver that gets one message, `when`, as soon as that time has come.
///
/// The channel counts as one of capacity 1 and is never disconnected. Clones of the receiver share
/// the message: one of them gets it.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let when = Instant::now() + Duration::from_millis(1);
///     let receiver = lisle::channel::at(when);
///     assert_eq!(receiver.recv(), Ok(when));
///     assert!(Instant::now() >= when);
///     assert!(receiver.try_recv().is_err());
/// });
/// ```
pub fn at(when: Instant) -> Receiver<Instant> {
    timer(Timer::once(when))
}

/// Makes a receiver that gets a message, the time, whenever `duration` has passed.
///
/// The channel counts as one of capacity 1: while a message has not been received no other one
/// comes, and the time to the next one begins when it is received. The channel is never
/// disconnected. A duration that ends after the last representable [`Instant`] never passes.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// lisle::run(|| {
///     let start = Instant::now();
///     let ticks = lisle::channel::tick(Duration::from_millis(2));
///     for time in ticks.iter().take(3) {
///         println!("{:?}", time - start);
///     }
///     assert!(start.elapsed() >= Duration::from_millis(6));
/// });
/// ```
pub fn tick(duration: Duration) -> Receiver<Instant> {
    match now().checked_add(duration) {
        Some(first) => timer(Timer::periodic(first, duration)),
        None => never(),
    }
}

/// Makes a receiver that never gets a message.
///
/// The channel counts as one of capacity 0 and is never disconnected.
///
/// # Examples
///
/// A timeout that may be there or not:
///
/// ```
/// use lisle::channel::{after, never, select, unbounded};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded();
///     let patience: Option<Duration> = None;
///     sender.send(1).unwrap();
///     select! {
///         recv(receiver) -> message => assert_eq!(message, Ok(1)),
///         recv(patience.map_or_else(never, after)) -> _ => println!("too late"),
///     }
/// });
/// ```
pub const fn never<T>() -> Receiver<T> {
    Receiver { source: Source::Never }
}

fn timer(timer: Timer) -> Receiver<Instant> {
    Receiver { source: Source::Timer(std::sync::Arc::new(timer), identity) }
}

fn with_buffer<T>(buffer: Buffer<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(buffer));
    (Sender::first(channel.clone()), Receiver::first(channel))
}

//! Channels between Lisle's tasks, between plain threads, and from one to the other.
//!
//! The interface and the meaning are those of [crossbeam-channel] 0.5; what differs is that a
//! blocked task lets its worker run other tasks.
//!
//! [`bounded`] makes a channel with a buffer of a given capacity. With capacity 0 it is a
//! rendezvous: every send waits for its receive. [`unbounded`] makes a channel whose sends never
//! wait. Both ends can be cloned and shared. A channel is disconnected when one of its ends has no
//! handle left.
//!
//! Messages leave a channel in the order in which they were sent, and parties that wait are served
//! in the order in which they came.
//!
//! # Examples
//!
//! ```
//! use lisle_channel::bounded;
//!
//! lisle_scheduler::run(|| {
//!     let (sender, receiver) = bounded(0);
//!     lisle_scheduler::spawn(move || {
//!         for word in ["tasks", "talk"] {
//!             sender.send(word).unwrap();
//!         }
//!     });
//!     assert_eq!(receiver.iter().collect::<Vec<_>>(), ["tasks", "talk"]);
//! });
//! ```
//!
//! [crossbeam-channel]: https://docs.rs/crossbeam-channel

mod buffer;
mod channel;
mod error;
mod iter;
#[cfg(all(test, lisle_loom))]
mod loom_models;
mod receiver;
mod sender;
mod waitlist;

use lisle_runtime::primitive::Arc;

pub use crate::error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
pub use crate::iter::{IntoIter, Iter, TryIter};
pub use crate::receiver::Receiver;
pub use crate::sender::Sender;

use crate::buffer::Buffer;
use crate::channel::Channel;

/// Makes a channel that holds up to `capacity` messages.
///
/// Memory for all of them is allocated at once. With capacity 0 a send and a receive have to meet.
///
/// # Panics
///
/// If memory for `capacity` messages cannot be had.
///
/// # Examples
///
/// ```
/// lisle_scheduler::run(|| {
///     let (sender, receiver) = lisle_channel::bounded(2);
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
/// Its memory grows and shrinks with the number of messages that wait in it.
///
/// # Examples
///
/// ```
/// lisle_scheduler::run(|| {
///     let (sender, receiver) = lisle_channel::unbounded();
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

fn with_buffer<T>(buffer: Buffer<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(buffer));
    (Sender::first(channel.clone()), Receiver::first(channel))
}

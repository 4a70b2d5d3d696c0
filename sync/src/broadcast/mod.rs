//! A channel of which each receiver gets every message.
//!
//! The interface is that of tokio's `broadcast`. The channel keeps the last messages, up to its
//! capacity. Sending never waits: when the channel is full the oldest message goes, and a receiver
//! that had not got it yet learns how many it has missed.
//!
//! A receiver gets what is sent after it was made. Messages are cloned, but for the last receiver
//! of each, which gets the message itself.
//!
//! **Cancellation.** A wait is a cancellation point, which loses nothing: a receiver's place is in
//! the receiver. In a destructor of a cancelled task it fails as if no sender were left.
//!
//! # Examples
//!
//! ```
//! use lisle::sync::broadcast::{self, RecvError};
//!
//! lisle::run(|| {
//!     let (sender, mut first) = broadcast::channel(2);
//!     let mut second = sender.subscribe();
//!     let listener = lisle::spawn(move || first.recv());
//!     sender.send(1).unwrap();
//!     assert_eq!(listener.join().unwrap(), Ok(1));
//!     sender.send(2).unwrap();
//!     sender.send(3).unwrap();
//!     assert_eq!(second.recv(), Err(RecvError::Lagged(1))); // it was not quick enough
//!     assert_eq!((second.recv(), second.recv()), (Ok(2), Ok(3)));
//!     drop(sender);
//!     assert_eq!(second.recv(), Err(RecvError::Closed));
//! });
//! ```

mod error;
#[cfg(all(test, lisle_loom))]
mod models;
mod receiver;
mod sender;

use std::collections::VecDeque;

pub use self::error::{RecvError, RecvTimeoutError, SendError, TryRecvError};
pub use self::receiver::Receiver;
pub use self::sender::Sender;
use crate::ends::{Ends, State};

/// Makes a channel that keeps up to `capacity` messages for receivers that have not got them.
///
/// # Panics
///
/// If the capacity is 0.
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.first_receiver();
    (sender, receiver)
}

struct Shared<T> {
    ends: Ends<Messages<T>>,
    capacity: usize,
}

struct Messages<T> {
    /// The last messages, oldest first.
    kept: VecDeque<Message<T>>,
    /// How many messages were sent.
    sent: u64,
}

struct Message<T> {
    /// In memory of its own, so that it can be cloned and dropped without the lock. Gone when all
    /// have got it.
    value: Option<std::sync::Arc<T>>,
    /// How many receivers have yet to get it.
    wanted_by: usize,
}

/// What a receiver finds at its place.
enum Found<T> {
    Message(std::sync::Arc<T>),
    /// This many messages are gone that it has not got.
    Missed(u64),
    Nothing,
    Closed,
}

impl<T> Shared<T> {
    /// Of a channel with one sender and no receiver.
    fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "a broadcast channel has a capacity of at least 1");
        Self { ends: Ends::new(Messages { kept: VecDeque::new(), sent: 0 }), capacity }
    }
}

impl<T> State<Messages<T>> {
    /// What is at `place`, which moves on behind it.
    fn find(&mut self, place: &mut u64) -> Found<T> {
        let first = self.more.first();
        if *place < first {
            let missed = first - *place;
            *place = first;
            return Found::Missed(missed);
        }
        match self.more.get((*place - first) as usize) {
            Some(value) => {
                *place += 1;
                Found::Message(value)
            }
            None if self.senders() == 0 => Found::Closed,
            None => Found::Nothing,
        }
    }
}

impl<T> Messages<T> {
    /// The place of the oldest message.
    fn first(&self) -> u64 {
        self.sent - self.kept.len() as u64
    }

    /// The message at `index` for one receiver. The last one takes it away.
    fn get(&mut self, index: usize) -> Option<std::sync::Arc<T>> {
        let message = self.kept.get_mut(index)?;
        message.wanted_by -= 1;
        if message.wanted_by > 0 {
            return message.value.clone();
        }
        let value = message.value.take();
        while self.kept.front().is_some_and(|message| message.value.is_none()) {
            self.kept.pop_front();
        }
        value
    }
}

//! [`Sender`].

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::internal::points::pass_and_find_receivers_gone;
use lisle_scheduler::park::Place;

use super::{Message, Receiver, SendError, Shared};
use crate::waiting::{deadline_in, pass};

/// The end of a [broadcast channel](super) that sends. Clones send to the same receivers.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// A sender without receivers, which [`subscribe`](Self::subscribe) makes.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn new(capacity: usize) -> Self {
        Self(Arc::new(Shared::new(capacity)))
    }

    /// Sends a message to all receivers, and returns how many they are. Never waits.
    ///
    /// # Errors
    ///
    /// The message, if there is no receiver.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        if pass_and_find_receivers_gone() {
            return Err(SendError(message));
        }
        let message = std::sync::Arc::new(message);
        let mut state = self.0.ends.lock();
        let receivers = state.receivers();
        if receivers == 0 {
            drop(state);
            let message = std::sync::Arc::into_inner(message).expect("it was not shared");
            return Err(SendError(message));
        }
        let messages = &mut state.more;
        let is_full = messages.kept.len() == self.0.capacity;
        let oldest = if is_full { messages.kept.pop_front() } else { None };
        messages.kept.push_back(Message { value: Some(message), wanted_by: receivers });
        messages.sent += 1;
        let receiving = state.take_receiving();
        drop(state);
        receiving.wake();
        drop(oldest);
        Ok(receivers)
    }

    /// Another receiver, which gets what is sent from now on.
    #[track_caller]
    pub fn subscribe(&self) -> Receiver<T> {
        pass();
        self.first_receiver()
    }

    /// As [`subscribe`](Self::subscribe), where nobody else has seen the sender.
    pub(super) fn first_receiver(&self) -> Receiver<T> {
        Receiver::subscribe(&self.0)
    }

    /// How many messages are kept that not all receivers have got.
    #[track_caller]
    pub fn len(&self) -> usize {
        pass();
        self.0.ends.lock().more.kept.iter().filter(|message| message.value.is_some()).count()
    }

    /// Whether all receivers have got all messages.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        pass();
        self.0.ends.lock().more.kept.is_empty()
    }

    /// Waits until no receiver is left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled, but not in a destructor that unwinds.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::broadcast;
    ///
    /// lisle::run(|| {
    ///     let (sender, mut receiver) = broadcast::channel(1);
    ///     let listener = lisle::spawn(move || receiver.recv());
    ///     sender.send("news").unwrap();
    ///     sender.closed(); // nobody listens any more
    ///     assert_eq!(listener.join().unwrap(), Ok("news"));
    /// });
    /// ```
    #[track_caller]
    pub fn closed(&self) {
        self.closed_at(|| None, Location::caller());
    }

    /// As [`closed`](Self::closed), but waits no longer than `timeout`. Whether no receiver is
    /// left.
    ///
    /// # Panics
    ///
    /// As [`closed`](Self::closed).
    #[track_caller]
    pub fn closed_timeout(&self, timeout: Duration) -> bool {
        self.closed_at(|| deadline_in(timeout), Location::caller())
    }

    /// As [`closed`](Self::closed), but does not wait beyond `deadline`. Whether no receiver is
    /// left.
    ///
    /// # Panics
    ///
    /// As [`closed`](Self::closed).
    #[track_caller]
    pub fn closed_until(&self, deadline: Instant) -> bool {
        self.closed_at(|| Some(deadline), Location::caller())
    }

    fn closed_at(&self, deadline: impl FnOnce() -> Option<Instant>, place: Place) -> bool {
        let reason = "waiting for the last receiver of a broadcast to go";
        self.0.ends.closed(reason, deadline, place)
    }

    /// How many receivers there are.
    #[track_caller]
    pub fn receiver_count(&self) -> usize {
        pass();
        self.0.ends.lock().receivers()
    }

    /// How many senders there are.
    #[track_caller]
    pub fn sender_count(&self) -> usize {
        pass();
        self.0.ends.lock().senders()
    }

    /// Whether both send to the same receivers.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

unwind_safe!(Sender<T>);

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.ends.lock().add_sender();
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.ends.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish_non_exhaustive()
    }
}

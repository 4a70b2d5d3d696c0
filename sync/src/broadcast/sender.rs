//! [`Sender`].

use std::fmt;

use lisle_runtime::internal::primitive::Arc;

use super::{Message, Receiver, SendError, Shared, new_shared};

/// The end of a [broadcast channel](super) that sends. Clones send to the same receivers.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// A sender without receivers, which [`subscribe`](Self::subscribe) makes.
    ///
    /// # Panics
    ///
    /// If the capacity is 0.
    pub fn new(capacity: usize) -> Self {
        Self(new_shared(capacity))
    }

    /// Sends a message to all receivers, and returns how many they are. Never waits.
    ///
    /// # Errors
    ///
    /// The message, if there is no receiver.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let message = std::sync::Arc::new(message);
        let mut state = self.0.state.lock();
        let receivers = state.receivers;
        if receivers == 0 {
            drop(state);
            let message = std::sync::Arc::into_inner(message).expect("it was not shared");
            return Err(SendError(message));
        }
        let is_full = state.kept.len() == self.0.capacity;
        let oldest = if is_full { state.kept.pop_front() } else { None };
        state.kept.push_back(Message { value: Some(message), wanted_by: receivers });
        state.sent += 1;
        let waiting = state.queue.take_all();
        drop(state);
        waiting.wake();
        drop(oldest);
        Ok(receivers)
    }

    /// Another receiver, which gets what is sent from now on.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::subscribe(&self.0)
    }

    /// How many messages are kept that not all receivers have got.
    pub fn len(&self) -> usize {
        self.0.state.lock().kept.iter().filter(|message| message.value.is_some()).count()
    }

    /// Whether all receivers have got all messages.
    pub fn is_empty(&self) -> bool {
        self.0.state.lock().kept.is_empty()
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.0.state.lock().receivers
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.0.state.lock().senders
    }

    /// Whether both send to the same receivers.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(self.0.clone())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.0.state.lock();
        state.senders -= 1;
        let waiting = if state.senders == 0 { Some(state.queue.take_all()) } else { None };
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("receivers", &self.receiver_count()).finish_non_exhaustive()
    }
}

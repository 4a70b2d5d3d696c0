//! [`Receiver`].

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::park::{Place, Wake};
use lisle_scheduler::turn;

use super::{Found, Messages, RecvError, RecvTimeoutError, Shared, TryRecvError};
use crate::ends::State;
use crate::waiting::{deadline_in, pass, pass_aside, spend_at};

/// The end of a [broadcast channel](super) that receives. Each receiver gets every message.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
    /// How many messages it has got or missed, of all that were sent.
    place: u64,
}

impl<T> Receiver<T> {
    pub(super) fn subscribe(shared: &Arc<Shared<T>>) -> Self {
        let mut state = shared.ends.lock();
        state.add_receiver();
        Self { shared: shared.clone(), place: state.more.sent }
    }

    /// How many messages wait for this receiver, with those that are gone.
    #[track_caller]
    pub fn len(&self) -> usize {
        pass();
        (self.shared.ends.lock().more.sent - self.place) as usize
    }

    /// Whether no message waits for this receiver.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Another receiver, which gets what is sent from now on.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::broadcast;
    ///
    /// let (sender, mut first) = broadcast::channel(4);
    /// sender.send("early").unwrap();
    /// let mut second = first.resubscribe();
    /// sender.send("late").unwrap();
    /// assert_eq!((first.len(), second.len()), (2, 1));
    /// assert_eq!((first.recv(), second.recv()), (Ok("early"), Ok("late")));
    /// ```
    #[track_caller]
    pub fn resubscribe(&self) -> Self {
        pass();
        Self::subscribe(&self.shared)
    }

    /// Whether no sender is left. There may still be messages.
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        pass();
        self.shared.ends.lock().senders() == 0
    }

    /// Whether both receive from the same senders.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn find(&mut self) -> Found<T> {
        self.shared.ends.lock().find(&mut self.place)
    }
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// If messages were missed, or no sender is left and all messages were received.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. With the panic of the message's `clone`, after which the
    /// message counts as got.
    #[track_caller]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.recv_at(|| None, Location::caller()).map_err(|error| match error {
            RecvTimeoutError::Lagged(missed) => RecvError::Lagged(missed),
            RecvTimeoutError::Closed | RecvTimeoutError::Timeout => RecvError::Closed,
        })
    }

    /// The next message, if there is one. Never waits.
    ///
    /// # Errors
    ///
    /// If there is none, or as [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::broadcast::{self, TryRecvError};
    ///
    /// let (sender, mut receiver) = broadcast::channel(1);
    /// assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(1));
    /// ```
    #[track_caller]
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        pass();
        match self.find() {
            Found::Message(message) => Ok(own(message)),
            Found::Missed(missed) => Err(TryRecvError::Lagged(missed)),
            Found::Nothing => {
                turn::fail();
                Err(TryRecvError::Empty)
            }
            Found::Closed => Err(TryRecvError::Closed),
        }
    }

    /// As [`recv`](Self::recv), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If no message came in time, or as [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_at(|| deadline_in(timeout), Location::caller())
    }

    /// As [`recv`](Self::recv), but does not wait beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    #[track_caller]
    pub fn recv_until(&mut self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_at(|| Some(deadline), Location::caller())
    }

    fn recv_at(
        &mut self,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> Result<T, RecvTimeoutError> {
        spend_at(place);
        let mut found = self.find();
        if let Found::Nothing = found {
            let wake = self.wait(deadline(), place);
            found = self.find();
            if let Found::Nothing = found {
                return Err(match wake {
                    Wake::TimedOut => RecvTimeoutError::Timeout,
                    Wake::Unparked | Wake::Failed => RecvTimeoutError::Closed,
                });
            }
        }
        match found {
            Found::Message(message) => Ok(own(message)),
            Found::Missed(missed) => Err(RecvTimeoutError::Lagged(missed)),
            Found::Nothing | Found::Closed => Err(RecvTimeoutError::Closed),
        }
    }

    /// Waits until a message was sent, or no sender is left.
    fn wait(&self, deadline: Option<Instant>, place: Place) -> Wake {
        let is_over =
            |state: &State<Messages<T>>| state.more.sent != self.place || state.senders() == 0;
        self.shared.ends.receive("receiving a broadcast", is_over, deadline, place)
    }
}

/// The message itself if this is the last receiver of it, or else a clone.
fn own<T: Clone>(message: std::sync::Arc<T>) -> T {
    std::sync::Arc::unwrap_or_clone(message)
}

impl<T> Drop for Receiver<T> {
    /// Those messages go for which no other receiver waits, one by one: they are dropped without
    /// the lock.
    fn drop(&mut self) {
        pass_aside("drops a receiver", None);
        let mut state = self.shared.ends.lock();
        let closing = state.remove_receiver();
        let end = state.more.sent;
        drop(state);
        if let Some(closing) = closing {
            closing.wake();
        }
        while self.place < end {
            drop(self.find());
        }
    }
}

unwind_safe!(Receiver<T>);

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("len", &self.len()).finish_non_exhaustive()
    }
}

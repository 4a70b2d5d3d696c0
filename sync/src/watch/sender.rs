//! [`Sender`]: the end that changes the value.

use std::fmt;
use std::mem;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::internal::points::finds_receivers_gone;
use lisle_scheduler::park::Place;

use super::{Receiver, Ref, SendError, Shared};
use crate::waiting::{deadline_in, pass};

/// The end of a [watched value](super) that changes it. Clones change the same value.
pub struct Sender<T>(Arc<Shared<T>>);

impl<T> Sender<T> {
    /// A sender without receivers, which [`subscribe`](Self::subscribe) makes.
    pub fn new(init: T) -> Self {
        Self(Arc::new(Shared::new(init)))
    }

    /// Changes the value if there is a receiver. Waits for those that look at it right now.
    ///
    /// # Errors
    ///
    /// The new value, if no receiver is left.
    ///
    /// # Panics
    ///
    /// As [`RwLock::write`](crate::RwLock::write).
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() || finds_receivers_gone() {
            return Err(SendError(value));
        }
        drop(self.send_replace(value));
        Ok(())
    }

    /// Changes the value, with or without receivers, and returns the old one.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::watch;
    ///
    /// let level = watch::Sender::new(1);
    /// assert!(level.send(2).is_err()); // nobody watches
    /// assert_eq!(level.send_replace(3), 1);
    /// assert_eq!(*level.subscribe().borrow(), 3);
    /// ```
    #[track_caller]
    pub fn send_replace(&self, value: T) -> T {
        self.0.change(|old| (mem::replace(old, value), true))
    }

    /// Changes the value in its place. If `modify` panics, receivers are not notified, and the
    /// value stays as it was left.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send), and with the panic of `modify`.
    ///
    /// # Examples
    ///
    /// ```
    /// let (sender, receiver) = lisle::sync::watch::channel(vec![1]);
    /// sender.send_modify(|list| list.push(2));
    /// assert_eq!(*receiver.borrow(), [1, 2]);
    /// ```
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.0.change(|value| (modify(value), true));
    }

    /// As [`send_modify`](Self::send_modify), but notifies receivers only if `modify` returns true.
    /// Returns what `modify` has returned.
    ///
    /// # Panics
    ///
    /// As [`send_modify`](Self::send_modify).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::watch;
    ///
    /// let (highest, watched) = watch::channel(5);
    /// let raise = |to: u32| {
    ///     highest.send_if_modified(|level| {
    ///         let rises = to > *level;
    ///         *level = to.max(*level);
    ///         rises
    ///     })
    /// };
    /// assert!(!raise(3) && watched.has_changed() == Ok(false));
    /// assert!(raise(7) && watched.has_changed() == Ok(true));
    /// ```
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        self.0.change(|value| {
            let modified = modify(value);
            (modified, modified)
        })
    }

    /// The value. It cannot be changed before this is dropped.
    ///
    /// # Panics
    ///
    /// As [`RwLock::read`](crate::RwLock::read).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref { value: self.0.read().0, has_changed: false }
    }

    /// Another receiver, which counts the present value as seen.
    #[track_caller]
    pub fn subscribe(&self) -> Receiver<T> {
        pass();
        self.first_receiver()
    }

    /// As [`subscribe`](Self::subscribe), where nobody else has seen the sender.
    pub(super) fn first_receiver(&self) -> Receiver<T> {
        Receiver::new(self.0.clone(), self.0.version())
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
    /// use lisle::sync::watch;
    ///
    /// lisle::run(|| {
    ///     let (progress, watched) = watch::channel(0);
    ///     let viewer = lisle::spawn(move || *watched.borrow());
    ///     progress.closed(); // nobody looks any more
    ///     viewer.join().unwrap();
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
        let reason = "waiting for the last receiver of a watched value to go";
        self.0.ends.closed(reason, deadline, place)
    }

    /// Whether no receiver is left.
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
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

    /// Whether both change the same value.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

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

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("value", &self.0.value).finish_non_exhaustive()
    }
}

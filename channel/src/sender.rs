//! The sending end.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::internal::points;
use lisle_scheduler::{now, turn};

use crate::channel::{Channel, End};
use crate::error::{SendError, SendTimeoutError, TrySendError};

/// The sending end of a channel.
///
/// Clones send into the same channel. When the last of them is dropped the channel is
/// disconnected: receivers still get what is buffered, and then an error.
///
/// # Examples
///
/// ```
/// use lisle::channel::unbounded;
///
/// lisle::run(|| {
///     let (first, receiver) = unbounded();
///     let second = first.clone();
///     lisle::spawn(move || first.send(1).unwrap());
///     lisle::spawn(move || second.send(2).unwrap());
///     assert_eq!(receiver.iter().sum::<i32>(), 3);
/// });
/// ```
pub struct Sender<T> {
    pub(crate) channel: Arc<Channel<T>>,
}

// SAFETY: all that it holds is so too, which the function below lets the compiler check. It is said
// here, and not derived, so that an error speaks of the message and not of what holds it.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Sender<T> {}

const _: () = {
    fn _may_change_threads<X: Send + Sync>() {}
    fn _holds_what_may<T: Send>() {
        _may_change_threads::<Arc<Channel<T>>>();
    }
};

impl<T> UnwindSafe for Sender<T> {}
impl<T> RefUnwindSafe for Sender<T> {}

impl<T> Sender<T> {
    /// The one handle that [`Channel::new`] has counted.
    pub(crate) fn first(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// The channel, which exists as long as the handle.
    pub(crate) fn channel(&self) -> NonNull<Channel<T>> {
        // SAFETY: an `Arc` does not point to null.
        unsafe { NonNull::new_unchecked(Arc::as_ptr(&self.channel).cast_mut()) }
    }

    /// Sends if that is possible at once: if a receiver is waiting or the buffer has a free place.
    ///
    /// In a task, every 64th failure in a turn lets the other tasks have a turn each:
    /// [others have their turn](index.html#others-have-their-turn).
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is full or no receiver is left.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send), where it lets others run.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{TrySendError, bounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     assert_eq!(sender.try_send(1), Ok(()));
    ///     assert_eq!(sender.try_send(2), Err(TrySendError::Full(2)));
    ///     assert_eq!(receiver.recv(), Ok(1));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        if points::pass_and_find_receivers_gone() {
            return Err(TrySendError::Disconnected(message));
        }
        let sent = self.channel.try_send(message);
        if sent.is_err() {
            turn::fail();
        }
        sent
    }

    /// Sends, and blocks the calling task or thread while the channel is full.
    ///
    /// In a rendezvous channel it returns when a receiver has taken the message. In an unbounded
    /// one it never waits, nor lets others run. Otherwise it lets the other tasks of its thread
    /// have a turn each after 256 operations that need not wait: [others have their
    /// turn](index.html#others-have-their-turn).
    ///
    /// # Errors
    ///
    /// Gives the message back if no receiver is left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. If it has to wait, panics in a task inside
    /// [`no_suspend`](lisle_runtime::no_suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     let task = lisle::spawn(move || receiver.recv());
    ///     sender.send("hello").unwrap();
    ///     assert_eq!(task.join().unwrap(), Ok("hello"));
    ///     assert!(sender.send("anybody there?").is_err());
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.channel.send(message, None) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Disconnected(message)) => Err(SendError(message)),
            Err(SendTimeoutError::Timeout(_)) => unreachable!("there is no deadline"),
        }
    }

    /// Like [`send`](Self::send), for at most `timeout`.
    ///
    /// A timeout that ends after the last representable [`Instant`] never expires.
    ///
    /// # Errors
    ///
    /// Gives the message back if the time is over or no receiver is left.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{SendTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     sender.send('a').unwrap();
    ///     let result = sender.send_timeout('b', Duration::from_millis(1));
    ///     assert_eq!(result, Err(SendTimeoutError::Timeout('b')));
    ///     assert_eq!(receiver.len(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.channel.send(message, now().checked_add(timeout))
    }

    /// Like [`send`](Self::send), until `deadline`.
    ///
    /// After a deadline in the past it still sends if that is possible at once.
    ///
    /// # Errors
    ///
    /// Gives the message back if the deadline has passed or no receiver is left.
    ///
    /// # Panics
    ///
    /// As [`send`](Self::send).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    /// use std::time::{Duration, Instant};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     let deadline = Instant::now() + Duration::from_millis(1);
    ///     assert!(sender.send_deadline(1, deadline).is_ok());
    ///     assert!(sender.send_deadline(2, deadline).unwrap_err().is_timeout());
    ///     assert_eq!(receiver.recv(), Ok(1));
    /// });
    /// ```
    #[track_caller]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.channel.send(message, Some(deadline))
    }

    /// Whether no message is buffered. Always so in a rendezvous channel.
    ///
    /// It never lets others run: a task that loops over it has to call `lisle::yield_now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = unbounded();
    ///     assert!(sender.is_empty());
    ///     sender.send(0).unwrap();
    ///     assert!(!sender.is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.channel.is_empty()
    }

    /// Whether the buffer has no free place. Always so in a rendezvous channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = bounded(1);
    ///     assert!(!sender.is_full());
    ///     sender.send(0).unwrap();
    ///     assert!(sender.is_full());
    /// });
    /// ```
    #[track_caller]
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// The number of buffered messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = unbounded();
    ///     sender.send('x').unwrap();
    ///     sender.send('y').unwrap();
    ///     assert_eq!(sender.len(), 2);
    /// });
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// The number of messages that can be buffered, or `None` if there is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{bounded, unbounded};
    ///
    /// lisle::run(|| {
    ///     assert_eq!(unbounded::<u8>().0.capacity(), None);
    ///     assert_eq!(bounded::<u8>(5).0.capacity(), Some(5));
    ///     assert_eq!(bounded::<u8>(0).0.capacity(), Some(0));
    /// });
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    /// Whether both send into the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = unbounded::<u8>();
    ///     assert!(sender.same_channel(&sender.clone()));
    ///     assert!(!sender.same_channel(&unbounded().0));
    /// });
    /// ```
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.attach(End::Sending);
        Self { channel: self.channel.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        Channel::detach(&self.channel, End::Sending);
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Sender { .. }")
    }
}

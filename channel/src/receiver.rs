//! The receiving end.

use std::convert::identity;
use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::{Duration, Instant};

use lisle_runtime::primitive::Arc;

use crate::channel::{Channel, End};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::iter::{Iter, TryIter};

/// The receiving end of a channel.
///
/// Clones receive from the same channel, and each message goes to one of them. When the last of
/// them is dropped the channel is disconnected: what is buffered is dropped at once, and senders
/// get an error.
///
/// # Examples
///
/// ```
/// use lisle_channel::bounded;
///
/// lisle_scheduler::run(|| {
///     let (sender, receiver) = bounded(8);
///     let workers: Vec<_> = (0..3)
///         .map(|_| {
///             let receiver = receiver.clone();
///             lisle_scheduler::spawn(move || receiver.iter().sum::<u64>())
///         })
///         .collect();
///     for i in 1..=100 {
///         sender.send(i).unwrap();
///     }
///     drop(sender);
///     assert_eq!(workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>(), 5050);
/// });
/// ```
pub struct Receiver<T> {
    channel: Arc<Channel<T>>,
}

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// The one handle that [`Channel::new`] has counted.
    pub(crate) fn first(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Receives if that is possible at once: if a message is buffered or a sender is waiting.
    ///
    /// # Errors
    ///
    /// If the channel is empty, with or without senders left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{TryRecvError, unbounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    ///     sender.send(5).unwrap();
    ///     assert_eq!(receiver.try_recv(), Ok(5));
    /// });
    /// ```
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.channel.try_recv()
    }

    /// Receives, and blocks the calling task or thread while the channel is empty.
    ///
    /// # Errors
    ///
    /// If the channel is empty and no sender is left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{RecvError, unbounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     lisle_scheduler::spawn(move || sender.send(5).unwrap());
    ///     assert_eq!(receiver.recv(), Ok(5));
    ///     assert_eq!(receiver.recv(), Err(RecvError));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.channel.recv(None, |_| RecvError)
    }

    /// Like [`recv`](Self::recv), for at most `timeout`.
    ///
    /// A timeout that ends after the last representable [`Instant`] never expires.
    ///
    /// # Errors
    ///
    /// If the time is over, or the channel is empty and no sender is left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{RecvTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (_sender, receiver) = bounded::<u8>(0);
    ///     let result = receiver.recv_timeout(Duration::from_millis(1));
    ///     assert_eq!(result, Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.channel.recv(Instant::now().checked_add(timeout), identity)
    }

    /// Like [`recv`](Self::recv), until `deadline`.
    ///
    /// After a deadline in the past it still receives if that is possible at once.
    ///
    /// # Errors
    ///
    /// If the deadline has passed, or the channel is empty and no sender is left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{RecvTimeoutError, bounded};
    /// use std::time::{Duration, Instant};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     sender.send(1).unwrap();
    ///     let deadline = Instant::now() + Duration::from_millis(1);
    ///     assert_eq!(receiver.recv_deadline(deadline), Ok(1));
    ///     assert_eq!(receiver.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.channel.recv(Some(deadline), identity)
    }

    /// Whether no message is buffered. Always so in a rendezvous channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::unbounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     assert!(receiver.is_empty());
    ///     sender.send(0).unwrap();
    ///     assert!(!receiver.is_empty());
    /// });
    /// ```
    pub fn is_empty(&self) -> bool {
        self.channel.is_empty()
    }

    /// Whether the buffer has no free place. Always so in a rendezvous channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::bounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     assert!(!receiver.is_full());
    ///     sender.send(0).unwrap();
    ///     assert!(receiver.is_full());
    /// });
    /// ```
    pub fn is_full(&self) -> bool {
        self.channel.is_full()
    }

    /// The number of buffered messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::unbounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send('x').unwrap();
    ///     sender.send('y').unwrap();
    ///     assert_eq!(receiver.len(), 2);
    /// });
    /// ```
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// The number of messages that can be buffered, or `None` if there is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{bounded, unbounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     assert_eq!(unbounded::<u8>().1.capacity(), None);
    ///     assert_eq!(bounded::<u8>(5).1.capacity(), Some(5));
    ///     assert_eq!(bounded::<u8>(0).1.capacity(), Some(0));
    /// });
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        self.channel.capacity()
    }

    /// Whether both receive from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::unbounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     assert!(receiver.same_channel(&receiver.clone()));
    ///     assert!(!receiver.same_channel(&unbounded().1));
    /// });
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }

    /// An iterator that blocks for each message and ends when the channel is empty and
    /// disconnected.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::bounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     lisle_scheduler::spawn(move || {
    ///         sender.send(1).unwrap();
    ///         sender.send(2).unwrap();
    ///     });
    ///     assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
    /// });
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// An iterator that ends as soon as it would have to block.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::unbounded;
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send(1).unwrap();
    ///     sender.send(2).unwrap();
    ///     assert_eq!(receiver.try_iter().count(), 2);
    ///     assert_eq!(receiver.try_iter().count(), 0);
    /// });
    /// ```
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.channel.attach(End::Receiving);
        Self { channel: self.channel.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.detach(End::Receiving);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

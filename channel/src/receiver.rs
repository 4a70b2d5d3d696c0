//! The receiving end.

use std::convert::identity;
use std::fmt;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::internal::{next_turn_at, points};
use lisle_scheduler::park::Place;
use lisle_scheduler::{now, turn};

use crate::channel::{Channel, End};
use crate::error::{RecvError, RecvTimeoutError, TryRecvError};
use crate::iter::{Iter, TryIter};
use crate::timer::{Timer, sleep_until};

/// The receiving end of a channel.
///
/// Clones receive from the same channel, and each message goes to one of them. When the last of
/// them is dropped the channel is disconnected: what is buffered is dropped at once, and senders
/// get an error.
///
/// # Examples
///
/// ```
/// use lisle::channel::bounded;
///
/// lisle::run(|| {
///     let (sender, receiver) = bounded(8);
///     let workers: Vec<_> = (0..3)
///         .map(|_| {
///             let receiver = receiver.clone();
///             lisle::spawn(move || receiver.iter().sum::<u64>())
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
    pub(crate) source: Source<T>,
}

/// Where messages come from.
pub(crate) enum Source<T> {
    Channel(Arc<Channel<T>>),
    /// A clock, and what makes its times messages: `T` is `Instant`.
    Timer(std::sync::Arc<Timer>, fn(Instant) -> T),
    Never,
}

// SAFETY: all that it holds is so too, which the function below lets the compiler check. It is said
// here, and not derived, so that an error speaks of the message and not of what holds it.
unsafe impl<T: Send> Send for Receiver<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Receiver<T> {}

const _: () = {
    fn _may_change_threads<X: Send + Sync>() {}
    fn _holds_what_may<T: Send>() {
        _may_change_threads::<Source<T>>();
    }
};

impl<T> UnwindSafe for Receiver<T> {}
impl<T> RefUnwindSafe for Receiver<T> {}

impl<T> Receiver<T> {
    /// The one handle that [`Channel::new`] has counted.
    pub(crate) fn first(channel: Arc<Channel<T>>) -> Self {
        Self { source: Source::Channel(channel) }
    }

    /// Receives if that is possible at once: if a message is buffered or a sender is waiting.
    ///
    /// **Blocking.** It waits in one case: if it takes the message of a
    /// [`select!`](crate::select!) whose send arm was selected, until the arm's expression has made
    /// that message.
    ///
    /// In a task, every 64th failure in a turn lets the other tasks have a turn each:
    /// [others have their turn](index.html#others-have-their-turn).
    ///
    /// # Errors
    ///
    /// If the channel is empty, with or without senders left.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv), where it waits or lets others run.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{TryRecvError, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    ///     sender.send(5).unwrap();
    ///     assert_eq!(receiver.try_recv(), Ok(5));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.try_recv_at(Location::caller())
    }

    /// As [`try_recv`](Self::try_recv); a report says that it waits at `place`.
    #[inline]
    pub(crate) fn try_recv_at(&self, place: Place) -> Result<T, TryRecvError> {
        points::pass_at(place);
        let received = self.source.try_recv(place);
        if received.is_err() {
            turn::fail();
        }
        received
    }

    /// Receives, and blocks the calling task or thread while the channel is empty.
    ///
    /// It lets the other tasks of its thread have a turn each after 256 operations that need not
    /// wait: [others have their turn](index.html#others-have-their-turn).
    ///
    /// # Errors
    ///
    /// If the channel is empty and no sender is left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. If it has to wait, panics in a task inside
    /// [`no_suspend`](lisle_runtime::no_suspend).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{RecvError, unbounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     lisle::spawn(move || sender.send(5).unwrap());
    ///     assert_eq!(receiver.recv(), Ok(5));
    ///     assert_eq!(receiver.recv(), Err(RecvError));
    /// });
    /// ```
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_at(Location::caller())
    }

    /// Like [`recv`](Self::recv), for at most `timeout`.
    ///
    /// A timeout that ends after the last representable [`Instant`] never expires.
    ///
    /// # Errors
    ///
    /// If the time is over, or the channel is empty and no sender is left.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{RecvTimeoutError, bounded};
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = bounded::<u8>(0);
    ///     let result = receiver.recv_timeout(Duration::from_millis(1));
    ///     assert_eq!(result, Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.recv_until(now().checked_add(timeout), Location::caller(), identity)
    }

    /// Like [`recv`](Self::recv), until `deadline`.
    ///
    /// After a deadline in the past it still receives if that is possible at once.
    ///
    /// # Errors
    ///
    /// If the deadline has passed, or the channel is empty and no sender is left.
    ///
    /// # Panics
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{RecvTimeoutError, bounded};
    /// use std::time::{Duration, Instant};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     sender.send(1).unwrap();
    ///     let deadline = Instant::now() + Duration::from_millis(1);
    ///     assert_eq!(receiver.recv_deadline(deadline), Ok(1));
    ///     assert_eq!(receiver.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
    /// });
    /// ```
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_until(Some(deadline), Location::caller(), identity)
    }

    /// As [`recv`](Self::recv); a report says that it waits at `place`.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn recv_at(&self, place: Place) -> Result<T, RecvError> {
        self.recv_until(None, place, |_| RecvError)
    }

    // Inlined always: the call of the channel's own `recv`, which is large, is all that is left.
    #[inline(always)]
    #[track_caller]
    fn recv_until<E>(
        &self,
        deadline: Option<Instant>,
        place: Place,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        match &self.source {
            Source::Channel(channel) => channel.recv(deadline, place, error),
            clock => clock.recv_from_clock(deadline, place).map_err(error),
        }
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
    ///     let (sender, receiver) = unbounded();
    ///     assert!(receiver.is_empty());
    ///     sender.send(0).unwrap();
    ///     assert!(!receiver.is_empty());
    /// });
    /// ```
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        match &self.source {
            Source::Channel(channel) => channel.is_empty(),
            Source::Timer(timer, _) => !timer.is_due(),
            Source::Never => true,
        }
    }

    /// Whether the buffer has no free place. Always so in a rendezvous channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     assert!(!receiver.is_full());
    ///     sender.send(0).unwrap();
    ///     assert!(receiver.is_full());
    /// });
    /// ```
    #[track_caller]
    pub fn is_full(&self) -> bool {
        match &self.source {
            Source::Channel(channel) => channel.is_full(),
            Source::Timer(timer, _) => timer.is_due(),
            Source::Never => true,
        }
    }

    /// The number of buffered messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send('x').unwrap();
    ///     sender.send('y').unwrap();
    ///     assert_eq!(receiver.len(), 2);
    /// });
    /// ```
    #[track_caller]
    pub fn len(&self) -> usize {
        match &self.source {
            Source::Channel(channel) => channel.len(),
            Source::Timer(timer, _) => timer.is_due().into(),
            Source::Never => 0,
        }
    }

    /// The number of messages that can be buffered, or `None` if there is no limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{bounded, unbounded};
    ///
    /// lisle::run(|| {
    ///     assert_eq!(unbounded::<u8>().1.capacity(), None);
    ///     assert_eq!(bounded::<u8>(5).1.capacity(), Some(5));
    ///     assert_eq!(bounded::<u8>(0).1.capacity(), Some(0));
    /// });
    /// ```
    pub fn capacity(&self) -> Option<usize> {
        match &self.source {
            Source::Channel(channel) => channel.capacity(),
            Source::Timer(..) => Some(1),
            Source::Never => Some(0),
        }
    }

    /// Whether both receive from the same channel.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     assert!(receiver.same_channel(&receiver.clone()));
    ///     assert!(!receiver.same_channel(&unbounded().1));
    /// });
    /// ```
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        match (&self.source, &other.source) {
            (Source::Channel(ours), Source::Channel(theirs)) => Arc::ptr_eq(ours, theirs),
            (Source::Timer(ours, _), Source::Timer(theirs, _)) => ptr::eq(&**ours, &**theirs),
            (Source::Never, Source::Never) => true,
            _ => false,
        }
    }

    /// An iterator that blocks for each message and ends when the channel is empty and
    /// disconnected.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     lisle::spawn(move || {
    ///         sender.send(1).unwrap();
    ///         sender.send(2).unwrap();
    ///     });
    ///     assert_eq!(receiver.iter().collect::<Vec<_>>(), [1, 2]);
    /// });
    /// ```
    #[track_caller]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self, made_at: Location::caller() }
    }

    /// An iterator that ends as soon as it would have to block.
    ///
    /// In a task, every 64th failure in a turn lets the other tasks have a turn each:
    /// [others have their turn](index.html#others-have-their-turn).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = unbounded();
    ///     sender.send(1).unwrap();
    ///     sender.send(2).unwrap();
    ///     assert_eq!(receiver.try_iter().count(), 2);
    ///     assert_eq!(receiver.try_iter().count(), 0);
    /// });
    /// ```
    #[track_caller]
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter { receiver: self, made_at: Location::caller() }
    }
}

impl<T> Source<T> {
    #[inline]
    pub(crate) fn try_recv(&self, place: Place) -> Result<T, TryRecvError> {
        match self {
            Self::Channel(channel) => channel.try_recv(place),
            Self::Timer(timer, message) => timer.try_recv().map(message),
            Self::Never => Err(TryRecvError::Empty),
        }
    }

    #[cold]
    #[inline(never)]
    fn recv_from_clock(
        &self,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<T, RecvTimeoutError> {
        if turn::spend() {
            next_turn_at(place);
        }
        match self {
            Self::Timer(timer, message) => timer.recv(deadline, place).map(message),
            Self::Never | Self::Channel(_) => {
                sleep_until(deadline, place).and(Err(RecvTimeoutError::Timeout))
            }
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        let source = match &self.source {
            Source::Channel(channel) => {
                channel.attach(End::Receiving);
                Source::Channel(channel.clone())
            }
            Source::Timer(timer, message) => Source::Timer(timer.clone(), *message),
            Source::Never => Source::Never,
        };
        Self { source }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Source::Channel(channel) = &self.source {
            Channel::detach(channel, End::Receiving);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Receiver { .. }")
    }
}

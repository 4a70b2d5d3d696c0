//! The errors of sends. They hand the unsent message back.

use std::error::Error;
use std::fmt;

/// [`Sender::send`](crate::Sender::send) failed because no receiver is left.
///
/// # Examples
///
/// ```
/// use lisle::channel::{SendError, bounded};
///
/// lisle::run(|| {
///     let (sender, receiver) = bounded(1);
///     drop(receiver);
///     assert_eq!(sender.send("letter"), Err(SendError("letter")));
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

/// [`Sender::try_send`](crate::Sender::try_send) failed.
///
/// # Examples
///
/// ```
/// use lisle::channel::{TrySendError, bounded};
///
/// lisle::run(|| {
///     let (sender, receiver) = bounded(1);
///     sender.try_send('a').unwrap();
///     assert_eq!(sender.try_send('b'), Err(TrySendError::Full('b')));
///     drop(receiver);
///     assert_eq!(sender.try_send('c'), Err(TrySendError::Disconnected('c')));
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// The buffer is full or, in a rendezvous channel, no receiver is waiting.
    Full(T),
    /// No receiver is left.
    Disconnected(T),
}

/// [`Sender::send_timeout`](crate::Sender::send_timeout) or
/// [`Sender::send_deadline`](crate::Sender::send_deadline) failed.
///
/// # Examples
///
/// ```
/// use lisle::channel::{SendTimeoutError, bounded};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (sender, receiver) = bounded(0);
///     let timeout = Duration::from_millis(1);
///     assert_eq!(sender.send_timeout(7, timeout), Err(SendTimeoutError::Timeout(7)));
///     drop(receiver);
///     assert_eq!(sender.send_timeout(8, timeout), Err(SendTimeoutError::Disconnected(8)));
/// });
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum SendTimeoutError<T> {
    /// The deadline passed before a place in the buffer or a receiver was free.
    Timeout(T),
    /// No receiver is left.
    Disconnected(T),
}

impl<T> SendError<T> {
    /// The message that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     drop(receiver);
    ///     assert_eq!(sender.send('a').unwrap_err().into_inner(), 'a');
    /// });
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> TrySendError<T> {
    /// The message that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = bounded(1);
    ///     sender.send('a').unwrap();
    ///     assert_eq!(sender.try_send('b').unwrap_err().into_inner(), 'b');
    /// });
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Disconnected(message) => message,
        }
    }

    /// Whether the channel was full.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = bounded(1);
    ///     sender.send('a').unwrap();
    ///     assert!(sender.try_send('b').unwrap_err().is_full());
    /// });
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether no receiver was left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     drop(receiver);
    ///     assert!(sender.try_send('a').unwrap_err().is_disconnected());
    /// });
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl<T> SendTimeoutError<T> {
    /// The message that was not sent.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = bounded(0);
    ///     let error = sender.send_timeout('a', std::time::Duration::ZERO).unwrap_err();
    ///     assert_eq!(error.into_inner(), 'a');
    /// });
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            Self::Timeout(message) | Self::Disconnected(message) => message,
        }
    }

    /// Whether the deadline passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, _receiver) = bounded(0);
    ///     let error = sender.send_timeout('a', std::time::Duration::ZERO).unwrap_err();
    ///     assert!(error.is_timeout());
    /// });
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether no receiver was left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     drop(receiver);
    ///     let error = sender.send_timeout('a', std::time::Duration::MAX).unwrap_err();
    ///     assert!(error.is_disconnected());
    /// });
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected(_))
    }
}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        Self::Disconnected(message)
    }
}

impl<T> From<SendError<T>> for SendTimeoutError<T> {
    fn from(SendError(message): SendError<T>) -> Self {
        Self::Disconnected(message)
    }
}

// Messages need not be `Debug`, so the errors that carry one do not show it. The quotes that
// `str`'s `Debug` adds are there in crossbeam-channel's output too.

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt("SendError(..)", f)
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Full(_) => "Full(..)",
            Self::Disconnected(_) => "Disconnected(..)",
        };
        fmt::Debug::fmt(text, f)
    }
}

impl<T> fmt::Debug for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt("SendTimeoutError(..)", f)
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("sending on a disconnected channel")
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Full(_) => "sending on a full channel",
            Self::Disconnected(_) => "sending on a disconnected channel",
        })
    }
}

impl<T> fmt::Display for SendTimeoutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Timeout(_) => "timed out waiting on send operation",
            Self::Disconnected(_) => "sending on a disconnected channel",
        })
    }
}

impl<T: Send> Error for SendError<T> {}
impl<T: Send> Error for TrySendError<T> {}
impl<T: Send> Error for SendTimeoutError<T> {}

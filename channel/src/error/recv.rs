//! The errors of receives.

use std::error::Error;
use std::fmt;

/// [`Receiver::recv`](crate::Receiver::recv) failed because the channel is empty and no sender is
/// left.
///
/// # Examples
///
/// ```
/// use lisle::channel::{RecvError, unbounded};
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded::<u8>();
///     drop(sender);
///     assert_eq!(receiver.recv(), Err(RecvError));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecvError;

/// [`Receiver::try_recv`](crate::Receiver::try_recv) failed.
///
/// # Examples
///
/// ```
/// use lisle::channel::{TryRecvError, unbounded};
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded::<u8>();
///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
///     drop(sender);
///     assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// No message is in the buffer or, in a rendezvous channel, no sender is waiting.
    Empty,
    /// The channel is empty and no sender is left.
    Disconnected,
}

/// [`Receiver::recv_timeout`](crate::Receiver::recv_timeout) or
/// [`Receiver::recv_deadline`](crate::Receiver::recv_deadline) failed.
///
/// # Examples
///
/// ```
/// use lisle::channel::{RecvTimeoutError, unbounded};
/// use std::time::Duration;
///
/// lisle::run(|| {
///     let (sender, receiver) = unbounded::<u8>();
///     let timeout = Duration::from_millis(1);
///     assert_eq!(receiver.recv_timeout(timeout), Err(RecvTimeoutError::Timeout));
///     drop(sender);
///     assert_eq!(receiver.recv_timeout(timeout), Err(RecvTimeoutError::Disconnected));
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The deadline passed before a message came.
    Timeout,
    /// The channel is empty and no sender is left.
    Disconnected,
}

impl TryRecvError {
    /// Whether the channel was empty, with senders left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     assert!(receiver.try_recv().unwrap_err().is_empty());
    /// });
    /// ```
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether the channel was empty and no sender was left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (_, receiver) = unbounded::<u8>();
    ///     assert!(receiver.try_recv().unwrap_err().is_disconnected());
    /// });
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected)
    }
}

impl RecvTimeoutError {
    /// Whether the deadline passed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (_sender, receiver) = unbounded::<u8>();
    ///     let error = receiver.recv_timeout(std::time::Duration::ZERO).unwrap_err();
    ///     assert!(error.is_timeout());
    /// });
    /// ```
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Timeout)
    }

    /// Whether the channel was empty and no sender was left.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::unbounded;
    ///
    /// lisle::run(|| {
    ///     let (_, receiver) = unbounded::<u8>();
    ///     let error = receiver.recv_timeout(std::time::Duration::MAX).unwrap_err();
    ///     assert!(error.is_disconnected());
    /// });
    /// ```
    pub fn is_disconnected(&self) -> bool {
        matches!(self, Self::Disconnected)
    }
}

impl From<RecvError> for TryRecvError {
    fn from(_: RecvError) -> Self {
        Self::Disconnected
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(_: RecvError) -> Self {
        Self::Disconnected
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("receiving on an empty and disconnected channel")
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Empty => "receiving on an empty channel",
            Self::Disconnected => "receiving on an empty and disconnected channel",
        })
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Timeout => "timed out waiting on receive operation",
            Self::Disconnected => "channel is empty and disconnected",
        })
    }
}

impl Error for RecvError {}
impl Error for TryRecvError {}
impl Error for RecvTimeoutError {}

//! An operation that a select has begun.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr;
use std::thread;

use super::operation::Operation;
use crate::claim::{Grant, GrantCell};
use crate::error::{RecvError, SendError};
use crate::receiver::Receiver;
use crate::sender::Sender;

/// An operation that was selected and has begun. It must be completed, by [`send`](Self::send) or
/// [`recv`](Self::recv) with the very handle that was added to the list.
///
/// A party at the other end of the channel may be waiting for that, so what comes between should be
/// short.
///
/// # Panics
///
/// Dropping it without completing it panics, unless the thread is panicking already. A message that
/// was received is then lost; a party that waits looks for another one.
///
/// # Examples
///
/// ```
/// use lisle_channel::{Select, unbounded};
///
/// lisle_scheduler::run(|| {
///     let (sender, receiver) = unbounded();
///     let mut select = Select::new();
///     let index = select.send(&sender);
///     let operation = select.select();
///     assert_eq!(operation.index(), index);
///     assert_eq!(operation.send(&sender, 1), Ok(()));
///     assert_eq!(receiver.recv(), Ok(1));
/// });
/// ```
#[must_use = "an operation that has begun must be completed"]
pub struct SelectedOperation<'a> {
    /// `None` before an operation has begun and after it was completed.
    operation: Option<&'a dyn Operation>,
    index: usize,
    pub(super) grant: GrantCell,
}

impl<'a> SelectedOperation<'a> {
    /// Where an operation is going to begin.
    #[inline]
    pub(super) fn vacant() -> Self {
        Self { operation: None, index: 0, grant: GrantCell::new() }
    }

    /// Whether the operation that is about to begin will fail.
    #[inline]
    pub(super) fn is_disconnected(&mut self) -> bool {
        matches!(**self.grant.get_mut(), Grant::Disconnected)
    }

    /// The operation has begun, as far as the grant says.
    #[inline]
    pub(super) fn begin(&mut self, operation: &'a dyn Operation, index: usize) {
        self.operation = Some(operation);
        self.index = index;
    }

    /// The index of the operation in its list.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{Select, bounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (_sender, silent) = bounded::<u8>(0);
    ///     let (_, closed) = bounded::<u8>(0);
    ///     let mut select = Select::new();
    ///     let (_first, second) = (select.recv(&silent), select.recv(&closed));
    ///     let operation = select.select();
    ///     assert_eq!(operation.index(), second);
    ///     assert!(operation.recv(&closed).is_err());
    /// });
    /// ```
    #[inline]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Completes a send. Never blocks.
    ///
    /// # Errors
    ///
    /// Gives the message back if no receiver is left.
    ///
    /// # Panics
    ///
    /// If the operation does not send through `sender`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{Select, SendError, bounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     let mut select = Select::new();
    ///     select.send(&sender);
    ///     assert_eq!(select.select().send(&sender, 1), Ok(()));
    ///     drop(receiver);
    ///     assert_eq!(select.select().send(&sender, 2), Err(SendError(2)));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn send<T>(mut self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        complete::send(&mut self, sender, message)
    }

    /// Completes a receive. Never blocks.
    ///
    /// # Errors
    ///
    /// If the channel is empty and no sender is left.
    ///
    /// # Panics
    ///
    /// If the operation does not receive through `receiver`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle_channel::{RecvError, Select, bounded};
    ///
    /// lisle_scheduler::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     sender.send(1).unwrap();
    ///     drop(sender);
    ///     let mut select = Select::new();
    ///     select.recv(&receiver);
    ///     assert_eq!(select.select().recv(&receiver), Ok(1));
    ///     assert_eq!(select.select().recv(&receiver), Err(RecvError));
    /// });
    /// ```
    #[inline]
    #[track_caller]
    pub fn recv<T>(mut self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        complete::recv(&mut self, receiver)
    }

    /// Ends the operation, if it has begun and `handle` is the one that was selected. Two handles that
    /// exist at the same time never share an address, and ours exists as long as the operation.
    #[inline]
    fn end<H>(&mut self, handle: &H) -> bool {
        let is_it = self.operation.is_some_and(|operation| ptr::addr_eq(operation, handle));
        if is_it {
            self.operation = None;
        }
        is_it
    }

    #[cold]
    fn give_up(&mut self, operation: &dyn Operation) {
        // SAFETY: what was granted was not used, since the operation has not ended; and it will not be.
        operation.give_up(unsafe { ManuallyDrop::take(self.grant.get_mut()) });
        if !thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl Drop for SelectedOperation<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(operation) = self.operation.take() {
            self.give_up(operation);
        }
    }
}

/// The completing of an operation where it lies, as the macros do it: moving it would copy the message.
pub mod complete {
    use super::*;

    /// See [`SelectedOperation::send`].
    #[inline]
    #[track_caller]
    pub fn send<T>(
        operation: &mut SelectedOperation<'_>,
        sender: &Sender<T>,
        message: T,
    ) -> Result<(), SendError<T>> {
        assert!(operation.end(sender), "passed a sender that wasn't selected");
        match &mut **operation.grant.get_mut() {
            Grant::Partner(receiver) => {
                // SAFETY: the operation has just ended, so nobody else uses the grant.
                let receiver = unsafe { ptr::read(receiver) };
                // SAFETY: the operation was granted to this sender, whose channel carries a `T`, and it
                // is granted receivers of its channel only.
                unsafe { receiver.send(message) };
                Ok(())
            }
            Grant::Place => sender.channel.send_reserved(message),
            Grant::Disconnected => Err(SendError(message)),
            Grant::Message(_) | Grant::LookAgain => unreachable!("not what a send is granted"),
        }
    }

    /// See [`SelectedOperation::recv`].
    #[inline]
    #[track_caller]
    pub fn recv<T>(
        operation: &mut SelectedOperation<'_>,
        receiver: &Receiver<T>,
    ) -> Result<T, RecvError> {
        assert!(operation.end(receiver), "passed a receiver that wasn't selected");
        match &mut **operation.grant.get_mut() {
            // SAFETY: the operation has just ended, so nobody has taken the message. It was granted to this
            // receiver, whose channel carries a `T`, and it is granted messages of its channel only.
            Grant::Message(landing) => Ok(unsafe { landing.take() }),
            Grant::Disconnected => Err(RecvError),
            Grant::Partner(_) | Grant::Place | Grant::LookAgain => {
                unreachable!("not what a receive is granted")
            }
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

//! An operation that a select has begun.

use std::fmt;
use std::mem;
use std::ptr;
use std::thread;

use super::operation::Operation;
use crate::claim::Grant;
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
    operation: &'a dyn Operation,
    index: usize,
    grant: Grant,
}

impl<'a> SelectedOperation<'a> {
    #[inline]
    pub(super) fn new(operation: &'a dyn Operation, index: usize, grant: Grant) -> Self {
        Self { operation, index, grant }
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
    pub fn send<T>(self, sender: &Sender<T>, message: T) -> Result<(), SendError<T>> {
        assert!(self.is_for(sender), "passed a sender that wasn't selected");
        match self.into_grant() {
            Grant::Partner(receiver) => {
                // SAFETY: `is_for` says that the operation was granted to this sender, whose channel
                // carries a `T`, and it is granted receivers of its channel only.
                unsafe { receiver.send(message) };
                Ok(())
            }
            Grant::Place => sender.channel.send_reserved(message),
            Grant::Disconnected => Err(SendError(message)),
            Grant::Message(_) | Grant::LookAgain => unreachable!("not what a send is granted"),
        }
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
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(self.is_for(receiver), "passed a receiver that wasn't selected");
        match self.into_grant() {
            // SAFETY: `is_for` says that the operation was granted to this receiver, whose channel
            // carries a `T`, and it is granted messages of its channel only.
            Grant::Message(landing) => Ok(unsafe { landing.into_message() }),
            Grant::Disconnected => Err(RecvError),
            Grant::Partner(_) | Grant::Place | Grant::LookAgain => {
                unreachable!("not what a receive is granted")
            }
        }
    }

    /// Whether `handle` is the one that was selected. Two handles that exist at the same time never
    /// share an address, and ours exists as long as the operation.
    fn is_for<H>(&self, handle: &H) -> bool {
        ptr::addr_eq(self.operation, handle)
    }

    #[inline]
    fn into_grant(mut self) -> Grant {
        let grant = mem::replace(&mut self.grant, Grant::Disconnected);
        mem::forget(self);
        grant
    }
}

impl Drop for SelectedOperation<'_> {
    fn drop(&mut self) {
        self.operation.give_up(mem::replace(&mut self.grant, Grant::Disconnected));
        if !thread::panicking() {
            panic!("dropped `SelectedOperation` without completing the operation");
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

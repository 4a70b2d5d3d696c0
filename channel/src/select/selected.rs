//! An operation that a select has begun.

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr;
use std::thread;

use lisle_runtime::primitive::Arc;

use super::operation::Operation;
use crate::channel::Channel;
use crate::claim::{Grant, GrantCell};
use crate::error::{RecvError, SendError};
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::waiter::Won;

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
    pub(super) begun: Option<Begun<'a>>,
    pub(super) grant: GrantCell,
}

/// Which operation has begun. How far it has come is told by its grant.
#[derive(Clone, Copy)]
pub(super) struct Begun<'a> {
    pub(super) operation: &'a dyn Operation,
    pub(super) index: usize,
}

/// What the macros have instead of a [`SelectedOperation`]: the grant stays where it is, so that
/// completing the operation does not move the message once more. It is completed before the body of
/// its arm is run, and then nothing borrows the channels any more.
///
/// Dropping it without completing it releases the partner, and is no mistake: the message expression
/// has left the `select!`.
pub struct Selected<'a> {
    /// `None` if no operation was possible.
    begun: Option<Begun<'a>>,
    grant: &'a mut GrantCell,
}

/// A send of which only the message is missing. It does not borrow the sender, with which the message
/// expression may do anything.
///
/// Dropping it releases the partner, or gives the place back: there is no message after all.
pub struct Promise<T>(Promised<T>);

enum Promised<T> {
    /// This receiver waits for the message.
    Receiver(Won),
    /// A place in the buffer is set aside.
    Place(Arc<Channel<T>>),
    /// No receiver is left.
    Nothing,
}

// As crossbeam-channel has it. What a panic can leave behind here is an operation that was not
// completed, and dropping that tells its partner.
impl UnwindSafe for SelectedOperation<'_> {}
impl RefUnwindSafe for SelectedOperation<'_> {}

impl<'a> SelectedOperation<'a> {
    /// Where an operation is going to begin.
    #[inline]
    pub(super) fn vacant() -> Self {
        Self { begun: None, grant: GrantCell::new() }
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
        self.begun.map_or(0, |begun| begun.index)
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
        assert!(self.ends_with(sender), "passed a sender that wasn't selected");
        // SAFETY: the operation was granted to this sender, and it has just ended.
        let promised = unsafe { promised(&mut self.grant, sender) };
        Promise(promised).keep(message)
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
        assert!(self.ends_with(receiver), "passed a receiver that wasn't selected");
        // SAFETY: the operation was granted to this receiver, and it has just ended.
        unsafe { recv(&mut self.grant, receiver) }
    }

    /// Ends the operation, if `handle` is the one that was selected.
    #[inline]
    fn ends_with<H>(&mut self, handle: &H) -> bool {
        let is_it = Begun::uses(self.begun, handle);
        if is_it {
            self.begun = None;
        }
        is_it
    }
}

impl<'a> Selected<'a> {
    #[inline]
    pub(super) fn new(begun: Option<Begun<'a>>, grant: &'a mut GrantCell) -> Self {
        Self { begun, grant }
    }

    /// The place of the operation in its list, or `None` if no operation was possible.
    #[inline]
    pub fn index(&self) -> Option<usize> {
        self.begun.map(|begun| begun.index)
    }

    /// Goes on with a send, which is completed by [`Promise::keep`].
    #[inline]
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>) -> Promise<T> {
        assert!(Begun::uses(self.begun, sender), "passed a sender that wasn't selected");
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the operation was granted to this sender, and it ends here.
        Promise(unsafe { promised(this.grant, sender) })
    }

    /// See [`SelectedOperation::recv`].
    #[inline]
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(Begun::uses(self.begun, receiver), "passed a receiver that wasn't selected");
        let mut this = ManuallyDrop::new(self);
        // SAFETY: the operation was granted to this receiver, and it ends here.
        unsafe { recv(this.grant, receiver) }
    }

    /// Ends the borrows of the channels.
    #[inline]
    pub fn end(self) {}
}

impl<T> Promise<T> {
    /// See [`SelectedOperation::send`].
    #[inline]
    pub fn keep(mut self, message: T) -> Result<(), SendError<T>> {
        match mem::replace(&mut self.0, Promised::Nothing) {
            Promised::Receiver(receiver) => {
                // SAFETY: the receiver was granted to a sender of a channel that carries a `T`, which is
                // granted receivers of its channel only.
                unsafe { receiver.send(message) };
                Ok(())
            }
            Promised::Place(channel) => channel.send_reserved(message),
            Promised::Nothing => Err(SendError(message)),
        }
    }
}

impl<T> Drop for Promise<T> {
    #[inline]
    fn drop(&mut self) {
        match mem::replace(&mut self.0, Promised::Nothing) {
            Promised::Receiver(receiver) => receiver.release(),
            Promised::Place(channel) => channel.give_place_back(),
            Promised::Nothing => {}
        }
    }
}

impl Begun<'_> {
    /// Whether an operation has begun and is one of `handle`. Two handles that exist at the same time
    /// never share an address, and ours exists as long as the operation.
    #[inline]
    fn uses<H>(begun: Option<Self>, handle: &H) -> bool {
        begun.is_some_and(|begun| ptr::addr_eq(begun.operation, handle))
    }

    /// Releases the partner, or gives the place back.
    ///
    /// # Safety
    ///
    /// `grant` is that of this operation, which was not completed and will not be.
    #[cold]
    unsafe fn give_up(self, grant: &mut GrantCell) {
        // SAFETY: nobody has used what was granted, says the caller, and nobody will.
        self.operation.give_up(unsafe { ManuallyDrop::take(grant.get_mut()) });
    }
}

impl Drop for SelectedOperation<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(begun) = self.begun.take() {
            // SAFETY: completing it would have taken `begun`.
            unsafe { begun.give_up(&mut self.grant) };
            if !thread::panicking() {
                not_completed();
            }
        }
    }
}

impl Drop for Selected<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            // SAFETY: completing it would have kept it from being dropped.
            unsafe { begun.give_up(self.grant) };
        }
    }
}

#[cold]
#[inline(never)]
fn not_completed() -> ! {
    panic!("dropped `SelectedOperation` without completing the operation");
}

/// # Safety
///
/// The grant is that of an operation of `sender` and was not used yet. It is not used any more.
#[inline]
unsafe fn promised<T>(grant: &mut GrantCell, sender: &Sender<T>) -> Promised<T> {
    match &mut **grant.get_mut() {
        // SAFETY: nobody has used the grant, says the caller, and nobody will.
        Grant::Partner(receiver) => Promised::Receiver(unsafe { ptr::read(receiver) }),
        Grant::Place => Promised::Place(sender.channel.clone()),
        Grant::Disconnected => Promised::Nothing,
        Grant::Message(_) | Grant::LookAgain => unreachable!("not what a send is granted"),
    }
}

/// # Safety
///
/// The grant is that of an operation of `receiver` and was not used yet. It is not used any more.
#[inline]
#[track_caller]
unsafe fn recv<T>(grant: &mut GrantCell, _receiver: &Receiver<T>) -> Result<T, RecvError> {
    match &mut **grant.get_mut() {
        // SAFETY: nobody has taken the message, says the caller. The receiver's channel carries a `T`, and
        // an operation of it is granted messages of that channel only.
        Grant::Message(landing) => Ok(unsafe { landing.take() }),
        Grant::Disconnected => Err(RecvError),
        Grant::Partner(_) | Grant::Place | Grant::LookAgain => {
            unreachable!("not what a receive is granted")
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

//! An operation that a select has begun.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::{self, NonNull};
use std::thread;

use lisle_runtime::internal::{Hidden, StaysHere};

use super::operation::Operation;
use super::run::Case;
use crate::channel::Channel;
use crate::claim::{Grant, GrantCell, Landing};
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
/// Dropping it without completing it panics, unless that is a part of an unwinding. A message that
/// was received is then lost; a party that waits looks for another one.
///
/// # Examples
///
/// ```
/// use lisle::channel::{Select, unbounded};
///
/// lisle::run(|| {
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
    pub(super) begun: Hidden<Option<Begun<'a>>>,
    pub(super) grant: Hidden<GrantCell>,
    _stays_here: StaysHere,
}

/// Which operation has begun. Its grant says how far it has come.
#[derive(Clone, Copy)]
pub(super) struct Begun<'a> {
    pub(super) operation: &'a dyn Operation,
    pub(super) index: usize,
}

/// What the macros have instead of a [`SelectedOperation`]: the grant stays where it is, so that
/// completing the operation does not move the message once more. It is completed before the body of
/// its arm is run, and then nothing borrows the channels any more.
///
/// Dropping it without completing it releases the partner, and is no mistake: the message
/// expression has left the `select!`.
pub struct Selected<'g, 'a> {
    cases: &'a [Case<'a>],
    /// Which of them has begun, if one was possible.
    place: Option<usize>,
    grant: &'g mut GrantCell,
}

/// A send of which only the message is missing. It does not borrow the sender, with which the
/// message expression may do anything.
///
/// Dropping it releases the partner, or gives the place back: there is no message after all.
pub struct Promise<'g, T> {
    /// That of an operation of a sender of the channel. A place that it grants keeps the channel.
    grant: &'g mut GrantCell,
    channel: NonNull<Channel<T>>,
}

// As crossbeam-channel has it. What a panic can leave behind here is an operation that was not
// completed, and dropping that tells its partner.
impl UnwindSafe for SelectedOperation<'_> {}
impl RefUnwindSafe for SelectedOperation<'_> {}

impl<'a> SelectedOperation<'a> {
    /// Where an operation is going to begin.
    #[inline]
    #[track_caller]
    pub(super) fn vacant() -> Self {
        let grant = GrantCell::new();
        // SAFETY: `_stays_here` is beside them, and they stay where they are.
        let (begun, grant) = unsafe { (Hidden::new(None), Hidden::new(grant)) };
        Self { begun, grant, _stays_here: PhantomData }
    }

    /// The index of the operation in its list.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{Select, bounded};
    ///
    /// lisle::run(|| {
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
    /// use lisle::channel::{Select, SendError, bounded};
    ///
    /// lisle::run(|| {
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
        Promise::new(&mut self.grant, sender).keep(message)
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
    /// use lisle::channel::{RecvError, Select, bounded};
    ///
    /// lisle::run(|| {
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
        let is_it = self.begun.is_some_and(|begun| uses(begun.operation, handle));
        if is_it {
            *self.begun = None;
        }
        is_it
    }
}

impl<'g, 'a> Selected<'g, 'a> {
    #[inline]
    pub(super) fn new(
        cases: &'a [Case<'a>],
        place: Option<usize>,
        grant: &'g mut GrantCell,
    ) -> Self {
        Self { cases, place, grant }
    }

    /// The place of the operation among the cases, or `None` if none was possible.
    #[inline]
    pub fn index(&self) -> Option<usize> {
        self.place
    }

    /// Goes on with a send, which is completed by [`Promise::keep`].
    #[inline]
    #[track_caller]
    pub fn send<T>(self, sender: &Sender<T>) -> Promise<'g, T> {
        assert!(self.uses(sender), "passed a sender that wasn't selected");
        Promise::new(self.into_grant(), sender)
    }

    /// See [`SelectedOperation::recv`].
    #[inline]
    #[track_caller]
    pub fn recv<T>(self, receiver: &Receiver<T>) -> Result<T, RecvError> {
        assert!(self.uses(receiver), "passed a receiver that wasn't selected");
        // SAFETY: the operation was granted to this receiver, and it ends here.
        unsafe { recv(self.into_grant(), receiver) }
    }

    #[inline]
    fn uses<H>(&self, handle: &H) -> bool {
        self.place.is_some_and(|place| uses(self.cases[place].operation, handle))
    }

    #[inline]
    fn into_grant(self) -> &'g mut GrantCell {
        let this = ManuallyDrop::new(self);
        // SAFETY: the reference is not used where it was any more.
        unsafe { ptr::read(&this.grant) }
    }

    /// Ends the borrows of the channels.
    #[inline]
    pub fn end(self) {}
}

impl<'g, T> Promise<'g, T> {
    /// The grant is that of an operation of `sender`.
    #[inline]
    fn new(grant: &'g mut GrantCell, sender: &Sender<T>) -> Self {
        Self { grant, channel: sender.channel() }
    }

    /// See [`SelectedOperation::send`].
    #[inline]
    pub fn keep(self, message: T) -> Result<(), SendError<T>> {
        let mut this = ManuallyDrop::new(self);
        let channel = this.channel;
        match &mut **this.grant.get_mut() {
            Grant::Partner(receiver) => {
                // SAFETY: the promise ends here, so nobody else uses the grant.
                let receiver = unsafe { ptr::read(receiver) };
                // SAFETY: the sender's channel carries a `T`, and an operation of it is granted
                // receivers of that channel only.
                unsafe { receiver.send(message) };
                Ok(())
            }
            // SAFETY: the place was granted in this channel, and the promise ends here.
            Grant::Reserved => unsafe { Channel::send_reserved(channel, message) },
            Grant::Disconnected => Err(SendError(message)),
            Grant::Message(_) | Grant::LookAgain => unreachable!("not what a send is granted"),
        }
    }
}

impl<T> Drop for Promise<'_, T> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: the promise was not kept, so nobody has used what was granted in this channel,
        // and nobody will.
        unsafe { Channel::give_back(self.channel, ManuallyDrop::take(self.grant.get_mut())) };
    }
}

impl Drop for SelectedOperation<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(Begun { operation, .. }) = *self.begun {
            // SAFETY: completing it would have taken `begun`.
            unsafe { give_up(operation, &mut self.grant) };
            if !thread::panicking() {
                not_completed();
            }
        }
    }
}

impl Drop for Selected<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(place) = self.place {
            // SAFETY: completing it would have kept it from being dropped.
            unsafe { give_up(self.cases[place].operation, self.grant) };
        }
    }
}

/// Whether an operation is one of `handle`. Two handles that exist at the same time never share an
/// address, and that of an operation exists as long as the operation.
#[inline]
fn uses<H>(operation: &dyn Operation, handle: &H) -> bool {
    ptr::addr_eq(operation, handle)
}

/// Releases the partner, or gives the place back.
///
/// # Safety
///
/// `grant` is that of this operation, which was not completed and will not be.
#[cold]
unsafe fn give_up(operation: &dyn Operation, grant: &mut GrantCell) {
    // SAFETY: nobody has used what was granted, says the caller, and nobody will.
    operation.give_up(unsafe { ManuallyDrop::take(grant.get_mut()) });
}

#[cold]
#[inline(never)]
fn not_completed() -> ! {
    panic!("dropped `SelectedOperation` without completing the operation");
}

/// # Safety
///
/// The grant is that of an operation of `receiver` and was not used yet. It is not used any more.
#[inline]
#[track_caller]
unsafe fn recv<T>(grant: &mut GrantCell, _receiver: &Receiver<T>) -> Result<T, RecvError> {
    match &mut **grant.get_mut() {
        // SAFETY: nobody has taken the message, says the caller. The receiver's channel carries a
        // `T`, and an operation of it is granted messages of that channel only.
        Grant::Message(landing) => Ok(unsafe { Landing::take(landing) }),
        Grant::Disconnected => Err(RecvError),
        Grant::Partner(_) | Grant::Reserved | Grant::LookAgain => {
            unreachable!("not what a receive is granted")
        }
    }
}

impl fmt::Debug for SelectedOperation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SelectedOperation { .. }")
    }
}

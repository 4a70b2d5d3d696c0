//! The ways of a receive: looking for the one that is open is written here, once.
//!
//! What a receive does there is a type with a method for each way ([`Ways`]): [`Waiting`] parks if
//! nothing is possible, [`Attempt`] puts the message into the grant of a select, and [`Opened`]
//! tells its caller what was found. The methods are inlined always. As closures, or as an answer
//! that is told apart afterwards, they would cost a rendezvous about a sixth; `NOTES.md` has the
//! figures.

use std::time::Instant;

use lisle_scheduler::internal::next_turn_at;
use lisle_scheduler::park::Place;
use lisle_scheduler::turn;

use crate::blocking::is_large;
use crate::channel::{Channel, Guard, Opening};
use crate::claim::{Chosen, Grant, GrantCell, Landing};
use crate::error::{RecvTimeoutError, TryRecvError};
use crate::select::operation::land;
use crate::waiter::{Sole, Verdict, Won};

/// What a receive does on each way.
pub(crate) trait Ways<'a, T: 'a>: Sized {
    type Out;

    /// Counts a receive that need not wait. Tells whether the turn has to end before it. A `try_`
    /// operation is not counted here.
    #[inline(always)]
    fn ends_turn(&self) -> bool {
        false
    }

    /// The turn has to end before the receive.
    #[inline(always)]
    fn in_next_turn(self, _state: Guard<'a, T>) -> Self::Out {
        unreachable!("a receive that is not counted ends no turn")
    }

    /// A message is buffered.
    fn buffered(self, state: Guard<'a, T>) -> Self::Out;

    /// A sender was won that waits for nothing else. The lock is free.
    fn won(self, sender: Sole) -> Self::Out;

    /// A select that sends was won. If there is none, the selects at the head of the list had
    /// others as partners already, and the channel has to be looked at again. The lock is free.
    fn selecting(self, sender: Option<Chosen>) -> Self::Out;

    /// Nothing is possible now.
    fn blocked(self, state: Guard<'a, T>) -> Self::Out;

    /// No message will come. The lock is free.
    fn disconnected(self) -> Self::Out;
}

impl<T> Channel<T> {
    /// Goes the way that is open to a receive. Senders that are parked behind a buffer come after
    /// it. If the turn has to end first, nothing has moved.
    #[inline(always)]
    pub(crate) fn receive<'a, W: Ways<'a, T>>(&'a self, ways: W) -> W::Out {
        let mut state = self.state.lock();
        if !state.buffer.is_empty() {
            if ways.ends_turn() {
                return ways.in_next_turn(state);
            }
            return ways.buffered(state);
        }
        if !state.senders.parked.is_empty() {
            if ways.ends_turn() {
                return ways.in_next_turn(state);
            }
            if let Some(sender) = state.senders.parked.dequeue_sole(Verdict::Transferred) {
                drop(state);
                return ways.won(sender);
            }
            let sender = state.senders.parked.dequeue_select();
            if sender.is_some() || !state.senders.parked.is_empty() {
                drop(state);
                return ways.selecting(sender);
            }
        }
        if state.is_at_end() {
            drop(state);
            return ways.disconnected();
        }
        ways.blocked(state)
    }

    /// Which way is open to a receive.
    #[inline]
    pub(crate) fn open_recv(&self) -> Opening<'_, T> {
        self.receive(Opened(self))
    }

    #[cold]
    #[inline(never)]
    fn look_again(&self) -> Opening<'_, T> {
        self.open_recv()
    }
}

/// A receive that parks if nothing is possible.
pub(crate) struct Waiting<'a, T, F> {
    pub(crate) channel: &'a Channel<T>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) place: Place,
    pub(crate) error: F,
}

impl<'a, T, E, F: FnOnce(RecvTimeoutError) -> E> Ways<'a, T> for Waiting<'a, T, F> {
    type Out = Result<T, E>;

    #[inline(always)]
    fn ends_turn(&self) -> bool {
        turn::spend()
    }

    #[inline(always)]
    fn in_next_turn(self, state: Guard<'a, T>) -> Result<T, E> {
        self.channel.recv_in_next_turn(state, self.deadline, self.place).map_err(self.error)
    }

    #[inline(always)]
    fn buffered(self, state: Guard<'a, T>) -> Result<T, E> {
        Ok(self.channel.take_buffered(state))
    }

    #[inline(always)]
    fn won(self, sender: Sole) -> Result<T, E> {
        // SAFETY: it comes from the senders of this channel, whose slots are full.
        Ok(unsafe { sender.receive() })
    }

    #[inline(always)]
    fn selecting(self, sender: Option<Chosen>) -> Result<T, E> {
        self.channel.recv_selected(sender, self.deadline, self.place).map_err(self.error)
    }

    #[inline(always)]
    fn blocked(self, state: Guard<'a, T>) -> Result<T, E> {
        if is_large::<T>() {
            self.channel.park_large_receiver(state, self.deadline, self.place, self.error)
        } else {
            self.channel.park_receiver(state, self.deadline, self.place, self.error)
        }
    }

    #[inline(always)]
    fn disconnected(self) -> Result<T, E> {
        if turn::spend() {
            next_turn_at(self.place);
        }
        self.selecting(None)
    }
}

/// A receive that puts its message into the grant of a select.
pub(crate) struct Attempt<'a, 'g, T> {
    pub(crate) channel: &'a Channel<T>,
    pub(crate) grant: &'g mut GrantCell,
}

impl<'a, T> Ways<'a, T> for Attempt<'a, '_, T> {
    /// Whether it is over.
    type Out = bool;

    #[inline(always)]
    fn buffered(self, state: Guard<'a, T>) -> bool {
        self.grant.put(Grant::Message(Landing::new(self.channel.take_buffered(state))));
        true
    }

    #[inline(always)]
    fn won(self, sender: Sole) -> bool {
        // SAFETY: it comes from the senders of this channel, whose slots are full.
        self.grant.put(Grant::Message(Landing::new(unsafe { sender.receive::<T>() })));
        true
    }

    #[inline(always)]
    fn selecting(self, sender: Option<Chosen>) -> bool {
        let place = self.grant.place();
        let received = match sender {
            Some(sender) => self.channel.try_recv_selected(sender, place),
            None => self.channel.try_recv(place),
        };
        land(received, self.grant)
    }

    #[inline(always)]
    fn blocked(self, _state: Guard<'a, T>) -> bool {
        false
    }

    #[inline(always)]
    fn disconnected(self) -> bool {
        land::<T>(Err(TryRecvError::Disconnected), self.grant)
    }
}

/// A receive that tells its way and leaves it to the caller.
struct Opened<'a, T>(&'a Channel<T>);

impl<'a, T> Ways<'a, T> for Opened<'a, T> {
    type Out = Opening<'a, T>;

    #[inline(always)]
    fn buffered(self, state: Guard<'a, T>) -> Opening<'a, T> {
        Opening::Buffer(state)
    }

    #[inline(always)]
    fn won(self, sender: Sole) -> Opening<'a, T> {
        Opening::Partner(Won::Sole(sender))
    }

    #[inline(always)]
    fn selecting(self, sender: Option<Chosen>) -> Opening<'a, T> {
        match sender {
            Some(sender) => Opening::Partner(Won::Selecting(sender)),
            None => self.0.look_again(),
        }
    }

    #[inline(always)]
    fn blocked(self, state: Guard<'a, T>) -> Opening<'a, T> {
        Opening::Blocked(state)
    }

    #[inline(always)]
    fn disconnected(self) -> Opening<'a, T> {
        Opening::Disconnected
    }
}

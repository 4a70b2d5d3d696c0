//! Receiving from a select that waits to send.
//!
//! Such a sender has no message yet: it makes one when its operation is selected. So a receiver
//! that wins it parks, gives itself to the sender as a partner, and wakes it. From then on the
//! sender is the side that serves: it puts the message into the receiver's slot or, if it goes away
//! without a message, releases the receiver.
//!
//! This happens only where nothing is buffered, that is, in a rendezvous.

use std::convert::identity;
use std::time::Instant;

use lisle_runtime::internal::in_section;
use lisle_scheduler::internal::check_cancelled_at;
use lisle_scheduler::park::{Place, Wait, Wake, park};

use crate::channel::{Channel, Guard, Opening};
use crate::claim::{Chosen, Grant};
use crate::error::{RecvTimeoutError, TryRecvError};
use crate::report::RECEIVING;
use crate::waiter::{Parked, Slot, Sole, Verdict, Waiter, Won};

/// Why there is no message for one that has not parked in the wait list.
pub(crate) enum Unreceived<'a, T> {
    Blocked(Guard<'a, T>),
    Disconnected,
    Failed,
}

/// How a meeting ended without a message.
enum Parted {
    Released,
    /// The receiver cannot wait.
    Failed,
}

impl<T> Channel<T> {
    /// Goes on with a receive that has won a select, or has to look once more.
    #[cold]
    #[inline(never)]
    pub(crate) fn recv_selected(
        &self,
        sender: Option<Chosen>,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<T, RecvTimeoutError> {
        match self.recv_now(sender, place) {
            Ok(message) => Ok(message),
            Err(Unreceived::Blocked(state)) => self.park_receiver(state, deadline, place, identity),
            Err(Unreceived::Disconnected | Unreceived::Failed) => {
                check_cancelled_at(place);
                Err(RecvTimeoutError::Disconnected)
            }
        }
    }

    /// Goes on with a `try_recv` that has won a select. It waits only for a message that was
    /// promised; where a task must not wait at all it leaves the sender alone.
    #[cold]
    pub(crate) fn try_recv_selected(
        &self,
        sender: Chosen,
        place: Place,
    ) -> Result<T, TryRecvError> {
        if in_section() && lisle_scheduler::current().is_some() {
            sender.grant(Grant::LookAgain);
            return Err(TryRecvError::Empty);
        }
        self.recv_now(Some(sender), place).map_err(|unreceived| match unreceived {
            Unreceived::Blocked(_) | Unreceived::Failed => TryRecvError::Empty,
            Unreceived::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// Receives unless that means to park in the wait list. Begins with the select that was `won`.
    #[cold]
    pub(crate) fn recv_now(
        &self,
        mut won: Option<Chosen>,
        place: Place,
    ) -> Result<T, Unreceived<'_, T>> {
        loop {
            let sender = match won.take() {
                Some(sender) => sender,
                None => match self.open_recv() {
                    Opening::Partner(Won::Selecting(sender)) => sender,
                    // SAFETY: `open_recv` wins senders of this channel, whose slots are full.
                    Opening::Partner(Won::Sole(sender)) => return Ok(unsafe { sender.receive() }),
                    Opening::Buffer(state) => return Ok(self.take_buffered(state)),
                    Opening::Blocked(state) => return Err(Unreceived::Blocked(state)),
                    Opening::Disconnected => return Err(Unreceived::Disconnected),
                },
            };
            match meet(sender, place) {
                Ok(message) => return Ok(message),
                Err(Parted::Released) => {}
                Err(Parted::Failed) => return Err(Unreceived::Failed),
            }
        }
    }
}

/// Waits for the message of a select that was won at the sending end of a channel of `T`.
fn meet<T>(sender: Chosen, place: Place) -> Result<T, Parted> {
    let slot = Slot::empty();
    let mut waiter = Waiter::new(Parked::at(&slot));
    let mut sender = LetGo(Some(sender));
    let me = &waiter;
    let wake = park(
        Wait::on(&RECEIVING).at(place),
        None,
        move |unparker| {
            // SAFETY: `waiter` and `slot` stay until `park` has returned, and that waits for the
            // unparker since `retract` does not give it back.
            let mut me = unsafe { me.surrender(unparker) };
            me.with(|parked| parked.judge(Verdict::Transferred));
            let sender = sender.0.take().expect("nobody has taken the sender");
            sender.grant(Grant::Partner(Won::Sole(Sole::new(me))));
        },
        || None,
    );
    match (wake, waiter.payload().verdict()) {
        // SAFETY: the sender filled the slot before it woke us, and it is done with it.
        (Wake::Unparked, Some(Verdict::Transferred)) => Ok(unsafe { slot.into_value() }),
        (Wake::Unparked, _) => Err(Parted::Released),
        (Wake::Failed, _) => Err(Parted::Failed),
        (Wake::TimedOut, _) => unreachable!("there is no deadline"),
    }
}

/// Lets the sender go if the receiver does not park, because it is cancelled or must not.
struct LetGo(Option<Chosen>);

impl Drop for LetGo {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            sender.grant(Grant::LookAgain);
        }
    }
}

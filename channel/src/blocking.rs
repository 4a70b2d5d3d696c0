//! The operations that park: `send` and `recv`.
//!
//! They look; if nothing is possible, they park in the wait list; when woken they read the verdict.
//! The verdict `Released` means to look again.

use std::mem;
use std::panic::Location;
use std::time::Instant;

use lisle_runtime::internal::last_words::abort_with;
use lisle_scheduler::internal::{check_cancelled_at, next_turn_at, points};
use lisle_scheduler::park::{Object, Place, Wait, Wake, park};
use lisle_scheduler::{check_cancelled, turn};

use crate::channel::{Channel, End, Guard, Opening, Side, State};
use crate::error::{RecvTimeoutError, SendTimeoutError};
use crate::meeting::Unreceived;
use crate::waiter::{Parked, Slot, Verdict, Waiter};
use crate::ways::Waiting;

/// Whether the slot of a parked party should not burden the frames of parties that need not park.
pub(crate) const fn is_large<T>() -> bool {
    size_of::<T>() > 128
}

/// As after a wait that was released: the party looks once more, out of line.
const LOOK_AGAIN: Outcome = Outcome::Served(Verdict::Released);

/// How a wait ended, seen by the party that waited.
enum Outcome {
    Served(Verdict),
    TimedOut,
    Failed,
}

/// Counts an operation that need not wait, before it does anything. Tells whether the turn has to
/// end before. A wait ends it anyway, and is not counted.
#[inline(always)]
fn ends_turn<T>(state: &State<T>) -> bool {
    // Without a limit a send never lets others run.
    state.buffer.counts_sends && turn::spend()
}

// `send` and `recv` are inlined up to the user's code, with the parking and the switch in them: a
// processor predicts that a function returns to where the last call came from, and after a switch
// that was another task's call. Each return after a switch is a misprediction, which costs as much
// as all the rest. Hence also their form: what a way needs follows at once where it is found to be
// open. Not so in a debug build, which merges no copies of a message: there one frame would have
// them all.
impl<T> Channel<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub(crate) fn send(
        &self,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut state = self.state.lock();
        if !state.receivers.parked.is_empty() {
            if ends_turn(&state) {
                return self.send_in_next_turn(state, message, deadline);
            }
            if let Some(receiver) = state.receivers.parked.dequeue_sole(Verdict::Transferred) {
                drop(state);
                // SAFETY: it comes from the receivers of this channel.
                unsafe { receiver.put(message) };
                return Ok(());
            }
            if let Some(receiver) = state.receivers.parked.dequeue_select() {
                drop(state);
                receiver.send(message);
                return Ok(());
            }
            if !state.receivers.parked.is_empty() {
                drop(state);
                return self.not_sent(LOOK_AGAIN, Slot::full(message), deadline);
            }
        }
        if state.receivers.handles == 0 {
            let ends_turn = ends_turn(&state);
            drop(state);
            if ends_turn {
                turn::next();
            }
            check_cancelled();
            return Err(SendTimeoutError::Disconnected(message));
        }
        if state.buffer.is_full() {
            return if is_large::<T>() {
                self.park_large_sender(state, message, deadline)
            } else {
                self.park_sender(state, message, deadline)
            };
        }
        if ends_turn(&state) {
            return self.send_in_next_turn(state, message, deadline);
        }
        self.push(&mut state, message);
        Ok(())
    }

    /// Makes its error with `error`, since turning one `Result` into another would copy a large
    /// message once more. A report says that it waits at `place`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub(crate) fn recv<E>(
        &self,
        deadline: Option<Instant>,
        place: Place,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        self.receive(Waiting { channel: self, deadline, place, error })
    }

    #[cold]
    #[inline(never)]
    #[track_caller]
    fn send_in_next_turn(
        &self,
        state: Guard<'_, T>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let is_limited = state.buffer.is_limited();
        drop(state);
        if is_limited {
            turn::next();
        } else {
            points::pass();
        }
        self.not_sent(LOOK_AGAIN, Slot::full(message), deadline)
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn recv_in_next_turn(
        &self,
        state: Guard<'_, T>,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<T, RecvTimeoutError> {
        drop(state);
        if !turn::extend(self.backlog()) {
            next_turn_at(place);
        }
        self.recv_selected(None, deadline, place)
    }

    #[inline(never)]
    #[track_caller]
    fn park_large_sender(
        &self,
        state: Guard<'_, T>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        self.park_sender(state, message, deadline)
    }

    // Inlined always, with what it calls: a rendezvous parks at every turn.
    #[inline(always)]
    #[track_caller]
    fn park_sender(
        &self,
        state: Guard<'_, T>,
        message: T,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let slot = Slot::full(message);
        let outcome = match self.linger(state, End::Sending, Location::caller()) {
            Some(state) => self.wait_to_send(state, &slot, deadline, drop),
            None => Outcome::Served(Verdict::Released),
        };
        match outcome {
            Outcome::Served(Verdict::Transferred) => Ok(()),
            outcome => self.not_sent(outcome, slot, deadline),
        }
    }

    #[inline(always)]
    #[track_caller]
    fn wait_to_send<'a>(
        &'a self,
        state: Guard<'a, T>,
        slot: &Slot<T>,
        deadline: Option<Instant>,
        unlock: impl FnOnce(Guard<'a, T>),
    ) -> Outcome {
        let not_parked = DropOnUnwind(slot);
        let (object, place) = (self.as_sending(), Location::caller());
        let outcome = self.wait(state, State::sending, object, slot, deadline, place, unlock);
        mem::forget(not_parked);
        outcome
    }

    /// Goes on after a wait in which the message was not taken.
    #[cold]
    #[track_caller]
    fn not_sent(
        &self,
        mut outcome: Outcome,
        mut slot: Slot<T>,
        deadline: Option<Instant>,
    ) -> Result<(), SendTimeoutError<T>> {
        let message = loop {
            // SAFETY: a sender's slot is full from the start. Only a receiver empties it, with the
            // verdict `Transferred`; and the wait is over.
            let message = unsafe { slot.into_value() };
            let Outcome::Served(Verdict::Released) = outcome else { break message };
            if points::finds_receivers_gone() {
                break message;
            }
            match self.open_send() {
                Opening::Blocked(state) => {
                    slot = Slot::full(message);
                    outcome = self.wait_to_send(state, &slot, deadline, wake_future);
                    if let Outcome::Served(Verdict::Transferred) = outcome {
                        return Ok(());
                    }
                }
                Opening::Partner(receiver) => {
                    // SAFETY: `open_send` wins receivers of this channel.
                    unsafe { receiver.send(message) };
                    return Ok(());
                }
                Opening::Buffer(state) => {
                    self.push_and_wake(state, message);
                    return Ok(());
                }
                Opening::Disconnected => break message,
            }
        };
        if let Outcome::TimedOut = outcome {
            return Err(SendTimeoutError::Timeout(message));
        }
        // A cancelled task may be told that the other side is gone just because that was cancelled
        // first.
        check_cancelled();
        Err(SendTimeoutError::Disconnected(message))
    }

    #[inline(never)]
    #[track_caller]
    pub(crate) fn park_large_receiver<E>(
        &self,
        state: Guard<'_, T>,
        deadline: Option<Instant>,
        place: Place,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        self.park_receiver(state, deadline, place, error)
    }

    #[inline(always)]
    #[track_caller]
    pub(crate) fn park_receiver<E>(
        &self,
        state: Guard<'_, T>,
        deadline: Option<Instant>,
        place: Place,
        error: impl FnOnce(RecvTimeoutError) -> E,
    ) -> Result<T, E> {
        let slot = Slot::empty();
        let outcome = match self.linger(state, End::Receiving, place) {
            Some(state) => self.wait_to_receive(state, &slot, deadline, place),
            None => Outcome::Served(Verdict::Released),
        };
        match outcome {
            // SAFETY: a sender filled the slot before it woke us, and it is done with it.
            Outcome::Served(Verdict::Transferred) => Ok(unsafe { slot.into_value() }),
            outcome => self.not_received(outcome, deadline, place).map_err(error),
        }
    }

    #[inline(always)]
    #[track_caller]
    fn wait_to_receive(
        &self,
        state: Guard<'_, T>,
        slot: &Slot<T>,
        deadline: Option<Instant>,
        place: Place,
    ) -> Outcome {
        self.wait(state, State::receiving, self.as_receiving(), slot, deadline, place, drop)
    }

    /// Goes on after a wait without a message.
    #[cold]
    fn not_received(
        &self,
        mut outcome: Outcome,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<T, RecvTimeoutError> {
        while let Outcome::Served(Verdict::Released) = outcome {
            match self.recv_now(None, place) {
                Ok(message) => return Ok(message),
                Err(Unreceived::Blocked(state)) => {
                    let slot = Slot::empty();
                    outcome = self.wait_to_receive(state, &slot, deadline, place);
                    if let Outcome::Served(Verdict::Transferred) = outcome {
                        // SAFETY: a sender filled the slot before it woke us, and it is done with
                        // it.
                        return Ok(unsafe { slot.into_value() });
                    }
                }
                Err(Unreceived::Disconnected | Unreceived::Failed) => break,
            }
        }
        if let Outcome::TimedOut = outcome {
            return Err(RecvTimeoutError::Timeout);
        }
        // A cancelled task may be told that the other side is gone just because that was cancelled
        // first.
        check_cancelled_at(place);
        Err(RecvTimeoutError::Disconnected)
    }

    /// Parks the caller at a `side` with its `slot` until it is served or the deadline has passed.
    /// If it was not served, and when this unwinds, nobody has touched the slot. `unlock` is called
    /// when others can find the caller.
    #[inline(always)]
    #[track_caller]
    #[expect(clippy::too_many_arguments, reason = "all are known where it is inlined")]
    fn wait<'a>(
        &'a self,
        mut state: Guard<'a, T>,
        side: impl Fn(&mut State<T>) -> &mut Side + Copy,
        object: &dyn Object,
        slot: &Slot<T>,
        deadline: Option<Instant>,
        place: Place,
        unlock: impl FnOnce(Guard<'a, T>),
    ) -> Outcome {
        let mut waiter = Waiter::new(Parked::at(slot));
        // `retract` takes along two words, which stay in registers.
        let (lock, parked) = (&self.state, &waiter);
        let unwinding = UnwindUnserved(&waiter);
        let wake = park(
            Wait::on(object).at(place),
            deadline,
            |unparker| {
                self.change();
                // SAFETY: `state` is the lock. `waiter` and `slot` stay where they are until `park`
                // has returned, which is after the unparker was used, retracted or dropped.
                unsafe { side(&mut state).parked.enqueue(&waiter, unparker) };
                unlock(state);
            },
            move || {
                // SAFETY: `park` calls this after the closure above, which enqueued the waiter at
                // this side.
                unsafe { side(&mut lock.lock()).parked.remove(parked) }
            },
        );
        mem::forget(unwinding);
        match (wake, waiter.payload().verdict()) {
            (Wake::Unparked, Some(verdict)) => {
                // Its unparker was taken out: nothing to drop.
                mem::forget(waiter);
                Outcome::Served(verdict)
            }
            (Wake::Unparked, None) => unreachable!("woken without a verdict"),
            (Wake::TimedOut, None) => Outcome::TimedOut,
            (Wake::Failed, None) => Outcome::Failed,
            (_, Some(_)) => served_but_not_woken(),
        }
    }
}

/// Unlocks the channel of a sender that has parked, and wakes a future, which takes its message.
#[cold]
fn wake_future<T>(mut state: Guard<'_, T>) {
    let future = state.next_future();
    drop(state);
    future.wake();
}

/// A party that serves another one uses its unparker. If it dropped that, say because it panicked
/// in between, the other one could not tell what has become of its message.
#[cold]
fn served_but_not_woken() -> ! {
    abort_with(format_args!("a party was served by a channel and not woken"))
}

/// Aborts if a party that was served unwinds.
struct UnwindUnserved<'a>(&'a Waiter);

impl Drop for UnwindUnserved<'_> {
    fn drop(&mut self) {
        // SAFETY: `park` unwinds where the waiter is not published or has been retracted.
        if unsafe { self.0.look(Parked::verdict) }.is_some() {
            served_but_not_woken();
        }
    }
}

/// Drops the message of a sender whose `park` unwinds: it is cancelled, or inside `no_suspend`.
struct DropOnUnwind<'a, T>(&'a Slot<T>);

impl<T> Drop for DropOnUnwind<'_, T> {
    fn drop(&mut self) {
        // SAFETY: the slot was made full, and no other party has touched it: `park` unwinds only
        // where the waiter is not published, or has been retracted.
        unsafe { self.0.drop_value() };
    }
}

//! The two ends of a channel that has many of each: how many handles there are, and what waits for
//! the other end. What else the channel has lies behind the same lock.

use std::time::Instant;

use lisle_runtime::internal::primitive::{BriefMutex, BriefMutexGuard};
use lisle_scheduler::internal::{Chain, WaitQueue, shield_unwinding};
use lisle_scheduler::park::{Awaited, Handles, Object, Place, Reason, Wait, Wake};

use crate::waiting::{cannot_wait, pass_aside, spend_at, wait_in};

/// What both ends of a channel share; `M` is what the channel adds.
pub(crate) struct Ends<M> {
    state: BriefMutex<State<M>>,
}

pub(crate) struct State<M> {
    senders: usize,
    receivers: usize,
    /// Receivers that wait for something, or for the end of the last sender.
    receiving: WaitQueue,
    /// Senders that wait for the end of the last receiver.
    closing: WaitQueue,
    pub(crate) more: M,
}

impl<M> Ends<M> {
    /// Of a channel with one sender and no receiver.
    pub(crate) fn new(more: M) -> Self {
        let state = State {
            senders: 1,
            receivers: 0,
            receiving: WaitQueue::new(),
            closing: WaitQueue::new(),
            more,
        };
        Self { state: BriefMutex::new(state) }
    }

    pub(crate) fn lock(&self) -> BriefMutexGuard<'_, State<M>> {
        self.state.lock()
    }

    /// A sender was dropped. With the last one all receivers are woken.
    pub(crate) fn remove_sender(&self) {
        pass_aside("drops a sender", None);
        let mut state = self.lock();
        state.senders -= 1;
        let receiving = (state.senders == 0).then(|| state.receiving.take_all());
        drop(state);
        if let Some(receiving) = receiving {
            receiving.wake();
        }
    }

    /// A receiver waits, unless `is_over`. `reason` completes "the task is …".
    pub(crate) fn receive(
        &self,
        reason: &'static str,
        is_over: impl Fn(&State<M>) -> bool,
        deadline: Option<Instant>,
        place: Place,
    ) -> Wake {
        let object = Receiving { ends: self, reason };
        let wait = Wait::on(&object).at(place);
        let is_over = |state: &mut State<M>| is_over(state);
        // SAFETY: it is a field, from which parties are taken out and which is not replaced.
        unsafe { wait_in(&self.state, |state| &mut state.receiving, is_over, wait, deadline) }
    }

    /// A sender waits until no receiver is left. False if its time is over first.
    pub(crate) fn closed(
        &self,
        reason: &'static str,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> bool {
        spend_at(place);
        if self.lock().receivers == 0 {
            return true;
        }
        let object = Closing { ends: self, reason };
        let wait = Wait::on(&object).at(place);
        let deadline = deadline();
        let wake = shield_unwinding(|| {
            let is_over = |state: &mut State<M>| state.receivers == 0;
            // SAFETY: as for receivers.
            unsafe { wait_in(&self.state, |state| &mut state.closing, is_over, wait, deadline) }
        });
        match wake {
            Wake::Unparked => true,
            Wake::TimedOut => false,
            Wake::Failed => cannot_wait("the last receiver of a channel"),
        }
    }

    /// For a report: the handles that could end a wait.
    fn describe(&self, own: &'static str, kind: &'static str, alive: usize) -> Awaited {
        let address = std::ptr::from_ref(self).addr();
        Awaited::Handles(Handles::new(address, own, kind, alive))
    }
}

impl<M> State<M> {
    pub(crate) fn senders(&self) -> usize {
        self.senders
    }

    pub(crate) fn receivers(&self) -> usize {
        self.receivers
    }

    pub(crate) fn add_sender(&mut self) {
        self.senders += 1;
    }

    pub(crate) fn add_receiver(&mut self) {
        self.receivers += 1;
    }

    /// A receiver goes. If it is the last one, the result is those that wait for that.
    #[must_use]
    pub(crate) fn remove_receiver(&mut self) -> Option<Chain> {
        self.receivers -= 1;
        (self.receivers == 0).then(|| self.closing.take_all())
    }

    /// All receivers that wait.
    pub(crate) fn take_receiving(&mut self) -> Chain {
        self.receiving.take_all()
    }
}

/// A receiver's wait.
struct Receiving<'a, M> {
    ends: &'a Ends<M>,
    reason: &'static str,
}

/// A sender's wait for the end of the last receiver.
struct Closing<'a, M> {
    ends: &'a Ends<M>,
    reason: &'static str,
}

impl<M> Object for Receiving<'_, M> {
    fn reason(&self) -> Reason {
        Reason::new(self.reason)
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        let alive = self.ends.lock().senders;
        say(self.ends.describe("receiver", "sender", alive));
    }
}

impl<M> Object for Closing<'_, M> {
    fn reason(&self) -> Reason {
        Reason::new(self.reason)
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        let alive = self.ends.lock().receivers;
        say(self.ends.describe("sender", "receiver", alive));
    }
}

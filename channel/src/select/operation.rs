//! What a select needs of a channel, whatever the type of its messages.
//!
//! A selected receive has its message at once. A selected send has no message yet, so it gets what
//! will take the message: a partner that waits for it, or a place in the buffer.

use std::ptr::NonNull;
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::internal::points;
use lisle_scheduler::park::{Awaited, Object};

use crate::channel::{Channel, End, Opening, State, refill};
use crate::claim::{Claim, Entry, Grant, GrantCell, Landing, Purpose};
use crate::error::{SendError, TryRecvError};
use crate::futures::notify_others;
use crate::receiver::{Receiver, Source};
use crate::sender::Sender;
use crate::waiter::Verdict;
use crate::ways::Attempt;

/// An operation that takes part in a select.
pub(crate) trait Operation {
    /// Begins the operation if that is possible at once, and puts into `grant` how far it has come.
    /// Tells whether it has. It may wait for a message that was promised.
    fn attempt(&self, grant: &mut GrantCell) -> bool;

    /// Whether the operation would succeed or fail at once.
    fn is_ready(&self) -> bool;

    /// The stamp that [`is_unchanged`](Self::is_unchanged) compares. Taken before the operation is
    /// looked at.
    fn stamp(&self) -> usize;

    /// After other operations were looked at, too: whether this one is still not possible, if it
    /// was not when it was looked at.
    fn is_unchanged(&self, stamp: usize) -> bool;

    /// How many messages wait to be received in a buffer to which senders can add for as long as
    /// they like.
    fn backlog(&self) -> usize;

    /// The address of the channel.
    fn address(&self) -> usize;

    /// Says for a report what the operation waits for.
    fn describe(&self, say: &mut dyn FnMut(Awaited));

    /// When to attempt the operation again, though nobody will wake its party.
    fn deadline(&self) -> Option<Instant>;

    /// Makes the operation wait by `entry`, which is one of `claim`, unless it is possible now.
    /// Tells whether it has.
    ///
    /// # Safety
    ///
    /// The entry is new. Neither it nor the claim moves or goes away before it was delisted and,
    /// if its party was granted this operation, that was woken.
    unsafe fn enlist(&self, entry: &Entry, claim: &Claim) -> bool;

    /// Ends the wait of the operation, if it still waits.
    ///
    /// # Safety
    ///
    /// The entry was enlisted by this operation.
    unsafe fn delist(&self, entry: &Entry);

    /// Gives back what was granted to a send that will not take place.
    fn give_up(&self, grant: Grant);
}

impl<T> Operation for Sender<T> {
    fn attempt(&self, grant: &mut GrantCell) -> bool {
        if points::selected_send_finds_receivers_gone() {
            grant.put(Grant::Disconnected);
            return true;
        }
        match self.channel.open_send() {
            Opening::Partner(receiver) => grant.put(Grant::Partner(receiver)),
            Opening::Buffer(mut state) => {
                state.buffer.reserve();
                grant.put(Grant::Reserved);
            }
            Opening::Blocked(_) => return false,
            Opening::Disconnected => grant.put(Grant::Disconnected),
        }
        true
    }

    fn is_ready(&self) -> bool {
        self.channel.is_ready(End::Sending)
    }

    fn stamp(&self) -> usize {
        self.channel.changes()
    }

    fn is_unchanged(&self, stamp: usize) -> bool {
        self.channel.changes() == stamp
    }

    fn backlog(&self) -> usize {
        0
    }

    fn address(&self) -> usize {
        Arc::as_ptr(&self.channel).addr()
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.channel.as_sending().describe(say);
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }

    unsafe fn enlist(&self, entry: &Entry, claim: &Claim) -> bool {
        // SAFETY: passed on to the caller.
        unsafe { self.channel.enlist(End::Sending, entry, claim) }
    }

    unsafe fn delist(&self, entry: &Entry) {
        // SAFETY: passed on to the caller; `enlist` above names the same end.
        unsafe { self.channel.delist(End::Sending, entry) }
    }

    fn give_up(&self, grant: Grant) {
        // SAFETY: what an operation of this sender was granted, it was granted in this channel.
        unsafe { Channel::give_back(self.channel(), grant) };
    }
}

impl<T> Operation for Receiver<T> {
    #[inline]
    fn attempt(&self, grant: &mut GrantCell) -> bool {
        match &self.source {
            Source::Channel(channel) => channel.attempt_recv(grant),
            source => land(source.try_recv(grant.place()), grant),
        }
    }

    fn is_ready(&self) -> bool {
        match &self.source {
            Source::Channel(channel) => channel.is_ready(End::Receiving),
            Source::Timer(timer, _) => timer.is_due(),
            Source::Never => false,
        }
    }

    fn stamp(&self) -> usize {
        match &self.source {
            Source::Channel(channel) => channel.changes(),
            Source::Timer(timer, _) => timer.taken(),
            Source::Never => 0,
        }
    }

    fn is_unchanged(&self, stamp: usize) -> bool {
        match &self.source {
            Source::Channel(channel) => channel.changes() == stamp,
            Source::Timer(timer, _) => timer.is_unchanged(stamp),
            Source::Never => true,
        }
    }

    fn backlog(&self) -> usize {
        match &self.source {
            Source::Channel(channel) => channel.backlog(),
            Source::Timer(..) | Source::Never => 0,
        }
    }

    fn address(&self) -> usize {
        match &self.source {
            Source::Channel(channel) => Arc::as_ptr(channel).addr(),
            Source::Timer(..) | Source::Never => 0,
        }
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        if let Source::Channel(channel) = &self.source {
            channel.as_receiving().describe(say);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.source {
            Source::Timer(timer, _) => timer.due(),
            Source::Channel(_) | Source::Never => None,
        }
    }

    unsafe fn enlist(&self, entry: &Entry, claim: &Claim) -> bool {
        match &self.source {
            // SAFETY: passed on to the caller.
            Source::Channel(channel) => unsafe { channel.enlist(End::Receiving, entry, claim) },
            Source::Timer(timer, _) => !timer.is_due(),
            Source::Never => true,
        }
    }

    unsafe fn delist(&self, entry: &Entry) {
        if let Source::Channel(channel) = &self.source {
            // SAFETY: passed on to the caller; `enlist` above names the same end.
            unsafe { channel.delist(End::Receiving, entry) }
        }
    }

    /// A message that was received and is not wanted is leaked: the select may have been sent to a
    /// thread on which the message must not be dropped.
    fn give_up(&self, _grant: Grant) {}
}

/// Puts into `grant` what has come of a receive. Tells whether it is over.
#[cold]
#[inline(never)]
pub(crate) fn land<T>(received: Result<T, TryRecvError>, grant: &mut GrantCell) -> bool {
    match received {
        Ok(message) => grant.put(Grant::Message(Landing::new(message))),
        Err(TryRecvError::Empty) => return false,
        Err(TryRecvError::Disconnected) => grant.put(Grant::Disconnected),
    }
    true
}

impl<T> Channel<T> {
    /// A `try_recv` that puts the message where it is going to be used.
    #[inline]
    fn attempt_recv(&self, grant: &mut GrantCell) -> bool {
        self.receive(Attempt { channel: self, grant })
    }

    /// Sends into the place that was set aside.
    ///
    /// # Safety
    ///
    /// A place of this channel was granted and not used yet.
    pub(crate) unsafe fn send_reserved(
        this: NonNull<Self>,
        message: T,
    ) -> Result<(), SendError<T>> {
        // Goes away after the lock.
        let last;
        // SAFETY: the place keeps the channel.
        let mut state = unsafe { this.as_ref() }.state.lock();
        // SAFETY: passed on to the caller.
        last = unsafe { free_place(this, &mut state) };
        if state.receivers.handles == 0 {
            return Err(SendError(message));
        }
        match state.receivers.parked.dequeue(Verdict::Transferred) {
            None => {
                state.buffer.push(message);
                let future = state.next_future();
                drop(state);
                future.wake();
            }
            Some(receiver) => {
                drop(state);
                // SAFETY: the receiver was won in this channel.
                unsafe { receiver.send(message) };
            }
        }
        if let Some(channel) = last {
            channel.disconnect(channel.state.lock(), End::Sending);
        }
        Ok(())
    }

    /// Gives back what was granted to a send.
    ///
    /// # Safety
    ///
    /// It was granted in this channel and not used yet.
    #[cold]
    pub(crate) unsafe fn give_back(this: NonNull<Self>, grant: Grant) {
        match grant {
            Grant::Partner(receiver) => receiver.release(),
            // SAFETY: passed on to the caller.
            Grant::Reserved => unsafe { Self::give_place_back(this) },
            Grant::Message(_) | Grant::Disconnected | Grant::LookAgain => {}
        }
    }

    /// Gives up the place that was set aside; the sender that has waited longest gets it.
    ///
    /// # Safety
    ///
    /// As for [`send_reserved`](Self::send_reserved).
    unsafe fn give_place_back(this: NonNull<Self>) {
        // Goes away after the lock.
        let last;
        // SAFETY: the place keeps the channel.
        let mut state = unsafe { this.as_ref() }.state.lock();
        // SAFETY: passed on to the caller.
        last = unsafe { free_place(this, &mut state) };
        if let Some(channel) = &last {
            return channel.disconnect(state, End::Sending);
        }
        if state.receivers.handles == 0 {
            // Waiting senders are being told that by the last receiver.
            return;
        }
        if let Some(sender) = state.senders.parked.dequeue(Verdict::Transferred) {
            // SAFETY: the sender was won in this channel, just now.
            unsafe { refill(state, sender) };
        }
    }

    fn is_ready(&self, end: End) -> bool {
        self.state.lock().is_ready(end, None)
    }

    /// See [`Operation::enlist`].
    ///
    /// # Safety
    ///
    /// The same as there.
    #[inline(always)]
    unsafe fn enlist(&self, end: End, entry: &Entry, claim: &Claim) -> bool {
        let mut state = self.state.lock();
        if state.is_ready(end, Some(claim)) {
            return false;
        }
        // SAFETY: we hold the lock, and the caller keeps the entry, which is new, and its claim.
        unsafe { state.side(end).parked.enlist(entry) };
        if claim.purpose() == Purpose::Select {
            self.change();
            if !state.side(end.other()).parked.is_empty() {
                // Watchers at the other end have a partner now, and futures have to look.
                notify_others(state, end);
            }
        }
        true
    }

    /// # Safety
    ///
    /// The entry was enlisted at this end.
    #[inline]
    unsafe fn delist(&self, end: End, entry: &Entry) {
        if !entry.was_dropped() {
            // SAFETY: passed on to the caller.
            unsafe { self.state.lock().side(end).parked.delist(entry) };
        }
    }
}

/// Makes a place that was set aside free again. If it was the last one, and no sender is left, the
/// caller gets what the last sender has left, to be dropped without the lock, and disconnects the
/// channel once the message is there that the place was for.
///
/// # Safety
///
/// As for [`Channel::send_reserved`].
#[inline]
unsafe fn free_place<T>(
    channel: NonNull<Channel<T>>,
    state: &mut State<T>,
) -> Option<Arc<Channel<T>>> {
    // SAFETY: the place that was set aside keeps the channel until the caller drops what it gets.
    unsafe { channel.as_ref() }.change();
    state.buffer.unreserve();
    if state.senders.handles != 0 || state.buffer.is_reserved() {
        return None;
    }
    // SAFETY: the last sender has left its count when it saw this place reserved, and nobody has
    // taken it, since no place was set aside afterwards.
    Some(unsafe { Arc::from_raw(channel.as_ptr()) })
}

impl<T> State<T> {
    /// Whether no message will be sent any more: no sender is left, nor a place set aside for the
    /// message of one.
    pub(crate) fn is_at_end(&self) -> bool {
        self.senders.handles == 0 && !self.buffer.is_reserved()
    }

    /// Whether an operation at `end` would succeed or fail at once. The party of `mine` does not
    /// count as a partner.
    pub(crate) fn is_ready(&self, end: End, mine: Option<&Claim>) -> bool {
        match end {
            End::Sending => {
                self.receivers.handles == 0
                    || !self.buffer.is_full()
                    || self.receivers.parked.has_partner(mine)
            }
            End::Receiving => {
                self.is_at_end() || !self.buffer.is_empty() || self.senders.parked.has_partner(mine)
            }
        }
    }
}

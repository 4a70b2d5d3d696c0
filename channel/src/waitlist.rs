//! The list of parties parked on one side of a channel, first come, first served.
//!
//! It links waiters and owns nothing: no allocation, whatever the number of parties.
//!
//! A waiter leaves the list in one of two ways, each under the lock of the channel that owns the
//! list: [`WaitList::dequeue`], by the other side, or [`WaitList::remove`], by its party. For a
//! party that waits in this list alone, the lock thereby decides between a hand-over and a
//! time-out. A party of a select is dequeued by everyone, and won by the one that closes its claim.

use std::ptr::{self, NonNull};

use lisle_scheduler::park::Unparker;

use crate::claim::{Chosen, Claim, Grant, Purpose};
use crate::waiter::{Record, Selecting, Sole, Verdict, Waiter, Won};

/// The queue of waiters on one side of a channel.
#[derive(Debug, Default)]
pub(crate) struct WaitList {
    head: Option<NonNull<Waiter>>,
    tail: Option<NonNull<Waiter>>,
}

// SAFETY: the list is two pointers to records that only the holder of the channel's lock touches,
// whichever thread that is, and an `Unparker` is `Send`. Whether the slots behind them may change
// threads is up to the channel's message type, which the channel itself contains.
unsafe impl Send for WaitList {}

impl WaitList {
    /// Puts a party that waits for nothing else at the tail.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list. The waiter is new. Neither it nor its slot
    /// moves or goes away before the waiter was removed, or was dequeued and the unparker used.
    #[inline]
    pub(crate) unsafe fn enqueue(&mut self, waiter: &Waiter, unparker: Unparker) {
        // SAFETY: passed on to the caller.
        unsafe { self.link(waiter, |record| record.unparker = Some(unparker)) };
    }

    /// Puts an operation of a select at the tail.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list. The waiter is new. Neither it nor the claim
    /// moves or goes away before the waiter was removed, or was dequeued and the claim's unparker
    /// used.
    pub(crate) unsafe fn enlist(&mut self, waiter: &Waiter, selecting: Selecting) {
        // SAFETY: passed on to the caller.
        unsafe { self.link(waiter, |record| record.selecting = Some(selecting)) };
    }

    /// # Safety
    ///
    /// As for the two methods above.
    #[inline]
    unsafe fn link(&mut self, waiter: &Waiter, sign: impl FnOnce(&mut Record)) {
        let this = NonNull::from(waiter);
        let prev = self.tail.replace(this);
        // SAFETY: we hold the lock, and `waiter` is a live reference.
        unsafe {
            Waiter::with(this, |record| {
                record.prev = prev;
                sign(record);
            });
        }
        match prev {
            // SAFETY: a linked waiter is alive, and we hold the lock.
            Some(prev) => unsafe { Waiter::with(prev, |record| record.next = Some(this)) },
            None => self.head = Some(this),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Takes the first party out if it waits in no other list. It is told the verdict, which it
    /// sees when it is woken.
    #[inline]
    pub(crate) fn dequeue_sole(&mut self, verdict: Verdict) -> Option<Sole> {
        let waiter = self.head?;
        let sign_off = |record: &mut Record| {
            let unparker = record.unparker.take()?;
            record.verdict = Some(verdict);
            Some((unparker, record.slot, record.next))
        };
        // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
        let (unparker, slot, next) = unsafe { Waiter::with(waiter, sign_off) }?;
        self.begin_with(next);
        Some(Sole { waiter, slot, unparker })
    }

    /// Wins the first party that can be won: one that waits in no other list, or a select that
    /// nobody has won yet. Selects that others have won are dropped from the list, and those that
    /// only watch are told to look.
    #[inline]
    pub(crate) fn dequeue(&mut self, verdict: Verdict) -> Option<Won> {
        if let Some(party) = self.dequeue_sole(verdict) {
            return Some(Won::Sole(party));
        }
        if self.is_empty() {
            return None;
        }
        match self.dequeue_select() {
            Some(party) => Some(Won::Selecting(party)),
            None if self.is_empty() => None,
            None => self.dequeue_behind(verdict),
        }
    }

    /// Goes on where [`dequeue_select`](Self::dequeue_select) has won nobody.
    #[cold]
    #[inline(never)]
    fn dequeue_behind(&mut self, verdict: Verdict) -> Option<Won> {
        self.dequeue_sole(verdict).map(Won::Sole)
    }

    /// The same as long as the first party is that of a select. If there is none to be won, the
    /// list is empty afterwards or begins with a party that waits in no other list.
    #[inline(never)]
    pub(crate) fn dequeue_select(&mut self) -> Option<Chosen> {
        loop {
            let waiter = self.head?;
            let sign_off = |record: &mut Record| Some((record.selecting.take()?, record.next));
            // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
            let (selecting, next) = unsafe { Waiter::with(waiter, sign_off) }?;
            self.begin_with(next);
            // SAFETY: the waiter was linked until here, and its party cannot leave before the
            // waiter was dropped, which is the last access to it, or the party has had the lock.
            let won = unsafe {
                let won = meet(selecting);
                Waiter::drop_out(waiter);
                won
            };
            match won {
                Some((chosen, Purpose::Select)) => return Some(chosen),
                Some((watcher, Purpose::Watch)) => tell(watcher),
                None => {}
            }
        }
    }

    /// Makes the second party, `next`, the first.
    #[inline]
    fn begin_with(&mut self, next: Option<NonNull<Waiter>>) {
        self.head = next;
        match next {
            // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
            Some(next) => unsafe { Waiter::with(next, |record| record.prev = None) },
            None => self.tail = None,
        }
    }

    /// Takes `waiter` out and gives its unparker back, or `None` if it was dequeued, or is that of
    /// a select.
    ///
    /// # Safety
    ///
    /// The waiter was enqueued in this list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter) -> Option<Unparker> {
        let this = NonNull::from(waiter);
        let sign_off = |record: &mut Record| (record.unparker.take(), record.selecting.take());
        // SAFETY: `waiter` is a live reference, and `&mut self` comes out of the lock.
        let (unparker, selecting) = unsafe { Waiter::with(this, sign_off) };
        if unparker.is_some() || selecting.is_some() {
            // SAFETY: the waiter was linked, and `&mut self` comes out of the lock.
            unsafe { self.unlink(this) };
        }
        unparker
    }

    /// # Safety
    ///
    /// The waiter is linked in this list, and `&mut self` comes out of the lock.
    unsafe fn unlink(&mut self, waiter: NonNull<Waiter>) {
        // SAFETY: a linked waiter is alive.
        let (prev, next) = unsafe { Waiter::with(waiter, |record| (record.prev, record.next)) };
        match prev {
            // SAFETY: `waiter` is linked, so its neighbours are linked and alive.
            Some(prev) => unsafe { Waiter::with(prev, |record| record.next = next) },
            None => self.head = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { Waiter::with(next, |record| record.prev = prev) },
            None => self.tail = prev,
        }
    }

    /// Whether a party other than that of `mine` could be won now.
    #[inline]
    pub(crate) fn has_partner(&self, mine: Option<&Claim>) -> bool {
        self.head.is_some() && self.finds_partner(mine)
    }

    fn finds_partner(&self, mine: Option<&Claim>) -> bool {
        let can_be_won = |record: &mut Record| match record.selecting {
            None => true,
            Some(Selecting { claim, .. }) => {
                // SAFETY: the party of a linked waiter is alive, and with it its claim.
                let claim = unsafe { claim.as_ref() };
                claim.purpose() == Purpose::Select
                    && claim.is_open()
                    && !mine.is_some_and(|mine| ptr::eq(mine, claim))
            }
        };
        let mut next = self.head;
        while let Some(waiter) = next {
            // SAFETY: a linked waiter is alive, and `&self` comes out of the lock.
            let (found, after) =
                unsafe { Waiter::with(waiter, |record| (can_be_won(record), record.next)) };
            if found {
                return true;
            }
            next = after;
        }
        false
    }

    /// Tells all that only watch to look. Selects that wait are left alone.
    #[inline]
    pub(crate) fn ring(&mut self) {
        if self.head.is_some() {
            self.ring_watchers();
        }
    }

    #[cold]
    fn ring_watchers(&mut self) {
        let mut next = self.head;
        while let Some(waiter) = next {
            // SAFETY: a linked waiter is alive, and `&mut self` comes out of the lock.
            let (after, selecting) =
                unsafe { Waiter::with(waiter, |record| (record.next, record.selecting)) };
            next = after;
            // SAFETY: the party of a linked waiter is alive, and with it its claim.
            let watches = |selecting: &Selecting| unsafe {
                selecting.claim.as_ref().purpose() == Purpose::Watch
            };
            if let Some(selecting) = selecting.filter(watches) {
                // SAFETY: the waiter is in this list, and its party cannot leave before it has had
                // the lock.
                let met = unsafe {
                    self.remove(waiter.as_ref());
                    meet(selecting)
                };
                if let Some((watcher, _)) = met {
                    tell(watcher);
                }
            }
        }
    }
}

/// Closes the claim of a select that was met, unless somebody has already, and says what its party
/// waits for.
///
/// # Safety
///
/// As for [`Chosen::win`].
#[inline(always)]
unsafe fn meet(Selecting { claim, index }: Selecting) -> Option<(Chosen, Purpose)> {
    // SAFETY: passed on to the caller.
    unsafe { Chosen::win(claim, index).map(|chosen| (chosen, claim.as_ref().purpose())) }
}

/// Tells a party that only watches to look.
#[cold]
fn tell(watcher: Chosen) {
    // Under the lock, for once; `unpark` does not need it.
    watcher.grant(Grant::LookAgain);
}

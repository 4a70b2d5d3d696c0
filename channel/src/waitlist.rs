//! The parties that are parked at one end of a channel: a wait queue that can also hold selects.
//!
//! A party that waits in this channel alone is served by the one that takes it out of the queue:
//! the lock decides between a hand-over and a time-out. A select waits in several channels. A party
//! that takes one of its waiters out must also be the first to close its claim, and goes on to the
//! next party otherwise.

use std::ptr::{self, NonNull};

use lisle_scheduler::internal::{Taken, WaitQueue};
use lisle_scheduler::park::Unparker;

use crate::claim::{Chosen, Claim, Entry, Grant, Purpose};
use crate::waiter::{Key, Parked, Sole, Verdict, Waiter, Won};

/// The parties at one end, first come, first served.
#[derive(Debug, Default)]
pub(crate) struct WaitList(WaitQueue<Parked, Key>);

impl WaitList {
    /// Puts a party that waits for nothing else at the end.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list. The waiter is new. Neither it nor its slot
    /// moves or goes away before the waiter was removed, or was dequeued and the unparker used.
    #[inline]
    pub(crate) unsafe fn enqueue(&mut self, waiter: &Waiter, unparker: Unparker) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push(waiter, Key::Sole(unparker)) };
    }

    /// Puts an operation of a select at the end.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list. The operation is new. Neither it nor its
    /// claim moves or goes away before it was [delisted](Self::delist) or
    /// [dropped](Entry::was_dropped), and its party was woken if its claim was closed.
    #[inline]
    pub(crate) unsafe fn enlist(&mut self, operation: &Entry) {
        let key = Key::Selecting(NonNull::from(operation));
        // SAFETY: passed on to the caller. The key is used, by `meet`, until the operation is
        // dropped.
        unsafe { self.0.push(&operation.waiter, key) };
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes the first party out if it is a sole one, and leaves it the verdict, which it reads
    /// when it is woken.
    #[inline]
    pub(crate) fn dequeue_sole(&mut self, verdict: Verdict) -> Option<Sole> {
        let party = self.0.pop_if(|key, parked| {
            let is_sole = matches!(key, Key::Sole(_));
            if is_sole {
                parked.judge(verdict);
            }
            is_sole
        })?;
        let unparker = |key| match key {
            Key::Sole(unparker) => unparker,
            Key::Selecting(_) | Key::Futures(_) => unreachable!("not wanted above"),
        };
        // SAFETY: the unparker was all of the key.
        Some(Sole::new(unsafe { party.map(unparker) }))
    }

    /// Wins the first party that can be won: a sole one, or a select that nobody has won yet.
    /// Selects that others have won are dropped from the list, and watchers are told to look.
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
            None => self.dequeue_after_selects(verdict),
        }
    }

    /// Takes the sole party that stood behind selects, none of which could be won, or a party that
    /// stands behind the sign of the futures.
    #[cold]
    #[inline(never)]
    fn dequeue_after_selects(&mut self, verdict: Verdict) -> Option<Won> {
        if let Some(party) = self.dequeue_sole(verdict) {
            return Some(Won::Sole(party));
        }
        let met = self.0.pop_if(|key, _| matches!(key, Key::Futures(_)))?;
        let won = self.dequeue(verdict);
        let Key::Futures(sign) = met.into_key() else { unreachable!("it is the sign") };
        // SAFETY: it stays until it is taken down, as its owner has promised; and it was taken out.
        unsafe { self.put_up(sign) };
        won
    }

    /// Puts a sign at the end that futures wait.
    ///
    /// # Safety
    ///
    /// The caller holds the lock that guards the list. The sign is in no list, and does not move or
    /// go away before it was taken down.
    pub(crate) unsafe fn put_up(&mut self, sign: NonNull<Waiter>) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.push(sign.as_ref(), Key::Futures(sign)) };
    }

    /// Takes the sign out.
    ///
    /// # Safety
    ///
    /// It was put up in this list.
    pub(crate) unsafe fn take_down(&mut self, sign: NonNull<Waiter>) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.remove(sign.as_ref()) };
    }

    /// Tries the selects at the head of the list, in order. On `None` the head is a sole party, or
    /// the list is empty.
    #[inline(never)]
    pub(crate) fn dequeue_select(&mut self) -> Option<Chosen> {
        loop {
            let met = self.0.pop_if(|key, _| matches!(key, Key::Selecting(_)))?;
            // SAFETY: it was taken out just now, and we hold the lock.
            match unsafe { meet(met) } {
                Some((chosen, Purpose::Select)) => return Some(chosen),
                Some((watcher, Purpose::Watch)) => tell(watcher),
                None => {}
            }
        }
    }

    /// Takes `waiter` out and gives its unparker back, or `None` if it was dequeued.
    ///
    /// # Safety
    ///
    /// The waiter was enqueued in this list.
    #[inline]
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter) -> Option<Unparker> {
        // SAFETY: passed on to the caller.
        match unsafe { self.0.remove(waiter) } {
            Some(Key::Sole(unparker)) => Some(unparker),
            Some(Key::Selecting(_) | Key::Futures(_)) | None => None,
        }
    }

    /// Takes an operation of a select out, if it is still enlisted.
    ///
    /// # Safety
    ///
    /// The operation was enlisted in this list.
    #[inline]
    pub(crate) unsafe fn delist(&mut self, operation: &Entry) {
        // SAFETY: passed on to the caller.
        unsafe { self.0.remove(&operation.waiter) };
    }

    /// Whether a party other than that of `mine` could be won now.
    #[inline]
    pub(crate) fn has_partner(&self, mine: Option<&Claim>) -> bool {
        !self.is_empty() && self.finds_partner(mine)
    }

    fn finds_partner(&self, mine: Option<&Claim>) -> bool {
        self.0.any(|key| match key {
            Key::Sole(_) => true,
            Key::Futures(_) => false,
            Key::Selecting(operation) => {
                // SAFETY: an operation that is enlisted is alive, and so is its claim.
                let claim = unsafe { Entry::claim(*operation) };
                claim.purpose() == Purpose::Select
                    && claim.is_open()
                    && !mine.is_some_and(|mine| ptr::eq(mine, claim))
            }
        })
    }

    /// Tells all watchers to look. Selects that wait are left alone.
    #[inline]
    pub(crate) fn notify_watchers(&mut self) {
        if !self.is_empty() {
            self.take_watchers();
        }
    }

    #[cold]
    fn take_watchers(&mut self) {
        let watchers = self.0.take_if(usize::MAX, |key| match key {
            Key::Sole(_) | Key::Futures(_) => false,
            Key::Selecting(operation) => {
                // SAFETY: an operation that is enlisted is alive, and so is its claim.
                unsafe { Entry::claim(*operation) }.purpose() == Purpose::Watch
            }
        });
        for met in watchers {
            // SAFETY: it was taken out just now, and we hold the lock.
            if let Some((watcher, _)) = unsafe { meet(met) } {
                tell(watcher);
            }
        }
    }
}

/// Closes the claim of a select that was met, unless another party has, and returns the right to
/// serve it and what it waits for.
///
/// # Safety
///
/// It is a select, and was taken out of a list whose lock has not been released since.
#[inline(always)]
unsafe fn meet(met: Taken<Parked, Key>) -> Option<(Chosen, Purpose)> {
    let Key::Selecting(operation) = met.into_key() else { unreachable!("it is a select") };
    // SAFETY: the party has the lock, which we hold, or sees the operation dropped before it goes
    // on. That is the last access to the operation, and the last to the claim unless we have closed
    // it.
    unsafe {
        let claim = Entry::claim(operation);
        let met = Chosen::win(operation).map(|chosen| (chosen, claim.purpose()));
        Entry::drop_out(operation);
        met
    }
}

/// Tells a party that only watches to look.
///
/// This wakes a party under the channel's lock, which is rare. `unpark` never takes that lock. At
/// worst the party wakes on another thread at once, and waits there for the few instructions until
/// the lock is free. To collect the watchers first would need memory for any number of them.
#[cold]
fn tell(watcher: Chosen) {
    watcher.grant(Grant::LookAgain);
}

//! The inbox of a worker: how other threads hand it tasks, and whether it sleeps.
//!
//! An intrusive stack of control blocks behind one atomic word. Many threads push; the owner takes
//! everything at once and turns it round, so tasks come out in the order in which they were pushed.
//!
//! The word also says that the owner is going to sleep, so that "is it empty?" and "does it sleep?"
//! cannot be answered at different moments:
//!
//! ```text
//!   EMPTY ----- push -----> task ----- push -----> task -> task ...
//!   EMPTY <---------------------- drain ------------------+
//!   EMPTY -- prepare_sleep --> ASLEEP -- push --> task   and the pusher must wake the owner
//!   EMPTY <---- end_sleep ---- ASLEEP    by the owner, or by another who then must wake it
//!   EMPTY --- knock --> KNOCKED -- drain --> EMPTY       the owner shall look around before it sleeps
//! ```
//!
//! No wake-up is lost: the owner sleeps only after it has moved the word from EMPTY to ASLEEP. A
//! push or a knock before that makes the move fail; one after it finds ASLEEP and wakes the owner.
//! The owner is woken once a sleep, since only one party replaces ASLEEP.

use std::ptr::{self, NonNull};

use lisle_runtime::primitive::atomic::{AtomicPtr, Ordering};

use crate::task::Control;

const EMPTY: *mut Control = ptr::null_mut();
const ASLEEP: *mut Control = ptr::without_provenance_mut(1);
const KNOCKED: *mut Control = ptr::without_provenance_mut(2);

pub(crate) struct Inbox {
    word: AtomicPtr<Control>,
}

/// Whether the owner of the inbox has to be woken.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Pushed {
    OwnerAwake,
    OwnerAsleep,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self { word: AtomicPtr::new(EMPTY) }
    }

    /// Adds a task. Once this has begun the owner may run the task, so the caller must not touch it
    /// afterwards.
    ///
    /// # Safety
    ///
    /// The task is in no inbox, and the caller holds the only right to put it into one.
    pub(crate) unsafe fn push(&self, task: NonNull<Control>) -> Pushed {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let below = if word == ASLEEP || word == KNOCKED { EMPTY } else { word };
            // SAFETY: the caller alone may link the task, and it is not reachable from the word
            // yet.
            unsafe { task.as_ref().inbox_next.with_mut(|next| next.write(below)) };
            // Release: the owner sees the link, and all that the waker did before it woke the task.
            match self.word.compare_exchange_weak(
                word,
                task.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(ASLEEP) => return Pushed::OwnerAsleep,
                Ok(_) => return Pushed::OwnerAwake,
                Err(now) => word = now,
            }
        }
    }

    /// Whether there is a reason to drain. Owner only.
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        self.word.load(Ordering::Relaxed) != EMPTY
    }

    /// Takes all tasks, calling `receive` in the order of the pushes. Owner only, and not asleep.
    pub(crate) fn drain(&self, mut receive: impl FnMut(NonNull<Control>)) {
        // Acquire pairs with the release of every push whose task is in the chain: later pushes
        // read the earlier ones' word and continue their release sequence. And with a knock's.
        let mut chain = self.word.swap(EMPTY, Ordering::Acquire);
        debug_assert_ne!(chain, ASLEEP, "the owner wakes before it drains");
        if chain == KNOCKED {
            return;
        }
        let mut oldest_first = EMPTY;
        while let Some(task) = NonNull::new(chain) {
            // SAFETY: the swap made this thread the only one that can reach the chain.
            unsafe {
                task.as_ref().inbox_next.with_mut(|next| chain = next.replace(oldest_first));
            }
            oldest_first = task.as_ptr();
        }
        while let Some(task) = NonNull::new(oldest_first) {
            // SAFETY: as above; the link is read before `receive` lets the task be pushed again.
            oldest_first = unsafe { task.as_ref().inbox_next.with(|next| next.read()) };
            receive(task);
        }
    }

    /// Announces that the owner is about to sleep. False if a task has arrived: then it must not.
    pub(crate) fn prepare_sleep(&self) -> bool {
        // Release: who sees the owner asleep sees all that it did before.
        self.word.compare_exchange(EMPTY, ASLEEP, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Whether the owner sleeps, or is about to.
    pub(crate) fn is_asleep(&self) -> bool {
        self.word.load(Ordering::Acquire) == ASLEEP
    }

    /// Ends a sleep. False if there is none, or if somebody else has ended it. Unless the caller is
    /// the owner it must wake the owner after a true.
    pub(crate) fn end_sleep(&self) -> bool {
        // Acquire if it fails: an owner that was called back sees why.
        self.word.compare_exchange(ASLEEP, EMPTY, Ordering::Release, Ordering::Acquire).is_ok()
    }

    /// Makes sure that the owner looks around once more before it sleeps, and sees then what the
    /// caller has written. After `OwnerAsleep` the caller must wake it.
    pub(crate) fn knock(&self) -> Pushed {
        let before = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
            // Whoever finds tasks looks around anyway, but only a write can be acquired.
            Some(if word == EMPTY || word == ASLEEP { KNOCKED } else { word })
        });
        if before == Ok(ASLEEP) { Pushed::OwnerAsleep } else { Pushed::OwnerAwake }
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

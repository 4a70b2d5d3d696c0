//! The inbox of a worker: how wake-ups reach it from other threads, and whether it sleeps.
//!
//! An intrusive stack of control blocks behind one atomic word. Many threads push; the owner takes
//! everything at once and turns it round, so tasks come out in the order in which they were pushed.
//! Only wakers push: that needs no lock and no memory but the link in the control block, which
//! belongs to the holder of the task's unparker. Everything else that is asked of a worker
//! lies in its [`Mailbox`](super::mailbox::Mailbox), and a *knock* here says that it is there.
//!
//! The word also says that the owner is going to sleep, so that "is it empty?" and "does it sleep?"
//! cannot be answered at different moments:
//!
//! ```text
//!   EMPTY ----- push -----> task ----- push -----> task -> task ...
//!   EMPTY <---------------------- drain ------------------+
//!   EMPTY -- prepare_sleep --> ASLEEP -- push --> task      and the pusher must wake the owner
//!   EMPTY <---- end_sleep ---- ASLEEP       by the owner, or by another, which then must wake it
//!   EMPTY ----- knock -----> KNOCKED        a bit of the word, which pushes keep and a drain takes
//! ```
//!
//! No wake-up is lost: the owner sleeps only after it has moved the word from EMPTY to ASLEEP. A
//! push or a knock before that makes the move fail; one after it finds ASLEEP and wakes the owner.
//! The owner is woken once a sleep, since only one party replaces ASLEEP.
//!
//! What is pushed is the address of a control block with a [`Notice`] in its lowest bit.

#[cfg(all(test, lisle_loom))]
mod models;

use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::atomic::{AtomicPtr, Ordering};

use crate::task::Control;

const EMPTY: *mut Control = ptr::null_mut();
/// Set in the address of a task whose notice is [`Notice::Abandoned`].
const ABANDONED: usize = 1;
/// Set in the word only, beside a task or alone.
const KNOCKED: usize = 2;
/// The whole word while the owner sleeps.
const ASLEEP: *mut Control = ptr::without_provenance_mut(4);

const _: () = assert!(align_of::<Control>() > 4, "the lowest bits of an address are free");

pub(super) struct Inbox {
    word: AtomicPtr<Control>,
}

/// What has become of a task's unparker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// It was used: the wait is over.
    Unparked,
    /// It was dropped, and will not be used.
    Abandoned,
}

/// Whether the owner of the inbox has to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Pushed {
    OwnerAwake,
    OwnerAsleep,
}

impl Inbox {
    pub(super) fn new() -> Self {
        Self { word: AtomicPtr::new(EMPTY) }
    }

    /// Adds a task with a notice. Once this has begun the owner may run the task, so the caller
    /// must not touch it afterwards.
    ///
    /// # Safety
    ///
    /// The task is in no inbox, and the caller holds the only right to put it into one.
    pub(super) unsafe fn push(&self, task: NonNull<Control>, notice: Notice) -> Pushed {
        let letter = match notice {
            Notice::Unparked => task.as_ptr(),
            Notice::Abandoned => task.as_ptr().map_addr(|address| address | ABANDONED),
        };
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            // SAFETY: the caller alone may link the task, and it is not reachable from the word
            // yet.
            unsafe { task.as_ref().inbox_next.with_mut(|next| next.write(chain_of(word))) };
            // Release: the owner sees the link, and all that the waker did before it woke the task.
            match self.word.compare_exchange_weak(
                word,
                letter.map_addr(|address| address | word.addr() & KNOCKED),
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(ASLEEP) => return Pushed::OwnerAsleep,
                Ok(_) => return Pushed::OwnerAwake,
                Err(now) => word = now,
            }
        }
    }

    /// Whether there is a reason to drain.
    #[inline]
    pub(super) fn has_mail(&self) -> bool {
        self.word.load(Ordering::Relaxed) != EMPTY
    }

    /// Whether tasks wait to be taken.
    pub(super) fn has_tasks(&self) -> bool {
        !chain_of(self.word.load(Ordering::Relaxed)).is_null()
    }

    /// Takes all tasks, calling `receive` in the order of the pushes, and ends a sleep that was
    /// announced. True if there was a knock.
    pub(super) fn drain(&self, mut receive: impl FnMut(NonNull<Control>, Notice)) -> bool {
        // Acquire pairs with the release of every push whose task is in the chain: later pushes
        // read the earlier ones' word and continue their release sequence. And with a knock's.
        let word = self.word.swap(EMPTY, Ordering::Acquire);
        let mut chain = chain_of(word);
        let mut oldest_first = EMPTY;
        while let Some((task, _)) = opened(chain) {
            // SAFETY: the swap made this thread the only one that can reach the chain.
            let below =
                unsafe { task.as_ref().inbox_next.with_mut(|next| next.replace(oldest_first)) };
            oldest_first = chain;
            chain = below;
        }
        while let Some((task, notice)) = opened(oldest_first) {
            // SAFETY: as above; the link is read before `receive` lets the task be pushed again.
            oldest_first = unsafe { task.as_ref().inbox_next.with(|next| next.read()) };
            receive(task, notice);
        }
        word.addr() & KNOCKED != 0
    }

    /// Announces that the owner is about to sleep. False if something has arrived: then it must
    /// not.
    pub(super) fn prepare_sleep(&self) -> bool {
        // Release: a thread that sees the owner asleep sees all that the owner did before.
        self.word.compare_exchange(EMPTY, ASLEEP, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Whether the owner sleeps, or is about to.
    pub(super) fn is_asleep(&self) -> bool {
        self.word.load(Ordering::Acquire) == ASLEEP
    }

    /// Ends a sleep. False if there is none, or if another thread has ended it. Unless the caller
    /// is the owner it must wake the owner after a true.
    pub(super) fn end_sleep(&self) -> bool {
        // Acquire if there is none: an owner that was called back sees why.
        self.is_asleep()
            && self
                .word
                .compare_exchange(ASLEEP, EMPTY, Ordering::Release, Ordering::Acquire)
                .is_ok()
    }

    /// Makes sure that the owner looks around once more before it sleeps, and sees then what the
    /// caller has written. After `OwnerAsleep` the caller must wake it.
    pub(super) fn knock(&self) -> Pushed {
        let before = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, |word| {
            // Also if there was a knock before: only a write can be acquired.
            Some(chain_of(word).map_addr(|address| address | KNOCKED))
        });
        if before == Ok(ASLEEP) { Pushed::OwnerAsleep } else { Pushed::OwnerAwake }
    }
}

/// The newest letter of the chain behind a word; null if there is none.
fn chain_of(word: *mut Control) -> *mut Control {
    word.map_addr(|address| address & !(KNOCKED | ASLEEP.addr()))
}

/// The task of a letter, and the notice.
fn opened(letter: *mut Control) -> Option<(NonNull<Control>, Notice)> {
    let abandoned = letter.addr() & ABANDONED != 0;
    let task = NonNull::new(letter.map_addr(|address| address & !ABANDONED))?;
    Some((task, if abandoned { Notice::Abandoned } else { Notice::Unparked }))
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use crate::task::Slab;
    use crate::task::testing::task_numbered;

    fn drained(inbox: &Inbox) -> (Vec<(NonNull<Control>, Notice)>, bool) {
        let mut letters = Vec::new();
        let knocked = inbox.drain(|task, notice| letters.push((task, notice)));
        (letters, knocked)
    }

    #[test]
    fn notices_and_a_knock_arrive_whatever_their_order() {
        use Notice::{Abandoned, Unparked};
        let (slab, inbox) = (Slab::default(), Inbox::new());
        let letters: Vec<_> = [Abandoned, Unparked, Abandoned]
            .into_iter()
            .enumerate()
            .map(|(n, notice)| (task_numbered(&slab, n as u64).0, notice))
            .collect();
        for knock_before in 0..=letters.len() + 1 {
            for (n, &(task, notice)) in letters.iter().enumerate() {
                if n == knock_before {
                    assert_eq!(inbox.knock(), Pushed::OwnerAwake);
                }
                // SAFETY: the task is in no inbox: the last round has taken it out.
                assert_eq!(unsafe { inbox.push(task, notice) }, Pushed::OwnerAwake);
            }
            if knock_before == letters.len() {
                assert_eq!(inbox.knock(), Pushed::OwnerAwake);
            }
            assert_eq!(drained(&inbox), (letters.clone(), knock_before <= letters.len()));
            assert!(!inbox.has_mail());
        }
    }

    #[test]
    fn a_drain_in_a_sleep_finds_nothing_and_ends_the_sleep() {
        let inbox = Inbox::new();
        assert!(inbox.prepare_sleep());
        assert_eq!(drained(&inbox), (Vec::new(), false));
        assert!(!inbox.is_asleep());
    }

    #[test]
    fn one_knock_wakes_the_sleeper_and_a_second_one_finds_it_awake() {
        let inbox = Inbox::new();
        assert!(inbox.prepare_sleep());
        assert_eq!([inbox.knock(), inbox.knock()], [Pushed::OwnerAsleep, Pushed::OwnerAwake]);
        assert!(!inbox.prepare_sleep(), "it has to look around first");
        assert_eq!(drained(&inbox), (Vec::new(), true));
        assert!(inbox.prepare_sleep());
    }
}

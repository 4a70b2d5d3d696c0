//! What runs once, without what it makes. The crate's README has the argument.

#[cfg(all(test, lisle_loom))]
mod models;

use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU8, Ordering};
use lisle_runtime::internal::primitive::{self, BriefMutex};
use lisle_scheduler::internal::{
    WaitQueue, Waiter, current_number, shield_unwinding, uninterrupted,
};
use lisle_scheduler::park::{Awaited, Held, Object, Place, Reason, Wait, Wake, park};

use crate::waiting::{cannot_wait, pass, pass_at, wait_in};

/// Nobody has begun, or the last one that has was unwound.
const EMPTY: u8 = 0;
/// An initialiser runs, or a waiter is about to run its own.
const RUNNING: u8 = 1;
/// Is never left again.
const DONE: u8 = 2;

#[derive(Debug)]
pub(crate) struct RawOnce {
    /// Changed under the lock; read without by those that hope for `DONE`.
    state: AtomicU8,
    waiting: BriefMutex<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Those with an initialiser of their own, for the case that the running one is unwound.
    heirs: WaitQueue<Heir>,
    /// Those that wait for the end.
    others: WaitQueue,
    /// The party whose initialiser runs, and the place of its call.
    runner: Option<(Runner, Place)>,
}

/// Whether the party has to run its initialiser.
#[derive(Debug, Default)]
struct Heir(bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runner {
    /// By its number.
    Task(u64),
    /// By the address of a thread-local: it lives as long as the initialiser runs.
    Thread(usize),
}

primitive::thread_local! {
    static HERE: u8 = 0
}

impl Runner {
    fn current() -> Self {
        match current_number() {
            0 => Self::Thread(HERE.with(|here| std::ptr::from_ref(here).addr())),
            number => Self::Task(number),
        }
    }
}

/// The right and the duty to initialise. One that is dropped leaves that to others.
pub(crate) struct Initialising<'a>(&'a RawOnce);

/// A wait for the end of the initialiser that runs.
struct Inheriting<'a>(&'a RawOnce);

/// A wait for the end of any initialiser.
struct Watching<'a>(&'a RawOnce);

impl RawOnce {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self::in_state(EMPTY)
        }

        /// One that is over from the beginning.
        pub(crate) fn done() -> Self {
            Self::in_state(DONE)
        }

        fn in_state(state: u8) -> Self {
            Self {
                state: AtomicU8::new(state),
                waiting: BriefMutex::new(Waiting {
                    heirs: WaitQueue::new(),
                    others: WaitQueue::new(),
                    runner: None,
                }),
            }
        }
    }

    /// Whether it is over. Then what the initialiser did is visible.
    #[inline(always)]
    pub(crate) fn is_done(&self) -> bool {
        // Acquire pairs with the release in `finish`.
        self.state.load(Ordering::Acquire) == DONE
    }

    /// Whether it is over, for a caller that is told so if it is not.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn is_done_now(&self) -> bool {
        self.is_done() || {
            pass();
            self.is_done()
        }
    }

    /// Waits as long as another party initialises. `None` if it is over; otherwise it is the
    /// caller's turn.
    ///
    /// # Panics
    ///
    /// If the caller initialises already.
    #[cold]
    pub(crate) fn begin(&self, what: &str, place: Place) -> Option<Initialising<'_>> {
        pass_at(place);
        let me = Runner::current();
        let mut waiting = self.waiting.lock();
        if let Some((runner, begun)) = waiting.runner
            && runner == me
        {
            drop(waiting);
            panic!("the initialiser of this {what}, which began at {begun}, wants its value");
        }
        match self.state.load(Ordering::Relaxed) {
            DONE => return None,
            EMPTY => {
                self.state.store(RUNNING, Ordering::Relaxed);
                waiting.runner = Some((me, place));
                return Some(Initialising(self));
            }
            _ => drop(waiting),
        }
        if self.inherit(place) {
            self.waiting.lock().runner = Some((me, place));
            return Some(Initialising(self));
        }
        None
    }

    /// Waits for the end of the initialiser that runs. True if the caller has to run its own.
    fn inherit(&self, place: Place) -> bool {
        let object = Inheriting(self);
        let mut waiter = Waiter::new(Heir::default());
        let wake = uninterrupted(|| {
            park(
                Wait::on(&object).at(place),
                None,
                |unparker| {
                    let mut waiting = self.waiting.lock();
                    let state = self.state.load(Ordering::Relaxed);
                    if state == RUNNING {
                        // SAFETY: the waiter stays until `park` has returned, after which the
                        // unparker is used up or was taken back.
                        return unsafe { waiting.heirs.push(&waiter, unparker) };
                    }
                    if state == EMPTY {
                        self.state.store(RUNNING, Ordering::Relaxed);
                    }
                    drop(waiting);
                    // SAFETY: the waiter is in no queue, and stays until the unparker is used.
                    let mut taken = unsafe { waiter.surrender(unparker) };
                    taken.with(|heir| *heir = Heir(state == EMPTY));
                    taken.wake();
                },
                // SAFETY: the waiter is in this queue or was never in one.
                || unsafe { self.waiting.lock().heirs.remove(&waiter) },
            )
        });
        if wake != Wake::Unparked {
            cannot_wait("the end of an initialiser");
        }
        waiter.payload().0
    }

    /// Waits until it is over, whichever party initialises, but not beyond `deadline`.
    pub(crate) fn wait(&self, deadline: Option<Instant>, place: Place) -> Wake {
        if self.is_done() {
            return Wake::Unparked;
        }
        let object = Watching(self);
        shield_unwinding(|| {
            // SAFETY: it is a field, from which parties are taken out and which is not replaced.
            unsafe {
                wait_in(
                    &self.waiting,
                    |waiting| &mut waiting.others,
                    |_| self.state.load(Ordering::Relaxed) == DONE,
                    Wait::on(&object).at(place),
                    deadline,
                )
            }
        })
    }

    fn runner(&self) -> Option<Awaited> {
        let (runner, place) = self.waiting.lock().runner?;
        let number = match runner {
            Runner::Task(number) => number,
            Runner::Thread(_) => 0,
        };
        Some(Awaited::Release(Held::new(number, "begun", place, 1)))
    }
}

impl Initialising<'_> {
    /// It is over. What the caller has done before is visible to all that find it so.
    pub(crate) fn finish(self) {
        let this = std::mem::ManuallyDrop::new(self);
        let mut waiting = this.0.waiting.lock();
        waiting.runner = None;
        this.0.state.store(DONE, Ordering::Release);
        let (heirs, others) = (waiting.heirs.take_all(), waiting.others.take_all());
        drop(waiting);
        heirs.wake();
        others.wake();
    }
}

impl Drop for Initialising<'_> {
    /// The initialiser was unwound or has failed: the first heir has its turn.
    fn drop(&mut self) {
        let mut waiting = self.0.waiting.lock();
        waiting.runner = None;
        let heir = waiting.heirs.pop();
        if heir.is_none() {
            self.0.state.store(EMPTY, Ordering::Relaxed);
        }
        drop(waiting);
        if let Some(mut heir) = heir {
            heir.with(|heir| *heir = Heir(true));
            heir.wake();
        }
    }
}

impl Object for Inheriting<'_> {
    fn reason(&self) -> Reason {
        Reason::new("waiting for the end of an initialiser")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.0.runner().into_iter().for_each(say);
    }
}

impl Object for Watching<'_> {
    fn reason(&self) -> Reason {
        Reason::new("waiting for a value to be initialised")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.0.runner().into_iter().for_each(say);
    }
}

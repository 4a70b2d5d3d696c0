//! `park` and [`Unparker`]: the only seam between the scheduler and everything that blocks.
//!
//! A wait has four steps, in this order:
//!
//! 1. `park` makes an [`Unparker`] and gives it to `commit`, which puts it where a waker will find
//!    it (a channel's wait list, a join state) and releases whatever lock guards that place.
//! 2. The caller, a task or a plain OS thread, stops.
//! 3. It continues because the unparker was used, because the deadline passed, or because the task
//!    is being cancelled.
//! 4. In the last two cases the unparker may still be out. `retract` undoes what `commit` has done
//!    and gives the unparker back, which proves that nobody else can use it any more. If it is no
//!    longer there, a waker holds it and is about to use it, so `park` waits for that and reports
//!    [`Wake::Unparked`].
//!
//! **Cancellation.** After `retract`, `park` itself unwinds a task that is cancelled. What its
//! caller holds is undone by destructors, as in any other unwinding; but a task that cannot be
//! unwound is left behind at this point, so that what others could still find must be gone by then:
//! that is what `retract` is for. A hand-over that was won is kept, and the cancellation strikes at
//! the next wait.
//!
//! An unparker is used at most once and outlives no wait: it cannot be cloned, `unpark` consumes
//! it, and `park` does not return while it is out. Hence a wake-up is never spurious and never
//! meant for an earlier wait, and a same-thread wake needs no atomic operation.

use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::time::Instant;

use lisle_runtime::internal::last_words::AbortOnUnwind;
use lisle_runtime::no_suspend;

use crate::future::FutureWait;
use crate::task::Control;
use crate::thread::ThreadWait;
use crate::worker;

pub use crate::wait::{AsWait, Awaited, Handles, Held, Object, Place, Reason, Wait};

/// What ended a wait.
#[must_use = "a wait may have failed"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The unparker was used.
    Unparked,
    /// The deadline passed, and the unparker was not used: it was retracted, or had been dropped.
    TimedOut,
    /// The task cannot wait here, and cannot be unwound either. The unparker was retracted or never
    /// handed out. The caller fails as if the other side were gone, so that the destructor that
    /// waits comes to an end.
    ///
    /// That is so in a destructor which
    /// - a task runs that unwinds and is cancelled, outside of a [`shield`](fn@crate::shield);
    /// - runs amid a panic, without memory or a thread for what it takes to let others run
    ///   meanwhile;
    /// - belongs to a thread-local of a thread that ends.
    Failed,
}

/// The right to end one wait, once.
///
/// Dropping an unparker does not wake its party, which goes on waiting until its deadline has
/// passed or its task is cancelled, with nothing left to retract.
#[must_use = "a dropped unparker does not wake its party"]
#[derive(Debug)]
pub struct Unparker(Party);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    Task(NonNull<Control>),
    Thread(NonNull<ThreadWait>),
    Future(NonNull<FutureWait>),
}

// SAFETY: the party cannot leave `park` while its unparker is out, so the pointers stay valid on
// every thread; `unpark` touches a task's owner-only state on its home thread alone.
unsafe impl Send for Unparker {}
// SAFETY: a shared reference offers nothing but `Debug` and comparison of the addresses.
unsafe impl Sync for Unparker {}

impl Unparker {
    pub(crate) fn new(party: Party) -> Self {
        Self(party)
    }

    /// Lets the parked party continue. Never blocks.
    ///
    /// A task goes to the tail of its home worker's run queue; the caller keeps running.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// use lisle::park::{Reason, Wake, park};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let waker = std::thread::spawn(move || {
    ///     let unparker: lisle::park::Unparker = receiver.recv().unwrap();
    ///     unparker.unpark();
    /// });
    /// let reason = Reason::new("waiting for a thread");
    /// let hand_over = |unparker| sender.send(unparker).unwrap();
    /// let wake = lisle::run(|| park(reason, None, hand_over, || None));
    /// assert_eq!(wake, Wake::Unparked);
    /// waker.join().unwrap();
    /// ```
    // Inlined always, as the hand-over between two tasks that it is the last step of.
    #[inline(always)]
    pub fn unpark(self) {
        match self.into_party() {
            Party::Task(task) => worker::unpark(task),
            // SAFETY: the thread stays in `park`, where its `ThreadWait` lives, until `unpark` has
            // stored the wake-up, after which `unpark` does not touch it.
            Party::Thread(wait) => unsafe { ThreadWait::unpark(wait) },
            // SAFETY: the wait stays until its unparker was used.
            Party::Future(wait) => unsafe { FutureWait::unpark(wait) },
        }
    }

    #[inline]
    fn into_party(self) -> Party {
        let this = ManuallyDrop::new(self);
        this.0
    }
}

impl Drop for Unparker {
    #[cold]
    fn drop(&mut self) {
        match self.0 {
            Party::Task(task) => worker::abandon(task),
            // SAFETY: as for `unpark`.
            Party::Thread(wait) => unsafe { ThreadWait::abandon(wait) },
            // SAFETY: as for `unpark`.
            Party::Future(wait) => unsafe { FutureWait::abandon(wait) },
        }
    }
}

impl Party {
    /// Calls `retract`, which gives back this party's unparker or nothing: true if it did. Any
    /// other would mean that this one is still out, with a wait that is about to end.
    #[inline(always)]
    pub(crate) fn take_back(self, retract: impl FnOnce() -> Option<Unparker>) -> bool {
        undisturbed(RETRACT_PANICKED, || {
            let retracted = retract().map(Unparker::into_party);
            if let Some(party) = retracted {
                assert!(party == self, "retract gave back the unparker of another wait");
            }
            retracted.is_some()
        })
    }
}

pub(crate) const COMMIT_PANICKED: &str = "the commit closure of a park panicked";
const RETRACT_PANICKED: &str = "the retract closure of a park panicked";

/// Calls a closure of a park, which may neither panic nor suspend, not even a coroutine that it
/// runs in: the unparker that it was given, or should have given back, would outlive the wait.
#[inline(always)]
pub(crate) fn undisturbed<R>(message: &'static str, closure: impl FnOnce() -> R) -> R {
    let bomb = AbortOnUnwind::new(message);
    let result = no_suspend(closure);
    bomb.defuse();
    result
}

/// Parks the calling task, or the calling plain thread, until its unparker is used, `deadline`
/// passes or the task is cancelled. The module documentation explains the protocol.
///
/// `commit` runs on the caller before it stops and must not itself suspend. It is dropped uncalled
/// if the task cannot wait. `retract` undoes what `commit` has done, and gives back the unparker
/// that `commit` was given, or `None` if a waker has taken it.
///
/// A cancelled task is unwound, by a panic with the payload [`Cancelled`](crate::Cancelled): in a
/// wait, once `retract` has given the unparker back, and before the next one. A plain thread is
/// unwound in the same way, but only by a region that it is in, such as a
/// [`timeout`](fn@crate::timeout).
///
/// The report of a deadlock says what the [`Wait`] tells: the reason, the caller's place unless it
/// names another, and what its object says.
///
/// # Aborts
///
/// If `commit` or `retract` panics (a task that parks or is unwound inside them does), or `retract`
/// gives back the unparker of another wait: an unparker would outlive its wait.
///
/// # Panics
///
/// Unwinds a task that is cancelled. Panics inside [`no_suspend`](fn@lisle_runtime::no_suspend),
/// before `commit` is called.
///
/// # Examples
///
/// ```
/// use lisle::park::{Reason, Unparker, Wake, park};
/// use std::cell::Cell;
/// use std::rc::Rc;
///
/// lisle::run(|| {
///     let bell: Rc<Cell<Option<Unparker>>> = Rc::default();
///     let ringer = bell.clone();
///     let sleeper = lisle::spawn_local(move || {
///         park(
///             Reason::new("waiting for the bell"),
///             None,
///             |unparker| bell.set(Some(unparker)),
///             || bell.take(),
///         )
///     });
///     lisle::yield_now();
///     ringer.take().expect("the sleeper has parked").unpark();
///     assert_eq!(sleeper.join().unwrap(), Wake::Unparked);
/// });
/// ```
#[track_caller]
#[inline(always)]
pub fn park(
    wait: impl AsWait,
    deadline: Option<Instant>,
    commit: impl FnOnce(Unparker),
    retract: impl FnOnce() -> Option<Unparker>,
) -> Wake {
    // SAFETY: the reference is used in this call alone.
    match unsafe { worker::current() } {
        Some(worker) => {
            let Wait { object, place } = wait.as_wait();
            worker.park(object, place.unwrap_or(Location::caller()), deadline, commit, retract)
        }
        None => ThreadWait::park(deadline, commit, retract),
    }
}

/// Whether the caller is a task, so that [`park`] would let other tasks of its thread run; false on
/// a plain thread, which it would block.
///
/// ```
/// assert!(!lisle::park::in_task());
/// assert!(lisle::run(lisle::park::in_task));
/// ```
#[inline]
pub fn in_task() -> bool {
    worker::with_current(|worker| worker.is_some())
}

//! What ties the tasks of a scope to the frame that awaits them.
//!
//! The frame has the [`Bonds`], and each task a [`Bond`] there. The worker on which the frame lives
//! is the scope's *home*, which it never leaves; the frame of a plain thread has none. What happens
//! at home happens one after the other. So a task that is spawned there, and ends there while the
//! body runs, needs no lock and no atomic step. Three things are to be known:
//!
//! - *Which tasks are there*, so that they can be cancelled. A list has those that were spawned at
//!   home, another one the others. A task leaves its list before it finishes: so whatever stands in
//!   a list has a control block, and a worker that serves it. One that is spawned when the scope is
//!   cancelled is cancelled from its birth.
//!
//!   | | the list of the home | the other one |
//!   |---|---|---|
//!   | a task enters it | at home | under the lock |
//!   | leaves it, at home | at once | under the lock |
//!   | leaves it, elsewhere | under the lock | under the lock |
//!   | it is gone through | at home, and under the lock | under the lock |
//!
//!   A party elsewhere that cancels the scope asks the home to go through its list. Such a request
//!   counts as a task that has not ended, so that it finds the scope.
//! - *Whether all have ended.* A task counts as ended when its result has been taken or dropped,
//!   for that may borrow, too: this is the last thing that happens to it. While the body runs the
//!   home has a count of its own of the tasks that were spawned there, less those that have ended
//!   there, and the balance goes down from zero for those that have ended elsewhere. When the body
//!   is over, all that were spawned are added to the balance. So only the step that brings it to
//!   zero is the last, wakes the frame, and touches nothing of it afterwards; and the others touch
//!   nothing after their step, since the frame may be gone. Tasks that end at home take such a step
//!   together, since the frame cannot go on before its worker has nothing better to do: when as
//!   many have ended there as the balance still has, or else before the worker rests, and in each
//!   of its polls.
//! - *The first panic* that no handle has taken.
//!
//! A task that is left behind never ends, and keeps what it has borrowed: so its scope cannot end
//! either. If the task that awaits it is being cancelled it is left behind, too, and its frame
//! stays; if not, the process is aborted.

mod list;
#[cfg(all(test, lisle_loom))]
mod models;

pub(crate) use self::list::Bond;

use std::any::Any;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use lisle_runtime::internal::in_section;
use lisle_runtime::internal::last_words::abort_with;
use lisle_runtime::internal::primitive::BriefMutex;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicUsize, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;

use self::list::List;
use crate::cancel::{self, shield};
use crate::park::{Place, Reason, Wait, Wake};
use crate::post::{Post, Request};
use crate::task::{Cancelled, CancelledBy, Control, discard_panic};
use crate::wait_cell::{Event, WaitCell};
use crate::worker::{self, Worker, WorkerId};

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

pub(crate) struct Bonds {
    home: Option<Home>,
    /// The home's, but for the bonds in the list: see there.
    near: UnsafeCell<Near>,
    /// How many tasks have ended elsewhere, below zero; and from the end of the body on how many of
    /// all have not ended.
    balance: AtomicUsize,
    is_cancelled: AtomicBool,
    end: WaitCell,
    far: BriefMutex<Far>,
}

/// The worker of the frame.
struct Home {
    id: WorkerId,
    post: *const Post,
}

/// What the home knows.
#[derive(Default)]
struct Near {
    list: List,
    /// How many tasks were admitted here, less those that have ended here, while the body ran.
    alive: usize,
    is_over: bool,
    /// How many tasks have ended here since then, and are still part of the balance.
    untold: usize,
}

/// What is under the lock.
#[derive(Default)]
struct Far {
    list: List,
    /// The bonds of the home's list whose tasks have ended elsewhere.
    returned: Option<NonNull<Bond>>,
    /// How many tasks were admitted here while the body ran.
    admitted: usize,
    /// Whether the body is over, and the balance is how many have not ended.
    is_over: bool,
    panic: Option<Panic>,
}

// SAFETY: what is not atomic is used at home alone, or under the lock, as the head of this file
// says. Payloads of panics, the only values in it, are `Send` and are not lent.
unsafe impl Sync for Bonds {}

/// All tasks have ended.
const ENDED: Event = Event::new(0);
/// A task was left behind.
const LEFT: Event = Event::new(1);

const REASON: Reason = Reason::new("waiting for the tasks of a scope");

impl Bonds {
    /// Bonds of a frame of the calling party.
    pub(super) fn new() -> Self {
        let home = |worker: &Worker| Home { id: worker.id(), post: worker.post() };
        Self::at(worker::with_current(|worker| worker.map(home)))
    }

    fn at(home: Option<Home>) -> Self {
        Self {
            home,
            near: UnsafeCell::default(),
            balance: AtomicUsize::new(0),
            is_cancelled: AtomicBool::new(false),
            end: WaitCell::new(),
            far: BriefMutex::new(Far::default()),
        }
    }

    /// Runs the body of a scope and waits until all tasks have ended. If the body panics or is
    /// cancelled, or the wait is, cancels them first.
    pub(super) fn run<T>(&self, place: Place, body: impl FnOnce() -> T) -> T {
        let mut cancellation = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let value = body();
            (value, self.close() || self.wait(place) == Wake::Unparked)
        }));
        let (value, is_complete) = match outcome {
            Ok((value, is_complete)) => (Some(value), is_complete),
            Err(payload) if payload.is::<Cancelled>() => {
                cancellation = Some(payload);
                (None, false)
            }
            Err(payload) => {
                self.note_panic(payload);
                (None, false)
            }
        };
        if !is_complete {
            self.cancel();
            self.wait_to_the_end(place);
        }
        if self.end.event() == Some(LEFT) {
            leave_or_abort();
        }
        let panic = self.far.lock().panic.take();
        if let Some(payload) = cancellation.or(panic) {
            resume_unwind(payload);
        }
        value.expect("a body without a value has panicked")
    }

    /// Ends the body: true if all tasks have ended.
    fn close(&self) -> bool {
        let mut far = self.far.lock();
        if far.is_over {
            return self.end.event().is_some();
        }
        far.is_over = true;
        // SAFETY: this is the frame's party.
        let at_home = self.near.with_mut(|near| unsafe { (*near).close() });
        let alive = at_home.wrapping_add(far.admitted);
        // Under the lock: a task that is admitted from now on is added to the balance, and must not
        // bring it from 1 to 0 before the others are. Acquire: what ended tasks have done is seen.
        // Release is for the last one.
        let before = self.balance.fetch_add(alive, Ordering::AcqRel);
        drop(far);
        before.wrapping_add(alive) == 0
    }

    fn wait(&self, place: Place) -> Wake {
        // SAFETY: only the frame that has the bonds waits here.
        unsafe { self.end.wait(Wait::on(&REASON).at(place), None) }
    }

    fn wait_to_the_end(&self, place: Place) {
        if !self.close() && shield(|| self.wait(place)) != Wake::Unparked {
            abort_with(format_args!(
                "a scope at {place} cannot wait for its tasks, which borrow from its frame"
            ));
        }
    }

    #[inline]
    fn is_home(&self, here: Option<WorkerId>) -> bool {
        here.is_some() && here == self.home.as_ref().map(|home| home.id)
    }

    /// Admits a new task, before a worker knows it. The caller runs on the worker `here`, or on
    /// none.
    #[inline(always)]
    pub(crate) fn admit(&self, task: &Control, here: Option<WorkerId>) {
        if self.is_home(here) {
            self.admit_at_home(task);
        } else {
            self.admit_elsewhere(task);
        }
        // A cancellation that comes later finds the task in its list.
        if self.is_cancelled.load(Ordering::Relaxed) {
            cancel_from_birth(task);
        }
    }

    #[inline(always)]
    fn admit_at_home(&self, task: &Control) {
        let bonds = NonNull::from(self);
        // SAFETY: this is the home. Nothing in here is user code or switches.
        self.near.with_mut(|near| unsafe {
            let near = &mut *near;
            let returned = || self.far.lock().returned.take();
            task.set_bond(near.list.enter(bonds, true, NonNull::from(task), returned));
            if near.is_over {
                self.count_one_more();
            } else {
                near.alive = near.alive.wrapping_add(1);
            }
        });
    }

    #[cold]
    #[inline(never)]
    fn admit_elsewhere(&self, task: &Control) {
        let mut far = self.far.lock();
        let (bonds, task_of_bond) = (NonNull::from(self), NonNull::from(task));
        // SAFETY: we hold the lock.
        task.set_bond(unsafe { far.list.enter(bonds, false, task_of_bond, || None) });
        self.count_elsewhere(&mut far);
    }

    fn count_elsewhere(&self, far: &mut Far) {
        if far.is_over {
            self.count_one_more();
        } else {
            far.admitted += 1;
        }
    }

    /// The body is over, and a task of the scope is what spawns another, so that the balance is not
    /// zero.
    fn count_one_more(&self) {
        self.balance.fetch_add(1, Ordering::Relaxed);
    }

    /// Cancels the tasks that there are and those to come.
    pub(super) fn cancel(&self) {
        // Before the lists are gone through: what enters one later sees it. Relaxed, since it does
        // so at home, as this does or the request that this makes, or under the lock.
        if self.is_cancelled.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut far = self.far.lock();
        // SAFETY: we hold the lock.
        unsafe { far.list.for_each(cancel_in_list) };
        let Some(home) = &self.home else { return };
        let is_here = self.is_home(worker::with_current(|worker| worker.map(Worker::id)));
        if !is_here {
            self.count_elsewhere(&mut far);
        }
        drop(far);
        if is_here {
            self.cancel_at_home();
        } else {
            worker::ask(home.post, Request::CancelScope(CancelAtHome(NonNull::from(self))));
        }
    }

    /// Cancels the tasks in the list of the home, which the caller runs on.
    fn cancel_at_home(&self) {
        let _far = self.far.lock();
        // SAFETY: this is the home, and we hold the lock.
        self.near.with(|near| unsafe { (*near).list.for_each(cancel_in_list) });
    }

    /// Cancels the calling task if it is one of the scope, which is cancelled: it may not have been
    /// found yet.
    #[cold]
    pub(super) fn cancel_caller(&self) {
        worker::with_current(|worker| {
            let Some(task) = worker.and_then(Worker::running_task) else { return };
            // SAFETY: the task runs, so that its scope is there.
            let is_of = |bond| unsafe { Bond::owner(bond) }.0 == NonNull::from(self);
            if task.bond().is_some_and(is_of) {
                let _ = task.request_cancel(CancelledBy::Scope);
            }
        });
    }

    /// Notes a panic of the scope, if it is the first.
    pub(super) fn note_panic(&self, panic: Panic) {
        let mut far = self.far.lock();
        let refused = if far.panic.is_none() {
            far.panic = Some(panic);
            None
        } else {
            Some(panic)
        };
        drop(far);
        refused.into_iter().for_each(discard_panic);
    }

    /// A task is about to finish, and cannot be cancelled any more. It says so by
    /// [`end`](Self::end) when it has.
    ///
    /// # Safety
    ///
    /// The bond is that of the task, which calls this once. The caller runs on the worker `here`,
    /// or on none.
    pub(crate) unsafe fn let_go(bond: NonNull<Bond>, here: Option<WorkerId>) -> NonNull<Self> {
        // SAFETY: the scope waits for the task, so that all of it is there. What is not ours alone
        // is used as the head of this file says.
        unsafe {
            let (bonds, is_near) = Bond::owner(bond);
            let this = bonds.as_ref();
            if is_near && this.is_home(here) {
                this.near.with_mut(|near| (*near).list.leave(bond));
            } else {
                this.let_go_elsewhere(bond, is_near);
            }
            bonds
        }
    }

    /// # Safety
    ///
    /// As for [`let_go`](Self::let_go); it is not a bond of the home's list that is let go there.
    #[cold]
    unsafe fn let_go_elsewhere(&self, bond: NonNull<Bond>, is_near: bool) {
        let mut far = self.far.lock();
        // SAFETY: we hold the lock.
        unsafe {
            if is_near {
                Bond::vacate(bond, &mut far.returned);
            } else {
                far.list.leave(bond);
            }
        }
    }

    /// A task has ended. The last thing that it does. True if the home has still to
    /// [tell](Self::tell) that, before it rests.
    ///
    /// # Safety
    ///
    /// [`let_go`](Self::let_go) has returned the bonds to the caller, which runs on the worker
    /// `here`, or on none.
    #[inline]
    pub(crate) unsafe fn end(this: NonNull<Self>, here: Option<WorkerId>) -> bool {
        // SAFETY: the frame waits for this step.
        let bonds = unsafe { this.as_ref() };
        if !bonds.is_home(here) {
            bonds.step(1);
            return false;
        }
        // SAFETY: this is the home.
        let untold = bonds.near.with_mut(|near| unsafe { (*near).note_end() });
        if untold == 0 {
            return false;
        }
        // Relaxed: it is only to be told at once if no other task is left.
        if untold < bonds.balance.load(Ordering::Relaxed) {
            return true;
        }
        // SAFETY: the frame waits for what is untold.
        unsafe { Self::tell(this) };
        false
    }

    /// Takes the tasks that have ended at home since the end of the body off the balance.
    ///
    /// # Safety
    ///
    /// The caller is the home, where tasks have ended since the last call.
    pub(crate) unsafe fn tell(this: NonNull<Self>) {
        // SAFETY: the frame waits for what is untold.
        let bonds = unsafe { this.as_ref() };
        // SAFETY: this is the home.
        let untold = bonds.near.with_mut(|near| unsafe { mem::take(&mut (*near).untold) });
        bonds.step(untold);
    }

    /// The last thing that is done with the bonds, if the balance becomes zero.
    fn step(&self, ended: usize) {
        // Release: the frame sees what the tasks have done. Acquire: the last one hands all of it
        // on.
        if self.balance.fetch_sub(ended, Ordering::AcqRel) == ended {
            self.end.notify(ENDED);
        }
    }

    /// Keeps a panic that no handle takes, unless it is a cancellation.
    pub(crate) fn take_panic(&self, panic: Panic) {
        if !panic.is::<Cancelled>() {
            self.note_panic(panic);
        }
    }

    /// A task was left behind.
    ///
    /// # Safety
    ///
    /// The bond is that of the task.
    pub(crate) unsafe fn leave_behind(bond: NonNull<Bond>) {
        // SAFETY: the scope waits for the task.
        unsafe { Bond::owner(bond).0.as_ref() }.end.notify(LEFT);
    }
}

impl Near {
    /// The body is over. Returns how many of its tasks have not ended here.
    fn close(&mut self) -> usize {
        self.is_over = true;
        self.alive
    }

    /// Counts a task that has ended here, wherever it was admitted. Returns how many are untold.
    #[inline]
    fn note_end(&mut self) -> usize {
        if self.is_over {
            self.untold += 1;
        } else {
            self.alive = self.alive.wrapping_sub(1);
        }
        self.untold
    }
}

#[cold]
#[inline(never)]
fn cancel_from_birth(task: &Control) {
    let _ = task.request_cancel(CancelledBy::Scope);
}

/// A task in a list is not finished, and cannot finish before the list has been gone through. That
/// is why the lock is held: a request that is put in a mailbox takes other locks only.
fn cancel_in_list(task: &Control) {
    cancel::cancel(task, CancelledBy::Scope);
}

/// A request to the home of a scope to cancel the tasks of its list. The scope waits until it is
/// dropped.
pub(crate) struct CancelAtHome(NonNull<Bonds>);

// SAFETY: the bonds are `Sync`, and stay until this is dropped.
unsafe impl Send for CancelAtHome {}

impl CancelAtHome {
    /// Does so. The caller runs on the worker `here`.
    pub(crate) fn carry_out(self, here: WorkerId) {
        // SAFETY: the scope waits.
        let bonds = unsafe { self.0.as_ref() };
        // Not so if the home is gone, with all its tasks, and `here` has its post's address.
        if bonds.is_home(Some(here)) {
            bonds.cancel_at_home();
        }
    }
}

impl Drop for CancelAtHome {
    fn drop(&mut self) {
        // SAFETY: the request was counted, and this is its end.
        unsafe { self.0.as_ref() }.step(1);
    }
}

/// A task of the scope will never end.
#[cold]
fn leave_or_abort() -> ! {
    worker::with_current(|worker| {
        if let Some((worker, task)) =
            worker.and_then(|worker: &Worker| worker.running_task().map(|task| (worker, task)))
            && task.is_cancelled()
            && !task.is_shielded()
            && !in_section()
        {
            worker.leave_current();
        }
    });
    abort_with(format_args!(
        "a task of a scope was left behind, and may have lent what it has borrowed: the scope \
         cannot end without it"
    ))
}

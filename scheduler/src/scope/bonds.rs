//! What ties the tasks of a scope to the frame that awaits them.
//!
//! The frame has the [`Bonds`], and each task a [`Bond`] there. Three things are to be known:
//!
//! - *Which tasks are there*, so that they can be cancelled: a list under a lock, from which a task
//!   goes before it finishes. So whatever stands in the list has a control block, and a home that
//!   serves it. One that is spawned when the scope is cancelled is cancelled from its birth.
//! - *Whether all have ended.* A task counts as ended when its result has been taken or dropped,
//!   for that may borrow, too: this is the last thing that happens to it. While the body runs the
//!   count of those that have ended goes down from zero; when the body is over, how many there are
//!   is added. So only the task that brings the count from 1 to 0 is the last, wakes the frame, and
//!   touches nothing of it afterwards; and the others touch nothing after their step of the count,
//!   since the frame may be gone.
//! - *The first panic* that no handle has taken.
//!
//! A task that is left behind never ends, and keeps what it has borrowed: so its scope cannot end
//! either. If the task that awaits it is being cancelled it is left behind, too, and its frame
//! stays; if not, the process is aborted.

#[cfg(all(test, lisle_loom))]
mod models;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::slice;

use lisle_runtime::internal::in_section;
use lisle_runtime::internal::last_words::abort_with;
use lisle_runtime::internal::primitive::BriefMutex;
use lisle_runtime::internal::primitive::atomic::{AtomicUsize, Ordering};

use crate::cancel::{self, shield};
use crate::park::{Place, Reason, Wait, Wake};
use crate::task::{Cancelled, CancelledBy, Control, discard_panic};
use crate::wait_cell::{Event, WaitCell};
use crate::worker::{self, Worker};

/// The payload of a panic.
type Panic = Box<dyn Any + Send>;

pub(crate) struct Bonds {
    /// How many tasks have ended, below zero; and from the end of the body on how many have not.
    balance: AtomicUsize,
    end: WaitCell,
    state: BriefMutex<State>,
}

#[derive(Default)]
struct State {
    chunks: Vec<Box<[Bond]>>,
    /// How many bonds of the last chunk have been used.
    used: usize,
    free: Option<NonNull<Bond>>,
    /// How many tasks were admitted while the body ran.
    admitted: usize,
    /// Whether the body is over, and the balance is how many have not ended.
    is_over: bool,
    is_cancelled: bool,
    panic: Option<Panic>,
}

/// What a task knows of its scope. It lies in the scope's memory, and is used under its lock.
pub(crate) struct Bond {
    bonds: NonNull<Bonds>,
    /// The task, if it can be cancelled.
    task: Option<NonNull<Control>>,
    next_free: Option<NonNull<Bond>>,
}

// SAFETY: the pointers are used under the lock, but for `bonds`, which never changes.
unsafe impl Send for State {}
// SAFETY: payloads of panics, the only values in it, are `Send` and are not lent.
unsafe impl Sync for Bonds {}

const CHUNK: usize = 32;

/// All tasks have ended.
const ENDED: Event = Event::new(0);
/// A task was left behind.
const LEFT: Event = Event::new(1);

const REASON: Reason = Reason::new("waiting for the tasks of a scope");

impl Bonds {
    pub(super) fn new() -> Self {
        Self {
            balance: AtomicUsize::new(0),
            end: WaitCell::new(),
            state: BriefMutex::new(State::default()),
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
        let panic = self.state.lock().panic.take();
        if let Some(payload) = cancellation.or(panic) {
            resume_unwind(payload);
        }
        value.expect("a body without a value has panicked")
    }

    /// Ends the body: true if all tasks have ended.
    fn close(&self) -> bool {
        let mut state = self.state.lock();
        if state.is_over {
            return self.end.event().is_some();
        }
        state.is_over = true;
        let admitted = state.admitted;
        // Under the lock: a task that is admitted from now on is added to the balance, and must not
        // bring it from 1 to 0 before the others are. Acquire: what ended tasks have done is seen.
        // Release is for the last one.
        let before = self.balance.fetch_add(admitted, Ordering::AcqRel);
        drop(state);
        before.wrapping_add(admitted) == 0
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

    /// Admits a new task, before a worker knows it.
    pub(crate) fn admit(&self, task: &Control) {
        let mut state = self.state.lock();
        let bond = state.place_for(NonNull::from(self), NonNull::from(task));
        task.set_bond(bond);
        if state.is_over {
            // Another task of the scope spawns it, so that the balance is not zero.
            self.balance.fetch_add(1, Ordering::Relaxed);
        } else {
            state.admitted += 1;
        }
        if state.is_cancelled {
            let _ = task.request_cancel(CancelledBy::Scope);
        }
    }

    /// Cancels the tasks that there are and those to come.
    pub(super) fn cancel(&self) {
        let mut state = self.state.lock();
        if state.is_cancelled {
            return;
        }
        state.is_cancelled = true;
        for task in state.bonds().filter_map(|bond| bond.task) {
            // SAFETY: a task in the list is not finished, and cannot finish while we hold the lock.
            // That is why we do: the request that is put in a mailbox takes other locks only.
            cancel::cancel(unsafe { task.as_ref() }, CancelledBy::Scope);
        }
    }

    /// Notes a panic of the scope, if it is the first.
    pub(super) fn note_panic(&self, panic: Panic) {
        let mut state = self.state.lock();
        let refused = if state.panic.is_none() {
            state.panic = Some(panic);
            None
        } else {
            Some(panic)
        };
        drop(state);
        refused.into_iter().for_each(discard_panic);
    }

    /// A task is about to finish, and cannot be cancelled any more. It says so by
    /// [`end`](Self::end) when it has.
    ///
    /// # Safety
    ///
    /// The bond is that of the task, which calls this once.
    pub(crate) unsafe fn let_go(mut bond: NonNull<Bond>) -> NonNull<Self> {
        // SAFETY: the scope waits for the task, so that all of it is there; the lock is taken
        // before the rest of the bond is touched.
        unsafe {
            let bonds = (*bond.as_ptr()).bonds;
            let mut state = bonds.as_ref().state.lock();
            bond.as_mut().task = None;
            bond.as_mut().next_free = state.free.replace(bond);
            bonds
        }
    }

    /// A task has ended. The last thing that it does.
    ///
    /// # Safety
    ///
    /// [`let_go`](Self::let_go) has returned the bonds to the caller.
    pub(crate) unsafe fn end(this: NonNull<Self>) {
        // SAFETY: the frame waits for this step of the balance.
        let bonds = unsafe { this.as_ref() };
        // Release: the frame sees what the task has done. Acquire: the last one hands all of it on.
        if bonds.balance.fetch_sub(1, Ordering::AcqRel) == 1 {
            bonds.end.notify(ENDED);
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
        // SAFETY: the scope waits for the task; the field never changes.
        unsafe {
            let bonds = (*bond.as_ptr()).bonds;
            bonds.as_ref().end.notify(LEFT);
        }
    }
}

impl State {
    fn place_for(&mut self, bonds: NonNull<Bonds>, task: NonNull<Control>) -> NonNull<Bond> {
        if let Some(mut bond) = self.free {
            // SAFETY: bonds stay where they are, and we hold the lock.
            let place = unsafe { bond.as_mut() };
            self.free = place.next_free.take();
            place.task = Some(task);
            return bond;
        }
        if self.chunks.is_empty() || self.used == CHUNK {
            let new = || Bond { bonds, task: None, next_free: None };
            self.chunks.push((0..CHUNK).map(|_| new()).collect());
            self.used = 0;
        }
        let chunk = self.chunks.last_mut().expect("there is one now");
        let place = &mut chunk[self.used];
        self.used += 1;
        place.task = Some(task);
        NonNull::from(place)
    }

    fn bonds(&self) -> impl Iterator<Item = &Bond> {
        self.chunks.iter().flat_map(|chunk| slice::Iter::as_slice(&chunk.iter()))
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

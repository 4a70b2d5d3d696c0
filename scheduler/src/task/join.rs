//! Joining: how a result gets from the task that ends to the party that waits for it.
//!
//! The two share a control block with a [`WaitCell`], whose event says what has become of the other
//! party:
//!
//! - FINISHED, from the task: the handle takes the result and frees the block;
//! - DETACHED, from a handle that is dropped: the task frees the block when it ends;
//! - LEFT, from a task that is left behind: there is no result, and the block is never freed.
//!
//! So the handle frees the block, unless it was dropped before the task ended; then the task does.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop, offset_of};
use std::ops::Deref;
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

use super::end_sign::EndSign;
use super::payload::Payload;
use super::share::{self, CancelHandle};
use super::{Cancelled, CancelledBy, Control, Detached, Slab, Task};
use crate::cancel::{self, check_cancelled};
use crate::clock::now;
use crate::explore::points::pass;
use crate::park::{Awaited, Object, Reason, Wait, Wake};
use crate::wait_cell::{Event, WaitCell};
use crate::{turn, worker};

const FINISHED: Event = Event::new(0);
const DETACHED: Event = Event::new(1);
const LEFT: Event = Event::new(2);

pub(super) struct JoinState(WaitCell);

impl JoinState {
    /// Where a debugger finds which event there was, and how it knows that the task has ended.
    pub(super) const EVENT: usize = offset_of!(Self, 0) + WaitCell::STATE;
    pub(super) const ENDED: usize = FINISHED.code() as usize;

    pub(super) fn new() -> Self {
        Self(WaitCell::new())
    }

    /// The task's last step, to FINISHED or LEFT. True if there will be no joiner.
    ///
    /// After a false the block of a finished task may be gone, so the caller must not touch it
    /// again.
    #[inline(always)]
    fn end(&self, event: Event) -> bool {
        let before = self.0.notify(event);
        // FINISHED: nobody joins, and the task is left behind in a destructor of its result.
        debug_assert!(
            matches!(before, None | Some(DETACHED)) || (before, event) == (Some(FINISHED), LEFT)
        );
        before.is_some()
    }

    /// The same for a task that is likely to have no joiner: if so, an atomic step is spared.
    #[inline(always)]
    fn end_detached(&self, event: Event) -> bool {
        // A handle that is gone does not come back.
        let is_detached = self.0.event() == Some(DETACHED);
        if is_detached {
            self.0.replace(event);
        }
        is_detached || self.end(event)
    }

    /// The handle's last step if it does not join. True if the task has already finished, and has
    /// left result and block to the handle.
    fn detach(&self) -> bool {
        self.0.try_set(DETACHED) == Err(FINISHED)
    }
}

/// Publishes the result of a task that has run. True if there will be no joiner: then result and
/// control block stay with the caller, which gets rid of them by [`drop_result`] and [`free`].
/// After a false the block may be gone.
///
/// # Safety
///
/// The caller is the running side, which ends here, on the task's home.
#[inline(always)]
pub(crate) unsafe fn finish(task: NonNull<Control>) -> bool {
    // SAFETY: the block is alive until `end` of the join state returns.
    let is_detached = unsafe { task.as_ref() }.join.end(FINISHED);
    // SAFETY: if there will be no joiner, the block is the caller's.
    unsafe { show_end_of_detached(task, is_detached) }
}

/// As [`finish`], for a task of a scope.
///
/// # Safety
///
/// As for [`finish`].
#[inline(always)]
pub(crate) unsafe fn finish_in_scope(task: NonNull<Control>) -> bool {
    // SAFETY: as in `finish`.
    let is_detached = unsafe { task.as_ref() }.join.end_detached(FINISHED);
    // SAFETY: if there will be no joiner, the block is the caller's.
    unsafe { show_end_of_detached(task, is_detached) }
}

/// The last step of a task's end, which has found out whether the task `is_detached`. Passes that
/// on.
///
/// # Safety
///
/// If the task is detached, its block is alive.
#[inline(always)]
unsafe fn show_end_of_detached(task: NonNull<Control>, is_detached: bool) -> bool {
    // SAFETY: the caller's promise.
    if is_detached && let Some(sign) = unsafe { task.as_ref() }.end_sign() {
        sign.end();
    }
    is_detached
}

/// Gets rid of a task that no runtime has taken: drops its closure, and frees it.
///
/// # Safety
///
/// The task is new, and nobody has it but this handle.
pub(crate) unsafe fn discard<T>(handle: JoinHandle<T>) {
    handle.control().cancel(CancelledBy::Runtime);
    // SAFETY: the closure has not been run, and as the task is cancelled, it is only dropped. The
    // handle, which is dropped last, keeps the block alive and frees it.
    unsafe {
        handle.control().run();
        finish(handle.control);
    }
}

impl Control {
    /// Whether nothing has to be dropped of the task's result if that is no panic.
    pub(crate) fn has_plain_result(&self) -> bool {
        self.vtable.is_plain
    }

    /// Whether the task has run to its end, or was left behind. Its result may still be dropped.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.join.0.event(), Some(FINISHED | LEFT))
    }

    /// Where the end of the task is told to its handle's side.
    pub(super) fn join_cell(&self) -> &WaitCell {
        &self.join.0
    }

    #[inline(always)]
    fn end_sign(&self) -> Option<&EndSign> {
        self.extras()?.end_sign.get()
    }
}

/// Lets the joiner know that the task was left behind. Its block must stay for ever.
pub(crate) fn leave(task: &Control) {
    let is_detached = task.join.end(LEFT);
    // SAFETY: the caller has the task, whose block is not freed.
    unsafe { show_end_of_detached(NonNull::from(task), is_detached) };
}

/// Drops the result of a task without a joiner, and returns the payload of its panic. This is user
/// code, which may suspend.
///
/// # Safety
///
/// [`finish`] has returned true, and this is called once.
pub(crate) unsafe fn drop_result(task: NonNull<Control>) -> Option<Box<dyn Any + Send>> {
    // SAFETY: the handle is gone, so the result is the caller's.
    unsafe {
        let control = task.as_ref();
        (control.vtable.drop_result)(control.payload.get())
    }
}

/// The right to wait for a task and to have its result.
///
/// Dropping the handle detaches the task: it goes on, and its result is dropped when it ends. With
/// `lisle::channel::Done` the handle is an arm of a `select!`.
///
/// ```
/// lisle::run(|| {
///     let sum = lisle::spawn(|| (1..=10).sum::<u32>());
///     assert_eq!(sum.join().unwrap(), 55);
/// });
/// ```
pub struct JoinHandle<T> {
    control: NonNull<Control>,
    _result: PhantomData<T>,
}

// SAFETY: the handle is the right to take a `T` out of the control block, wherever it is; the rest
// that it touches is the atomic word and fields that never change.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives no access to the result.
unsafe impl<T> Sync for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The task returns `T`, and this is its only handle.
    pub(crate) unsafe fn new(control: NonNull<Control>) -> Self {
        Self { control, _result: PhantomData }
    }

    pub(super) fn control(&self) -> &Control {
        // SAFETY: the handle owns its share of the block until it joins or is dropped.
        unsafe { self.control.as_ref() }
    }

    /// Waits until the task has finished and returns its result, or the payload of the panic that
    /// ended it.
    ///
    /// Parks the calling task, or blocks the calling plain thread. If there is nothing to wait for
    /// it counts as one of the operations of a [`turn`](mod@crate::turn).
    ///
    /// # Errors
    ///
    /// - The payload of the task's panic.
    /// - [`Cancelled`], if the task was cancelled, by a handle or because its runtime ended.
    /// - [`Detached`], if it is the caller that is being cancelled: in its destructors it does not
    ///   wait any more. The joined task goes on, and its result is lost.
    ///
    /// ```
    /// lisle::run(|| {
    ///     let task = lisle::spawn(|| std::panic::panic_any("no luck"));
    ///     let panic = task.join().unwrap_err();
    ///     assert_eq!(panic.downcast_ref::<&str>(), Some(&"no luck"));
    /// });
    /// ```
    ///
    /// The payload is a `Box<dyn Any + Send>`, and no `std::error::Error`. So `join()?` does not
    /// compile in a function that returns such an error. Let the panic go on instead, by `unwrap`,
    /// or with its own payload:
    ///
    /// ```
    /// use std::panic::resume_unwind;
    ///
    /// #[lisle::main]
    /// fn main() -> Result<(), std::num::ParseIntError> {
    ///     let task = lisle::spawn(|| "42".parse::<u32>());
    ///     let number = task.join().unwrap_or_else(|panic| resume_unwind(panic))?;
    ///     assert_eq!(number, 42);
    ///     Ok(())
    /// }
    /// ```
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        self.join_until(None).unwrap_or_else(|_| Err(Box::new(Detached)))
    }

    /// As [`join`](Self::join), for `timeout` at most. Then the handle comes back.
    ///
    /// # Errors
    ///
    /// The handle, if the task has not ended in time: it goes on, and may be joined again. Also, as
    /// in `join`, if it is the caller that is being cancelled.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let slow = lisle::spawn(|| lisle::sleep(Duration::from_secs(3600)));
    ///     match slow.join_timeout(Duration::from_millis(2)) {
    ///         Ok(_) => unreachable!(),
    ///         Err(slow) => slow.cancel(),
    ///     }
    /// });
    /// ```
    #[track_caller]
    pub fn join_timeout(self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        let deadline = now().checked_add(timeout);
        self.join_until(deadline)
    }

    /// Ends with the handle if the wait was not to the end of the task.
    #[inline]
    #[track_caller]
    fn join_until(self, deadline: Option<Instant>) -> Result<thread::Result<T>, Self> {
        if turn::spend() {
            turn::next();
        }
        // SAFETY: the block is this handle's until it is freed, below.
        let mut cell = unsafe { &(*self.control.as_ptr()).join.0 };
        let joined = Joined(self.control());
        if let Some(sign) = self.control().end_sign()
            && cell.event().is_none()
        {
            cell = sign.joiner();
        }
        // SAFETY: the handle is the only one that waits here, and this ends it.
        if unsafe { cell.wait(Wait::on(&joined), deadline) } != Wake::Unparked {
            return Err(self);
        }
        // SAFETY: the event has come.
        let result = unsafe { self.into_result() };
        if result.is_err() {
            check_cancelled();
        }
        Ok(result)
    }

    /// Where the handle's side waits.
    pub(crate) fn cell(&self) -> &WaitCell {
        self.control().end_sign().map_or(&self.control().join.0, EndSign::joiner)
    }

    /// The result of a task that has ended.
    ///
    /// # Safety
    ///
    /// The cell has its event.
    pub(crate) unsafe fn into_result(self) -> thread::Result<T> {
        let this = ManuallyDrop::new(self);
        if let Some(sign) = this.control().end_sign() {
            sign.settle();
        }
        if this.control().join.0.event() == Some(LEFT) {
            return Err(Box::new(Cancelled::task(this.control().cause())));
        }
        // SAFETY: the task has finished, so its side is done with the block; the result is there,
        // and the handle, which is not dropped, takes it and frees the block.
        unsafe {
            let result = Payload::take(this.control().payload.get());
            free(this.control);
            result
        }
    }

    /// Asks for the task to be cancelled, from any thread, and does not wait for its end.
    ///
    /// A task that has not started drops its closure without running it. One that has is unwound
    /// from the wait in which it is or comes next, by a panic with the payload [`Cancelled`], which
    /// `join` returns; its destructors run. A task that ends before that has its result. What it
    /// has received already is not lost: a wait that was won is over, and the next one is struck.
    ///
    /// To be cancelled is a state: a task that catches the panic is unwound again in its next wait.
    /// [`shield`](fn@crate::shield) puts that off. A task that computes has to call
    /// [`check_cancelled`](fn@crate::check_cancelled) to notice. In a program built with `panic =
    /// "abort"` nothing can be unwound: a task that has started is left behind in its wait.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::task::Cancelled;
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let sleeper = lisle::spawn(|| lisle::sleep(Duration::from_secs(3600)));
    ///     sleeper.cancel();
    ///     assert!(Cancelled::of(&sleeper.join().unwrap_err()).is_some());
    /// });
    /// ```
    #[track_caller]
    pub fn cancel(&self) {
        pass();
        cancel::cancel(self.control(), CancelledBy::Handle);
    }

    /// A handle that can cancel the task from anywhere, whatever becomes of this one.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::new(self.control())
    }

    /// A handle that cancels the task when it is dropped, instead of letting it go on.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// lisle::run(|| {
    ///     let ticker = lisle::spawn(|| lisle::sleep(Duration::from_secs(3600))).cancel_on_drop();
    ///     let stopped = ticker.cancel_handle();
    ///     drop(ticker);
    ///     while !stopped.is_finished() {
    ///         lisle::yield_now();
    ///     }
    /// });
    /// ```
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop(Some(self))
    }

    /// Whether `join` would return at once.
    ///
    /// It never lets others run. A task that polls for this has to call
    /// [`yield_now`](crate::yield_now) in between, or the one that it waits for may never have its
    /// turn.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let task = lisle::spawn(|| 6 * 7);
    ///     while !task.is_finished() {
    ///         lisle::yield_now();
    ///     }
    ///     assert_eq!(task.join().unwrap(), 42); // does not wait
    /// });
    /// ```
    #[track_caller]
    pub fn is_finished(&self) -> bool {
        pass();
        self.control().join.0.event().is_some()
    }

    /// The task's identity.
    ///
    /// ```
    /// lisle::run(|| {
    ///     let task = lisle::spawn(|| lisle::task::current().unwrap().id());
    ///     let id = task.task().id();
    ///     assert_eq!(task.join().unwrap(), id);
    /// });
    /// ```
    pub fn task(&self) -> Task {
        self.control().identity()
    }
}

/// What a join waits at.
struct Joined<'a>(&'a Control);

impl Object for Joined<'_> {
    fn reason(&self) -> Reason {
        Reason::new("joining a task")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        say(Awaited::Task(self.0.identity()));
    }
}

impl<T> JoinHandle<T> {
    /// Lets the task go on by itself. If it has finished already, drops its value, or returns the
    /// payload of its panic.
    pub(crate) fn detach(self) -> Option<Box<dyn Any + Send>> {
        let this = ManuallyDrop::new(self);
        // SAFETY: the handle is not used, and not dropped, after this.
        unsafe { this.let_go() }?.err()
    }

    /// The handle's last step: the task's result, if that is there.
    ///
    /// # Safety
    ///
    /// The handle is not used any more.
    unsafe fn let_go(&self) -> Option<thread::Result<T>> {
        let sign = self.control().end_sign();
        if let Some(sign) = sign {
            sign.withdraw(&self.control().join.0);
        }
        self.control().join.detach().then(|| {
            if let Some(sign) = sign {
                sign.end();
            }
            // SAFETY: the task has finished; nobody else has the block. It is freed before user
            // code runs, which may panic.
            unsafe {
                let result = Payload::take::<thread::Result<T>>(self.control().payload.get());
                free(self.control);
                result
            }
        })
    }
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        // SAFETY: this is the end of the handle.
        drop(unsafe { self.let_go() });
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("task", &self.task()).finish_non_exhaustive()
    }
}

/// A [`JoinHandle`] that cancels its task when it is dropped:
/// [`JoinHandle::cancel_on_drop`] makes it. It does not wait for the task's end.
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<T>(Option<JoinHandle<T>>);

impl<T> CancelOnDrop<T> {
    /// See [`JoinHandle::join`]. A caller that is unwound meanwhile cancels the task.
    #[track_caller]
    pub fn join(mut self) -> thread::Result<T> {
        let result = self.wait(None);
        result.unwrap_or_else(|| Err(Box::new(Detached)))
    }

    /// See [`JoinHandle::join_timeout`].
    ///
    /// # Errors
    ///
    /// This handle, if the task has not ended in time.
    #[track_caller]
    pub fn join_timeout(mut self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        let deadline = now().checked_add(timeout);
        self.wait(deadline).ok_or(self)
    }

    #[track_caller]
    fn wait(&mut self, deadline: Option<Instant>) -> Option<thread::Result<T>> {
        let stop = CancelOnUnwind(self.cancel_handle());
        let joined = self.0.take().expect("it is there until the end").join_until(deadline);
        mem::forget(stop);
        joined.map_err(|handle| self.0 = Some(handle)).ok()
    }

    /// The handle as it was: dropping that lets the task go on.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let (done, is_done) = lisle::channel::bounded(1);
    ///     let task = lisle::spawn(move || done.send(()).unwrap()).cancel_on_drop();
    ///     drop(task.into_inner());
    ///     is_done.recv().unwrap();
    /// });
    /// ```
    pub fn into_inner(mut self) -> JoinHandle<T> {
        self.0.take().expect("it is there until the end")
    }
}

struct CancelOnUnwind(CancelHandle);

impl Drop for CancelOnUnwind {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        self.0.as_ref().expect("it is there until the end")
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.cancel();
        }
    }
}

impl<T> fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDrop").field("task", &self.task()).finish_non_exhaustive()
    }
}

/// Gives up one party's part in a control block. The last one drops what is left in it, and frees
/// it.
///
/// # Safety
///
/// The party is the task and its handle, both of which have let go, the payload being empty; or a
/// share. It does not use the block again.
pub(crate) unsafe fn free(control: NonNull<Control>) {
    // SAFETY: the caller's promise: the block stays as long as its part in it. Then nobody else has
    // one any more. A stack is left in it if it has not started.
    unsafe {
        if !share::give_up(control) {
            return;
        }
        control.drop_in_place();
        worker::with_current(|worker| match worker {
            Some(worker) => worker.slab().free(control),
            None => Slab::free_shared(control),
        });
    }
}

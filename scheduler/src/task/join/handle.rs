//! [`JoinHandle`]: the side that waits.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::thread;
use std::time::{Duration, Instant};

use super::{CancelOnDrop, LEFT, finish, free};
use crate::cancel::{self, check_cancelled_at};
use crate::clock::now;
use crate::explore::points::{pass, pass_aside};
use crate::park::{Awaited, Object, Reason, Wait, Wake};
use crate::task::end_sign::EndSign;
use crate::task::payload::Payload;
use crate::task::share::CancelHandle;
use crate::task::{Cancelled, CancelledBy, Control, Detached, Task};
use crate::turn;
use crate::wait_cell::WaitCell;

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

    pub(in crate::task) fn control(&self) -> &Control {
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
    pub(super) fn join_until(self, deadline: Option<Instant>) -> Result<thread::Result<T>, Self> {
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
            check_cancelled_at(Location::caller());
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
    /// A task that has not started drops its closure without running it. One that has started is
    /// unwound from its present wait or the next one, by a panic with the payload [`Cancelled`],
    /// which `join` returns; its destructors run. A task that ends before that has its result. What
    /// it has received already is not lost: it returns from a wait that was won, and unwinds at the
    /// next one.
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

    /// As [`cancel`](Self::cancel), in a destructor.
    pub(crate) fn cancel_aside(&self) {
        pass_aside("cancels a task", None);
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
    #[inline]
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
    #[inline(always)]
    unsafe fn let_go(&self) -> Option<thread::Result<T>> {
        if let Some(sign) = self.control().end_sign() {
            sign.withdraw(&self.control().join.0);
        }
        // SAFETY: the handle is not used any more, and the task has finished.
        self.control().join.detach().then(|| unsafe { self.take_unwanted() })
    }

    /// The result of a task that has finished, for a handle that does not join it.
    ///
    /// # Safety
    ///
    /// The task has finished, and the handle, which has let go, is not used any more.
    #[inline(never)]
    unsafe fn take_unwanted(&self) -> thread::Result<T> {
        if let Some(sign) = self.control().end_sign() {
            sign.end();
        }
        // SAFETY: the task has finished; nobody else has the block. It is freed before user code
        // runs, which may panic.
        unsafe {
            let result = Payload::take::<thread::Result<T>>(self.control().payload.get());
            free(self.control);
            result
        }
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

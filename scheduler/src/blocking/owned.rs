//! Jobs that own what they need, and that nobody has to wait for.
//!
//! One word says which party may touch the closure: the one that has *claimed* it, a thread of the
//! pool or one that cancels the job. The queue keeps a job that was cancelled until a thread comes
//! to it, and passes over it.

use std::fmt;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::time::Instant;
use std::{mem, thread};

use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;

use super::pool::{self, Class, Job, Pool};
use super::{DONE, wait};
use crate::cancel::check_cancelled_at;
use crate::clock::{Hold, hold_for_call};
use crate::park::{Place, Reason, Wake, in_task};
use crate::task::{Cancelled, CancelledBy, Detached};
use crate::turn;
use crate::wait_cell::WaitCell;

/// Runs `call`, which may block its thread, on a thread that is there for it, while the caller goes
/// on. Any thread may call this.
///
/// The threads are those of [`blocking`](super::blocking), which also says what becomes of a call
/// for which there is none. They belong to no runtime: one that ends does not wait for such a call,
/// and a process that ends cuts it short. Join what has to be brought to an end.
///
/// # Examples
///
/// ```
/// lisle::run(|| {
///     let sizes = ["Cargo.toml", "README.md"].map(|path| {
///         lisle::task::spawn_blocking(move || std::fs::metadata(path).map(|found| found.len()))
///     });
///     for size in sizes {
///         assert!(size.join().unwrap().unwrap() > 0);
///     }
/// });
/// ```
pub fn spawn_blocking<F, T>(call: F) -> JobHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_in(pool::of_this_process(), Class::Plain, call)
}

/// Runs `call` as [`spawn_blocking`] does, but no more than 64 such at a time, and waits for its
/// result until `deadline`. `None` if that passes: a call that has begun goes on without its
/// caller, one that has not is cancelled. So it is if the caller is unwound from here.
///
/// # Panics
///
/// With the panic of `call`. Unwinds a task that is cancelled.
///
/// # Errors
///
/// [`Detached`] if the caller cannot wait, in a destructor of a task that is being cancelled.
#[track_caller]
pub fn limited<F, T>(deadline: Option<Instant>, call: F) -> Result<Option<T>, Detached>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    struct CancelOnDrop<T>(JobHandle<T>);
    impl<T> Drop for CancelOnDrop<T> {
        fn drop(&mut self) {
            self.0.cancel();
        }
    }
    const REASON: Reason = Reason::new("waiting for a blocking call");
    check_cancelled_at(Location::caller());
    let job = CancelOnDrop(spawn_in(pool::of_this_process(), Class::Limited, call));
    // SAFETY: nobody else has the handle, which does not wait again.
    match unsafe { job.0.wait(REASON, Location::caller(), deadline) } {
        Wake::Unparked => {
            // SAFETY: the cell was notified, and the handle does no more.
            let result = unsafe { job.0.0.take_result() };
            result.map(Some).or_else(|panic| resume_unwind(panic))
        }
        Wake::TimedOut => Ok(None),
        Wake::Failed => Err(Detached),
    }
}

pub(super) fn spawn_in<F, T>(pool: &'static Pool, class: Class, call: F) -> JobHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let owned = Arc::new(Owned {
        cell: WaitCell::new(),
        claimed: AtomicBool::new(false),
        call: UnsafeCell::new(Some(Box::new(call) as Call<T>)),
        result: UnsafeCell::new(None),
        held: UnsafeCell::new(hold_for_call()),
    });
    let data = Arc::into_raw(owned.clone()).cast();
    // SAFETY: `run` takes over the reference, and all that it touches may go to another thread. It
    // catches what the call and the destructors of its result throw.
    let job = unsafe { Job::new(data, Owned::<T>::run) };
    pool.submit(job, class);
    JobHandle(owned)
}

type Call<T> = Box<dyn FnOnce() -> T + Send>;

struct Owned<T> {
    cell: WaitCell,
    claimed: AtomicBool,
    /// Belongs to the party that has claimed it.
    call: UnsafeCell<Option<Call<T>>>,
    /// That party's until the cell is notified, then the handle's.
    result: UnsafeCell<Option<thread::Result<T>>>,
    /// Holds the clock of the caller's runtime. Belongs to the party that has claimed the call.
    held: UnsafeCell<Option<Hold>>,
}

// SAFETY: the word and the cell say which party may touch call and result, which may go anywhere.
unsafe impl<T: Send> Sync for Owned<T> {}

impl<T> Owned<T> {
    /// What the pool does with the job.
    ///
    /// # Safety
    ///
    /// `this` was made by `Arc::into_raw`, and this is called once.
    unsafe fn run(this: *const ()) {
        // SAFETY: the caller's promise.
        let this = unsafe { Arc::from_raw(this.cast::<Self>()) };
        if let Some(call) = this.claim() {
            let result = catch_unwind(AssertUnwindSafe(call));
            // SAFETY: the call was claimed here.
            unsafe { this.end(result) };
        }
        // If the handle is gone, this drops the result.
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(this))) {
            // Its destructor could panic again.
            mem::forget(panic);
        }
    }

    /// The call, for the party that comes first.
    fn claim(&self) -> Option<Call<T>> {
        // Relaxed: the runner of the job has it from the queue, and the handle's owner has made it.
        if self.claimed.swap(true, Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the word was false, so this is the one party that has claimed the call.
        self.call.with_mut(|call| unsafe { (*call).take() })
    }

    /// Publishes the result.
    ///
    /// # Safety
    ///
    /// The caller has claimed the call, and calls this once.
    unsafe fn end(&self, result: thread::Result<T>) {
        // SAFETY: there is no result yet, so nobody looks for one.
        self.result.with_mut(|place| unsafe { *place = Some(result) });
        // SAFETY: it belongs to the caller, which has claimed the call.
        let held = self.held.with_mut(|held| unsafe { (*held).take() });
        self.cell.notify(DONE);
        drop(held);
    }

    /// Takes the result.
    ///
    /// # Safety
    ///
    /// The cell was notified, and this is called once, by the handle.
    unsafe fn take_result(&self) -> thread::Result<T> {
        debug_assert!(self.cell.event().is_some());
        // SAFETY: the job has ended, and there is one handle.
        self.result.with_mut(|place| unsafe { (*place).take() }).expect("a result is taken once")
    }
}

/// The right to wait for a call that [`spawn_blocking`] has made, and to have its result.
///
/// Dropping the handle detaches the call: it goes on, and its result is dropped when it ends.
///
/// ```
/// let answer = lisle::task::spawn_blocking(|| 6 * 7);
/// assert_eq!(answer.join().unwrap(), 42);
/// ```
#[must_use = "dropping the handle does not cancel the call"]
pub struct JobHandle<T>(Arc<Owned<T>>);

impl<T> JobHandle<T> {
    /// Waits until the call has ended and returns its result, or the payload of its panic.
    ///
    /// Parks the calling task, or blocks the calling plain thread. If there is nothing to wait for
    /// it counts as one of the operations of a [`turn`](mod@crate::turn). A plain thread makes a
    /// call that has not begun itself; so calls that wait for each other need no more threads than
    /// there are.
    ///
    /// # Errors
    ///
    /// - The payload of the call's panic.
    /// - [`Cancelled`], if the call was [cancelled](Self::cancel).
    /// - [`Detached`], if the caller is a task that is being cancelled: in its destructors it does
    ///   not wait any more. The call goes on, and its result is lost.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled, which detaches the call. Panics inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend) if it would have to wait.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let broken = lisle::task::spawn_blocking(|| std::panic::panic_any("no luck"));
    ///     assert_eq!(broken.join().unwrap_err().downcast_ref(), Some(&"no luck"));
    /// });
    /// ```
    #[track_caller]
    pub fn join(self) -> thread::Result<T> {
        if turn::spend() {
            turn::next();
        }
        if !in_task()
            && let Some(call) = self.0.claim()
        {
            return catch_unwind(AssertUnwindSafe(call));
        }
        let result = self.join_on_the_pool();
        if result.is_err() {
            check_cancelled_at(Location::caller());
        }
        result
    }

    /// Waits for the pool to run the job.
    #[track_caller]
    pub(super) fn join_on_the_pool(self) -> thread::Result<T> {
        const REASON: Reason = Reason::new("joining a blocking call");
        // SAFETY: this uses the only handle up.
        match unsafe { self.wait(REASON, Location::caller(), None) } {
            Wake::Failed => Err(Box::new(Detached)),
            // SAFETY: the cell was notified.
            _ => unsafe { self.0.take_result() },
        }
    }

    /// # Safety
    ///
    /// The handle does not wait anywhere else.
    unsafe fn wait(&self, reason: Reason, place: Place, deadline: Option<Instant>) -> Wake {
        // SAFETY: this is the only handle, and nobody else waits at the cell of its job.
        unsafe { wait(&self.0.cell, reason, place, deadline) }
    }

    /// Whether `join` would return at once. It never lets others run: see
    /// [`JoinHandle::is_finished`](crate::JoinHandle::is_finished).
    ///
    /// # Examples
    ///
    /// ```
    /// let call = lisle::task::spawn_blocking(|| 6 * 7);
    /// while !call.is_finished() {
    ///     std::thread::yield_now();
    /// }
    /// assert_eq!(call.join().unwrap(), 42);
    /// ```
    pub fn is_finished(&self) -> bool {
        self.0.cell.event().is_some()
    }

    /// Calls the call off, if it has not begun: its closure is dropped, here, and `join` returns
    /// [`Cancelled`]. One that has begun goes on. True if the call was called off by this.
    ///
    /// # Panics
    ///
    /// If a destructor of the closure does.
    ///
    /// # Examples
    ///
    /// ```
    /// let call = lisle::task::spawn_blocking(|| 6 * 7);
    /// if call.cancel() {
    ///     assert!(call.join().unwrap_err().is::<lisle::task::Cancelled>());
    /// } else {
    ///     assert_eq!(call.join().unwrap(), 42); // it had begun
    /// }
    /// ```
    pub fn cancel(&self) -> bool {
        let call = self.0.claim();
        let is_cancelled = call.is_some();
        if is_cancelled {
            // SAFETY: the call was claimed here.
            unsafe { self.0.end(Err(Box::new(Cancelled::task(CancelledBy::Handle)))) };
        }
        drop(call);
        is_cancelled
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_finished = self.is_finished();
        f.debug_struct("JobHandle").field("is_finished", &is_finished).finish_non_exhaustive()
    }
}

//! Calls that block their thread, on threads that are there for it.
//!
//! | File | Holds |
//! |---|---|
//! | `mod.rs` | [`blocking`], whose closure may borrow from the task that waits for it |
//! | `owned.rs` | [`spawn_blocking`] and its handle, and jobs of which there is a limit |
//! | `pool.rs` | the threads, and which of them comes for a job |
//!
//! A task hands a *job* to the pool of the process and parks at a cell of its own, which the thread
//! of the pool notifies when it has run the job. The pool's head says why no job is left over.
//!
//! # What a borrowed job may rely on
//!
//! Its closure, and the room for its result, lie on the task's stack. So [`blocking`] does not end
//! before the job has, whatever becomes of the task: it waits in a [`shield`](fn@shield), and if a
//! wait is impossible, as it can be amid a panic, it blocks its thread. A task in a shield is never
//! left behind either. And if the call forks, as one that starts a program does, the child has the
//! task's stack, which it would not have otherwise.
//!
//! # Deadlocks
//!
//! A task that waits for a job is counted as one that waits for a descriptor is: the job wakes it
//! some day. Beyond that a job may wake any task, of any runtime, by what it does. So while one is
//! queued or runs, no deadlock is reported; and threads of the pool that have nothing to do are not
//! taken for others that might wake a task (`standing`).

mod owned;
mod pool;

#[cfg(all(test, lisle_loom))]
mod models;

use std::mem;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};
use std::{ptr, thread};

use lisle_runtime::internal::fork::borrowing_from;
use lisle_runtime::internal::in_section;
use lisle_runtime::internal::last_words::abort_on_unwind;
use lisle_runtime::internal::primitive::cell::UnsafeCell;

pub use self::owned::{JobHandle, limited, spawn_blocking};
use self::pool::{Class, Job, Pool};
pub(crate) use self::pool::{metrics, standing, thread_ids};
use crate::cancel::{check_cancelled_at, shield};
use crate::clock::hold_for_call;
use crate::park::{Place, Reason, Wait, Wake, park};
use crate::wait_cell::{Event, WaitCell};
use crate::worker;

/// What a job's cell is notified of.
const DONE: Event = Event::new(0);

/// Runs `call`, which may block its thread, on a thread that is there for it. The calling task
/// waits, and its worker runs other tasks meanwhile.
///
/// `call` may borrow from the task, since this does not return before it has ended. It runs on
/// another thread, so it sees other thread-locals, and is no task there.
///
/// The threads belong to the process: there are at most 512, and one that has had nothing to do for
/// 10 s ends. A call waits until a thread is free. If there is no thread and none can be started,
/// calls run on the threads of the tasks, and a line on standard error says so once.
///
/// A hand-over costs a microsecond or two if calls follow each other closely, and otherwise what it
/// takes to wake a thread, some 50 µs. If a call is certainly shorter, make it directly.
///
/// `call` runs on the calling thread where there is no task that could wait:
///
/// - on a plain thread, and so in a call that is made inside of another one;
/// - inside [`no_suspend`](fn@lisle_runtime::no_suspend): the worker stands still;
/// - in the child of a `fork`, in a task of the parent's.
///
/// # Cancellation
///
/// A call that has begun cannot be interrupted. A task that is cancelled is unwound before it, but
/// not in it: it waits for the end, and is unwound at its next cancellation point. In the
/// destructors of a task that is cancelled the call is made as usual. So a runtime that ends waits
/// for such calls.
///
/// # Panics
///
/// With the panic of `call`. Unwinds a task that is cancelled.
///
/// # Examples
///
/// ```
/// let path = String::from("Cargo.toml");
/// let text = lisle::run(|| lisle::blocking(|| std::fs::read_to_string(&path))).unwrap();
/// assert!(text.contains("[package]"));
/// ```
#[track_caller]
pub fn blocking<F, R>(call: F) -> R
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let place = Location::caller();
    check_cancelled_at(place);
    if !is_task_that_can_wait() {
        return call();
    }
    let _held = hold_for_call();
    lend(pool::of_this_process(), call, place).unwrap_or_else(|panic| resume_unwind(panic))
}

/// Whether the caller is a task that may be switched away, and that another thread could wake.
fn is_task_that_can_wait() -> bool {
    worker::with_current(|worker| {
        worker.is_some_and(|worker| !in_section() && !worker.team().is_of_parent())
    })
}

/// Has the pool run `call`, and waits for that.
fn lend<F, R>(pool: &'static Pool, call: F, place: Place) -> thread::Result<R>
where
    F: FnOnce() -> R + Send,
    R: Send,
{
    let loan = Loan { cell: WaitCell::new(), work: UnsafeCell::new(Work::Call(call)) };
    // SAFETY: `run` may be called once, on any thread: `F` and `R` may go there. Until it has been,
    // `loan` stays where it is, and its work is untouched.
    let job = unsafe { Job::new(ptr::from_ref(&loan).cast(), Loan::<F, R>::run) };
    let message = "a task cannot wait for a call that has borrowed from it";
    abort_on_unwind(message, || {
        shield(|| {
            pool.submit(job, Class::Plain);
            loan.wait(place);
        });
    });
    loan.result()
}

/// A job on the stack of the task that waits for it.
struct Loan<F, R> {
    cell: WaitCell,
    /// The pool's until the cell is notified.
    work: UnsafeCell<Work<F, R>>,
}

enum Work<F, R> {
    Call(F),
    Result(thread::Result<R>),
    Taken,
}

impl<F, R> Work<F, R> {
    fn take(&mut self) -> Self {
        mem::replace(self, Self::Taken)
    }
}

impl<F: FnOnce() -> R, R> Loan<F, R> {
    /// Runs the job.
    ///
    /// # Safety
    ///
    /// `this` is a loan that was submitted. It may be gone when this returns.
    unsafe fn run(this: *const ()) {
        // SAFETY: the loan's task waits for the notification, below.
        let loan = unsafe { &*this.cast::<Self>() };
        // SAFETY: the work is the pool's until then.
        let Work::Call(call) = loan.work.with_mut(|work| unsafe { (*work).take() }) else {
            unreachable!("a job runs once")
        };
        let result = borrowing_from(this.addr(), || catch_unwind(AssertUnwindSafe(call)));
        // SAFETY: as above.
        loan.work.with_mut(|work| unsafe { *work = Work::Result(result) });
        loan.cell.notify(DONE);
    }

    fn wait(&self, place: Place) {
        const REASON: Reason = Reason::new("waiting for a blocking call");
        const PAUSE: Duration = Duration::from_micros(50);
        // SAFETY: only the task whose loan this is waits here.
        if unsafe { wait(&self.cell, REASON, place, None) } == Wake::Failed {
            // Amid a panic that cannot be set aside.
            while self.cell.event().is_none() {
                thread::sleep(PAUSE);
            }
        }
    }

    /// The result, once the wait is over.
    fn result(self) -> thread::Result<R> {
        match self.work.into_inner() {
            Work::Result(result) => result,
            _ => unreachable!("the job has been run"),
        }
    }
}

/// Waits until a job's cell is notified. Meanwhile the worker counts the task among those that
/// something from outside will wake.
///
/// # Safety
///
/// No other party waits there.
unsafe fn wait(cell: &WaitCell, reason: Reason, place: Place, deadline: Option<Instant>) -> Wake {
    if cell.event().is_some() {
        return Wake::Unparked;
    }
    // SAFETY: the reference is used in this call alone.
    let worker = unsafe { worker::current() };
    let counted = std::cell::Cell::new(None);
    let wake = park(
        Wait::on(&reason).at(place),
        deadline,
        |unparker| {
            counted.set(worker.map(|worker| worker.driver().begin_wait()));
            cell.announce(unparker);
        },
        || {
            let unparker = cell.retract()?;
            counted.take();
            Some(unparker)
        },
    );
    drop(counted);
    wake
}

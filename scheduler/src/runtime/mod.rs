//! The doors: a runtime is one team of workers, which is entered by [`run`] or started.

mod builder;
mod default;
mod enter;
mod handle;
mod shutdown;

pub use builder::RuntimeBuilder;
pub(crate) use default::default_runtime;
pub use handle::Handle;
pub use shutdown::ShutdownTimeout;

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::metrics::Metrics;
use crate::spawn::Builder;
use crate::task::JoinHandle;
use crate::team::Team;

/// Runs `main` as the first task on the calling thread, with the tasks that it spawns, and returns
/// its result.
///
/// The runtime ends with `main`. Tasks that have not finished by then are cancelled: a task that
/// has started is unwound from where it waits or yields, so that its destructors run; one that has
/// not is dropped. Both are [`Cancelled`](crate::Cancelled) to their joiners. Three things to know
/// about that:
///
/// - In the destructors that run then, an operation that would have to wait fails at once, as if
///   the other side were gone. To `unwrap` its result there is a panic in a destructor amid an
///   unwinding, which aborts the process: write `let _ = sender.send(last_words);`.
/// - Nothing can be unwound through a function that is `extern "C"`: a task that waits below a
///   callback of a C library aborts the process when it is cancelled. Catch the unwinding in the
///   callback, return to C with an error, and continue it behind C by `resume_unwind`.
/// - A task that catches the unwinding by `catch_unwind`, and waits again, is unwound again. If it
///   does so more than 100 times, it is *left behind*, as if all that is on its stack were
///   forgotten, and that is reported on standard error. Let a panic whose payload is `Cancelled`
///   pass. Likewise a task is left behind that waits for a hand-over which another party has begun
///   and forgotten, and what destructors spawn without end.
///
/// # Panics
///
/// - With the panic of `main`, if it panics.
/// - With a report of every task, if all of them wait and nothing can wake them; see
///   [`Deadlock`](crate::Deadlock), also for what it does not see, such as a `LazyLock` whose
///   initialiser waits.
/// - If it is called inside a task, if `LISLE_WORKERS`, `LISLE_STACK_SIZE`, `LISLE_CARRY`,
///   `LISLE_WATCH` or `LISLE_PANIC_NOTE` cannot be understood, or if there is no memory for the
///   first stack.
///
/// # With `panic = "abort"`
///
/// A program that is built so cannot unwind: tasks that wait when their runtime ends are left
/// behind, and their destructors do not run. A thread of the runtime on which one was left behind
/// stays, and does nothing. A deadlock prints its report and aborts the process. Everything else
/// works, but that a panic ends not only its task.
///
/// # Examples
///
/// ```
/// let answer = lisle::run(|| lisle::spawn(|| 42).join().unwrap());
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn run<R>(main: impl FnOnce() -> R) -> R {
    match Runtime::builder().run(main) {
        Ok(result) => result,
        Err(deadlock) => panic!("{deadlock}"),
    }
}

/// A runtime with threads of its own: any thread may spawn tasks onto it.
///
/// [`RuntimeBuilder::start`] makes one. It lasts until it is dropped: that cancels the tasks that
/// have not finished, as [`run`] does, waits until they are unwound, and ends the threads.
/// [`shutdown_timeout`](Self::shutdown_timeout) does not wait for longer than it is told. A task of
/// the runtime itself that drops it does not wait, and neither does one that is being cancelled.
///
/// The other way in is [`RuntimeBuilder::run`], whose runtime ends with its first task. Tasks of
/// several runtimes may talk to each other and to plain threads.
///
/// In a started runtime no deadlock is looked for, since a thread outside may always spawn or send.
/// [`stall_notice`](RuntimeBuilder::stall_notice) says what its tasks wait for.
///
/// ```
/// let runtime = lisle::Runtime::builder().workers(2).start()?;
/// let task = runtime.spawn(|| 6 * 7);
/// assert_eq!(task.join().unwrap(), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
pub struct Runtime {
    handle: Handle,
    /// Whether it was ended before its drop.
    is_shut_down: bool,
}

impl Runtime {
    /// A builder with the default settings.
    ///
    /// ```
    /// let builder = lisle::Runtime::builder().workers(1);
    /// assert_eq!(builder.run(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Spawns a task from any thread.
    ///
    /// # Panics
    ///
    /// With the text of the error that [`Builder::spawn_on`] returns. [`Handle::spawn`] returns it.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let task = runtime.spawn(|| 6 * 7); // on a plain thread
    /// assert_eq!(task.join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, body: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match Builder::new().spawn_into(&self.handle, Location::caller(), body) {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// What spawns tasks onto this runtime wherever it is kept, for as long as the runtime lives.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let handle = runtime.handle().clone();
    /// let thread = std::thread::spawn(move || {
    ///     let task = handle.spawn(|| 6 * 7).expect("the runtime lives");
    ///     task.join().unwrap()
    /// });
    /// assert_eq!(thread.join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What the workers have done until now, and what they have to do.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().start()?;
    /// let task = runtime.spawn(|| lisle::channel::never::<()>().recv());
    /// assert!(runtime.metrics().total().live_tasks <= 1); // it waits, or was not begun
    /// drop((runtime, task));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn metrics(&self) -> Metrics {
        self.handle.metrics()
    }

    /// Ends the runtime as a drop does, but waits no longer than `timeout`.
    ///
    /// Blocks the calling thread, or parks the calling task, meanwhile. If tasks have not ended by
    /// then, each worker is asked for those that it has left, which takes 0.25 s more if one of
    /// them is too busy to answer. The runtime goes on ending by itself.
    ///
    /// # Errors
    ///
    /// [`ShutdownTimeout`], if tasks have not ended in time. To a task of the runtime itself it is
    /// returned at once, and names the caller.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = lisle::Runtime::builder().start()?;
    /// runtime.spawn(|| loop { lisle::yield_now() });
    /// runtime.shutdown_timeout(Duration::from_secs(10))?; // unwinds the task
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn shutdown_timeout(mut self, timeout: Duration) -> Result<(), ShutdownTimeout> {
        let team = &self.handle.team;
        let outcome = if team.is_of_parent() { Ok(()) } else { shutdown::shut_down(team, timeout) };
        self.is_shut_down = true;
        outcome
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let team = &self.handle.team;
        if self.is_shut_down || team.is_of_parent() {
            return;
        }
        team.stop();
        Team::join_threads(team);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.team.describe(f.debug_struct("Runtime"))
    }
}

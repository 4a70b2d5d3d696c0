//! Entering: from a plain thread to a runtime's first task and back.

use std::io;
use std::panic::{Location, resume_unwind};

use lisle_runtime::stack::{StackSize, overflow};

use crate::deadlock::{Deadlock, ForeignThreads};
use crate::spawn::{Builder, create};
use crate::worker::{self, Enter, Worker};

/// Runs `main` as the first task on the calling thread, with the tasks that it spawns, and returns
/// its result.
///
/// The runtime ends with `main`. Tasks that have not finished by then are given up: a task that has
/// started is unwound from where it waits or yields, so that its destructors run; one that has not
/// is dropped. Both are [`Cancelled`](crate::Cancelled) to those who join them.
///
/// # Panics
///
/// - With the panic of `main`, if it panics.
/// - With a report of every task, if all of them wait and nothing can wake them; see [`Deadlock`].
/// - If it is called inside a task, if `LISLE_STACK_SIZE` is not a size, or if there is no memory for
///   the first stack.
///
/// ```
/// let answer = lisle_scheduler::run(|| lisle_scheduler::spawn(|| 42).join().unwrap());
/// assert_eq!(answer, 42);
/// ```
#[track_caller]
pub fn run<R>(main: impl FnOnce() -> R) -> R {
    // Not `unwrap_or_else`: a panic in a closure would not be located at the caller.
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("{error}"),
    };
    match runtime.run(main) {
        Ok(result) => result,
        Err(deadlock) => panic!("{deadlock}"),
    }
}

/// A configured scheduler, for those who want to set it up or to see a deadlock as a value.
///
/// ```
/// use lisle_scheduler::{ForeignThreads, Runtime};
///
/// let runtime = Runtime::builder().foreign_threads(ForeignThreads::NeverWake).build()?;
/// let deadlock = runtime
///     .run(|| {
///         use lisle_scheduler::park::{Reason, park};
///         let godot = std::cell::Cell::new(None);
///         let waiting = Reason::new("waiting for Godot");
///         park(waiting, None, |unparker| godot.set(Some(unparker)), || godot.take());
///     })
///     .unwrap_err();
/// assert_eq!(deadlock.tasks()[0].reason().as_str(), "waiting for Godot");
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Runtime {
    stack_size: StackSize,
    foreign_threads: ForeignThreads,
}

/// Sets up a [`Runtime`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct RuntimeBuilder {
    stack_size: Option<StackSize>,
    foreign_threads: ForeignThreads,
}

impl RuntimeBuilder {
    /// Sets the address space of a task's stack, in bytes, its guard page included. Too small a size
    /// is raised to [`StackSize::MIN`]; any size is rounded up to whole pages.
    ///
    /// Without it the size is that of the variable `LISLE_STACK_SIZE`, or 256 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Says whether other threads of the process put off the report of a deadlock.
    pub fn foreign_threads(mut self, policy: ForeignThreads) -> Self {
        self.foreign_threads = policy;
        self
    }

    /// The runtime.
    ///
    /// # Errors
    ///
    /// If `LISLE_STACK_SIZE` is consulted and is not a size.
    pub fn build(self) -> io::Result<Runtime> {
        let stack_size = self.stack_size.map_or_else(StackSize::from_env, Ok)?;
        Ok(Runtime { stack_size, foreign_threads: self.foreign_threads })
    }
}

impl Runtime {
    /// A runtime with the default settings.
    ///
    /// # Errors
    ///
    /// If `LISLE_STACK_SIZE` is not a size.
    pub fn new() -> io::Result<Self> {
        Self::builder().build()
    }

    /// A builder with the default settings.
    pub fn builder() -> RuntimeBuilder {
        RuntimeBuilder::default()
    }

    /// Runs `main` as [`run`] does, but returns a deadlock instead of panicking.
    ///
    /// # Errors
    ///
    /// [`Deadlock`], if `main` and every other task waits and nothing can wake them. All have been
    /// given up when this returns, `main` too.
    ///
    /// # Panics
    ///
    /// With the panic of `main`; inside a task; without memory for the first stack.
    #[track_caller]
    pub fn run<R>(&self, main: impl FnOnce() -> R) -> Result<R, Deadlock> {
        assert!(
            worker::current().is_none(),
            "lisle::run was called inside a task: spawn and join a task instead"
        );
        overflow::install();
        if let Err(error) = overflow::ensure_signal_stack() {
            panic!("{error}");
        }
        overflow::set_describer(worker::describe_current);

        let worker = Worker::new(self.stack_size, self.foreign_threads);
        let body = || {
            let _ends_the_runtime = ShutDownOnDrop(&worker);
            main()
        };
        // SAFETY: the task runs on this thread and `run_to_end` returns only when it has finished,
        // within the lifetimes of `main` and `R`; the handle does not leave this function.
        let created =
            unsafe { create(&worker, Builder::new().name("main"), Location::caller(), body) };
        let (task, handle) = match created {
            Ok(created) => created,
            Err(error) => panic!("{error}"),
        };
        worker.accept_local(task);
        // Only now: what a failure above runs, destructors of `main` and a panic hook, is no task.
        let entered = Enter::new(&worker);
        let deadlock = worker.run_to_end();
        let result = handle.join();
        drop(entered);
        match (deadlock, result) {
            (Some(deadlock), _) => Err(deadlock),
            (None, Ok(value)) => Ok(value),
            (None, Err(panic)) => resume_unwind(panic),
        }
    }
}

/// Ends the runtime with its main task, however that ends.
struct ShutDownOnDrop<'a>(&'a Worker);

impl Drop for ShutDownOnDrop<'_> {
    fn drop(&mut self) {
        self.0.shut_down();
    }
}

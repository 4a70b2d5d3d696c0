//! Entering: from a plain thread to a runtime's first task and back.

use std::io;
use std::num::NonZeroUsize;
use std::panic::{Location, resume_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lisle_runtime::internal::last_words::abort_with;
use lisle_runtime::internal::overflow::{Describer, ensure_signal_stack, set_describer};
use lisle_runtime::internal::panics;
use lisle_runtime::internal::primitive;
use lisle_runtime::stack::StackSize;

use crate::background::Background;
use crate::deadlock::{Deadlock, ForeignThreads, stay_for_ever};
use crate::metrics::Metrics;
use crate::panic_note;
use crate::per_process::PerProcess;
use crate::spawn::{Builder, create};
use crate::task::JoinHandle;
use crate::team::{Farewell, Settings, StackSizeOrigin, Team};
use crate::worker::{self, Enter, Worker};

/// Runs `main` as the first task on the calling thread, with the tasks that it spawns, and returns
/// its result.
///
/// The runtime ends with `main`. Tasks that have not finished by then are given up: a task that has
/// started is unwound from where it waits or yields, so that its destructors run; one that has not
/// is dropped. Both are [`Cancelled`](crate::Cancelled) to those who join them. Three things to
/// know about that:
///
/// - In the destructors that run then, an operation that would have to wait fails at once, as if
///   the other side were gone. To `unwrap` its result there is a panic in a destructor amid an
///   unwinding, which aborts the process: write `let _ = sender.send(last_words);`.
/// - Nothing can be unwound through a function that is `extern "C"`: a task that waits below a
///   callback of a C library aborts the process when it is given up. Catch the unwinding in the
///   callback, return to C with an error, and continue it behind C by `resume_unwind`.
/// - A task that catches the unwinding by `catch_unwind`, and waits again, is unwound again. If it
///   does so more than 100 times, it is *left behind*, as if all that is on its stack were
///   forgotten, and that is reported on standard error. Let a panic whose payload is `Cancelled`
///   pass. Likewise a task is left behind that waits for a hand-over which another party has begun
///   and forgotten, and what destructors spawn without end.
///
/// # With `panic = "abort"`
///
/// A program that is built so cannot unwind: tasks that wait when their runtime ends are left
/// behind, and their destructors do not run. A thread of the runtime on which one was left behind
/// stays, and does nothing. A deadlock prints its report and aborts the process. Everything else
/// works, but that a panic ends not only its task.
///
/// # Panics
///
/// - With the panic of `main`, if it panics.
/// - With a report of every task, if all of them wait and nothing can wake them; see [`Deadlock`],
///   also for what it does not see, such as a `LazyLock` whose initialiser waits.
/// - If it is called inside a task, if `LISLE_STACK_SIZE` is not a size, or if there is no memory
///   for the first stack.
///
/// ```
/// let answer = lisle::run(|| lisle::spawn(|| 42).join().unwrap());
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
/// use lisle::Runtime;
/// use lisle::deadlock::ForeignThreads;
///
/// let runtime = Runtime::builder().foreign_threads(ForeignThreads::NeverWake).build()?;
/// let deadlock = runtime
///     .run(|| {
///         use lisle::park::{Reason, park};
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
    settings: Settings,
    /// Started by the first spawn from outside.
    background: OnceLock<Background>,
}

/// Sets up a [`Runtime`].
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct RuntimeBuilder {
    workers: Option<usize>,
    stack_size: Option<StackSize>,
    main_stack_size: Option<StackSize>,
    spin: Option<Duration>,
    deadlock_detection: Option<bool>,
    foreign_threads: ForeignThreads,
    panic_note: Option<bool>,
    stall_notice: Option<Duration>,
    name: Option<Arc<str>>,
    thread_name: Option<Arc<str>>,
}

/// More workers than this are never started.
const MAX_WORKERS: usize = 1024;

/// How long an idle worker looks for work before it sleeps. Waking a sleeping thread takes as long
/// as this, so spinning at most doubles the price of a pause and saves it for a short one.
const SPIN: Duration = Duration::from_micros(50);

impl RuntimeBuilder {
    /// Sets the number of workers: of OS threads that run tasks, the calling one included. At most
    /// 1,024 are used. A thread is started when there is work for it.
    ///
    /// Without it the number is that of the variable `LISLE_WORKERS`, or that of the processor's
    /// cores which the process may use.
    ///
    /// With one worker the order of the tasks is exact: whoever becomes runnable first runs first,
    /// as far as [`spawn`](fn@crate::spawn) promises it.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the size of a task's stack, in bytes. Too small a size is raised to [`StackSize::MIN`];
    /// any other is rounded up to the next that there is, by less than a quarter: see
    /// [`StackSize`]. Only pages that are touched cost memory.
    ///
    /// Without it the size is that of the variable `LISLE_STACK_SIZE`, or 256 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Sets the size of the stack on which the main task of [`Runtime::run`] runs, in bytes,
    /// rounded as for [`stack_size`](Self::stack_size).
    ///
    /// Without it, it is that of any task.
    ///
    /// ```
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { depth(n - 1) + 1 }
    /// }
    ///
    /// let runtime = lisle::Runtime::builder().main_stack_size(64 << 20).build()?;
    /// assert_eq!(runtime.run(|| depth(100_000)).unwrap(), 100_000);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn main_stack_size(mut self, bytes: usize) -> Self {
        self.main_stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Sets how long a worker without work looks for some before it sleeps; 50 µs by default. It
    /// stops doing so while that is in vain.
    pub fn spin(mut self, duration: Duration) -> Self {
        self.spin = Some(duration);
        self
    }

    /// Names the runtime. The report of a deadlock says which runtime it is about, and its threads
    /// are named after it unless [`thread_name`](Self::thread_name) says otherwise.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the threads that are started: `NAME-1`, `NAME-2` and so on. The default is the
    /// runtime's name, or `lisle`.
    pub fn thread_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.thread_name = Some(name.into());
        self
    }

    /// Says whether a deadlock ends the run with a report, which is the default. Without it, tasks
    /// that nothing can wake wait for ever.
    pub fn deadlock_detection(mut self, wanted: bool) -> Self {
        self.deadlock_detection = Some(wanted);
        self
    }

    /// Says whether other threads of the process put off the report of a deadlock.
    pub fn foreign_threads(mut self, policy: ForeignThreads) -> Self {
        self.foreign_threads = policy;
        self
    }

    /// Says on standard error, once, what all tasks wait for when they have waited for `duration`
    /// and only a thread that is not the runtime's could wake one: no deadlock, but it may look
    /// like one. Off by default; nothing is said either if
    /// [`deadlock_detection`](Self::deadlock_detection) is off.
    pub fn stall_notice(mut self, duration: Duration) -> Self {
        self.stall_notice = Some(duration);
        self
    }

    /// Says whether the message of a panic in a task is followed by a line that says in which: "in
    /// task 12 'parser', spawned at src/main.rs:10:5". Without it that is decided by the variable
    /// `LISLE_PANIC_NOTE`, 0 or 1; the default is that it is.
    ///
    /// The line comes from a panic hook. Hooks belong to the process: the first runtime that wants
    /// the line sets this one when it starts, and it stays. It calls the hook that was there
    /// before; one that the program sets later replaces it. A program that must not find its hook
    /// changed switches the line off in all its runtimes, as the variable does.
    pub fn panic_note(mut self, wanted: bool) -> Self {
        self.panic_note = Some(wanted);
        self
    }

    /// The runtime.
    ///
    /// # Errors
    ///
    /// If the number of workers is 0, if the name of the threads contains a zero byte, or if
    /// `LISLE_WORKERS`, `LISLE_STACK_SIZE` or `LISLE_PANIC_NOTE` is consulted and cannot be
    /// understood.
    pub fn build(self) -> io::Result<Runtime> {
        let workers = match self.workers {
            Some(workers) => NonZeroUsize::new(workers).ok_or_else(no_workers)?,
            None => workers_from_env()?,
        };
        let settings = Settings {
            workers: workers.min(NonZeroUsize::new(MAX_WORKERS).expect("it is not zero")),
            stack_size: self.stack_size.map_or_else(StackSize::from_env, Ok)?,
            stack_size_origin: match self.stack_size {
                Some(_) => StackSizeOrigin::Builder,
                None => StackSizeOrigin::Environment,
            },
            main_stack_size: self.main_stack_size,
            spin: self.spin.unwrap_or(SPIN),
            deadlock_detection: self.deadlock_detection.unwrap_or(true),
            foreign_threads: self.foreign_threads,
            stall_notice: self.stall_notice,
            panic_note: self.panic_note.map_or_else(panic_note::is_wanted, Ok)?,
            thread_name: self
                .thread_name
                .or_else(|| self.name.clone())
                .unwrap_or_else(|| "lisle".into()),
            name: self.name,
        };
        if settings.thread_name.contains('\0') {
            return Err(bad_thread_name());
        }
        Ok(Runtime { settings, background: OnceLock::new() })
    }
}

/// Found only when a worker is wanted, it would be a panic where none may be.
fn bad_thread_name() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the name of a thread cannot contain a zero byte")
}

fn no_workers() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a runtime needs at least one worker")
}

fn workers_from_env() -> io::Result<NonZeroUsize> {
    const NAME: &str = "LISLE_WORKERS";
    match std::env::var_os(NAME) {
        Some(value) if !value.is_empty() => {
            value.to_str().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
                let text =
                    format!("{NAME} must be a number from 1 on, such as 4, but is {value:?}");
                io::Error::new(io::ErrorKind::InvalidInput, text)
            })
        }
        // A model has as many as it asks for.
        _ if cfg!(lisle_loom) => Ok(NonZeroUsize::MIN),
        _ => Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)),
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

    /// Spawns a task from any thread, on threads of the runtime's own.
    ///
    /// The first call starts them. They serve until the runtime is dropped, which gives up the
    /// tasks that have not finished, as [`run`] does, waits until they are unwound, and ends the
    /// threads. A task of the runtime itself that drops it does not wait. They are not the workers
    /// of [`run`](Self::run), but the tasks of both may talk to each other.
    ///
    /// # Panics
    ///
    /// With the text of the error that [`Builder::spawn_on`] returns.
    ///
    /// ```
    /// let runtime = lisle::Runtime::new()?;
    /// let task = runtime.spawn(|| 6 * 7);
    /// assert_eq!(task.join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, body: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        match Builder::new().spawn_on(self, body) {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// What the threads of [`spawn`](Self::spawn) have done and have to do; no workers if there are
    /// none yet. Inside [`run`](Self::run) ask [`metrics`](crate::metrics()).
    pub fn metrics(&self) -> Metrics {
        self.background.get().map(Background::metrics).unwrap_or_default()
    }

    pub(crate) fn background(&self) -> io::Result<&Background> {
        static STARTING: PerProcess<Mutex<()>> = PerProcess::new();
        if let Some(background) = self.background.get() {
            return Ok(background);
        }
        let starting = STARTING.get_or(Mutex::default);
        let _one_at_a_time = starting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(background) = self.background.get() {
            return Ok(background);
        }
        let background = Background::start(&self.settings)?;
        Ok(self.background.get_or_init(|| background))
    }

    /// Runs `main` as [`run`] does, but returns a deadlock instead of panicking.
    ///
    /// # Errors
    ///
    /// [`Deadlock`], if `main` and every other task waits and nothing can wake them. All have been
    /// given up when this returns, `main` too. If `main` cannot be, because it catches that for
    /// ever or the program is built with `panic = "abort"`, the report is printed and the process
    /// aborted: it may borrow from the caller.
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
        prepare_process(&self.settings);
        if let Err(error) = ensure_signal_stack() {
            panic!("{error}");
        }
        let team = primitive::Arc::new(Team::new(self.settings.clone(), serve));
        let worker = Worker::new(team.clone(), 0);
        let body = || {
            let _ends_the_team = EndTeamOnDrop(&worker);
            main()
        };
        let builder =
            Builder { name: Some("main".into()), stack_size: self.settings.main_stack_size };
        // SAFETY: the task runs on this thread and `run_to_end` returns only when it has finished,
        // within the lifetimes of `main` and `R`; the handle does not leave this function.
        let created = unsafe { create(&worker, builder, Location::caller(), body) };
        let (task, handle) = match created {
            Ok(created) => created,
            Err(error) => panic!("{error}"),
        };
        worker.accept_main(task);
        // If this thread unwinds, the tasks do not. Where its panics cannot be set aside, they
        // cannot wait.
        let panics = panics::set_aside();
        // Only now: what a failure above runs, destructors of `main` and a panic hook, is no task.
        let entered = Enter::new(&worker);
        worker.run_to_end();
        let result = handle.join();
        drop(entered);
        if let Some(panics) = panics {
            panics.restore();
        }
        Team::join_threads(&team);
        let deadlock = team.take_deadlock();
        if worker.has_left_main() {
            refuse_to_leave_main(deadlock);
        }
        match (deadlock, result) {
            (Some(deadlock), _) => Err(deadlock),
            (None, Ok(value)) => Ok(value),
            (None, Err(panic)) => resume_unwind(panic),
        }
    }
}

/// What has to be done once before tasks run.
pub(crate) fn prepare_process(settings: &Settings) {
    if settings.panic_note {
        panic_note::install();
    }
    // SAFETY: the function only reads: a thread-local that needs no initialisation, and the worker
    // and the task to which it leads, which stay while anything runs on the task's stack, or inside
    // it.
    unsafe { set_describer(&(worker::describe_current as Describer)) };
    panics::set_note(&(worker::note_unwinding_below as panics::Note));
}

/// What a thread that a team has started does.
pub(crate) fn serve(team: primitive::Arc<Team>, index: usize) {
    if let Err(error) = ensure_signal_stack() {
        // The team counts on this thread, which has nobody to return an error to.
        abort_with(format_args!("a worker cannot start: {error}"));
    }
    let worker = Worker::new(team.clone(), index);
    let entered = Enter::new(&worker);
    worker.run_to_end();
    let farewell = if worker.has_left_any() { Farewell::Stays } else { Farewell::Ends };
    drop(entered);
    drop(worker);
    team.bid_farewell(index, farewell);
    drop(team);
    if farewell == Farewell::Stays {
        stay_for_ever();
    }
}

/// The main task will neither go on nor be unwound, and may borrow from the caller of `run`, to
/// whom there is thus no way back. It is given up in a deadlock only.
fn refuse_to_leave_main(deadlock: Option<Deadlock>) -> ! {
    let why = if cfg!(panic = "unwind") {
        "main has caught its cancellation again and again, so that the process has to end"
    } else {
        "main cannot be unwound, since the program is built with panic = \"abort\", so that the process \
         has to end"
    };
    match deadlock {
        Some(deadlock) => abort_with(format_args!("{deadlock}\n\n{why}")),
        None => abort_with(format_args!("{why}")),
    }
}

/// Ends the team with its main task, however that ends.
struct EndTeamOnDrop<'a>(&'a Worker);

impl Drop for EndTeamOnDrop<'_> {
    fn drop(&mut self) {
        self.0.end_team();
    }
}

//! Setting up a runtime.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use lisle_runtime::stack::StackSize;

use super::{Handle, Runtime, enter};
use crate::carry;
use crate::deadlock::{Deadlock, ForeignThreads};
use crate::explore::Engine;
use crate::panic_note;
use crate::park::in_task;
use crate::settings::{Settings, StackSizeOrigin};
use crate::watch;

/// Sets up a runtime, which has two ways in: [`run`](Self::run) uses the calling thread as a worker
/// and returns when `main` ends; [`start`](Self::start) starts threads of its own, which last until
/// the [`Runtime`] is dropped.
///
/// A clone of a builder sets up another runtime alike.
///
/// ```
/// let two_workers = lisle::Runtime::builder().workers(2);
/// assert_eq!(two_workers.clone().run(|| 6 * 7).unwrap(), 42);
///
/// let runtime = two_workers.start()?;
/// assert_eq!(runtime.spawn(|| 6 * 7).join().unwrap(), 42);
/// # Ok::<_, std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until it runs or starts a runtime"]
pub struct RuntimeBuilder {
    workers: Option<usize>,
    stack_size: Option<StackSize>,
    main_stack_size: Option<StackSize>,
    spin: Option<Duration>,
    carry: Option<bool>,
    virtual_time: bool,
    engine: Option<Arc<Engine>>,
    deadlock_detection: Option<bool>,
    foreign_threads: ForeignThreads,
    panic_note: Option<bool>,
    stall_notice: Option<Duration>,
    watch: Option<Duration>,
    queue_delays: bool,
    name: Option<Arc<str>>,
    thread_name: Option<Arc<str>>,
}

/// More workers than this are never started.
const MAX_WORKERS: usize = 1024;

/// How long an idle worker looks for work before it sleeps. Waking a sleeping thread takes as long
/// as this, so spinning at most doubles the price of a pause and saves it for a short one.
const SPIN: Duration = Duration::from_micros(50);

impl RuntimeBuilder {
    /// Sets the number of workers: of OS threads that run tasks, that of the caller of
    /// [`run`](Self::run) included. At most 1,024 are used. A thread is started when there is work
    /// for it.
    ///
    /// Without it the number is that of the variable `LISLE_WORKERS`, or that of the processor's
    /// cores which the process may use.
    ///
    /// With one worker the order of the tasks is exact: the one that becomes runnable first runs
    /// first, as far as [`spawn`](fn@crate::spawn) promises it.
    ///
    /// # Examples
    ///
    /// ```
    /// let workers = || lisle::metrics().unwrap().workers().len();
    /// assert_eq!(lisle::Runtime::builder().workers(1).run(workers).unwrap(), 1);
    /// ```
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = Some(workers);
        self
    }

    /// Sets the size of a task's stack, in bytes. Too small a size is raised to [`StackSize::MIN`];
    /// any other is rounded up to the next that there is, by less than a quarter: see
    /// [`StackSize`]. Only pages that are touched cost memory.
    ///
    /// Without it the size is that of the variable `LISLE_STACK_SIZE`, or 256 KiB.
    ///
    /// # Examples
    ///
    /// ```
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { depth(n - 1) + 1 }
    /// }
    ///
    /// let runtime = lisle::Runtime::builder().stack_size(64 << 20).start()?;
    /// assert_eq!(runtime.spawn(|| depth(100_000)).join().unwrap(), 100_000);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Sets the size of the stack on which the main task of [`run`](Self::run) runs, in bytes,
    /// rounded as for [`stack_size`](Self::stack_size).
    ///
    /// Without it, it is that of any task.
    ///
    /// ```
    /// fn depth(n: u64) -> u64 {
    ///     if n == 0 { 0 } else { depth(n - 1) + 1 }
    /// }
    ///
    /// let builder = lisle::Runtime::builder().main_stack_size(64 << 20);
    /// assert_eq!(builder.run(|| depth(100_000)).unwrap(), 100_000);
    /// ```
    pub fn main_stack_size(mut self, bytes: usize) -> Self {
        self.main_stack_size = Some(StackSize::new(bytes));
        self
    }

    /// Sets how long a worker without work looks for some before it sleeps; 50 µs by default. It
    /// stops doing so while it finds none and, unless this is 50 ms or more, for a while if
    /// the processor is taken from it meanwhile.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// // Saves power where a wake-up may take longer.
    /// let builder = lisle::Runtime::builder().spin(Duration::ZERO);
    /// assert_eq!(builder.run(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn spin(mut self, duration: Duration) -> Self {
        self.spin = Some(duration);
        self
    }

    /// Says whether the thread of one worker may run another worker that sleeps, under its
    /// identity: with its thread-locals, its `std::thread::current()`, its allocator's caches and
    /// all else that code takes for its thread. Two tasks that wait for each other on two workers
    /// then need no wake-up of a thread, which takes some 50 µs. Without this call the variable
    /// `LISLE_CARRY`, 0 or 1, decides; the default is 1.
    ///
    /// What belongs to the *kernel's* thread does not come along: `gettid`, and what the kernel
    /// keeps by it. A program whose tasks depend on that switches carrying off: one that sets
    /// credentials, namespaces, limits, a signal mask or an affinity for a single thread, traces
    /// processes, uses mutexes with priority inheritance, `io_uring` rings that one thread must
    /// submit to, or protection keys. [The page on
    /// safety](https://docs.rs/lisle/latest/lisle/guide/safety/) has the list.
    ///
    /// Carrying needs x86_64 with glibc, a kernel that lets programs write the `fs` base, and more
    /// than one worker. Workers of two runtimes do not carry each other. A worker takes no part
    /// once one of its tasks has waited for a descriptor, such as a socket. Carrying is off under
    /// sanitizers and valgrind, and where the allocator uses restartable sequences.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().carry(false);
    /// assert_eq!(runtime.run(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn carry(mut self, wanted: bool) -> Self {
        self.carry = Some(wanted);
        self
    }

    /// Gives the runtime a clock of its own, for tests of what takes time. It stands while a task
    /// can run; when all tasks wait, it is moved at once to the next moment for which one of them
    /// waits. So a year of sleeping takes no longer than what is done in it, and what comes when is
    /// the same each time: tasks with equal deadlines go on in the order in which they began to
    /// wait.
    ///
    /// It is the clock of all waits: of [`sleep`](fn@crate::sleep), of the timeouts of channels,
    /// locks and regions, of an [`Interval`](crate::Interval). A program reads it by
    /// [`now`](fn@crate::now), while `std::time::Instant::now()` shows the system's.
    /// [`advance`](fn@crate::advance) moves it, and [`resume`](fn@crate::resume) has it run.
    ///
    /// Something from outside may wake a task before its time. So the clock stands still while a
    /// task waits for a socket or another descriptor, and during a [`blocking`](fn@crate::blocking)
    /// call. A thread of the program's own holds it by [`hold`](fn@crate::hold). If the clock
    /// stands still for ten seconds although tasks wait for it, a line on standard error says what
    /// holds it.
    ///
    /// Such a runtime has one worker if [`workers`](Self::workers) does not say otherwise. With
    /// several, tasks with equal deadlines go on in any order.
    ///
    /// After tokio's paused clock, which does not stand while a task waits for a descriptor.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let virtual_time = lisle::Runtime::builder().virtual_time(true);
    /// virtual_time.run(|| lisle::sleep(Duration::from_secs(365 * 24 * 3600))).unwrap();
    /// ```
    pub fn virtual_time(mut self, wanted: bool) -> Self {
        self.virtual_time = wanted;
        self
    }

    /// Has `engine` choose which task runs next.
    pub(crate) fn engine(mut self, engine: Arc<Engine>) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Names the runtime. The report of a deadlock says which runtime it is about, and its threads
    /// are named after it unless [`thread_name`](Self::thread_name) says otherwise.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().name("mail").start()?;
    /// let thread = runtime.spawn(|| std::thread::current().name().map(str::to_owned));
    /// assert!(thread.join().unwrap().unwrap().starts_with("mail-"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names the threads that are started: `NAME-1`, `NAME-2` and so on. The default is the
    /// runtime's name, or `lisle`.
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().thread_name("mail-worker").start()?;
    /// let thread = runtime.spawn(|| std::thread::current().name().map(str::to_owned));
    /// assert!(thread.join().unwrap().unwrap().starts_with("mail-worker-"));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn thread_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.thread_name = Some(name.into());
        self
    }

    /// Says whether a deadlock ends the [run](Self::run) with a report, which is the default.
    /// Without it, tasks that nothing can wake wait for ever. In a runtime that was
    /// [started](Self::start), none is looked for: threads outside can always spawn and send.
    ///
    /// ```
    /// // A debugger or a signal handler may end a wait that nothing else ends.
    /// let builder = lisle::Runtime::builder().deadlock_detection(false);
    /// assert_eq!(builder.run(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn deadlock_detection(mut self, wanted: bool) -> Self {
        self.deadlock_detection = Some(wanted);
        self
    }

    /// Says whether other threads of the process put off the report of a deadlock.
    ///
    /// A thread that is not the runtime's might send or spawn one day. So by default
    /// ([`MayWake`](ForeignThreads::MayWake)) there is no report while the process has one. Say
    /// [`NeverWake`](ForeignThreads::NeverWake) if no other thread wakes your tasks.
    /// [`LaterMayWake`](ForeignThreads::LaterMayWake) is for tests: it disregards the threads that
    /// were there first.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::deadlock::ForeignThreads;
    ///
    /// let builder = lisle::Runtime::builder().foreign_threads(ForeignThreads::NeverWake);
    /// let outcome = builder.run(|| {
    ///     let (_sender, receiver) = lisle::channel::bounded::<u8>(0);
    ///     receiver.recv() // the only sender is our own
    /// });
    /// assert!(outcome.is_err());
    /// ```
    pub fn foreign_threads(mut self, policy: ForeignThreads) -> Self {
        self.foreign_threads = policy;
        self
    }

    /// Says on standard error when nothing goes on for `duration`, in two cases. Off by default,
    /// and also while [`deadlock_detection`](Self::deadlock_detection) is off.
    ///
    /// - **All tasks wait**, and only a thread that is not the runtime's could wake one: no
    ///   deadlock, but it may look like one. The notice says once what each waits for.
    /// - **A task blocks its worker** in the kernel, and with it the other tasks there: in the
    ///   initialiser of a `LazyLock` that another task of the worker runs, for a lock of
    ///   `std::sync` that another holds, in `std::thread::sleep`, for a file. The
    ///   [`watch`](Self::watch) has more on that; a shorter time that is given there counts for
    ///   this, too. A task that computes is reported only if there is a `watch`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let runtime = lisle::Runtime::builder().stall_notice(Duration::from_secs(10)).start()?;
    /// assert_eq!(runtime.spawn(|| 6 * 7).join().unwrap(), 42);
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn stall_notice(mut self, duration: Duration) -> Self {
        self.stall_notice = Some(duration);
        self
    }

    /// Watches the workers: says on standard error when a task keeps its worker for `longest` or
    /// more in one turn, while other tasks wait for that worker. `Duration::ZERO` switches that
    /// off. Without this call the variable `LISLE_WATCH` decides, such as `10ms`, `2s` or `off`;
    /// the default is `off`.
    ///
    /// It reports two kinds of tasks:
    ///
    /// - One that **blocks its worker** in the kernel: for a lock of `std::sync` that another task
    ///   holds while it waits, in the initialiser of a `LazyLock` that another runs, in
    ///   `std::thread::sleep`, for a file. The message says in what it waits, as far as the kernel
    ///   tells, the likely reason, and what to do instead.
    /// - One that has a **long turn**, because it computes or often calls the system. Time in which
    ///   other threads had the processor does not count.
    ///
    /// ```text
    /// lisle: task 3 'job', spawned at src/main.rs:9:9, has blocked worker 0 (thread 4711) for 10ms
    /// 2 other tasks cannot go on: they wait for this worker's thread
    /// the thread waits in the kernel, in a sleep. Likely reason:
    /// - std::thread::sleep: use lisle::sleep
    /// other tasks spawned there that do so are not reported
    /// lisle: task 3 'job' has let its worker go on after 52.3ms: it is receiving from a channel
    ///     at src/main.rs:15:30
    /// ```
    ///
    /// The task is named, with the place of its spawn and the number of tasks that it holds up. One
    /// that holds up no other is not reported. When the turn is over, a second message says where
    /// it ended, with a backtrace if `RUST_BACKTRACE` is set, unless the task has ended with it.
    /// For each worker, the tasks of one spawn site are reported once for each of the two kinds.
    ///
    /// The runtime has one more thread for this, `NAME-watch`, which deadlock reports do not count.
    /// It looks four times in that time, but at most every 5 ms, so a report may come a quarter of
    /// the time, or those 5 ms, late. It reads in `/proc` what the threads of busy workers do, and
    /// asks a worker that a task keeps by the signal SIGURG, whose handler on the worker's thread
    /// says which task it is. So a system call that blocks for that long may return EINTR, if it is
    /// one that the kernel does not resume after a signal, such as `poll`, or if the program's own
    /// handler of this signal asks for that. The handler is set when the first such runtime starts;
    /// it calls the one that was there for other signals, on the stack and with the flags that this
    /// has asked for. If the program replaces it, or blocks the signal, the task is not named. A
    /// switch between tasks costs some nanoseconds more.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let watched = lisle::Runtime::builder().watch(Duration::from_millis(10));
    /// assert_eq!(watched.run(|| 6 * 7).unwrap(), 42);
    /// ```
    pub fn watch(mut self, longest: Duration) -> Self {
        self.watch = Some(longest);
        self
    }

    /// Says whether the workers measure how long tasks that are runnable wait for their turn, which
    /// [`WorkerMetrics::queue_delays`](crate::WorkerMetrics::queue_delays) then has. Off by
    /// default: it makes a switch some nanoseconds slower.
    ///
    /// ```
    /// let measured = lisle::Runtime::builder().workers(1).queue_delays(true);
    /// let delays = measured.run(|| {
    ///     let task = lisle::spawn(|| (0..500).for_each(|_| lisle::yield_now()));
    ///     (0..500).for_each(|_| lisle::yield_now());
    ///     task.join().unwrap();
    ///     lisle::metrics().unwrap().total().queue_delays
    /// });
    /// let delays = delays.unwrap();
    /// assert!(delays.count() > 0);
    /// println!("99 of 100 wait for {:?} at most", delays.quantile(0.99));
    /// ```
    pub fn queue_delays(mut self, wanted: bool) -> Self {
        self.queue_delays = wanted;
        self
    }

    /// Says whether the message of a panic in a task is followed by a line that names the task: "in
    /// task 12 'parser', spawned at src/main.rs:10:5". Without this call the variable
    /// `LISLE_PANIC_NOTE`, 0 or 1, decides; the default is 1.
    ///
    /// The line comes from a panic hook. Hooks belong to the process: the first runtime that wants
    /// the line sets this one when it starts, and it stays. It calls the hook that was there
    /// before; one that the program sets later replaces it. A program that must not find its hook
    /// changed switches the line off in all its runtimes, as the variable does.
    ///
    /// ```
    /// let builder = lisle::Runtime::builder().panic_note(false);
    /// let task = builder.run(|| lisle::spawn(|| panic!("without another line")).join());
    /// assert!(task.unwrap().is_err());
    /// ```
    pub fn panic_note(mut self, wanted: bool) -> Self {
        self.panic_note = Some(wanted);
        self
    }

    /// Runs `main` as [`run`](crate::run) does, but returns a deadlock instead of panicking.
    ///
    /// # Errors
    ///
    /// [`Deadlock`], if `main` and every other task waits and nothing can wake them. All have
    /// been cancelled when this returns, `main` too. If `main` cannot be, because it catches that
    /// for ever or the program is built with `panic = "abort"`, the report is printed and the
    /// process aborted: it may borrow from the caller.
    ///
    /// # Panics
    ///
    /// - With the panic of `main`.
    /// - Inside a task: spawn and join a task instead.
    /// - If the settings cannot be used, with the text of the error that [`start`](Self::start)
    ///   returns.
    /// - Without memory for the first stack.
    ///
    /// ```
    /// use lisle::Runtime;
    /// use lisle::deadlock::ForeignThreads;
    ///
    /// let deadlock = Runtime::builder()
    ///     .foreign_threads(ForeignThreads::NeverWake)
    ///     .run(|| {
    ///         let (_sender, receiver) = lisle::channel::bounded::<u8>(0);
    ///         receiver.recv() // the only sender is our own
    ///     })
    ///     .unwrap_err();
    /// assert_eq!(deadlock.tasks()[0].reason().as_str(), "receiving from a channel");
    /// ```
    #[track_caller]
    pub fn run<R>(self, main: impl FnOnce() -> R) -> Result<R, Deadlock> {
        assert!(!in_task(), "lisle::run was called inside a task: spawn and join a task instead");
        // Not `unwrap_or_else`: a panic in a closure would not be located at the caller.
        match self.settings() {
            Ok(settings) => enter::run(settings, main),
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts a runtime that has threads of its own. The first is started at once, others when
    /// there is work for them. See [`Runtime`].
    ///
    /// It looks for no deadlock, whatever [`deadlock_detection`](Self::deadlock_detection) says.
    ///
    /// # Errors
    ///
    /// If the number of workers is 0, if the name of the threads contains a zero byte, if
    /// `LISLE_WORKERS`, `LISLE_STACK_SIZE`, `LISLE_CARRY`, `LISLE_WATCH` or `LISLE_PANIC_NOTE` is
    /// consulted and cannot be understood, or if the first thread cannot be started.
    ///
    /// # Examples
    ///
    /// ```
    /// let runtime = lisle::Runtime::builder().workers(2).name("mail").start()?;
    /// let task = runtime.spawn(|| 6 * 7);
    /// assert_eq!(task.join().unwrap(), 42);
    /// drop(runtime); // cancels the tasks that are left, and ends the threads
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn start(self) -> io::Result<Runtime> {
        let team = enter::start(self.settings()?)?;
        Ok(Runtime { handle: Handle { team }, is_shut_down: false })
    }

    /// # Errors
    ///
    /// As [`start`](Self::start), as far as the settings are concerned.
    pub(super) fn settings(self) -> io::Result<Settings> {
        let workers = match self.workers {
            Some(workers) => NonZeroUsize::new(workers).ok_or_else(no_workers)?,
            None if self.virtual_time => NonZeroUsize::MIN,
            None => workers_from_env()?,
        };
        let deadlock_detection = self.deadlock_detection.unwrap_or(true);
        let is_explored = self.engine.is_some();
        // An explored program does not go by the clock.
        let watch = match self.watch {
            _ if is_explored => None,
            Some(longest) => Some(longest).filter(|longest| !longest.is_zero()),
            None => watch::from_env()?,
        };
        let settings = Settings {
            workers: workers.min(NonZeroUsize::new(MAX_WORKERS).expect("it is not zero")),
            stack_size: self.stack_size.map_or_else(StackSize::from_env, Ok)?,
            stack_size_origin: match self.stack_size {
                Some(_) => StackSizeOrigin::Builder,
                None => StackSizeOrigin::Environment,
            },
            main_stack_size: self.main_stack_size,
            // Nothing is to be expected from outside.
            spin: if self.virtual_time { Duration::ZERO } else { self.spin.unwrap_or(SPIN) },
            carry: self.carry.map_or_else(carry::is_wanted, Ok)?
                && workers.get() > 1
                && !self.virtual_time,
            virtual_time: self.virtual_time,
            engine: self.engine,
            deadlock_detection,
            foreign_threads: self.foreign_threads,
            stall_notice: self.stall_notice.filter(|_| deadlock_detection),
            watch,
            // What an explored program and a model do must not depend on a clock.
            queue_delays: self.queue_delays && !is_explored && !cfg!(lisle_loom),
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
        Ok(settings)
    }
}

/// An error from the start: later, when a worker is wanted, failing could only panic.
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

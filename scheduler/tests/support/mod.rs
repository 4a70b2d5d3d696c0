//! What the tests of the scheduler share: logs, bells, and children that may die.
#![allow(dead_code, reason = "no test program needs all of it")]

pub mod channel;
pub mod random;
pub mod sys;

use std::env;
use std::fmt::Debug;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{Deadlock, ForeignThreads, JoinHandle, Runtime, spawn};

/// Runs `main` on one worker, where the order of the tasks is exact.
#[track_caller]
pub fn run_in_order<R>(main: impl FnOnce() -> R) -> R {
    match Runtime::builder().workers(1).run(main) {
        Ok(result) => result,
        Err(deadlock) => panic!("{deadlock}"),
    }
}

/// As [`run_in_order`], where the threads of the test harness do not put off the report of a
/// deadlock.
#[track_caller]
pub fn run_alone<R>(main: impl FnOnce() -> R) -> Result<R, Deadlock> {
    let builder = Runtime::builder().foreign_threads(ForeignThreads::NeverWake);
    builder.workers(1).run(main)
}

/// As [`run_alone`], on several workers. A program that hangs is killed.
#[track_caller]
pub fn run_on<R>(workers: usize, main: impl FnOnce() -> R) -> Result<R, Deadlock> {
    sys::die_in(LIMIT);
    let builder = Runtime::builder().foreign_threads(ForeignThreads::NeverWake);
    builder.workers(workers).run(main)
}

/// Spawns a task onto each worker and calls `body` there with a number. None of them switches
/// before all have a thread of their own, so that no two share one.
#[track_caller]
pub fn on_each_worker<T: Send + 'static>(
    workers: usize,
    body: impl FnOnce(usize) -> T + Clone + Send + 'static,
) -> Vec<JoinHandle<T>> {
    let arrived = Arc::new(AtomicUsize::new(0));
    let start = |n| {
        let (arrived, body) = (arrived.clone(), body.clone());
        spawn(move || {
            arrived.fetch_add(1, Ordering::AcqRel);
            block_until(|| arrived.load(Ordering::Acquire) == workers);
            body(n)
        })
    };
    (0..workers).map(start).collect()
}

/// Lets the calling thread do nothing else until the condition holds: no other task runs on it.
pub fn block_until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// What happened, in order, from wherever it was noted.
pub struct Log<T>(Arc<Mutex<Vec<T>>>);

impl<T> Log<T> {
    pub fn new() -> Self {
        Self(Arc::default())
    }

    pub fn add(&self, entry: T) {
        lock(&self.0).push(entry);
    }

    pub fn len(&self) -> usize {
        lock(&self.0).len()
    }

    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *lock(&self.0))
    }

    /// Panics unless exactly this has been noted since the last look.
    #[track_caller]
    pub fn expect<U>(&self, expected: &[U])
    where
        T: PartialEq<U> + Debug,
        U: Debug,
    {
        assert_eq!(self.take(), expected);
    }
}

impl<T> Clone for Log<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Adds an entry to a log when it is dropped.
pub struct NoteDrop<T: Clone>(pub Log<T>, pub T);

impl<T: Clone> Drop for NoteDrop<T> {
    fn drop(&mut self) {
        self.0.add(self.1.clone());
    }
}

/// Calls a function when it is dropped.
pub struct OnDrop<F: FnMut()>(pub F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// A place where one party waits and a waker finds it.
#[derive(Clone, Default)]
pub struct Bell(Arc<Mutex<Option<Unparker>>>);

impl Bell {
    pub const REASON: Reason = Reason::new("waiting for a bell");

    pub fn new() -> Self {
        Self::default()
    }

    /// Waits to be rung. Unwinds if the task is given up.
    #[track_caller]
    pub fn wait(&self) {
        let _ = self.wait_until(None);
    }

    #[track_caller]
    pub fn wait_until(&self, deadline: Option<Instant>) -> Wake {
        park(Self::REASON, deadline, |unparker| self.put(unparker), || self.take())
    }

    pub fn put(&self, unparker: Unparker) {
        assert!(lock(&self.0).replace(unparker).is_none(), "one party a bell");
    }

    pub fn take(&self) -> Option<Unparker> {
        lock(&self.0).take()
    }

    pub fn is_awaited(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// True if somebody was waiting.
    pub fn ring(&self) -> bool {
        self.take().map(Unparker::unpark).is_some()
    }

    /// Rings as soon as somebody waits; lets the others go on until then.
    pub fn ring_until_heard(&self) {
        while !self.ring() {
            lisle_scheduler::yield_now();
        }
    }
}

/// A wait whose unparker is taken and never used.
pub fn wait_for_a_promise() {
    wait_for_a_promise_noted(|| ());
}

/// Calls `note` when the wait can only be ended by the hand-over.
pub fn wait_for_a_promise_noted(note: impl FnOnce()) {
    const REASON: Reason = Reason::new("waiting for what was promised");
    let promise = |unparker| {
        std::mem::forget(unparker);
        note();
    };
    let _ = park(REASON, None, promise, || None);
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const CHILD: &str = "LISLE_TEST_CHILD";

/// Seconds after which the kernel kills a child: no child needs a tenth of it.
pub const LIMIT: u32 = 100;

/// How a child ended, and what it wrote to standard error.
pub struct Ended {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stderr: String,
}

impl Ended {
    /// Panics with the child's words unless it went through its body.
    #[track_caller]
    pub fn assert_success(&self) {
        assert_eq!((self.code, self.signal), (Some(0), None), "{}", self.stderr);
    }

    /// Panics with the child's words unless its body panicked.
    #[track_caller]
    pub fn assert_panicked(&self) {
        assert_eq!((self.code, self.signal), (Some(101), None), "{}", self.stderr);
    }

    #[track_caller]
    pub fn assert_aborted(&self) {
        assert_eq!((self.code, self.signal), (None, Some(sys::SIGABRT)), "{}", self.stderr);
    }

    #[track_caller]
    pub fn assert_says(&self, text: &str) {
        assert!(self.stderr.contains(text), "{text:?} is not in:\n{}", self.stderr);
    }
}

/// As [`in_child`], and there on the only thread of the process.
pub fn alone_in_child(name: &str, variables: &[(&str, &str)], body: impl FnOnce()) -> Ended {
    in_child(name, variables, || {
        sys::become_the_only_thread();
        sys::die_in(LIMIT);
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            std::process::exit(101);
        }
    })
}

/// This test program, under the same emulator if it runs under one: the kernel cannot start
/// programs of a foreign architecture itself.
fn this_program() -> Command {
    let program = env::current_exe().unwrap();
    match env::var("LISLE_TEST_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

/// Runs `body` in a process of its own, with `variables` set.
///
/// The child is this test program, started for the test `name` alone; there, this function runs
/// `body` and ends the process. So `name` must be the name of the test that calls this, which calls
/// it before it does anything else, and once. A child that hangs is killed, which fails the test.
pub fn in_child(name: &str, variables: &[(&str, &str)], body: impl FnOnce()) -> Ended {
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        sys::leave_no_core_dump();
        sys::die_in(LIMIT);
        body();
        std::process::exit(0);
    }
    let Output { status, stderr, .. } = this_program()
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env_remove("LISLE_STACK_SIZE")
        .env_remove("LISLE_WORKERS")
        .env_remove("LISLE_WATCH")
        .env("RUST_BACKTRACE", "0")
        .env(CHILD, name)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    Ended {
        code: status.code(),
        signal: status.signal(),
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// What is on standard error, which goes to a file.
pub struct Said(String);

impl Said {
    pub fn begin(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lisle-{name}-{}", std::process::id()));
        fs::write(&path, "").unwrap();
        let path = path.to_str().unwrap().to_owned();
        sys::redirect_stderr(&path);
        Self(path)
    }

    pub fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for Said {
    fn drop(&mut self) {
        fs::remove_file(&self.0).unwrap();
    }
}

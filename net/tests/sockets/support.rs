//! Parties of a test, which are tasks or threads.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle::channel::{Receiver, bounded};

/// What the parties of a test are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Parties {
    Tasks,
    Threads,
    /// Every second one is a thread.
    Mixed,
}

/// Runs a test with parties of every kind; tasks with one worker and with several.
pub fn everywhere(test: impl Fn(Parties) -> io::Result<()> + Sync) {
    test(Parties::Threads).expect("on threads");
    for workers in [1, 2, 4] {
        for parties in [Parties::Tasks, Parties::Mixed] {
            let runtime = lisle::Runtime::builder().workers(workers);
            let result = runtime.run(|| test(parties)).expect("it does not deadlock");
            result.unwrap_or_else(|error| panic!("{parties:?} on {workers} workers: {error}"));
        }
    }
}

/// A party under way.
pub struct Party<T>(Receiver<thread::Result<T>>);

impl Parties {
    pub fn spawn<T: Send + 'static>(self, run: impl FnOnce() -> T + Send + 'static) -> Party<T> {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let (give, result) = bounded(1);
        let run = move || drop(give.send(catch_unwind(AssertUnwindSafe(run))));
        let as_thread = match self {
            Self::Tasks => false,
            Self::Threads => true,
            Self::Mixed => COUNT.fetch_add(1, Ordering::Relaxed).is_multiple_of(2),
        };
        if as_thread {
            thread::spawn(run);
        } else {
            lisle::spawn(run);
        }
        Party(result)
    }
}

impl<T> Party<T> {
    pub fn is_finished(&self) -> bool {
        !self.0.is_empty()
    }

    pub fn join(self) -> T {
        let result = self.0.recv().expect("a party ends by itself");
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

/// A path in a folder of its own, which is removed in the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("lisle-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Whether the descriptor is in non-blocking mode.
pub fn is_nonblocking(fd: &impl AsRawFd) -> bool {
    // SAFETY: the call touches no memory.
    let flags = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) };
    assert!(flags >= 0);
    flags & libc::O_NONBLOCK != 0
}

/// Runs `body` in a process of its own: this test program, started for the test `name` alone, which
/// calls this.
pub fn in_child(name: &str, body: impl FnOnce()) {
    if std::env::var_os(CHILD).is_some_and(|child| child == name) {
        body();
        std::process::exit(0);
    }
    let output = child(name).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const CHILD: &str = "LISLE_TEST_CHILD";

/// This test program, to be started for the test `name` alone, as a child.
pub fn child(name: &str) -> Command {
    let program = std::env::current_exe().unwrap();
    // The kernel cannot start programs of a foreign architecture itself.
    let mut command = match std::env::var("LISLE_TEST_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    };
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, name);
    command
}

/// All descriptors that the process may still have.
pub fn take_all_descriptors() -> Vec<OwnedFd> {
    let limit = libc::rlimit { rlim_cur: 200, rlim_max: 200 };
    // SAFETY: the structure is read during the call.
    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    let (source, _) = io::pipe().map(|(reader, writer)| (OwnedFd::from(reader), writer)).unwrap();
    assert!(source.as_raw_fd() < 200);
    let mut taken = Vec::with_capacity(200);
    while let Ok(fd) = source.try_clone() {
        taken.push(fd);
    }
    taken.push(source);
    taken
}

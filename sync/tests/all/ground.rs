//! The grounds on which one test body runs: plain threads, tasks of one worker and of several, and
//! tasks and threads at once.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::time::{Duration, Instant};

use lisle::Runtime;
use lisle::channel::{Receiver, bounded};
use lisle::deadlock::{Deadlock, ForeignThreads};
use lisle::task::{Cancelled, JoinHandle};

/// Longer than any test takes. A wait for so long that ends with a time-out is a failure.
pub const LONG: Duration = Duration::from_secs(120);

/// Where the parties of a test live. The body itself is the first of them.
pub struct Ground {
    pub kind: Kind,
    spawned: Cell<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Every party is a plain thread.
    Threads,
    /// Every party is a task of one of this many workers.
    Workers(usize),
    /// The body is a task; the parties that it spawns are threads and tasks by turns.
    Mixed,
}

/// Runs `body` as the first task of a runtime with one worker, whose tasks take turns in an exact
/// order.
pub fn on_one_worker<R>(body: impl FnOnce() -> R) -> R {
    on_workers(1, body)
}

/// Runs `body` as the first task of a runtime.
pub fn on_workers<R>(workers: usize, body: impl FnOnce() -> R) -> R {
    Runtime::builder().workers(workers).run(body).unwrap()
}

/// The deadlock in which `body` ends.
pub fn deadlock_of<R>(body: impl FnOnce() -> R) -> Deadlock {
    let builder = Runtime::builder().workers(1).foreign_threads(ForeignThreads::NeverWake);
    builder.run(body).err().expect("it is deadlocked")
}

/// Runs `body` on every ground.
pub fn everywhere(body: impl Fn(&Ground)) {
    use Kind::*;
    for kind in [Threads, Workers(1), Workers(2), Workers(4), Mixed] {
        let ground = Ground { kind, spawned: Cell::new(0) };
        println!("on {kind:?}");
        match kind {
            Threads => body(&ground),
            Workers(workers) => on_workers(workers, || body(&ground)),
            Mixed => on_workers(2, || body(&ground)),
        }
    }
}

/// Whether the task was cancelled: its runtime has ended.
pub fn was_cancelled<T>(task: JoinHandle<T>) -> bool {
    task.join().is_err_and(|panic| panic.is::<Cancelled>())
}

/// Times at which a wait may end that never succeeds: none, in the past, now, soon.
pub fn short_deadlines() -> [Instant; 3] {
    let now = Instant::now();
    let past = now.checked_sub(Duration::from_millis(10)).unwrap_or(now);
    [past, now, now + Duration::from_millis(1)]
}

impl Ground {
    /// Starts another party.
    pub fn spawn<R: Send + 'static>(&self, body: impl FnOnce() -> R + Send + 'static) -> Party<R> {
        let (done, result) = bounded(1);
        let body = move || {
            let value = body();
            done.send(value).expect("the party is joined");
        };
        let turn = self.spawned.replace(self.spawned.get() + 1);
        let is_thread = match self.kind {
            Kind::Threads => true,
            Kind::Mixed => turn.is_multiple_of(2),
            Kind::Workers(_) => false,
        };
        let handle = if is_thread {
            Handle::Thread(std::thread::spawn(body))
        } else {
            Handle::Task(lisle::spawn(body))
        };
        Party { handle, result }
    }

    /// Starts several parties and waits for their results.
    pub fn join_all<R: Send + 'static>(
        &self,
        parties: usize,
        body: impl Fn(usize) -> R + Clone + Send + 'static,
    ) -> Vec<R> {
        let parties: Vec<_> = (0..parties)
            .map(|index| {
                let body = body.clone();
                self.spawn(move || body(index))
            })
            .collect();
        parties.into_iter().map(Party::join).collect()
    }
}

enum Handle {
    Thread(std::thread::JoinHandle<()>),
    Task(JoinHandle<()>),
}

/// A party that was started.
pub struct Party<R> {
    handle: Handle,
    result: Receiver<R>,
}

impl<R> Party<R> {
    /// The party's result. A panic of the party goes on here.
    pub fn join(self) -> R {
        // Waiting for a thread's end would block the worker, so the wait is for the message.
        if let Ok(value) = self.result.recv() {
            return value;
        }
        let ended = match self.handle {
            Handle::Thread(thread) => thread.join(),
            Handle::Task(task) => task.join(),
        };
        resume_unwind(ended.expect_err("a party without a result has panicked"))
    }
}

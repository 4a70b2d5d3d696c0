//! The grounds on which one test body runs: plain threads, tasks of one worker and of several, and
//! tasks and threads at once.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::cell::Cell;
use std::panic::resume_unwind;
use std::time::Duration;

use lisle_channel::{Receiver, Sender, bounded, unbounded};
use lisle_scheduler::Runtime;

/// Longer than any test takes. A wait for so long that ends with a time-out is a failure.
pub const LONG: Duration = Duration::from_secs(120);

/// Where the parties of a test live. The body itself is the first of them.
pub struct Ground {
    kind: Kind,
    spawned: Cell<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Every party is a plain thread.
    Threads,
    /// Every party is a task of one worker.
    Tasks,
    /// Every party is a task of one of three workers.
    Workers,
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

/// Runs `body` on every ground.
pub fn everywhere(body: impl Fn(&Ground)) {
    for kind in [Kind::Threads, Kind::Tasks, Kind::Workers, Kind::Mixed] {
        let ground = Ground { kind, spawned: Cell::new(0) };
        println!("on {kind:?}");
        match kind {
            Kind::Threads => body(&ground),
            Kind::Tasks | Kind::Mixed => on_workers(1, || body(&ground)),
            Kind::Workers => on_workers(3, || body(&ground)),
        }
    }
}

/// Runs `body` on every ground with every kind of channel: of capacity 0, 1, 3, and unbounded.
pub fn everywhere_with<T>(body: impl Fn(&Ground, Sender<T>, Receiver<T>)) {
    for capacity in [Some(0), Some(1), Some(3), None] {
        println!("capacity {capacity:?}");
        everywhere(|ground| {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            body(ground, sender, receiver);
        });
    }
}

impl Ground {
    /// Starts another party.
    pub fn spawn<R: Send + 'static>(&self, body: impl FnOnce() -> R + Send + 'static) -> Party<R> {
        let (done, result) = bounded(1);
        let body = move || {
            let value = body();
            done.send(value).expect("the party is joined");
        };
        let handle = self.start(body);
        Party { handle, result }
    }

    /// Starts a party that nobody joins.
    pub fn detach(&self, body: impl FnOnce() + Send + 'static) {
        drop(self.start(body));
    }

    fn start(&self, body: impl FnOnce() + Send + 'static) -> Handle {
        let turn = self.spawned.replace(self.spawned.get() + 1);
        match self.kind {
            Kind::Threads => Handle::Thread(std::thread::spawn(body)),
            Kind::Mixed if turn.is_multiple_of(2) => Handle::Thread(std::thread::spawn(body)),
            Kind::Tasks | Kind::Workers | Kind::Mixed => Handle::Task(lisle_scheduler::spawn(body)),
        }
    }

    /// Gives other parties a chance to run.
    pub fn pause(&self) {
        match self.kind {
            Kind::Threads => std::thread::yield_now(),
            Kind::Tasks | Kind::Workers | Kind::Mixed => lisle_scheduler::yield_now(),
        }
    }
}

enum Handle {
    Thread(std::thread::JoinHandle<()>),
    Task(lisle_scheduler::JoinHandle<()>),
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

/// A small generator of random numbers (xorshift64*), so that a seed names a program.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1))
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

//! What the tests of this crate share.
#![allow(dead_code, reason = "no test uses all of it")]

use std::cell::Cell;
use std::thread;

use lisle_scheduler::{JoinHandle, Runtime, spawn};

/// Calls `body` in a task on one worker, in one on two workers, on a plain thread, and on a plain
/// thread whose [parties](party) are tasks.
#[track_caller]
pub fn everywhere(body: impl Fn() + Copy + Send + 'static) {
    for workers in [1, 2] {
        Runtime::builder().workers(workers).run(body).unwrap();
    }
    body();
    MIXED.set(true);
    body();
    MIXED.set(false);
}

thread_local! {
    static MIXED: Cell<bool> = const { Cell::new(false) };
}

/// Another task of the caller's runtime, or another thread if the caller is one.
pub fn party<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> Party<T> {
    if lisle_scheduler::park::in_task() || MIXED.get() {
        Party::Task(spawn(body))
    } else {
        Party::Thread(thread::spawn(body))
    }
}

pub enum Party<T> {
    Task(JoinHandle<T>),
    Thread(thread::JoinHandle<T>),
}

impl<T> Party<T> {
    #[track_caller]
    pub fn join(self) -> T {
        match self {
            Self::Task(task) => task.join().unwrap(),
            Self::Thread(thread) => thread.join().unwrap(),
        }
    }
}

//! Loom models of the pool and its jobs. The parties are plain threads.

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use lisle_runtime::internal::primitive::thread::Builder;
use loom::thread;

use super::pool::{Class, Pool};
use super::{JobHandle, lend, owned};

/// A pool whose threads look once more before they sleep, as a spinning thread does.
fn pool(start: fn(&'static Pool) -> io::Result<()>) -> &'static Pool {
    Box::leak(Box::new(Pool::new(Duration::from_nanos(1), start)))
}

fn start(pool: &'static Pool) -> io::Result<()> {
    Builder::new().spawn(|| pool.serve()).map(drop)
}

fn refuse(_: &'static Pool) -> io::Result<()> {
    Err(io::ErrorKind::WouldBlock.into())
}

#[track_caller]
fn lend_one(pool: &'static Pool) {
    let (mut runs, place) = (0, std::panic::Location::caller());
    lend(pool, || runs += 1, place).unwrap();
    assert_eq!(runs, 1);
}

/// A second call comes while the thread that has run the first one looks once more, falls asleep,
/// or ends. It is made all the same, and its borrow has ended when its caller goes on.
///
/// Seen to fail: when `rest` ends a thread that was called, loom reports a deadlock.
#[test]
fn model_of_a_call_against_a_thread_that_goes_to_rest() {
    loom::model(|| {
        let pool = pool(start);
        lend_one(pool);
        lend_one(pool);
    });
}

/// Two callers at once, and threads that grow by calling each other.
#[test]
fn model_of_two_callers() {
    loom::model(|| {
        let pool = pool(start);
        let other = thread::spawn(|| lend_one(pool));
        lend_one(pool);
        other.join().unwrap();
    });
}

/// Nobody can have a thread. A call that relies on the thread which another caller wanted to start
/// is made by that one.
///
/// Seen to fail with a deadlock: when the caller that was refused runs its own job alone.
#[test]
fn model_of_threads_that_are_refused() {
    loom::model(|| {
        let pool = pool(refuse);
        let other = thread::spawn(|| lend_one(pool));
        lend_one(pool);
        other.join().unwrap();
    });
}

/// A handle cancels its job while a thread comes for it: the call is made or dropped.
///
/// Seen to fail: when `claim` is a load and a store, both parties take the call.
#[test]
fn model_of_a_cancellation_against_the_pool() {
    thread_local!(static OUTCOMES: Cell<[bool; 2]> = const { Cell::new([false; 2]) });
    loom::model(|| {
        let runs = std::sync::Arc::new(AtomicUsize::new(0));
        let theirs = runs.clone();
        let call = move || theirs.fetch_add(1, Relaxed);
        let job: JobHandle<usize> = owned::spawn_in(pool(start), Class::Plain, call);
        let is_cancelled = job.cancel();
        let result = job.join_on_the_pool();
        assert_eq!(result.is_err(), is_cancelled);
        assert_eq!(runs.load(Relaxed), usize::from(!is_cancelled));
        let mut outcomes = OUTCOMES.get();
        outcomes[usize::from(is_cancelled)] = true;
        OUTCOMES.set(outcomes);
    });
    assert_eq!(OUTCOMES.get(), [true; 2], "the model must reach both outcomes");
}

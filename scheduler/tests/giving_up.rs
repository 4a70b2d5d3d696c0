//! What a task that is being cancelled does with others: joins that are given up, and runtimes that
//! are dropped.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};

use lisle_scheduler::{Detached, Runtime, spawn, spawn_local, yield_now};
use support::{Bell, Log, OnDrop, block_until, run_on};

/// A joiner that is being cancelled itself does not wait, and is not told that the other was
/// cancelled.
#[test]
fn a_join_that_is_given_up_is_not_taken_for_the_end_of_the_task() {
    let finished = Arc::new(AtomicBool::new(false));
    let gone = Arc::new(AtomicBool::new(false));
    let log = Log::new();
    run_on(2, || {
        let (theirs, ends) = (finished.clone(), gone.clone());
        let started = Arc::new(AtomicBool::new(false));
        let start = started.clone();
        let child = spawn(move || {
            start.store(true, Ordering::Release);
            block_until(|| ends.load(Ordering::Acquire));
            theirs.store(true, Ordering::Release);
        });
        block_until(|| started.load(Ordering::Acquire));
        let (mut child, noted) = (Some(child), log.clone());
        let (finished, gone) = (finished.clone(), gone.clone());
        drop(spawn_local(move || {
            let _joins = OnDrop(move || {
                let error = child.take().unwrap().join().unwrap_err();
                noted.add((error.is::<Detached>(), finished.load(Ordering::Acquire)));
                gone.store(true, Ordering::Release);
            });
            Bell::new().wait();
        }));
        yield_now();
    })
    .unwrap();
    log.expect(&[(true, false)]);
    assert!(finished.load(Ordering::Acquire), "the joined task has gone on");
}

/// The task of the runtime that is dropped ends only when others of the dropper's worker have run.
#[test]
fn a_task_that_drops_a_runtime_lets_others_run() {
    run_on(1, || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (up, down) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (started, released) = (up.clone(), down.clone());
        drop(runtime.spawn(move || {
            let _needs_others = OnDrop(move || block_until(|| released.load(Ordering::Acquire)));
            started.store(true, Ordering::Release);
            Bell::new().wait();
        }));
        block_until(|| up.load(Ordering::Acquire));
        let other = spawn_local(move || down.store(true, Ordering::Release));
        drop(runtime);
        assert!(other.is_finished());
        other.join().unwrap();
    })
    .unwrap();
}

/// It does not wait for its own runtime, of which it is a part.
#[test]
fn a_task_that_drops_its_own_runtime_lets_others_run() {
    for workers in [1, 2, 4] {
        let runtime = Arc::new(Runtime::builder().workers(workers).start().unwrap());
        let (theirs, (done, all_done)) = (runtime.clone(), mpsc::channel());
        let released = Arc::new(AtomicBool::new(false));
        let task = runtime.spawn(move || {
            let others = (0..10).map(|n| {
                let (done, release) = (done.clone(), released.clone());
                spawn(move || {
                    // On whichever worker: it ends when the dropper has gone on.
                    let _end = OnDrop(move || {
                        if n > 0 && workers > 1 {
                            block_until(|| release.load(Ordering::Acquire));
                        }
                        done.send(()).unwrap();
                    });
                    Bell::new().wait();
                })
            });
            others.for_each(drop);
            yield_now();
            drop(theirs);
            released.store(true, Ordering::Release);
        });
        drop(runtime);
        task.join().unwrap();
        assert_eq!(all_done.iter().count(), 10);
    }
}

/// A task that is being cancelled does not wait for the threads of what it drops.
#[test]
fn a_cancelled_task_drops_a_runtime_without_waiting() {
    let released = Arc::new(AtomicBool::new(false));
    let (ended, has_ended) = mpsc::channel();
    run_on(1, || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (theirs, up) = (released.clone(), Arc::new(AtomicBool::new(false)));
        let started = up.clone();
        drop(runtime.spawn(move || {
            let _end = OnDrop(move || {
                block_until(|| theirs.load(Ordering::Acquire));
                ended.send(()).unwrap();
            });
            started.store(true, Ordering::Release);
            Bell::new().wait();
        }));
        block_until(|| up.load(Ordering::Acquire));
        drop(spawn_local(move || {
            let _runtime = runtime;
            Bell::new().wait();
        }));
        yield_now();
    })
    .unwrap();
    released.store(true, Ordering::Release);
    has_ended.recv().unwrap();
}

/// The panic of a task is not taken for its cancellation.
#[test]
fn a_panic_amid_the_cancellation_is_what_the_joiner_gets() {
    let runtime = Runtime::builder().workers(1).start().unwrap();
    let (started, has_started) = mpsc::channel();
    let task = runtime.spawn(move || {
        started.send(()).unwrap();
        if catch_unwind(|| Bell::new().wait()).is_err() {
            resume_unwind(Box::new("changed its mind"));
        }
    });
    has_started.recv().unwrap();
    drop(runtime);
    assert_eq!(task.join().unwrap_err().downcast_ref::<&str>(), Some(&"changed its mind"));
}

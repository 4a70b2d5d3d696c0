//! Unparkers that are dropped instead of used: no task is woken, and none hangs that could go on.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Reason, Wake, park};
use lisle_scheduler::{Cancelled, JoinHandle, sleep, spawn, spawn_local, yield_now};
use support::{Bell, run_alone, run_in_order, run_on};

const REASON: Reason = Reason::new("waiting for nobody");

/// A wait whose unparker is dropped at once.
fn wait_for_nothing(deadline: Option<Instant>) -> Wake {
    park(REASON, deadline, drop, || None)
}

fn soon() -> Option<Instant> {
    Some(Instant::now() + Duration::from_millis(2))
}

#[test]
fn the_deadline_ends_the_wait() {
    assert_eq!(wait_for_nothing(soon()), Wake::TimedOut, "a plain thread's");
    assert_eq!(wait_for_nothing(Some(Instant::now())), Wake::TimedOut);
    run_in_order(|| {
        assert_eq!(wait_for_nothing(soon()), Wake::TimedOut);
        assert_eq!(wait_for_nothing(Some(Instant::now())), Wake::TimedOut);
        // The next wait is like any other.
        let bell = Bell::new();
        let ringer = bell.clone();
        let ringer = spawn_local(move || ringer.ring_until_heard());
        bell.wait();
        ringer.join().unwrap();
    });
}

#[test]
fn no_task_is_woken() {
    run_in_order(|| {
        let ended = std::rc::Rc::new(Cell::new(false));
        let flag = ended.clone();
        let sleeper = spawn_local(move || {
            let _ = wait_for_nothing(None);
            flag.set(true);
        });
        (0..1000).for_each(|_| yield_now());
        assert!(!sleeper.is_finished() && !ended.get());
    });
}

/// A task that waits for nothing can be cancelled when the runtime ends.
#[test]
fn the_end_cancels_the_wait() {
    let task = run_in_order(|| {
        let task = spawn_local(|| wait_for_nothing(None));
        yield_now();
        task
    });
    assert!(task.join().unwrap_err().is::<Cancelled>());
}

/// Nobody can wake it, so it is part of a deadlock, whose report comes out.
#[test]
fn it_is_reported_as_deadlocked() {
    let deadlock = run_alone(|| {
        drop(spawn(|| wait_for_nothing(None)));
        let _ = wait_for_nothing(None);
    });
    let deadlock = deadlock.unwrap_err();
    assert_eq!(deadlock.tasks().len(), 2);
    assert!(deadlock.tasks().iter().all(|task| task.reason() == REASON));
}

/// A thread takes the unparker and drops it, before the deadline, after it, or in the very moment.
#[test]
fn a_thread_that_drops_it_disturbs_nothing() {
    run_in_order(|| {
        for round in 0..300_u32 {
            let (bell, next) = (Bell::new(), Bell::new());
            let (theirs, ringer) = (bell.clone(), next.clone());
            let thread = thread::spawn(move || {
                for _ in 0..round % 7 {
                    thread::yield_now();
                }
                drop(theirs.take());
                ringer.ring_until_heard();
            });
            let deadline = Instant::now() + Duration::from_micros(u64::from(round % 50));
            assert_eq!(bell.wait_until(Some(deadline)), Wake::TimedOut);
            next.wait();
            thread.join().unwrap();
        }
    });
}

/// The same with the parties changed: a thread waits, a task drops.
#[test]
fn a_task_that_drops_a_threads_disturbs_nothing() {
    run_in_order(|| {
        for round in 0..300_u32 {
            let bell = Bell::new();
            let theirs = bell.clone();
            let thread = thread::spawn(move || {
                let deadline = Instant::now() + Duration::from_micros(u64::from(round % 50));
                theirs.wait_until(Some(deadline))
            });
            (0..round % 7).for_each(|_| yield_now());
            drop(bell.take());
            assert_eq!(thread.join().unwrap(), Wake::TimedOut);
        }
    });
}

/// Unparkers are dropped while the runtime gives their tasks up, on the same worker or on another.
#[test]
fn dropping_meets_the_end() {
    for workers in [1, 2] {
        for _ in 0..50 {
            let mut tasks: Vec<JoinHandle<()>> = Vec::new();
            run_on(workers, || {
                for _ in 0..10 {
                    let bell = Bell::new();
                    let theirs = bell.clone();
                    tasks.push(spawn(move || theirs.wait()));
                    tasks.push(spawn(move || {
                        sleep(Duration::from_micros(50));
                        drop(bell.take());
                    }));
                }
                sleep(Duration::from_micros(60));
            })
            .unwrap();
            for task in tasks {
                if let Err(panic) = task.join() {
                    assert!(panic.is::<Cancelled>());
                }
            }
        }
    }
}

//! Tasks that are cancelled by a handle.

use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lisle_scheduler::Cancelled;
use lisle_scheduler::park::Wake;
use lisle_scheduler::{
    CancelledBy, JoinHandle, Runtime, check_cancelled, is_cancelled, shield, sleep, spawn,
    spawn_local, timeout, yield_now,
};

use crate::support::channel::Channel;
use crate::support::{Bell, Log, NoteDrop, OnDrop, block_until, run_in_order, run_on};
use crate::{HOUR, MOMENT, assert_cancelled};

#[test]
fn a_task_that_waits_is_unwound_and_its_joiner_is_told_by_what() {
    run_in_order(|| {
        let log = Log::new();
        let note = NoteDrop(log.clone(), "dropped");
        let task = spawn(move || {
            let _note = note;
            Bell::new().wait();
        });
        yield_now();
        task.cancel();
        task.cancel();
        log.expect::<&str>(&[]);
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&["dropped"]);
    });
}

#[test]
fn a_task_that_has_not_started_drops_its_closure() {
    for local in [false, true] {
        run_in_order(|| {
            let log = Log::new();
            let note = NoteDrop(log.clone(), "dropped");
            let body = move || {
                let _note = note;
                panic!("it was cancelled");
            };
            let task = if local { spawn_local(body) } else { spawn(body) };
            task.cancel();
            assert_cancelled::<()>(task, CancelledBy::Handle);
            log.expect(&["dropped"]);
        });
    }
}

/// Tasks in the injector, the backlog, on their way and waiting, cancelled from everywhere.
#[test]
fn a_cancel_finds_a_task_wherever_it_is() {
    for workers in [1, 2, 4] {
        let runtime = Runtime::builder().workers(workers).start().unwrap();
        for round in 0..60 {
            let ran = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..4)
                .map(|_| {
                    let ran = ran.clone();
                    runtime.spawn(move || {
                        ran.fetch_add(1, Ordering::Relaxed);
                        let inner = spawn(|| Bell::new().wait());
                        let stop = inner.cancel_handle();
                        spawn(move || stop.cancel());
                        assert_cancelled(inner, CancelledBy::Handle);
                        Bell::new().wait();
                    })
                })
                .collect();
            for _ in 0..round % 7 * 20 {
                std::hint::spin_loop();
            }
            tasks.iter().for_each(JoinHandle::cancel);
            tasks.into_iter().for_each(|task| assert_cancelled(task, CancelledBy::Handle));
            assert!(ran.load(Ordering::Relaxed) <= 4);
        }
    }
}

#[test]
fn a_task_that_has_ended_keeps_its_result() {
    run_in_order(|| {
        let task = spawn(|| 6 * 7);
        let stop = task.cancel_handle();
        yield_now();
        assert!(task.is_finished() && stop.is_finished());
        task.cancel();
        stop.clone().cancel();
        assert_eq!(task.join().unwrap(), 42);
        stop.cancel(); // of a task that is gone
        assert!(stop.is_finished());
    });
}

#[test]
fn a_handle_outlives_task_and_runtime() {
    let stops: Vec<_> = (0..3)
        .map(|n| {
            run_on(2, || {
                let task = spawn(move || sleep(if n == 0 { Duration::ZERO } else { HOUR }));
                task.cancel_handle()
            })
            .unwrap_or_else(|deadlock| panic!("{deadlock}"))
        })
        .collect::<Vec<lisle_scheduler::CancelHandle>>();
    for stop in stops {
        assert!(stop.is_finished());
        stop.cancel();
    }
}

#[test]
fn a_task_cancels_itself_at_its_next_point() {
    let log = Log::new();
    run_in_order(|| {
        let own: Channel<lisle_scheduler::CancelHandle> = Channel::unbounded();
        let (theirs, log) = (own.clone(), log.clone());
        let task = spawn(move || {
            theirs.recv().cancel();
            log.add(is_cancelled());
            yield_now();
            log.add(false);
        });
        own.send(task.cancel_handle());
        assert_cancelled(task, CancelledBy::Handle);
    });
    log.expect(&[true]);
}

#[test]
fn a_dropped_guard_cancels_and_one_that_joins_does_not() {
    run_in_order(|| {
        let guard = spawn(|| Bell::new().wait()).cancel_on_drop();
        let stop = guard.cancel_handle();
        yield_now();
        drop(guard);
        while !stop.is_finished() {
            yield_now();
        }
        assert_eq!(spawn(|| 1).cancel_on_drop().join().unwrap(), 1);
        let guard = spawn(|| 2).cancel_on_drop();
        assert_eq!(guard.into_inner().join().unwrap(), 2);
        let guard = spawn(|| Bell::new().wait()).cancel_on_drop();
        let guard = guard.join_timeout(MOMENT).unwrap_err();
        assert!(!guard.is_finished());
    });
}

/// A joiner that is unwound in the middle of its wait.
#[test]
fn a_guard_that_is_unwound_in_its_join_cancels() {
    run_in_order(|| {
        let task = spawn(|| Bell::new().wait());
        let stop = task.cancel_handle();
        assert!(timeout(MOMENT, || task.cancel_on_drop().join()).is_err());
        while !stop.is_finished() {
            yield_now();
        }
    });
}

#[test]
fn a_timed_join_gives_the_handle_back() {
    run_in_order(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        let task = spawn(move || {
            theirs.wait();
            7
        });
        let mut handle = task;
        for length in [Duration::ZERO, Duration::from_nanos(1), MOMENT] {
            handle = handle.join_timeout(length).unwrap_err();
        }
        bell.ring_until_heard();
        assert_eq!(handle.join_timeout(Duration::MAX).ok().unwrap().unwrap(), 7);
        let done = spawn(|| 8);
        yield_now();
        assert_eq!(done.join_timeout(Duration::ZERO).ok().unwrap().unwrap(), 8);
    });
}

/// What a waker has handed over counts, and the cancel strikes at the next wait.
#[test]
fn a_wait_that_was_won_is_not_lost() {
    run_in_order(|| {
        let log = Log::new();
        let (bell, theirs) = (Bell::new(), log.clone());
        let hearer = bell.clone();
        let task = spawn(move || {
            theirs.add(hearer.wait_until(None));
            yield_now();
        });
        yield_now();
        assert!(bell.ring());
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&[Wake::Unparked]);
    });
}

/// One that is caught is struck again, and a shield puts it off.
#[test]
fn a_cancel_is_a_state() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            for _ in 0..3 {
                let caught = catch_unwind(|| Bell::new().wait());
                theirs.add(Cancelled::of(&caught.unwrap_err()).unwrap().by());
            }
            shield(|| sleep(MOMENT));
            assert!(is_cancelled());
            Bell::new().wait();
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&[CancelledBy::Handle; 3]);
    });
}

/// A destructor that waits, in a shield and outside of one.
#[test]
fn destructors_of_a_cancelled_task_wait_in_shields_only() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _waits = OnDrop(|| {
                theirs.add(Bell::new().wait_until(None));
                let deadline = Some(Instant::now() + MOMENT);
                theirs.add(shield(|| Bell::new().wait_until(deadline)));
            });
            Bell::new().wait();
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&[Wake::Failed, Wake::TimedOut]);
    });
}

#[test]
fn one_that_computes_sees_it_where_it_asks() {
    let runtime = Runtime::builder().workers(1).start().unwrap();
    let started = Arc::new(AtomicBool::new(false));
    let theirs = started.clone();
    let computing = runtime.spawn(move || {
        theirs.store(true, Ordering::Release);
        loop {
            check_cancelled();
        }
    });
    block_until(|| started.load(Ordering::Acquire));
    computing.cancel();
    assert_cancelled::<()>(computing, CancelledBy::Handle);
}

/// The first cause is the one that is told.
#[test]
fn the_end_of_the_runtime_comes_too_late_to_be_the_cause() {
    let task = run_in_order(|| {
        let task = spawn(|| {
            let _ = catch_unwind(|| Bell::new().wait());
            shield(|| sleep(MOMENT));
            yield_now();
        });
        yield_now();
        task.cancel();
        yield_now();
        task
    });
    assert_cancelled(task, CancelledBy::Handle);
}

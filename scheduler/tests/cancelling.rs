//! Tasks that are cancelled by a handle, whatever they are doing, and regions of tasks and threads
//! that end early.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_runtime::{Coroutine, CoroutineState};
use lisle_scheduler::internal::uninterrupted;
use lisle_scheduler::park::Wake;
use lisle_scheduler::{
    CancelToken, Cancelled, CancelledBy, Elapsed, JoinHandle, Runtime, cancellable,
    check_cancelled, is_cancelled, run, shield, sleep, spawn, spawn_local, timeout, timeout_at,
    yield_now,
};
use support::channel::Channel;
use support::{Bell, Log, NoteDrop, OnDrop, block_until, run_in_order, run_on};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

#[track_caller]
fn assert_cancelled<T>(task: JoinHandle<T>, by: CancelledBy) {
    let payload = task.join().err().expect("it was cancelled");
    assert_eq!(Cancelled::of(&payload).map(Cancelled::by), Some(by));
}

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

// Regions

fn wait_for_ever() {
    Bell::new().wait();
    unreachable!("nobody rings");
}

/// Runs a test in a task and on a plain thread.
fn in_task_and_on_thread(body: fn()) {
    run_in_order(body);
    body();
}

#[test]
fn a_time_out_unwinds_what_waits_and_nothing_else() {
    in_task_and_on_thread(|| {
        let log = Log::new();
        let start = Instant::now();
        let outcome = timeout(MOMENT, || {
            let _note = NoteDrop(log.clone(), "dropped");
            wait_for_ever();
        });
        assert!(outcome.is_err() && start.elapsed() >= MOMENT);
        log.expect(&["dropped"]);
        assert!(!is_cancelled());
        sleep(MOMENT);
        check_cancelled();
        assert_eq!(Elapsed::to_string(&outcome.unwrap_err()), "the time is over");
    });
}

#[test]
fn a_value_beats_the_deadline() {
    in_task_and_on_thread(|| {
        let late = timeout(MOMENT, || {
            let start = Instant::now();
            block_until(|| start.elapsed() > 2 * MOMENT);
            5
        });
        assert_eq!(late, Ok(5));
        let caught = timeout(MOMENT, || catch_unwind(wait_for_ever).is_err());
        assert_eq!(caught, Ok(true));
        yield_now();
        check_cancelled();
    });
}

/// Of zero, of the past, and without an end.
#[test]
fn times_at_the_edges() {
    in_task_and_on_thread(|| {
        let past = Instant::now() - MOMENT;
        assert_eq!(timeout(Duration::ZERO, || 1), Ok(1));
        assert_eq!(timeout_at(past, || 2), Ok(2));
        assert!(timeout(Duration::ZERO, wait_for_ever).is_err());
        assert!(timeout_at(past, wait_for_ever).is_err());
        assert!(timeout(Duration::ZERO, yield_now).is_err());
        assert!(timeout(Duration::ZERO, check_cancelled).is_err());
        assert_eq!(timeout(Duration::MAX, || timeout(MOMENT, wait_for_ever).is_err()), Ok(true));
        assert!(timeout(MOMENT, || timeout(Duration::MAX, wait_for_ever)).is_err());
    });
}

#[test]
fn a_wait_that_is_longer_than_the_region_ends_with_it() {
    in_task_and_on_thread(|| {
        for (longer, length) in [(HOUR, MOMENT), (MOMENT, HOUR)] {
            let wait = || Bell::new().wait_until(Some(Instant::now() + length));
            assert_eq!(timeout(longer, wait).is_ok(), length == MOMENT);
            assert_eq!(timeout(longer, || sleep(length)).is_ok(), length == MOMENT);
        }
    });
}

/// Which of them is over first, and which is reported: in all orders.
#[test]
fn nested_regions_catch_what_is_theirs() {
    in_task_and_on_thread(|| {
        // The inner one is over first.
        let outcome = timeout(HOUR, || timeout(MOMENT, wait_for_ever));
        assert!(matches!(outcome, Ok(Err(_))));
        // The outer one is.
        let outcome = timeout(MOMENT, || timeout(HOUR, wait_for_ever));
        assert!(outcome.is_err());
        // Both are: the outer one counts.
        let outcome = timeout(Duration::ZERO, || timeout(Duration::ZERO, wait_for_ever));
        assert!(outcome.is_err());
        // A token, inside and outside of a time-out.
        let outcome = cancellable(|token| {
            timeout(HOUR, || {
                token.cancel();
                wait_for_ever();
            })
        });
        assert_eq!(outcome.unwrap_err().by(), CancelledBy::Region);
        let outcome = timeout(HOUR, || {
            cancellable(|token| {
                token.cancel();
                token.cancel();
                assert!(token.is_cancelled() && is_cancelled());
                wait_for_ever();
            })
        });
        assert!(matches!(outcome, Ok(Err(_))));
        // A panic passes through all.
        let panic = catch_unwind(|| timeout(HOUR, || cancellable(|_| panic_any("mine"))));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
    });
}

/// A payload that was kept is no region's any more.
#[test]
fn an_old_payload_is_caught_by_no_later_region() {
    in_task_and_on_thread(|| {
        let mut kept = None;
        let outcome = timeout(MOMENT, || kept = catch_unwind(wait_for_ever).err());
        assert_eq!(outcome, Ok(()));
        let kept = kept.unwrap();
        let passed = catch_unwind(AssertUnwindSafe(|| timeout(HOUR, || resume_unwind(kept))));
        assert!(Cancelled::of(&passed.unwrap_err()).is_some());
    });
}

/// A token that is used late hits neither the next region nor the task.
#[test]
fn a_token_of_an_old_region_is_void() {
    in_task_and_on_thread(|| {
        let old = cancellable(CancelToken::clone).unwrap();
        let outcome = cancellable(|_| {
            old.cancel();
            sleep(MOMENT);
        });
        assert!(outcome.is_ok() && old.is_cancelled());
        check_cancelled();
    });
}

#[test]
fn a_token_works_from_everywhere() {
    for workers in [1, 2] {
        run_on(workers, || {
            let tokens = Channel::unbounded();
            let theirs = tokens.clone();
            let waiting = spawn(move || {
                for _ in 0..3 {
                    let outcome = cancellable(|token| {
                        theirs.send(token.clone());
                        wait_for_ever();
                    });
                    assert!(outcome.is_err());
                }
            });
            tokens.recv().cancel();
            let token: CancelToken = tokens.recv();
            spawn(move || token.cancel()).join().unwrap();
            let token = tokens.recv();
            thread::spawn(move || token.cancel()).join().unwrap();
            waiting.join().unwrap();
        })
        .unwrap();
    }
    // And a thread in a wait of its own.
    let tokens = Channel::unbounded();
    let theirs = tokens.clone();
    let waiting = thread::spawn(move || {
        cancellable(|token: &CancelToken| {
            theirs.send(token.clone());
            wait_for_ever();
        })
        .is_err()
    });
    tokens.recv().cancel();
    assert!(waiting.join().unwrap());
}

#[test]
fn a_shield_inside_puts_the_end_off_and_one_outside_does_not_matter() {
    in_task_and_on_thread(|| {
        let log = Log::new();
        let outcome = timeout(MOMENT, || {
            shield(|| {
                sleep(2 * MOMENT);
                assert!(is_cancelled());
                yield_now();
                log.add("shielded");
            });
            wait_for_ever();
        });
        assert!(outcome.is_err());
        log.expect(&["shielded"]);
        let outcome = shield(|| timeout(MOMENT, wait_for_ever));
        assert!(outcome.is_err());
        let outcome = timeout(MOMENT, || shield(|| timeout(MOMENT, wait_for_ever)));
        assert!(matches!(outcome, Ok(Err(_))));
    });
}

/// The cancel of the whole task passes through its regions, and those inside a shield still work.
#[test]
fn a_cancelled_task_unwinds_through_its_regions() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _waits = OnDrop(|| {
                shield(|| theirs.add(Bell::new().wait_until(Some(Instant::now() + MOMENT))));
            });
            let _ = timeout(HOUR, || cancellable(|_| wait_for_ever()));
            unreachable!("it is unwound");
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&[Wake::TimedOut]);
    });
    run_in_order(|| {
        let task = spawn(|| {
            shield(|| {
                yield_now();
                assert!(is_cancelled());
                assert!(timeout(MOMENT, wait_for_ever).is_err());
                assert!(timeout(HOUR, || sleep(MOMENT)).is_ok());
            });
            yield_now();
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
    });
}

/// Amid an unwinding nothing can be unwound: the waits fail.
#[test]
fn a_region_in_a_destructor_amid_a_panic_fails_its_waits() {
    run_in_order(|| {
        let log = Log::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _waits = OnDrop(|| {
                let outcome = timeout(MOMENT, || {
                    log.add(Bell::new().wait_until(None));
                    log.add(Bell::new().wait_until(None));
                    yield_now();
                    3
                });
                assert_eq!(outcome, Ok(3));
            });
            panic_any("first");
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"first"));
        log.expect(&[Wake::Failed; 2]);
        assert!(timeout(MOMENT, wait_for_ever).is_err());
    });
}

#[test]
fn a_region_that_swallows_its_end_is_struck_again_and_goes_on() {
    run_in_order(|| {
        let others = spawn(|| (0..300).for_each(|_| yield_now()));
        let outcome = timeout(Duration::ZERO, || {
            (0..250).filter(|_| catch_unwind(wait_for_ever).is_err()).count()
        });
        assert_eq!(outcome, Ok(250));
        others.join().unwrap();
    });
}

#[test]
fn a_coroutine_may_run_in_a_region_but_not_leave_its_own() {
    run_in_order(|| {
        // One that is resumed inside comes to its end by the region's.
        let outcome = timeout(MOMENT, || {
            let coroutine = Coroutine::new(|yielder, ()| {
                yielder.suspend(());
                wait_for_ever();
            });
            assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
            coroutine.resume(())
        });
        assert!(outcome.is_err());
        // One that has opened a region waits in it, and cannot suspend out of it.
        let coroutine = Coroutine::new(|yielder, ()| {
            assert!(timeout(MOMENT, wait_for_ever).is_err());
            timeout(HOUR, || yielder.suspend(()))
        });
        let refused = catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
        assert!(refused.is_err());
        check_cancelled();
    });
}

/// A region ends while its task computes, and is over before the next wait: nothing is struck.
#[test]
fn a_timer_that_fires_at_the_very_end_strikes_nothing() {
    run_in_order(|| {
        for n in 0..200 {
            let length = Duration::from_micros(n % 20);
            let start = Instant::now();
            let _ = timeout(length, || {
                block_until(|| start.elapsed() >= length);
                yield_now();
            });
            yield_now();
            check_cancelled();
            sleep(Duration::from_nanos(1));
        }
    });
}

#[test]
fn one_that_computes_in_a_region_sees_its_end_where_it_asks() {
    in_task_and_on_thread(|| {
        assert!(
            timeout(MOMENT, || loop {
                check_cancelled()
            })
            .is_err()
        );
    });
    run(|| {
        assert!(
            timeout(MOMENT, || loop {
                yield_now()
            })
            .is_err()
        )
    });
}

/// A wait for a lock is interrupted by nothing but the end of the runtime, whatever comes first.
#[test]
fn a_wait_for_a_lock_ends_with_the_runtime_only() {
    let log = Log::new();
    let task = run_in_order(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let _ = timeout(MOMENT, || {
                uninterrupted(|| sleep(2 * MOMENT));
                theirs.add("locked");
                sleep(HOUR);
            });
            uninterrupted(|| assert!(timeout(MOMENT, wait_for_ever).is_err()));
            theirs.add("a region inside");
            uninterrupted(wait_for_ever);
        });
        while log.len() < 2 {
            sleep(MOMENT);
        }
        task.cancel();
        sleep(MOMENT);
        assert!(!task.is_finished());
        task
    });
    assert_cancelled(task, CancelledBy::Handle);
    log.expect(&["locked", "a region inside"]);
}

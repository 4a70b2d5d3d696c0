//! Tasks that cannot be brought to an end: the runtime ends all the same, and names those that it
//! has left behind.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use lisle_runtime::no_suspend;
use lisle_scheduler::{Builder, Cancelled, Runtime, spawn, spawn_local, yield_now};
use support::sys::{die_in, in_fork_child};
use support::{
    Bell, Log, NoteDrop, OnDrop, in_child, on_each_worker, run_alone, run_in_order, run_on,
    wait_for_a_promise,
};

/// Waits for a bell that is never rung, whatever comes.
fn wait_stubbornly() -> ! {
    let bell = Bell::new();
    loop {
        let _ = catch_unwind(AssertUnwindSafe(|| bell.wait()));
    }
}

#[test]
fn one_that_catches_its_cancellation_for_ever_is_left_behind_and_named() {
    let name = "one_that_catches_its_cancellation_for_ever_is_left_behind_and_named";
    for workers in ["1", "3"] {
        let ended = in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let log = Log::new();
            let workers = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            run_on(workers, || {
                let tasks = on_each_worker(workers, |_| ());
                tasks.into_iter().for_each(|task| task.join().unwrap());
                let (never, once) = (NoteDrop(log.clone(), "never"), NoteDrop(log.clone(), "once"));
                let stubborn = Builder::new().name("mule").spawn_local(move || {
                    let _never = never;
                    wait_stubbornly()
                });
                drop(stubborn);
                drop(spawn_local(move || {
                    let _once = once;
                    Bell::new().wait();
                }));
                yield_now();
            })
            .unwrap();
            log.expect(&["once"]);
        });
        ended.assert_success();
        ended.assert_says("'mule', spawned at scheduler/tests/left_behind.rs:");
        ended.assert_says(
            "has caught its cancellation 100 times, the last time from scheduler/tests/",
        );
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

/// It is not joined, so that it drops its result itself, which is the last thing that it does.
#[test]
fn one_that_does_so_in_a_destructor_of_its_result_is_left_behind() {
    let name = "one_that_does_so_in_a_destructor_of_its_result_is_left_behind";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            for wait in [|| wait_stubbornly(), || wait_for_a_promise()] {
                drop(spawn_local(move || OnDrop(wait)));
            }
            yield_now();
        });
    });
    ended.assert_success();
    ended.assert_says("has caught its cancellation 100 times");
    ended.assert_says("is left behind waiting for what was promised");
    assert_eq!(ended.stderr.lines().count(), 2, "{}", ended.stderr);
}

#[test]
fn one_that_catches_it_99_times_is_unwound() {
    let log = Log::new();
    run_in_order(|| {
        let noted = NoteDrop(log.clone(), "unwound");
        let task = spawn_local(move || {
            let _noted = noted;
            for _ in 0..99 {
                let caught = catch_unwind(|| Bell::new().wait()).unwrap_err();
                assert!(caught.is::<Cancelled>());
            }
            Bell::new().wait();
        });
        drop(task);
        yield_now();
    });
    log.expect(&["unwound"]);
}

/// Others must not run there, so that it cannot be left either; but it is not left unsaid.
#[test]
fn one_that_does_so_inside_no_suspend_is_named() {
    let name = "one_that_does_so_inside_no_suspend_is_named";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            drop(spawn_local(|| {
                let bell = Bell::new();
                let _ = catch_unwind(AssertUnwindSafe(|| bell.wait()));
                for _ in 0..300 {
                    let _ = catch_unwind(AssertUnwindSafe(|| no_suspend(|| bell.wait())));
                }
            }));
            yield_now();
        });
    });
    ended.assert_success();
    ended.assert_says("has caught its cancellation 100 times");
    ended.assert_says("and cannot be left behind inside no_suspend");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

/// Between two strikes each of the others has a turn.
#[test]
fn one_that_is_struck_again_lets_others_run() {
    let log = Log::new();
    run_in_order(|| {
        for name in ["a", "b"] {
            let log = log.clone();
            drop(spawn_local(move || {
                for _ in 0..3 {
                    drop(catch_unwind(|| Bell::new().wait()));
                    log.add(name);
                }
            }));
        }
        yield_now();
    });
    // The list of started tasks is walked from the youngest on.
    log.expect(&["b", "a", "b", "a", "b", "a"]);
}

#[test]
fn its_joiners_are_told_that_it_is_cancelled() {
    let name = "its_joiners_are_told_that_it_is_cancelled";
    let ended = in_child(name, &[], || {
        let runtime = Runtime::builder().workers(2).start().unwrap();
        let (started, has_started) = mpsc::channel();
        let task = runtime.spawn(move || {
            started.send(()).unwrap();
            wait_stubbornly()
        });
        let late = runtime.spawn(|| wait_stubbornly());
        let dropped = runtime.spawn(|| wait_stubbornly());
        has_started.recv().unwrap();
        let joiner =
            thread::spawn(move || task.join().map(|_: ()| ()).unwrap_err().is::<Cancelled>());
        drop(runtime);
        assert!(joiner.join().unwrap());
        assert!(late.is_finished());
        drop(dropped);
        assert!(late.join().map(|_: ()| ()).unwrap_err().is::<Cancelled>());
    });
    ended.assert_success();
}

/// What the task has borrowed from a thread-local, and lent to another thread, stays there.
#[test]
fn the_thread_of_one_keeps_its_thread_locals() {
    struct Local(AtomicUsize);
    static DESTROYED: AtomicBool = AtomicBool::new(false);
    impl Drop for Local {
        fn drop(&mut self) {
            DESTROYED.store(true, Ordering::Release);
        }
    }
    thread_local!(static LOCAL: Local = const { Local(AtomicUsize::new(0)) });
    static END: AtomicBool = AtomicBool::new(false);

    let name = "the_thread_of_one_keeps_its_thread_locals";
    let ended = in_child(name, &[], || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (lent, is_lent) = mpsc::channel();
        let (counted, last_count) = mpsc::channel();
        drop(runtime.spawn(move || {
            LOCAL.with(|local| {
                thread::scope(|threads| {
                    threads.spawn(|| {
                        lent.send(()).unwrap();
                        while !END.load(Ordering::Acquire) {
                            local.0.fetch_add(1, Ordering::Relaxed);
                        }
                        counted.send(local.0.load(Ordering::Relaxed)).unwrap();
                    });
                    wait_stubbornly()
                })
            })
        }));
        is_lent.recv().unwrap();
        drop(runtime);
        assert!(!DESTROYED.load(Ordering::Acquire));
        END.store(true, Ordering::Release);
        last_count.recv().unwrap();
        // Its thread does not count as one that could wake somebody.
        let deadlock = run_alone(|| Bell::new().wait()).unwrap_err();
        assert_eq!(deadlock.tasks().len(), 1);
        assert!(!DESTROYED.load(Ordering::Acquire));
    });
    ended.assert_success();
}

/// The threads that stay for such tasks are not there, and do not count.
#[test]
fn a_fork_child_still_sees_deadlocks() {
    let ended = in_child("a_fork_child_still_sees_deadlocks", &[], || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (started, has_started) = mpsc::channel();
        drop(runtime.spawn(move || {
            started.send(()).unwrap();
            wait_stubbornly()
        }));
        has_started.recv().unwrap();
        drop(runtime);
        let ended = in_fork_child(|| {
            die_in(20);
            let builder = Runtime::builder().workers(1);
            assert_eq!(builder.run(|| Bell::new().wait()).unwrap_err().tasks().len(), 1);
        });
        assert!(ended.success(), "{ended}");
    });
    ended.assert_success();
}

/// The main task may borrow from the caller of `run`, which must not go on while it is suspended.
#[test]
fn a_main_task_that_cannot_be_ended_aborts_with_the_report() {
    let name = "a_main_task_that_cannot_be_ended_aborts_with_the_report";
    let ended = in_child(name, &[], || {
        let _ = run_on(2, || {
            let _other = spawn(|| Bell::new().wait());
            wait_stubbornly()
        });
    });
    ended.assert_aborted();
    ended.assert_says("lisle: deadlock: all tasks are asleep and nothing can wake them\n");
    ended.assert_says("task 1 'main': waiting for a bell");
    ended.assert_says("main has caught its cancellation again and again");
}

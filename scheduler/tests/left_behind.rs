//! Tasks that cannot be brought to an end: the runtime ends all the same, and names those that it
//! has left behind.
#![cfg(not(lisle_loom))]

mod support;

use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lisle_runtime::no_suspend;
use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{
    Builder, Cancelled, Detached, ForeignThreads, Runtime, sleep, spawn, spawn_local, yield_now,
};
use support::sys::{die_in, in_fork_child};
use support::{
    Bell, Log, NoteDrop, OnDrop, alone_in_child, block_until, in_child, on_each_worker, run_alone,
    run_in_order, run_on,
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

/// The threads that stay for such tasks are not there, and not to be reckoned with.
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
    ended.assert_says("task 1 'main': waiting for a bell for ");
    ended.assert_says("main has caught its cancellation again and again");
}

/// Spawns itself anew, `fold` times, whenever it is dropped.
struct Hydra {
    fold: usize,
    heads: Arc<AtomicUsize>,
}

impl Drop for Hydra {
    fn drop(&mut self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
        for _ in 0..self.fold {
            let next = Hydra { fold: self.fold, heads: self.heads.clone() };
            drop(spawn(move || drop(next)));
        }
    }
}

#[test]
fn destructors_that_spawn_themselves_anew_come_to_an_end() {
    let name = "destructors_that_spawn_themselves_anew_come_to_an_end";
    for workers in ["1", "2"] {
        let ended = in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let heads = Arc::new(AtomicUsize::new(0));
            let workers = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            run_on(workers, || drop(Hydra { fold: 1, heads: heads.clone() })).unwrap();
            assert!(heads.load(Ordering::Relaxed) >= 90);
        });
        ended.assert_success();
        ended.assert_says("destructors spawn tasks without end while their runtime ends");
        assert!(ended.stderr.lines().count() <= 2, "{}", ended.stderr);
    }
}

#[test]
fn destructors_that_spawn_themselves_twice_come_to_an_end() {
    let name = "destructors_that_spawn_themselves_twice_come_to_an_end";
    let ended = in_child(name, &[], || {
        let heads = Arc::new(AtomicUsize::new(0));
        run_in_order(|| {
            let hydra = Hydra { fold: 2, heads: heads.clone() };
            drop(spawn_local(move || {
                let _hydra = hydra;
                Bell::new().wait();
            }));
            yield_now();
        });
    });
    ended.assert_success();
    ended.assert_says("destructors spawn tasks without end while their runtime ends");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

/// A chain whose links are dropped each by a task of its own.
struct Chain(usize, Log<usize>);

impl Drop for Chain {
    fn drop(&mut self) {
        self.1.add(self.0);
        if let Some(next) = self.0.checked_sub(1) {
            let next = Chain(next, self.1.clone());
            drop(spawn(move || drop(next)));
        }
    }
}

#[test]
fn destructors_that_spawn_and_do_end_are_all_run() {
    let log = Log::new();
    run_in_order(|| {
        let chain = Chain(90, log.clone());
        drop(spawn_local(move || {
            let _chain = chain;
            Bell::new().wait();
        }));
        yield_now();
    });
    log.expect(&(0..=90).rev().collect::<Vec<_>>());
}

/// A wait whose unparker is taken and never used.
fn wait_for_a_promise() {
    const REASON: Reason = Reason::new("waiting for what was promised");
    let _ = park(REASON, None, forget, || None);
}

#[test]
fn one_that_waits_for_a_forgotten_hand_over_is_left_behind_and_named() {
    let name = "one_that_waits_for_a_forgotten_hand_over_is_left_behind_and_named";
    for workers in ["1", "4"] {
        let ended = in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let workers: usize = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            let log = Log::new();
            run_on(workers, || {
                let all = on_each_worker(workers, {
                    let log = log.clone();
                    move |n| {
                        let _never = NoteDrop(log, n);
                        wait_for_a_promise();
                    }
                });
                drop(all);
                sleep(Duration::from_millis(5));
            })
            .unwrap();
            log.expect::<usize>(&[]);
        });
        ended.assert_success();
        ended.assert_says("is left behind waiting for what was promised at scheduler/tests/");
        assert_eq!(ended.stderr.lines().count().to_string(), workers, "{}", ended.stderr);
    }
}

/// Its time-out has passed, but its unparker is out, and nothing is left that could use it.
#[test]
fn one_that_waits_for_a_forgotten_hand_over_is_deadlocked() {
    let name = "one_that_waits_for_a_forgotten_hand_over_is_deadlocked";
    let ended = alone_in_child(name, &[], || {
        let builder = Runtime::builder().workers(1);
        let deadlock = builder
            .run(|| {
                let task = spawn_local(|| {
                    let soon = Some(Instant::now() + Duration::from_millis(2));
                    park(Reason::new("waiting for what was promised"), soon, forget, || None)
                });
                drop(task.join());
            })
            .unwrap_err();
        let reasons: Vec<_> = deadlock.tasks().iter().map(|task| task.reason().as_str()).collect();
        assert_eq!(reasons, ["joining a task", "waiting for what was promised"]);
    });
    ended.assert_success();
    ended.assert_says("is left behind waiting for what was promised");
}

/// That no other thread wakes a task is what the user has said, but one is about to: it has the
/// unparker.
#[test]
fn one_that_waits_for_the_hand_over_of_another_thread_is_not_left_behind() {
    let (hand_over, handed_over) = mpsc::channel::<Unparker>();
    let (end, has_begun_to_end) = mpsc::channel();
    let other = thread::spawn(move || {
        let unparker = handed_over.recv().unwrap();
        has_begun_to_end.recv().unwrap();
        // Not for the sake of this test, which then only proves less: for the runtime to come to
        // rest.
        thread::sleep(Duration::from_millis(20));
        unparker.unpark();
    });
    let log = Log::new();
    let policy = ForeignThreads::NeverWake;
    let builder = Runtime::builder().workers(1).foreign_threads(policy);
    builder
        .run(|| {
            let log = log.clone();
            drop(spawn_local(move || {
                let give = |unparker| hand_over.send(unparker).unwrap();
                log.add(park(Reason::new("being tested"), None, give, || None));
            }));
            drop(spawn_local(move || {
                let _end = OnDrop(move || end.send(()).unwrap());
                Bell::new().wait();
            }));
            yield_now();
        })
        .unwrap();
    log.expect(&[Wake::Unparked]);
    other.join().unwrap();
}

/// A crowd of them is not named one by one. Here a foreign thread could still end the hand-overs,
/// so the runtime waits a while for it.
#[test]
fn a_crowd_that_waits_for_hand_overs_is_left_behind() {
    let name = "a_crowd_that_waits_for_hand_overs_is_left_behind";
    let ended = in_child(name, &[], || {
        let policy = ForeignThreads::MayWake;
        let builder = Runtime::builder().workers(1).foreign_threads(policy);
        let (stop, stopped) = mpsc::channel::<()>();
        let foreign = thread::spawn(move || stopped.recv().unwrap_err());
        builder
            .run(|| {
                (0..25).for_each(|_| drop(spawn_local(wait_for_a_promise)));
                yield_now();
            })
            .unwrap();
        drop(stop);
        foreign.join().unwrap();
    });
    ended.assert_success();
    ended.assert_says("lisle: 15 more tasks wait so, and are left behind\n");
    assert_eq!(ended.stderr.lines().count(), 11, "{}", ended.stderr);
}

/// The holder of an unparker may use it when the task, its worker and its runtime are gone.
#[test]
fn a_hand_over_that_ends_too_late_does_no_harm() {
    static LATE: std::sync::Mutex<Vec<Unparker>> = std::sync::Mutex::new(Vec::new());
    let name = "a_hand_over_that_ends_too_late_does_no_harm";
    let ended = in_child(name, &[], || {
        run_on(3, || {
            let keep = |_| {
                let keep = |unparker| LATE.lock().unwrap().push(unparker);
                let _ = park(Reason::new("being tested"), None, keep, || None);
            };
            drop(on_each_worker(3, keep));
            sleep(Duration::from_millis(5));
        })
        .unwrap();
        let late = std::mem::take(&mut *LATE.lock().unwrap());
        assert_eq!(late.len(), 3);
        let mut late = late.into_iter();
        late.next().unwrap().unpark();
        // On a thread that is a worker again.
        run_in_order(|| {
            late.next().unwrap().unpark();
            drop(late.next().unwrap());
            yield_now();
        });
    });
    ended.assert_success();
}

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

//! Tasks that wait for a hand-over that has begun while their runtime ends: what is forgotten is
//! left behind, what may still end is waited for.
#![cfg(not(lisle_loom))]

mod support;

use std::mem::forget;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{ForeignThreads, Runtime, sleep, spawn_local, yield_now};
use support::{
    Bell, Log, NoteDrop, OnDrop, alone_in_child, in_child, on_each_worker, run_in_order, run_on,
    wait_for_a_promise, wait_for_a_promise_noted,
};

#[test]
fn one_that_waits_for_a_forgotten_hand_over_is_left_behind_and_named() {
    let name = "one_that_waits_for_a_forgotten_hand_over_is_left_behind_and_named";
    for workers in ["1", "4"] {
        let ended = in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let workers: usize = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            let log = Log::new();
            run_on(workers, || {
                let waiting = Arc::new(AtomicUsize::new(0));
                let all = on_each_worker(workers, {
                    let (log, waiting) = (log.clone(), waiting.clone());
                    move |n| {
                        let _never = NoteDrop(log, n);
                        wait_for_a_promise_noted(|| {
                            waiting.fetch_add(1, Ordering::Relaxed);
                        });
                    }
                });
                drop(all);
                while waiting.load(Ordering::Relaxed) < workers {
                    sleep(Duration::from_millis(1));
                }
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

/// It is under way on one worker, and the other falls asleep last: the one that watched for work.
#[test]
fn a_hand_over_that_is_under_way_on_another_worker_is_no_deadlock() {
    let (hand_over, handed_over) = mpsc::channel::<Unparker>();
    let other = thread::spawn(move || {
        for unparker in handed_over {
            // Not for the sake of this test, which then only proves less: for the runtime to come
            // to rest.
            thread::sleep(Duration::from_millis(20));
            unparker.unpark();
        }
    });
    for _ in 0..5 {
        let done = run_on(2, || {
            on_each_worker(2, |_| ()).into_iter().for_each(|task| task.join().unwrap());
            let soon = Some(Instant::now() + Duration::from_millis(1));
            let give = |unparker| hand_over.send(unparker).unwrap();
            park(Reason::new("being tested"), soon, give, || None)
        });
        assert_eq!(done.unwrap(), Wake::Unparked);
    }
    drop(hand_over);
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
            while LATE.lock().unwrap().len() < 3 {
                sleep(Duration::from_millis(1));
            }
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

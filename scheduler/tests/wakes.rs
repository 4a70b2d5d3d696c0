//! Wakes from other threads: they arrive once, in order, and soon, whatever the worker does.
#![cfg(not(lisle_loom))]

mod support;

use std::hint;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::Wake;
use lisle_scheduler::{Runtime, spawn, yield_now};
use support::{Bell, Log, run_in_order};

/// Rings from a plain thread as soon as somebody waits.
fn ring_soon(bell: &Bell) -> thread::JoinHandle<()> {
    let bell = bell.clone();
    thread::spawn(move || {
        while !bell.ring() {
            hint::spin_loop();
        }
    })
}

/// The worker looks into its inbox at one switch in 64, however far it is from its last look.
#[test]
fn a_wake_is_noticed_within_64_switches() {
    run_in_order(|| {
        let mut longest = 0;
        for offset in 0..130 {
            let (bell, woken) = (Bell::new(), Arc::new(AtomicBool::new(false)));
            let (theirs, flag) = (bell.clone(), woken.clone());
            let sleeper = spawn(move || {
                theirs.wait();
                flag.store(true, Ordering::Relaxed);
            });
            for _ in 0..=offset {
                yield_now();
            }
            // The wake is in the inbox when this returns.
            assert!(thread::spawn(move || bell.ring()).join().unwrap());
            let mut switches = 0;
            while !woken.load(Ordering::Relaxed) {
                yield_now();
                switches += 1;
            }
            longest = longest.max(switches);
            sleeper.join().unwrap();
        }
        // The task stands behind this one when it is found, so it runs one switch later.
        assert_eq!(longest, 64 + 1);
    });
}

/// The same with a crowd: the bound is on switches, not on rounds.
#[test]
fn a_wake_is_noticed_within_64_switches_of_many_tasks() {
    run_in_order(|| {
        let (bell, stop) = (Bell::new(), Arc::new(AtomicBool::new(false)));
        let switches = Arc::new(AtomicUsize::new(0));
        let (theirs, count) = (bell.clone(), switches.clone());
        let sleeper = spawn(move || {
            theirs.wait();
            count.load(Ordering::Relaxed)
        });
        let crowd: Vec<_> = (0..10)
            .map(|_| {
                let (stop, count) = (stop.clone(), switches.clone());
                spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        yield_now();
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        yield_now();
        assert!(thread::spawn(move || bell.ring()).join().unwrap());
        switches.store(0, Ordering::Relaxed);
        let counted = sleeper.join().unwrap();
        // Once found, the task has the crowd before it.
        assert!(counted <= 64 + 11, "{counted}");
        stop.store(true, Ordering::Relaxed);
        crowd.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn a_wake_reaches_a_worker_that_sleeps() {
    run_in_order(|| {
        for _ in 0..20 {
            let bell = Bell::new();
            let ringer = bell.clone();
            let ringer = thread::spawn(move || {
                // Long enough for the worker to stop looking; should it be late, it is woken all
                // the same.
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(1) || !ringer.ring() {
                    thread::yield_now();
                }
            });
            bell.wait();
            ringer.join().unwrap();
        }
    });
}

#[test]
fn a_wake_reaches_a_worker_that_sleeps_for_a_timer() {
    run_in_order(|| {
        for _ in 0..50 {
            let bell = Bell::new();
            let ringer = ring_soon(&bell);
            let deadline = Instant::now() + Duration::from_secs(3600);
            assert_eq!(bell.wait_until(Some(deadline)), Wake::Unparked);
            ringer.join().unwrap();
        }
    });
}

/// The moment of the wake walks over the moment at which the worker falls asleep.
#[test]
fn a_wake_is_not_lost_while_the_worker_falls_asleep() {
    run_in_order(|| {
        let bell = Bell::new();
        let (theirs, go) = (bell.clone(), Arc::new(Barrier::new(2)));
        let start = go.clone();
        let ringer = thread::spawn(move || {
            for delay in 0..2000_u64 {
                start.wait();
                let from = Instant::now();
                while from.elapsed() < Duration::from_nanos(delay * 50) {
                    hint::spin_loop();
                }
                while !theirs.ring() {
                    hint::spin_loop();
                }
            }
        });
        for _ in 0..2000 {
            go.wait();
            bell.wait();
        }
        ringer.join().unwrap();
    });
}

#[test]
fn the_wakes_of_one_thread_keep_their_order() {
    const TASKS: usize = 500;
    let log = Log::<usize>::new();
    run_in_order(|| {
        let bells: Vec<_> = (0..TASKS).map(|_| Bell::new()).collect();
        let tasks: Vec<_> = bells
            .iter()
            .enumerate()
            .map(|(n, bell)| {
                let (log, bell) = (log.clone(), bell.clone());
                spawn(move || {
                    bell.wait();
                    log.add(n);
                })
            })
            .collect();
        yield_now();
        let ringer = thread::spawn(move || {
            (0..TASKS).for_each(|n| assert!(bells[n * 7 % TASKS].ring()));
        });
        ringer.join().unwrap();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    log.expect(&(0..TASKS).map(|n| n * 7 % TASKS).collect::<Vec<_>>());
}

#[test]
fn ten_thousand_parked_tasks_are_woken_from_a_thread() {
    const TASKS: usize = 10_000;
    run_in_order(|| {
        let bells: Vec<_> = (0..TASKS).map(|_| Bell::new()).collect();
        let tasks: Vec<_> = bells
            .iter()
            .map(|bell| {
                let bell = bell.clone();
                spawn(move || bell.wait())
            })
            .collect();
        yield_now();
        assert!(bells.iter().all(Bell::is_awaited));
        let ringer = thread::spawn(move || bells.iter().filter(|bell| bell.ring()).count());
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(ringer.join().unwrap(), TASKS);
    });
}

#[test]
fn several_threads_wake_the_same_tasks_again_and_again() {
    const TASKS: usize = 20;
    const ROUNDS: usize = 500;
    run_in_order(|| {
        let bells: Vec<_> = (0..TASKS).map(|_| Bell::new()).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let ringers: Vec<_> = (0..4)
            .map(|n| {
                let (bells, stop) = (bells.clone(), stop.clone());
                thread::spawn(move || {
                    let mut rung = 0;
                    let mut at = n;
                    while !stop.load(Ordering::Acquire) {
                        rung += usize::from(bells[at % TASKS].ring());
                        at += n + 1;
                        thread::yield_now();
                    }
                    rung
                })
            })
            .collect();
        let tasks: Vec<_> = bells
            .iter()
            .map(|bell| {
                let bell = bell.clone();
                spawn(move || (0..ROUNDS).for_each(|_| bell.wait()))
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        stop.store(true, Ordering::Release);
        let rung: usize = ringers.into_iter().map(|ringer| ringer.join().unwrap()).sum();
        assert_eq!(rung, TASKS * ROUNDS, "every wake ended one wait");
    });
}

/// The token of `std::thread::park` is not Lisle's: somebody else's wakes nobody here.
#[test]
fn a_stray_token_of_the_thread_ends_no_wait() {
    let stray = |bell: &Bell| {
        let (thread, ringer) = (thread::current(), bell.clone());
        let rung = Arc::new(AtomicBool::new(false));
        let flag = rung.clone();
        let strayer = thread::spawn(move || {
            for _ in 0..100 {
                thread.unpark();
                thread::yield_now();
            }
            flag.store(true, Ordering::Release);
            while !ringer.ring() {
                thread::yield_now();
            }
        });
        (rung, strayer)
    };
    let check = || {
        let bell = Bell::new();
        let (rung, strayer) = stray(&bell);
        assert_eq!(bell.wait_until(None), Wake::Unparked);
        assert!(rung.load(Ordering::Acquire), "the wait has heard nothing but the bell");
        strayer.join().unwrap();
    };
    check();
    run_in_order(check);
}

/// Two runtimes wake each other's tasks.
#[test]
fn runtimes_wake_each_others_tasks() {
    const ROUNDS: usize = 2000;
    let (here, there) = (Bell::new(), Bell::new());
    let (their_here, their_there) = (here.clone(), there.clone());
    let other = thread::spawn(move || {
        run_in_order(|| {
            for _ in 0..ROUNDS {
                their_there.wait();
                their_here.ring_until_heard();
            }
        });
    });
    Runtime::builder()
        .run(|| {
            for _ in 0..ROUNDS {
                there.ring_until_heard();
                here.wait();
            }
        })
        .unwrap();
    other.join().unwrap();
}

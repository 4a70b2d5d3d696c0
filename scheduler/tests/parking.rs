//! `park` and `Unparker`, on tasks and on threads: wakes, deadlines, retracting, and both at once.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{check_cancelled, spawn, spawn_local, yield_now};
use support::{Bell, Log, run_in_order};

const REASON: Reason = Reason::new("being tested");

/// Runs `body` on a plain thread and in a task.
fn on_both(body: impl Fn()) {
    body();
    run_in_order(&body);
}

fn never_retract() -> Option<Unparker> {
    unreachable!("nothing but the unparker ends this wait")
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(3)
}

/// The latest instant that can be told, nearly.
fn latest() -> Instant {
    let mut latest = Instant::now();
    for power in (0..64).rev() {
        latest = latest.checked_add(Duration::from_secs(1 << power)).unwrap_or(latest);
    }
    latest
}

#[test]
fn a_reason_reads_as_it_was_written() {
    assert_eq!(REASON.as_str(), "being tested");
    assert_eq!(
        format!("{REASON} {REASON:>14} {REASON:?}"),
        "being tested   being tested \"being tested\""
    );
}

#[test]
fn an_unparker_used_inside_commit_ends_the_wait_at_once() {
    on_both(|| {
        for deadline in [None, Some(Instant::now()), Some(latest())] {
            let log = Log::new();
            let bystander = lisle_scheduler::current().map(|_| {
                let log = log.clone();
                spawn(move || log.add("ran"))
            });
            assert_eq!(park(REASON, deadline, Unparker::unpark, never_retract), Wake::Unparked);
            assert_eq!(log.len(), 0, "no turn was given away");
            bystander.into_iter().for_each(|task| task.join().unwrap());
        }
    });
}

#[test]
fn a_thread_that_is_quick_may_use_the_unparker_before_the_wait_begins() {
    on_both(|| {
        let commit = |unparker: Unparker| thread::spawn(|| unparker.unpark()).join().unwrap();
        assert_eq!(park(REASON, None, commit, never_retract), Wake::Unparked);
        assert_eq!(park(REASON, Some(latest()), commit, never_retract), Wake::Unparked);
        // A deadline that has passed as well: the unparker is gone, so the wake-up counts.
        let wake = park(REASON, Some(Instant::now()), commit, || None);
        assert_eq!(wake, Wake::Unparked);
    });
}

#[test]
fn a_deadline_that_has_passed_ends_the_wait_and_takes_the_unparker_back() {
    on_both(|| {
        let long_ago = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        for deadline in [long_ago, Instant::now(), soon()] {
            let (committed, retracted) = (RefCell::new(None), Cell::new(0));
            let wake = park(
                REASON,
                Some(deadline),
                |unparker| assert!(committed.replace(Some(unparker)).is_none()),
                || {
                    retracted.set(retracted.get() + 1);
                    committed.take()
                },
            );
            assert_eq!(wake, Wake::TimedOut);
            assert_eq!(retracted.get(), 1);
            assert!(Instant::now() >= deadline);
        }
    });
}

/// A waker that holds the unparker when the deadline passes has won: the wait goes on until it is
/// used.
#[test]
fn a_wait_outlasts_its_deadline_while_a_waker_holds_the_unparker() {
    on_both(|| {
        for deadline in [Instant::now(), soon()] {
            let held = Arc::new(Mutex::new(None));
            let (retracting, told) = std::sync::mpsc::channel();
            let waker = {
                let held = held.clone();
                thread::spawn(move || {
                    told.recv().unwrap();
                    let unparker: Option<Unparker> = held.lock().unwrap().take();
                    unparker.unwrap().unpark();
                })
            };
            let wake = park(
                REASON,
                Some(deadline),
                |unparker| *held.lock().unwrap() = Some(unparker),
                || {
                    retracting.send(()).unwrap();
                    None
                },
            );
            assert_eq!(wake, Wake::Unparked);
            waker.join().unwrap();
        }
    });
}

#[test]
fn a_task_can_be_the_waker_that_holds_the_unparker() {
    run_in_order(|| {
        let held = Arc::new(Mutex::new(None));
        let theirs = held.clone();
        let sleeper = spawn(move || {
            let commit = |unparker| *theirs.lock().unwrap() = Some(unparker);
            park(REASON, Some(Instant::now()), commit, || None)
        });
        for _ in 0..200 {
            yield_now();
        }
        assert!(!sleeper.is_finished());
        let unparker: Unparker = held.lock().unwrap().take().unwrap();
        unparker.unpark();
        assert_eq!(sleeper.join().unwrap(), Wake::Unparked);
    });
}

#[test]
fn a_wake_comes_before_a_deadline_that_is_far() {
    on_both(|| {
        for deadline in [Instant::now() + Duration::from_secs(3600), latest()] {
            let bell = Bell::new();
            let ringer = bell.clone();
            let ringer = thread::spawn(move || {
                while !ringer.ring() {
                    thread::yield_now();
                }
            });
            assert_eq!(bell.wait_until(Some(deadline)), Wake::Unparked);
            ringer.join().unwrap();
        }
    });
    run_in_order(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        let sleeper = spawn(move || theirs.wait_until(Some(latest())));
        yield_now();
        assert!(bell.ring());
        assert_eq!(sleeper.join().unwrap(), Wake::Unparked);
    });
}

/// A timer that is not needed any more does not fire in a later wait.
#[test]
fn the_deadline_of_one_wait_does_not_end_the_next() {
    on_both(|| {
        let deadline = Instant::now() + Duration::from_millis(2);
        let first = park(REASON, Some(deadline), Unparker::unpark, never_retract);
        assert_eq!(first, Wake::Unparked);
        let bell = Bell::new();
        let ringer = bell.clone();
        let ringer = thread::spawn(move || {
            while Instant::now() < deadline || !ringer.ring() {
                thread::yield_now();
            }
        });
        assert_eq!(bell.wait_until(None), Wake::Unparked);
        assert!(Instant::now() >= deadline);
        ringer.join().unwrap();
    });
}

#[test]
fn tasks_wake_in_the_order_of_their_deadlines() {
    // Equal deadlines: the older wait first.
    const OFFSETS: [u64; 6] = [3, 1, 2, 1, 0, 3];
    // All tasks have to be parked before the first deadline. On a busy machine that may take a
    // while.
    for lead in [1, 10, 100, 1_000, 10_000].map(Duration::from_millis) {
        let log = Log::<usize>::new();
        let in_time = run_in_order(|| {
            let start = Instant::now() + lead;
            let tasks = OFFSETS.map(|offset| start + Duration::from_micros(100 * offset));
            let tasks = (0..).zip(tasks).map(|(n, deadline)| {
                let log = log.clone();
                spawn(move || {
                    assert_eq!(Bell::new().wait_until(Some(deadline)), Wake::TimedOut);
                    log.add(n);
                })
            });
            let tasks: Vec<_> = tasks.collect();
            yield_now();
            let in_time = Instant::now() < start;
            tasks.into_iter().for_each(|task| task.join().unwrap());
            in_time
        });
        if in_time {
            return log.expect(&[4_usize, 1, 3, 2, 0, 5]);
        }
    }
    panic!("the machine is too busy to park six tasks in ten seconds");
}

/// Deadlines are noticed although somebody is always runnable.
#[test]
fn yielding_tasks_do_not_hold_up_a_deadline() {
    run_in_order(|| {
        let sleeper = spawn(|| Bell::new().wait_until(Some(soon())));
        while !sleeper.is_finished() {
            yield_now();
        }
        assert_eq!(sleeper.join().unwrap(), Wake::TimedOut);
    });
}

#[test]
fn a_thousand_deadlines_pass() {
    run_in_order(|| {
        let start = soon();
        let tasks: Vec<_> = (0..1000)
            .map(|n| {
                spawn(move || {
                    let deadline = start + Duration::from_micros(n * 37 % 1000);
                    let wake = Bell::new().wait_until(Some(deadline));
                    assert!(Instant::now() >= deadline);
                    wake
                })
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap() == Wake::TimedOut));
    });
}

/// Both parties agree which of them won, whatever happens first.
#[test]
fn a_deadline_races_a_wake() {
    on_both(|| {
        let bell = Bell::new();
        const ROUNDS: usize = 1000;
        let over = Arc::new(AtomicBool::new(false));
        let ringer = {
            let (bell, over) = (bell.clone(), over.clone());
            thread::spawn(move || {
                let mut heard = 0;
                while !over.load(Ordering::Acquire) {
                    heard += usize::from(bell.ring());
                    thread::yield_now();
                }
                heard
            })
        };
        let mut unparked = 0;
        for round in 0..ROUNDS {
            let deadline = Instant::now() + Duration::from_nanos(round as u64 % 50 * 100);
            unparked += usize::from(bell.wait_until(Some(deadline)) == Wake::Unparked);
        }
        over.store(true, Ordering::Release);
        assert_eq!(ringer.join().unwrap(), unparked);
    });
}

#[test]
fn a_task_wakes_itself_never_and_others_once() {
    run_in_order(|| {
        let log = Log::<&str>::new();
        let bell = Bell::new();
        let (theirs, note) = (bell.clone(), log.clone());
        let sleeper = spawn_local(move || {
            for _ in 0..3 {
                theirs.wait();
                note.add("woken");
            }
        });
        assert!(!bell.ring(), "nobody waits yet");
        for _ in 0..3 {
            yield_now();
            assert!(bell.ring());
            assert!(!bell.ring(), "one wake a wait");
            yield_now();
            log.expect(&["woken"]);
        }
        sleeper.join().unwrap();
    });
}

#[test]
fn tasks_wake_threads_and_threads_wake_tasks() {
    run_in_order(|| {
        let (ping, pong) = (Bell::new(), Bell::new());
        let (theirs, ours) = (ping.clone(), pong.clone());
        let thread = thread::spawn(move || {
            for _ in 0..200 {
                theirs.wait();
                while !ours.ring() {
                    thread::yield_now();
                }
            }
        });
        for _ in 0..200 {
            ping.ring_until_heard();
            pong.wait();
        }
        thread.join().unwrap();
    });
}

#[test]
fn a_plain_thread_is_never_unwound() {
    check_cancelled();
    run_in_order(check_cancelled);
}

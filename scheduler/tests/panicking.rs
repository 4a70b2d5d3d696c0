//! Panics of several tasks on one thread: whose is whose, and where a backtrace ends.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{JoinHandle, spawn, yield_now};
use support::{Bell, Log, OnDrop, in_child, run_in_order};

/// A task that panics with `payload` and then waits for the bell in a destructor.
fn unwinds_slowly(payload: &'static str, bell: &Bell) -> JoinHandle<()> {
    let bell = bell.clone();
    spawn(move || {
        let _waits = OnDrop(|| bell.wait());
        panic_any(payload);
    })
}

#[track_caller]
fn assert_panicked(task: JoinHandle<()>, payload: &'static str) {
    assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&payload));
}

/// The standard library counts panics by thread, so all tasks see that one is unwinding.
#[test]
fn panicking_is_a_matter_of_the_thread() {
    run_in_order(|| {
        let bell = Bell::new();
        let task = unwinds_slowly("slow", &bell);
        assert!(!thread::panicking());
        yield_now();
        assert!(thread::panicking(), "while a task of this thread waits in a destructor");
        assert!(!thread::spawn(thread::panicking).join().unwrap());
        assert!(spawn(thread::panicking).join().unwrap());
        assert!(bell.ring());
        assert_panicked(task, "slow");
        assert!(!thread::panicking(), "the counts balance");
    });
    assert!(!thread::panicking());
}

#[test]
fn a_task_panics_while_another_waits_in_a_destructor_that_unwinds() {
    run_in_order(|| {
        let bell = Bell::new();
        let slow = unwinds_slowly("slow", &bell);
        yield_now();
        for _ in 0..5 {
            assert_panicked(spawn(|| panic_any("quick")), "quick");
        }
        let caught = catch_unwind(|| panic_any("main"));
        assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"main"));
        assert!(bell.ring());
        assert_panicked(slow, "slow");
        assert!(!thread::panicking());
    });
}

/// Several tasks unwind at once and finish in any order.
#[test]
fn tasks_that_unwind_at_the_same_time_do_not_mix_up_their_panics() {
    const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    run_in_order(|| {
        for order in [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [3, 0, 5, 1, 4, 2]] {
            let bells: Vec<_> = NAMES.iter().map(|_| Bell::new()).collect();
            let mut tasks: Vec<_> = NAMES
                .iter()
                .zip(&bells)
                .map(|(name, bell)| Some(unwinds_slowly(name, bell)))
                .collect();
            yield_now();
            for n in order {
                assert!(thread::panicking());
                assert!(bells[n].ring());
                assert_panicked(tasks[n].take().unwrap(), NAMES[n]);
            }
            assert!(!thread::panicking());
        }
    });
}

/// A destructor that unwinds may panic and catch it, and switch in between.
#[test]
fn panics_nest_within_a_destructor() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let log = log.clone();
        let task = spawn(move || {
            let _nests = OnDrop(move || {
                let inner = catch_unwind(AssertUnwindSafe(|| {
                    let _deeper = OnDrop(|| {
                        yield_now();
                        log.add("inner destructor");
                        yield_now();
                    });
                    panic_any("inner");
                }));
                assert_eq!(inner.unwrap_err().downcast_ref(), Some(&"inner"));
                yield_now();
                log.add("outer destructor");
            });
            panic_any("outer");
        });
        let other = spawn(|| {
            for _ in 0..3 {
                let caught = catch_unwind(|| panic_any(1));
                assert!(caught.is_err());
                yield_now();
            }
        });
        assert_panicked(task, "outer");
        other.join().unwrap();
        assert!(!thread::panicking());
    });
    log.expect(&["inner destructor", "outer destructor"]);
}

/// The runtime ends while many tasks wait in destructors that unwind.
#[test]
fn tasks_that_unwind_are_given_up_like_others() {
    let unwound = Arc::new(AtomicUsize::new(0));
    let tasks = run_in_order(|| {
        let tasks: Vec<_> = (0..50_usize)
            .map(|n| {
                let unwound = unwound.clone();
                spawn(move || {
                    let _counts = OnDrop(|| {
                        unwound.fetch_add(1, Ordering::Relaxed);
                    });
                    let _waits = OnDrop(|| Bell::new().wait());
                    if n % 2 == 0 {
                        panic_any(n);
                    }
                    Bell::new().wait();
                })
            })
            .collect();
        yield_now();
        assert!(thread::panicking());
        tasks
    });
    assert!(!thread::panicking());
    assert_eq!(unwound.load(Ordering::Relaxed), 50);
    for (n, task) in tasks.into_iter().enumerate().filter(|(n, _)| n % 2 == 0) {
        assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&n));
    }
}

/// Main panics and its destructor waits for a task, which fails too.
#[test]
fn main_unwinds_slowly() {
    let caught = catch_unwind(|| {
        run_in_order(|| {
            let bell = Bell::new();
            let theirs = bell.clone();
            let mut other = Some(spawn(move || {
                yield_now();
                theirs.ring();
                panic_any("other");
            }));
            let _waits = OnDrop(move || {
                bell.wait();
                assert_panicked(other.take().unwrap(), "other");
            });
            panic_any("main");
        })
    });
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"main"));
    assert!(!thread::panicking());
}

/// Deep enough that a backtrace has something to walk.
#[inline(never)]
fn deep(depth: u32) -> u32 {
    if depth == 0 {
        yield_now();
        panic!("deep down");
    }
    deep(depth - 1) + std::hint::black_box(1)
}

fn backtrace_ends(name: &str, detail: &str) {
    let ended = in_child(name, &[("RUST_BACKTRACE", detail)], || {
        run_in_order(|| {
            // The second task starts on the stack of the first.
            for _ in 0..2 {
                assert!(spawn(|| deep(20)).join().is_err());
            }
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr.matches("deep down").count(), 2, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("stack backtrace:").count(), 2, "{}", ended.stderr);
    let frames = ended.stderr.lines().filter(|line| {
        let number = line.trim_start().split_once(": ").map(|(number, _)| number);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    });
    let frames = frames.count();
    assert!((2..200).contains(&frames), "{frames} frames in:\n{}", ended.stderr);
}

#[test]
fn a_backtrace_ends_at_the_bottom_of_the_task() {
    backtrace_ends("a_backtrace_ends_at_the_bottom_of_the_task", "1");
}

#[test]
fn a_full_backtrace_ends_at_the_bottom_of_the_task() {
    backtrace_ends("a_full_backtrace_ends_at_the_bottom_of_the_task", "full");
}

//! Panics of several tasks on one thread: whose is whose, and where a backtrace ends.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::Wake;
use lisle_scheduler::{Cancelled, JoinHandle, Runtime, run, sleep, spawn, yield_now};
use support::{
    Bell, Log, NoteDrop, OnDrop, alone_in_child, in_child, on_each_worker, run_in_order, sys,
};

/// A task that panics with `payload` and then waits for the bell in a destructor.
fn unwinds_slowly(payload: &'static str, bell: &Bell) -> JoinHandle<()> {
    let bell = bell.clone();
    spawn(move || {
        let _waits = OnDrop(|| {
            assert!(thread::panicking());
            bell.wait();
            assert!(thread::panicking());
        });
        panic_any(payload);
    })
}

#[track_caller]
fn assert_panicked(task: JoinHandle<()>, payload: &'static str) {
    assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&payload));
}

#[test]
fn panicking_is_a_matter_of_the_task() {
    run_in_order(|| {
        let bell = Bell::new();
        let task = unwinds_slowly("slow", &bell);
        yield_now();
        assert!(bell.is_awaited());
        assert!(!thread::panicking(), "while a task of this thread waits in a destructor");
        assert!(!thread::spawn(thread::panicking).join().unwrap());
        assert!(!spawn(thread::panicking).join().unwrap());
        assert!(bell.ring());
        assert_panicked(task, "slow");
        assert!(!thread::panicking(), "the counts balance");
    });
    assert!(!thread::panicking());
}

#[test]
fn yielding_amid_a_panic_leaves_it_behind() {
    let log = Log::<bool>::new();
    run_in_order(|| {
        let log = log.clone();
        let task = spawn(|| {
            let _yields = OnDrop(|| {
                (0..3).for_each(|_| yield_now());
                assert!(thread::panicking());
            });
            panic_any("yields");
        });
        drop(spawn(move || {
            for _ in 0..3 {
                log.add(thread::panicking());
                yield_now();
            }
        }));
        assert_panicked(task, "yields");
    });
    log.expect(&[false; 3]);
}

/// The end of the runtime strikes a task that does not unwind, whichever others do.
#[test]
fn another_tasks_panic_does_not_swallow_a_cancellation() {
    let log = Log::<&str>::new();
    let (sleeper, beat) = run_in_order(|| {
        let note = NoteDrop(log.clone(), "sleeper unwound");
        let theirs = log.clone();
        let sleeper = spawn(move || {
            let _note = note;
            sleep(Duration::from_secs(3600));
            theirs.add("an hour is over");
        });
        let beat = spawn(|| {
            loop {
                sleep(Duration::from_micros(1));
            }
        });
        // Never rung.
        drop(unwinds_slowly("slow", &Bell::new()));
        yield_now();
        yield_now();
        (sleeper, beat)
    });
    log.expect(&["sleeper unwound"]);
    assert!(sleeper.join().unwrap_err().is::<Cancelled>());
    assert!(beat.join().unwrap_err().is::<Cancelled>());
}

#[test]
fn a_mutex_is_poisoned_by_the_task_that_panics_alone() {
    run_in_order(|| {
        let (theirs, ours) = (Arc::new(Mutex::new(0)), Arc::new(Mutex::new(0)));
        let (mutex, bell) = (theirs.clone(), Bell::new());
        let bells = bell.clone();
        let panics = spawn(move || {
            let _guard = mutex.lock().unwrap();
            let _waits = OnDrop(|| bells.wait());
            panic_any("with a guard");
        });
        let mutex = ours.clone();
        let innocent = spawn(move || {
            let _guard = mutex.lock().unwrap();
            yield_now();
        });
        yield_now();
        assert!(bell.is_awaited());
        innocent.join().unwrap();
        assert!(!ours.is_poisoned());
        assert!(bell.ring());
        assert_panicked(panics, "with a guard");
        assert!(theirs.is_poisoned());
    });
}

/// A thread may run tasks while it unwinds. They do not.
#[test]
fn tasks_that_a_destructor_runs_do_not_unwind() {
    let log = Log::<bool>::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _runs = OnDrop(|| {
            run(|| {
                log.add(thread::panicking());
                log.add(spawn(thread::panicking).join().unwrap());
                drop(spawn(|| Bell::new().wait()));
                yield_now();
            });
            log.add(thread::panicking());
        });
        panic_any("the thread's");
    }));
    assert_eq!(result.unwrap_err().downcast_ref(), Some(&"the thread's"));
    log.expect(&[false, false, true]);
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
                assert!(!thread::panicking());
                assert!(bells[n].ring());
                assert_panicked(tasks[n].take().unwrap(), NAMES[n]);
            }
            assert!(!thread::panicking());
        }
    });
}

/// Dozens on each of several workers, woken by another thread in an order of its own.
#[test]
fn dozens_unwind_at_once_on_several_workers() {
    const EACH: usize = 40;
    for workers in [1, 2, 4] {
        let builder = Runtime::builder().workers(workers);
        let main = || {
            let bells: Arc<Vec<_>> = Arc::new((0..workers * EACH).map(|_| Bell::new()).collect());
            let theirs = bells.clone();
            let ringer = thread::spawn(move || {
                for n in 0..theirs.len() {
                    let bell = &theirs[n * 7 % theirs.len()];
                    support::block_until(|| bell.ring());
                }
            });
            let hosts = on_each_worker(workers, move |host| {
                let tasks: Vec<_> = bells[host * EACH..][..EACH]
                    .iter()
                    .map(|bell| unwinds_slowly("one of dozens", bell))
                    .collect();
                for task in tasks {
                    assert_panicked(task, "one of dozens");
                    assert!(!thread::panicking());
                }
            });
            hosts.into_iter().for_each(|host| host.join().unwrap());
            ringer.join().unwrap();
        };
        builder.run(main).unwrap();
    }
}

/// A deadlock is found although the process has a thread that serves unwinding tasks.
#[test]
fn a_deadlock_of_tasks_that_unwind_is_reported() {
    let name = "a_deadlock_of_tasks_that_unwind_is_reported";
    let ended = alone_in_child(name, &[], || {
        let builder = Runtime::builder().workers(1);
        let deadlock = builder.run(|| {
            drop(unwinds_slowly("slow", &Bell::new()));
            yield_now();
            Bell::new().wait();
        });
        assert_eq!(deadlock.unwrap_err().tasks().len(), 2);
    });
    ended.assert_success();
}

/// Without a thread and memory for that, others would be told that they unwind.
#[test]
fn a_wait_that_cannot_leave_a_panic_behind_fails_at_once() {
    let name = "a_wait_that_cannot_leave_a_panic_behind_fails_at_once";
    let ended = in_child(name, &[], || {
        let log = Log::<Wake>::new();
        let theirs = log.clone();
        run_in_order(move || {
            let innocent = spawn(|| {
                yield_now();
                assert!(!thread::panicking());
                yield_now();
            });
            let task = spawn(move || {
                let _waits = OnDrop(|| {
                    sys::limit_address_space(64 * 1024);
                    theirs.add(Bell::new().wait_until(None));
                    theirs.add(
                        Bell::new().wait_until(Some(Instant::now() + Duration::from_secs(3600))),
                    );
                    Bell::new().wait();
                    sleep(Duration::from_secs(3600));
                    yield_now();
                    sys::unlimit_address_space();
                    // Now it can be.
                    assert_eq!(spawn(|| 3).join().unwrap(), 3);
                });
                panic_any("slow");
            });
            assert_panicked(task, "slow");
            innocent.join().unwrap();
        });
        log.expect(&[Wake::Failed; 2]);
    });
    ended.assert_success();
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
        assert!(!thread::panicking());
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

//! Joining: by tasks and by threads, before, while and after the task runs.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use lisle_scheduler::{JoinHandle, spawn, spawn_local, yield_now};
use support::{Bell, Log, NoteDrop, OnDrop, run_alone, run_in_order};

#[test]
fn is_finished_tells_when_join_would_not_wait() {
    run_in_order(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        let task = spawn(move || {
            theirs.wait();
            5
        });
        assert!(!task.is_finished(), "not started");
        yield_now();
        assert!(!task.is_finished(), "parked");
        assert!(bell.ring());
        assert!(!task.is_finished(), "woken");
        yield_now();
        assert!(task.is_finished(), "ended");
        let log = Log::new();
        let note = log.clone();
        let bystander = spawn(move || note.add("ran"));
        assert_eq!(task.join().unwrap(), 5);
        assert_eq!(log.len(), 0, "joining what has ended does not switch");
        bystander.join().unwrap();
        log.expect(&["ran"]);
    });
}

#[test]
fn a_panicked_task_is_finished() {
    run_in_order(|| {
        let task = spawn(|| panic!("over"));
        yield_now();
        assert!(task.is_finished());
        assert!(task.join().is_err());
    });
}

#[test]
fn a_chain_of_joins_ends_from_its_far_end() {
    const LENGTH: usize = 1000;
    let log = Log::<usize>::new();
    run_in_order(|| {
        let bell = Bell::new();
        let first = bell.clone();
        let mut last = spawn(move || first.wait());
        for n in 0..LENGTH {
            let (before, log) = (last, log.clone());
            last = spawn(move || {
                before.join().unwrap();
                log.add(n);
            });
        }
        yield_now();
        assert_eq!(log.len(), 0);
        assert!(bell.ring());
        last.join().unwrap();
    });
    log.expect(&(0..LENGTH).collect::<Vec<_>>());
}

#[test]
fn a_thread_joins_a_task_that_runs_meanwhile() {
    run_in_order(|| {
        for round in 0..100 {
            let (joining, stop) = (Arc::new(Barrier::new(2)), Arc::new(AtomicBool::new(false)));
            let stopped = stop.clone();
            let task = spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    yield_now();
                }
                vec![round; 10]
            });
            let about_to = joining.clone();
            let joiner = thread::spawn(move || {
                about_to.wait();
                task.join().unwrap()
            });
            joining.wait();
            for _ in 0..round {
                yield_now();
            }
            stop.store(true, Ordering::Release);
            // The task ends in this turn, so the thread can be waited for in the ordinary way.
            yield_now();
            assert_eq!(joiner.join().unwrap(), [round; 10]);
        }
    });
}

/// Handles go to threads that join or drop them at any moment in the life of the task.
#[test]
fn threads_join_and_drop_at_any_time() {
    const TASKS: usize = 20_000;
    let drops = Arc::new(AtomicUsize::new(0));
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    let (to_thread, handles) = std::sync::mpsc::channel::<(usize, JoinHandle<Count>)>();
    let thread = thread::spawn(move || {
        let mut joined = 0;
        for (n, handle) in handles {
            match n % 3 {
                0 => drop(handle),
                _ => {
                    drop(handle.join().unwrap());
                    joined += 1;
                }
            }
        }
        joined
    });
    run_in_order(|| {
        for n in 0..TASKS {
            let count = Count(drops.clone());
            let task = spawn(move || {
                if n % 2 == 0 {
                    yield_now();
                }
                count
            });
            to_thread.send((n, task)).unwrap();
            if n % 5 == 0 {
                yield_now();
            }
        }
        drop(to_thread);
        // Those that have yielded once end in this turn, and those that have not started in two.
        yield_now();
        yield_now();
        assert_eq!(thread.join().unwrap(), TASKS - TASKS.div_ceil(3));
    });
    assert_eq!(drops.load(Ordering::Relaxed), TASKS);
}

/// A thread drops the handle just when the task ends, and the result's destructor waits: in the
/// task, where the end of the runtime may cut the wait short, or on the thread.
#[test]
fn the_destructor_of_a_result_may_wait_wherever_it_runs() {
    struct Waits(Arc<AtomicUsize>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let (bell, over) = (Bell::new(), Arc::new(AtomicBool::new(false)));
            let (theirs, ends) = (bell.clone(), over.clone());
            thread::spawn(move || {
                while !theirs.ring() && !ends.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            });
            // Also if the wait unwinds.
            let _ends = OnDrop(|| {
                over.store(true, Ordering::Release);
                self.0.fetch_add(1, Ordering::Relaxed);
            });
            let _ = bell.wait_until(None);
        }
    }

    const ROUNDS: usize = 200;
    let drops = Arc::new(AtomicUsize::new(0));
    for _ in 0..ROUNDS {
        let dropper = run_in_order(|| {
            let result = Waits(drops.clone());
            let start = Arc::new(Barrier::new(2));
            let go = start.clone();
            let task = spawn(move || result);
            let dropper = thread::spawn(move || {
                go.wait();
                drop(task);
            });
            start.wait();
            yield_now();
            dropper
        });
        dropper.join().unwrap();
    }
    assert_eq!(drops.load(Ordering::Relaxed), ROUNDS);
}

#[test]
fn a_task_that_joins_itself_is_a_deadlock_and_is_given_up() {
    let log = Log::<&str>::new();
    let theirs = log.clone();
    let deadlock = run_alone(|| {
        let own = Rc::new(RefCell::new(None::<JoinHandle<()>>));
        let (mine, note) = (own.clone(), NoteDrop(theirs, "unwound"));
        let task = spawn_local(move || {
            let _note = note;
            let me = mine.take().unwrap();
            let _ = me.join();
        });
        *own.borrow_mut() = Some(task);
        Bell::new().wait();
    })
    .unwrap_err();
    let reasons: Vec<_> = deadlock.tasks().iter().map(|task| task.reason().as_str()).collect();
    assert_eq!(reasons, ["waiting for a bell", "joining a task"]);
    log.expect(&["unwound"]);
}

#[test]
fn tasks_that_join_each_other_are_a_deadlock() {
    let deadlock = run_alone(|| {
        let handles: [Rc<RefCell<Option<JoinHandle<()>>>>; 2] = Default::default();
        for n in 0..2 {
            let other = handles[1 - n].clone();
            let task = spawn_local(move || {
                let other = other.take().unwrap();
                other.join().unwrap();
            });
            *handles[n].borrow_mut() = Some(task);
        }
        Bell::new().wait();
    });
    assert_eq!(deadlock.unwrap_err().tasks().len(), 3);
}

#[test]
fn a_result_is_seen_by_the_thread_that_joins() {
    run_in_order(|| {
        for n in 0..2000_usize {
            let task = spawn(move || Box::new([n; 8]));
            let joiner = thread::spawn(move || *task.join().unwrap());
            yield_now();
            assert_eq!(joiner.join().unwrap(), [n; 8]);
        }
    });
}

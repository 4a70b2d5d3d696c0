//! Calls that block, on the threads of the pool.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{catch_unwind, panic_any};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use lisle_runtime::no_suspend;
use lisle_scheduler::internal::limited;
use lisle_scheduler::{
    Cancelled, Detached, ForeignThreads, JobHandle, Runtime, blocking, current, spawn,
    spawn_blocking, yield_now,
};
use support::sys::{forbid_threads, in_fork_child};
use support::{
    Bell, Log, Said, alone_in_child, block_until, in_child, run_alone, run_in_order, run_on,
};

fn thread() -> ThreadId {
    thread::current().id()
}

#[test]
fn other_tasks_run_while_one_waits_for_a_call() {
    run_in_order(|| {
        let (sender, receiver) = mpsc::channel();
        let other = spawn(move || sender.send(7).unwrap());
        // Only the other task can end this.
        assert_eq!(blocking(move || receiver.recv()), Ok(7));
        other.join().unwrap();
    });
}

#[test]
fn a_call_borrows_from_its_task() {
    run_in_order(|| {
        let mut list = vec![1, 2];
        let (worker, text) = (thread(), String::from("borrowed"));
        let length = blocking(|| {
            list.push(3);
            assert_ne!(thread(), worker);
            assert!(current().is_none(), "it is no task");
            text.len()
        });
        assert_eq!((length, list), (8, vec![1, 2, 3]));
    });
}

#[test]
fn a_call_is_made_in_place_where_no_task_could_wait() {
    let here = thread();
    assert_eq!(blocking(thread), here, "a plain thread");
    run_in_order(move || {
        assert!(blocking(|| blocking(thread) == thread()), "inside another call");
        assert_eq!(no_suspend(|| blocking(thread)), here);
        assert_ne!(blocking(thread), here);
        // Inside a call there is no task that could wait, but one may be spawned.
        assert_eq!(blocking(|| spawn(|| 5).join().unwrap()), 5);
    });
}

#[test]
fn a_panic_comes_back() {
    run_in_order(|| {
        for n in 0..3 {
            let panic = catch_unwind(|| blocking(|| panic_any(n))).unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&n));
            let panic = spawn_blocking(move || panic_any(n)).join().unwrap_err();
            assert_eq!(panic.downcast_ref(), Some(&n));
        }
        assert_eq!(blocking(|| 1), 1);
    });
}

#[test]
fn a_handle_joins_as_that_of_a_task() {
    let call = spawn_blocking(|| 1);
    assert_eq!(call.join().unwrap(), 1, "of a plain thread");
    run_in_order(|| {
        let (open, gate) = mpsc::channel::<()>();
        let call = spawn_blocking(move || gate.recv().is_ok());
        assert!(!call.is_finished());
        assert!(format!("{call:?}").contains("is_finished: false"));
        let opener = spawn(move || open.send(()).unwrap());
        assert!(call.join().unwrap());
        opener.join().unwrap();

        // Joined elsewhere than where it was made.
        let call = spawn_blocking(|| 2);
        assert_eq!(thread::spawn(|| call.join().unwrap()).join().unwrap(), 2);
        let call = thread::spawn(|| spawn_blocking(|| 3)).join().unwrap();
        assert_eq!(spawn(|| call.join().unwrap()).join().unwrap(), 3);
        let call = spawn_blocking(|| 4);
        block_until(|| call.is_finished());
        assert_eq!(call.join().unwrap(), 4);
    });
}

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("as the test wants it");
    }
}

#[test]
fn a_call_that_is_detached_goes_on() {
    let (sender, receiver) = mpsc::channel();
    let (detached, is_detached) = mpsc::channel();
    let theirs = sender.clone();
    drop(spawn_blocking(move || {
        is_detached.recv().unwrap();
        theirs.send(1).unwrap();
        PanicsWhenDropped
    }));
    detached.send(()).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
    drop(spawn_blocking(move || sender.send(2)));
    assert_eq!(receiver.recv(), Ok(2), "a destructor's panic ends no thread");
}

/// Each call waits for all others, so there must be a thread for each.
#[test]
fn the_pool_grows_as_long_as_calls_wait() {
    const COUNT: usize = 40;
    let barrier = Arc::new(Barrier::new(COUNT));
    run_in_order(|| {
        let calls = |_| {
            let barrier = barrier.clone();
            spawn(move || blocking(|| barrier.wait().is_leader()))
        };
        let tasks: Vec<_> = (0..COUNT).map(calls).collect();
        let leaders = tasks.into_iter().filter(|_| true).map(|task| task.join().unwrap());
        assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
    });
}

#[test]
fn there_are_512_threads_at_most() {
    const MORE: usize = 40;
    let ended = in_child("there_are_512_threads_at_most", &[], || {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let go = AtomicBool::new(false);
        let shared = &*Box::leak(Box::new((running, most, go)));
        let call = |_| {
            spawn_blocking(move || {
                let (running, most, go) = shared;
                most.fetch_max(running.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                while !go.load(Ordering::Acquire) {
                    thread::sleep(Duration::from_millis(1));
                }
                running.fetch_sub(1, Ordering::AcqRel);
            })
        };
        let calls: Vec<JobHandle<()>> = (0..512 + MORE).map(call).collect();
        let (running, most, go) = shared;
        while running.load(Ordering::Acquire) < 512 {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(calls.last().unwrap().cancel(), "it has not begun");
        go.store(true, Ordering::Release);
        for (n, call) in calls.into_iter().enumerate() {
            let outcome = run_alone(|| call.join());
            assert_eq!(outcome.unwrap().is_ok(), n != 512 + MORE - 1);
        }
        assert_eq!(most.load(Ordering::Acquire), 512);
    });
    ended.assert_success();
}

#[test]
fn calls_of_the_limited_kind_are_64_at_a_time() {
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let open = Arc::new(AtomicBool::new(false));
    run_in_order(|| {
        let call = |_| {
            let (running, most, open) = (running.clone(), most.clone(), open.clone());
            spawn(move || {
                let wait = move || {
                    most.fetch_max(running.fetch_add(1, Ordering::AcqRel) + 1, Ordering::AcqRel);
                    while !open.load(Ordering::Acquire) {
                        thread::sleep(Duration::from_millis(1));
                    }
                    running.fetch_sub(1, Ordering::AcqRel);
                };
                limited(None, wait).unwrap().unwrap();
            })
        };
        let tasks: Vec<_> = (0..80).map(call).collect();
        while running.load(Ordering::Acquire) < 64 {
            yield_now();
        }
        // There is no room for one more, but for calls of the other kind.
        let owned = Arc::new(());
        let theirs = owned.clone();
        let deadline = Some(Instant::now() + Duration::from_millis(1));
        assert!(limited(deadline, move || drop(theirs)).unwrap().is_none());
        assert_eq!(Arc::strong_count(&owned), 1, "a call that has not begun is dropped");
        blocking(|| ());
        open.store(true, Ordering::Release);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(most.load(Ordering::Acquire), 64);
    });
}

#[test]
fn a_limited_call_that_has_begun_outlives_its_deadline() {
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let ended = Arc::new(AtomicBool::new(false));
    let theirs = ended.clone();
    run_in_order(|| {
        let caller = spawn(move || {
            limited(Some(Instant::now() + Duration::from_millis(50)), move || {
                begun.send(()).unwrap();
                let _ = gate.recv();
                theirs.store(true, Ordering::Release);
            })
        });
        // Under load it may not have begun in time, and never does then.
        let has_begun = blocking(move || has_begun.recv().is_ok());
        assert!(caller.join().unwrap().unwrap().is_none());
        assert!(!ended.load(Ordering::Acquire));
        drop(open);
        if has_begun {
            block_until(|| ended.load(Ordering::Acquire));
        }
        let panic = catch_unwind(|| limited(None, || panic_any(6))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&6));
    });
}

/// The runtime ends while a call is made: it waits for it, since the call borrows.
#[test]
fn a_runtime_that_ends_waits_for_a_call() {
    for workers in [1, 3] {
        let log = Log::new();
        let theirs = log.clone();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let main = move || {
            let task = spawn(move || {
                let (gate, text) = (gate, String::from("still there"));
                blocking(|| {
                    let gate = gate;
                    begun.send(()).unwrap();
                    let _ = gate.recv();
                    theirs.add(text.clone());
                });
                theirs.add("after it".into());
                Bell::new().wait();
                theirs.add("never".into());
            });
            blocking(move || has_begun.recv().unwrap());
            // It is unwound when the runtime ends, and lets the call end.
            spawn(move || {
                let _open = open;
                Bell::new().wait();
            });
            task
        };
        assert!(run_on(workers, main).unwrap().join().unwrap_err().is::<Cancelled>());
        log.expect(&["still there", "after it"]);
    }
}

#[test]
fn a_task_that_is_cancelled_makes_no_new_call_but_in_destructors() {
    struct CallInDrop(Log<&'static str>);
    impl Drop for CallInDrop {
        fn drop(&mut self) {
            let here = thread();
            assert_ne!(blocking(thread), here);
            self.0.add("in a destructor");
            let call = spawn_blocking(|| ());
            if let Err(error) = call.join() {
                assert!(error.is::<Detached>());
            }
        }
    }
    let log = Log::new();
    let theirs = log.clone();
    run_in_order(move || {
        spawn(move || {
            let _calls = CallInDrop(theirs.clone());
            let caught = catch_unwind(|| Bell::new().wait());
            assert!(caught.unwrap_err().is::<Cancelled>());
            blocking(|| theirs.add("never"));
        });
        yield_now();
    });
    log.expect(&["in a destructor"]);
}

#[test]
fn a_destructor_amid_a_panic_makes_a_call() {
    struct CallInDrop;
    impl Drop for CallInDrop {
        fn drop(&mut self) {
            assert!(thread::panicking());
            assert!(!blocking(thread::panicking));
            assert!(thread::panicking());
        }
    }
    run_in_order(|| {
        let unwinds = spawn(|| {
            let _calls = CallInDrop;
            panic_any(8);
        });
        let bystander = spawn(|| (0..100).for_each(|_| yield_now()));
        assert_eq!(unwinds.join().unwrap_err().downcast_ref(), Some(&8));
        bystander.join().unwrap();
    });
}

/// No report while a call runs that wakes no task; and the report when it has ended.
#[test]
fn a_deadlock_is_reported_after_the_last_call() {
    for workers in [1, 2] {
        let ended = Arc::new(AtomicBool::new(false));
        let theirs = ended.clone();
        let deadlock = run_on(workers, move || {
            drop(spawn_blocking(move || {
                thread::sleep(Duration::from_millis(10));
                theirs.store(true, Ordering::Release);
            }));
            Bell::new().wait();
        });
        let deadlock = deadlock.unwrap_err();
        assert!(ended.load(Ordering::Acquire));
        assert_eq!(deadlock.tasks().len(), 1);
    }
}

/// Threads of the pool that rest are not taken for others, whatever the policy.
#[test]
fn threads_that_rest_put_no_report_off() {
    for (variable, policy) in [("1", ForeignThreads::MayWake), ("2", ForeignThreads::LaterMayWake)]
    {
        let name = "threads_that_rest_put_no_report_off";
        if std::env::var("LISLE_TEST_POLICY").is_ok_and(|chosen| chosen != variable) {
            continue;
        }
        let ended = alone_in_child(name, &[("LISLE_TEST_POLICY", variable)], || {
            let builder = Runtime::builder().workers(2).foreign_threads(policy);
            let deadlock = builder.run(|| {
                let calls: Vec<_> = (0..3).map(|_| spawn(|| blocking(|| ()))).collect();
                calls.into_iter().for_each(|call| call.join().unwrap());
                Bell::new().wait();
            });
            assert_eq!(deadlock.unwrap_err().tasks().len(), 1);
        });
        ended.assert_success();
    }
}

/// A call wakes a task and ends, again and again: that is no deadlock, and neither is a task that
/// is awake for so short that no other worker sees it.
#[test]
fn a_call_that_wakes_a_task_is_never_taken_for_a_deadlock() {
    for workers in [1, 2] {
        let rounds = run_on(workers, || {
            let (to, from) = (Bell::new(), Bell::new());
            let (their_to, their_from) = (to.clone(), from.clone());
            let other = spawn(move || {
                for _ in 0..300 {
                    their_to.wait();
                    let bell = their_from.clone();
                    drop(spawn_blocking(move || bell.ring_until_heard()));
                }
            });
            for _ in 0..300 {
                let bell = to.clone();
                drop(spawn_blocking(move || bell.ring_until_heard()));
                from.wait();
            }
            other.join().unwrap();
        });
        rounds.unwrap();
    }
}

#[test]
fn calls_for_which_no_thread_can_be_started_run_in_place() {
    let name = "calls_for_which_no_thread_can_be_started_run_in_place";
    let ended = in_child(name, &[], || {
        if !forbid_threads() {
            return eprintln!("skipped: threads cannot be forbidden here");
        }
        let said = Said::begin("refused");
        run_in_order(|| {
            let here = thread();
            let mut calls = 0;
            for _ in 0..3 {
                assert_eq!(blocking(thread), here);
                blocking(|| calls += 1);
                assert_eq!(spawn_blocking(thread).join().unwrap(), here);
                assert_eq!(limited(None, thread).unwrap(), Some(here));
                assert!(catch_unwind(|| blocking(|| panic_any(1))).is_err());
            }
            assert_eq!(calls, 3);
            let many: Vec<_> = (0..100).map(|n| spawn(move || blocking(|| n))).collect();
            let sum: u32 = many.into_iter().map(|task| task.join().unwrap()).sum();
            assert_eq!(sum, 4950);
        });
        let said = said.text();
        assert_eq!(said.matches("no thread could be started").count(), 1, "{said}");
    });
    ended.assert_success();
}

#[test]
fn calls_wait_for_the_one_thread_that_there_is() {
    let name = "calls_wait_for_the_one_thread_that_there_is";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            let pool_thread = blocking(thread);
            // The limit holds for a user, and each thread has its own.
            if !forbid_threads() || !blocking(forbid_threads) {
                return eprintln!("skipped: threads cannot be forbidden here");
            }
            let (open, gate) = mpsc::channel::<()>();
            let first = spawn_blocking(move || gate.recv().is_ok());
            let owned = Arc::new(());
            let theirs = owned.clone();
            let cancelled = spawn_blocking(move || drop(theirs));
            let second = spawn(|| blocking(thread));
            yield_now();
            assert!(cancelled.cancel());
            assert!(cancelled.is_finished() && !cancelled.cancel());
            assert_eq!(Arc::strong_count(&owned), 1, "the closure is dropped");
            assert!(cancelled.join().unwrap_err().is::<Cancelled>());
            open.send(()).unwrap();
            assert_eq!(second.join().unwrap(), pool_thread);
            assert!(!first.cancel(), "it has ended");
            assert!(first.join().unwrap());

            // Calls that wait for each other make do with one thread.
            let nested = spawn_blocking(|| spawn_blocking(|| 6).join().unwrap() + 1);
            assert_eq!(nested.join().unwrap(), 7);
        });
    });
    ended.assert_success();
}

#[test]
fn a_fork_child_has_a_pool_of_its_own() {
    let ended = in_child("a_fork_child_has_a_pool_of_its_own", &[], || {
        run_in_order(|| {
            let here = thread();
            assert_ne!(blocking(thread), here);
            let handle = spawn_blocking(|| thread::sleep(Duration::from_millis(1)));
            let ended = in_fork_child(|| {
                assert_eq!(blocking(thread), here, "a task of the parent's");
                let _ = handle.cancel();
                let other = thread::spawn(|| run_in_order(|| (blocking(thread), thread())));
                let (called_on, worker) = other.join().unwrap();
                assert_ne!(called_on, worker);
                assert_eq!(spawn_blocking(|| 3).join().unwrap(), 3);
            });
            assert!(ended.success(), "{ended}");
            handle.join().unwrap();
        });
    });
    ended.assert_success();
}

/// As one that starts a program does, and what it reads in the child may lie on the task's stack.
#[test]
fn a_call_that_forks_has_what_it_borrows_in_the_child() {
    let ended = in_child("a_call_that_forks_has_what_it_borrows_in_the_child", &[], || {
        run_in_order(|| {
            let (numbers, text) = ([1, 2, 3], String::from("text"));
            let ended = blocking(|| {
                in_fork_child(|| {
                    assert_eq!((numbers, &*text), ([1, 2, 3], "text"));
                })
            });
            assert!(ended.success(), "{ended}");
        });
    });
    ended.assert_success();
}

#[test]
fn tasks_threads_and_calls_mixed() {
    const COUNT: usize = 200;
    let counts = Arc::new([(); 3].map(|()| AtomicUsize::new(0)));
    for workers in [1, 4] {
        let theirs = counts.clone();
        let main = move || {
            let task = |n: usize| {
                let counts = theirs.clone();
                spawn(move || match n % 3 {
                    0 => blocking(|| counts[0].fetch_add(1, Ordering::Relaxed)),
                    1 => {
                        let call =
                            spawn_blocking(move || counts[1].fetch_add(1, Ordering::Relaxed));
                        yield_now();
                        call.join().unwrap()
                    }
                    _ => thread::spawn(move || {
                        blocking(|| counts[2].fetch_add(1, Ordering::Relaxed))
                    })
                    .join()
                    .unwrap(),
                })
            };
            let tasks: Vec<_> = (0..COUNT).map(task).collect();
            for task in tasks {
                task.join().unwrap();
            }
        };
        run_on(workers, main).unwrap();
    }
    let total: usize = counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert_eq!(total, 2 * COUNT);
}

//! Injected failures with several workers: threads that cannot be had, memory that runs out, panics
//! in the worst places, and settings that make no sense.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{Builder, JoinHandle, Runtime, run, spawn, spawn_local, yield_now};
use support::sys::{limit_address_space, unlimit_address_space};
use support::{Bell, block_until, in_child, on_each_worker, run_on};

/// No address space is left for the stack of a thread, though there is for those of tasks. The team
/// says so, once, and goes on with the workers that it has.
#[test]
fn a_team_goes_on_without_the_threads_that_it_cannot_have() {
    let name = "a_team_goes_on_without_the_threads_that_it_cannot_have";
    let ended = in_child(name, &[], || {
        run_on(8, || {
            stock_up_on_stacks();
            limit_address_space(1 << 20);
            for _ in 0..50 {
                let tasks: Vec<_> = (0..20).map(|n| spawn(move || n)).collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.join().unwrap(), n);
                }
            }
            unlimit_address_space();
        })
        .unwrap();
    });
    ended.assert_success();
    ended.assert_says("lisle: going on with 7 fewer workers: ");
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

/// Has more tasks at once than a worker keeps stacks, so that the others find some. No other worker
/// is called for tasks that it could not take.
fn stock_up_on_stacks() {
    let crowd: Vec<_> = (0..3_000).map(|_| spawn_local(yield_now)).collect();
    crowd.into_iter().for_each(|task| task.join().unwrap());
}

#[test]
fn a_team_goes_on_with_the_threads_that_it_already_has() {
    let name = "a_team_goes_on_with_the_threads_that_it_already_has";
    let ended = in_child(name, &[], || {
        run_on(8, || {
            // Two workers take part: main does not switch before both tasks have ended.
            let tasks = on_each_worker(2, |_| thread::current().id());
            block_until(|| tasks.iter().all(|task| task.is_finished()));
            drop(tasks);
            stock_up_on_stacks();
            limit_address_space(1 << 20);
            for _ in 0..50 {
                let (count, mut tasks) = (Arc::new(AtomicUsize::new(0)), Vec::new());
                for _ in 0..40 {
                    let count = count.clone();
                    tasks.push(spawn(move || count.fetch_add(1, Ordering::Relaxed)));
                }
                block_until(|| count.load(Ordering::Relaxed) == 40);
                assert!(tasks.into_iter().all(|task| task.join().is_ok()));
            }
            unlimit_address_space();
        })
        .unwrap();
    });
    ended.assert_success();
    assert!(ended.stderr.lines().count() <= 1, "{}", ended.stderr);
}

#[test]
fn a_runtime_whose_first_thread_cannot_be_had_is_an_error() {
    let name = "a_runtime_whose_first_thread_cannot_be_had_is_an_error";
    let ended = in_child(name, &[], || {
        let builder = Runtime::builder().workers(2);
        limit_address_space(1 << 20);
        let error = builder.clone().start().unwrap_err().to_string();
        assert!(error.starts_with("no thread could be started for a worker"), "{error}");
        assert!(Builder::new().spawn(|| ()).is_err(), "nor for the default runtime");
        unlimit_address_space();
        let runtime = builder.start().unwrap();
        assert_eq!(runtime.spawn(|| 7).join().unwrap(), 7, "a later call may succeed");
        assert_eq!(spawn(|| 8).join().unwrap(), 8);
    });
    ended.assert_success();
}

/// On every worker tasks spawn until there is no address space left. Each spawn that fails is an
/// error of its own; nobody else suffers, and afterwards all is as before.
#[test]
fn memory_for_stacks_runs_out_on_every_worker() {
    let name = "memory_for_stacks_runs_out_on_every_worker";
    let ended = in_child(name, &[], || {
        run_on(4, || {
            let tasks = on_each_worker(4, |_| ());
            tasks.into_iter().for_each(|task| task.join().unwrap());
            limit_address_space(400 << 20);
            for round in 0..5 {
                let failed = Arc::new(AtomicUsize::new(0));
                let all_failed = failed.clone();
                let tasks = on_each_worker(4, move |_| {
                    let mut children = Vec::new();
                    let text = loop {
                        let builder = match (children.len() + round) % 2 {
                            0 => Builder::new(),
                            _ => Builder::new().stack_size(8 << 20),
                        };
                        let bell = Bell::new();
                        let theirs = bell.clone();
                        match builder.spawn(move || theirs.wait()) {
                            Ok(task) => children.push((bell, task)),
                            Err(error) => break error.to_string(),
                        }
                        assert!(children.len() < 1_000, "the limit is reached");
                        yield_now();
                    };
                    assert!(text.starts_with("no address space for another stack"), "{text}");
                    all_failed.fetch_add(1, Ordering::AcqRel);
                    while all_failed.load(Ordering::Acquire) < 4 {
                        yield_now();
                    }
                    for (bell, task) in children {
                        bell.ring_until_heard();
                        task.join().unwrap();
                    }
                });
                tasks.into_iter().for_each(|task| task.join().unwrap());
                assert_eq!(failed.load(Ordering::Relaxed), 4);
            }
            unlimit_address_space();
        })
        .unwrap();
    });
    ended.assert_success();
}

/// No memory is left while new tasks wait to be accepted from outside. They are not forgotten: when
/// there is some again, all of them run.
#[test]
fn tasks_that_are_handed_in_survive_a_lack_of_memory() {
    const STACK: usize = 64 << 20;
    let name = "tasks_that_are_handed_in_survive_a_lack_of_memory";
    let ended = in_child(name, &[], || {
        let runtime = Runtime::builder().workers(1).stack_size(STACK).start().unwrap();
        let (busy, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (theirs, end) = (busy.clone(), over.clone());
        let first = runtime.spawn(move || {
            theirs.store(true, Ordering::Release);
            block_until(|| end.load(Ordering::Acquire));
            let _ = Bell::new().wait_until(Some(std::time::Instant::now()));
        });
        block_until(|| busy.load(Ordering::Acquire));
        // There is memory for each when it is handed in, and not for all when they are accepted.
        limit_address_space(4 * STACK as u64);
        let tasks: Vec<_> = (0..30).map(|n| runtime.spawn(move || n)).collect();
        limit_address_space(0);
        over.store(true, Ordering::Release);
        first.join().unwrap();
        unlimit_address_space();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
    });
    ended.assert_success();
}

/// Destructors of results, of closures that never ran and of frames panic, on every worker.
#[test]
fn panics_in_destructors_harm_nobody() {
    struct PanicsInDrop(Arc<AtomicUsize>);
    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
            if !thread::panicking() {
                std::panic::resume_unwind(Box::new("in drop"));
            }
        }
    }
    /// The task may have finished on another worker. Then its result is dropped with the handle.
    fn drop_handle<T>(task: JoinHandle<T>) {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(task)));
    }
    for workers in [1, 2, 4] {
        let dropped = Arc::new(AtomicUsize::new(0));
        run_on(workers, || {
            let count = dropped.clone();
            let tasks = on_each_worker(workers, move |_| {
                for _ in 0..50 {
                    // In the frame, in the captures, in a result that nobody takes, and in a
                    // panic's payload that nobody takes.
                    let bomb = || PanicsInDrop(count.clone());
                    let (frame, captured, result, payload) = (bomb(), bomb(), bomb(), bomb());
                    assert!(spawn(move || drop(frame)).join().is_err());
                    assert!(
                        spawn(move || if false {
                            drop(captured)
                        })
                        .join()
                        .is_err()
                    );
                    drop_handle(spawn(move || result));
                    drop_handle(spawn(move || std::panic::resume_unwind(Box::new(payload))));
                    yield_now();
                }
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
            // Some that never run.
            for _ in 0..50 {
                let bomb = PanicsInDrop(dropped.clone());
                drop(spawn(move || drop(bomb)));
            }
        })
        .unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), (200 * workers) + 50);
    }
}

/// A panic inside the panic hook ends the process, by the rules of the standard library, on any
/// worker.
#[test]
fn a_panic_in_the_panic_hook_aborts() {
    for workers in ["1", "3"] {
        let name = "a_panic_in_the_panic_hook_aborts";
        let ended = in_child(name, &[("LISLE_WORKERS", workers)], || {
            std::panic::set_hook(Box::new(|_| panic!("in the hook")));
            let several = std::env::var("LISLE_WORKERS").is_ok_and(|workers| workers != "1");
            run(|| {
                let task = spawn(|| panic!("in the task"));
                drop(spawn(|| ()));
                // This worker comes to them only if it has to.
                block_until(|| !several);
                drop(task.join());
            });
        });
        ended.assert_aborted();
    }
}

/// A panic hook that itself runs tasks' operations is allowed to, as long as it does not suspend.
#[test]
fn a_panic_hook_may_spawn() {
    let name = "a_panic_hook_may_spawn";
    let ended = in_child(name, &[], || {
        static SPAWNED: AtomicUsize = AtomicUsize::new(0);
        std::panic::set_hook(Box::new(|_| {
            drop(spawn(|| SPAWNED.fetch_add(1, Ordering::Relaxed)));
        }));
        run_on(3, || {
            let tasks = on_each_worker(3, |_| panic!("to be heard"));
            tasks.into_iter().for_each(|task| assert!(task.join().is_err()));
            while SPAWNED.load(Ordering::Relaxed) < 3 {
                yield_now();
            }
        })
        .unwrap();
    });
    ended.assert_success();
}

#[test]
fn senseless_numbers_of_workers_are_refused_by_name() {
    for value in ["0", "-1", "two", "1.5", "4 workers", "0x4", "99999999999999999999999"] {
        let name = "senseless_numbers_of_workers_are_refused_by_name";
        let ended = in_child(name, &[("LISLE_WORKERS", value)], || run(|| ()));
        ended.assert_panicked();
        ended.assert_says(&format!(
            "LISLE_WORKERS must be a number from 1 on, such as 4, but is {value:?}"
        ));
        // At the caller, and once.
        ended.assert_says(&format!("panicked at {}:", file!()));
        assert_eq!(ended.stderr.matches("panicked at").count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn sensible_numbers_of_workers_are_taken() {
    for (value, workers) in [("1", 1), (" 3 ", 3), ("", 1)] {
        let name = "sensible_numbers_of_workers_are_taken";
        let variables = [("LISLE_WORKERS", value), ("EXPECTED", &*workers.to_string())];
        let ended = in_child(name, &variables, || {
            let workers = std::env::var("EXPECTED").unwrap().parse().unwrap();
            run(|| {
                let tasks = on_each_worker(workers, |_| thread::current().id());
                let mut threads: Vec<_> =
                    tasks.into_iter().map(|task| task.join().unwrap()).collect();
                threads.dedup();
                assert_eq!(threads.len(), workers);
            });
        });
        ended.assert_success();
    }
}

/// 10,000 workers are 1,024, of which only those have threads that are wanted.
#[test]
fn too_many_workers_are_as_many_as_there_can_be() {
    let name = "too_many_workers_are_as_many_as_there_can_be";
    let ended = in_child(name, &[("LISLE_WORKERS", "10000")], || {
        run(|| {
            for _ in 0..100 {
                let tasks: Vec<_> = (0..100).map(|n| spawn(move || n)).collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.join().unwrap(), n);
                }
            }
            let tasks = on_each_worker(20, |_| ());
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    });
    ended.assert_success();
    assert!(Runtime::builder().workers(usize::MAX).start().is_ok());
}

#[test]
fn no_workers_at_all_are_an_error() {
    let error = Runtime::builder().workers(0).start().unwrap_err();
    assert_eq!(error.to_string(), "a runtime needs at least one worker");
    let refused = catch_unwind(|| Runtime::builder().workers(0).run(|| unreachable!("no worker")));
    let text = refused.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*text, "a runtime needs at least one worker");
}

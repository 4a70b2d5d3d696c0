//! Runtimes with threads of their own: those that are started, and the default one.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use lisle_scheduler::{
    Builder, Cancelled, Runtime, TaskState, current, run, shield, spawn, yield_now,
};
use support::sys::in_fork_child;
use support::{Bell, block_until, in_child, run_on};

#[test]
fn a_plain_thread_spawns_without_any_setting_up() {
    assert!(current().is_none());
    let (name, on) = spawn(|| (current().is_some(), thread::current().id())).join().unwrap();
    assert!(name);
    assert_ne!(on, thread::current().id());
}

#[test]
fn many_threads_spawn_at_once() {
    let sums: Vec<_> = (0..8)
        .map(|n| {
            thread::spawn(move || {
                let tasks: Vec<_> = (0..500u64).map(|m| spawn(move || n + m)).collect();
                tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>()
            })
        })
        .collect();
    for (n, sum) in sums.into_iter().enumerate() {
        assert_eq!(sum.join().unwrap(), 500 * n as u64 + 499 * 500 / 2);
    }
}

/// Each fork child starts a default runtime of its own; that of one worker runs all on one thread.
#[test]
fn threads_that_spawn_first_at_once_share_the_default_runtime() {
    let name = "threads_that_spawn_first_at_once_share_the_default_runtime";
    let ended = in_child(name, &[("LISLE_WORKERS", "1")], || {
        for _ in 0..20 {
            let ended = in_fork_child(|| {
                let barrier = Barrier::new(8);
                let first = || {
                    barrier.wait();
                    spawn(|| thread::current().id()).join().unwrap()
                };
                let ids: Vec<_> = thread::scope(|scope| {
                    let threads: Vec<_> = (0..8).map(|_| scope.spawn(first)).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
                });
                assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
            });
            assert!(ended.success(), "{ended}");
        }
    });
    ended.assert_success();
}

#[test]
fn names_and_stack_sizes_hold_on_a_runtime() {
    fn depth(left: usize) -> usize {
        let frame = std::hint::black_box([0u8; 1024]);
        if left == 0 { frame[0] as usize } else { 1 + depth(left - 1) }
    }
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let task = Builder::new()
        .name("deep")
        .stack_size(16 << 20)
        .spawn_on(runtime.handle(), || (depth(3_000), current().unwrap().name().map(str::to_owned)))
        .unwrap();
    assert_eq!(task.join().unwrap(), (3_000, Some("deep".to_owned())));
}

#[test]
fn dropping_a_runtime_unwinds_what_waits_and_joins_its_threads() {
    struct CountDrop(Arc<AtomicUsize>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for workers in [1, 2, 4] {
        let drops = Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::builder().workers(workers).start().unwrap();
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let guard = CountDrop(drops.clone());
                runtime.spawn(move || {
                    let _guard = guard;
                    loop {
                        yield_now();
                    }
                })
            })
            .collect();
        drop(runtime);
        assert_eq!(drops.load(Ordering::Relaxed), 100);
        for task in tasks {
            let end: Result<(), _> = task.join();
            assert!(end.unwrap_err().is::<Cancelled>());
        }
    }
}

#[test]
fn a_task_may_drop_the_runtime_it_runs_on() {
    let runtime = Arc::new(Runtime::builder().workers(2).start().unwrap());
    let (hand_over, take) = std::sync::mpsc::channel::<Arc<Runtime>>();
    let task = runtime.spawn(move || drop(take.recv()));
    hand_over.send(runtime).unwrap();
    // It is cancelled by its own doing, or ends before it notices.
    let _ = task.join();
}

#[test]
fn runtimes_do_not_disturb_each_other() {
    let runtimes: Vec<_> =
        (1..4).map(|workers| Runtime::builder().workers(workers).start().unwrap()).collect();
    let total = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..300)
        .map(|n| {
            let total = total.clone();
            runtimes[n % 3].spawn(move || {
                yield_now();
                total.fetch_add(n, Ordering::Relaxed);
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    assert_eq!(total.load(Ordering::Relaxed), 299 * 300 / 2);
}

#[test]
fn a_task_inside_run_joins_one_on_another_runtime() {
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let answer = run(|| {
        let there =
            Builder::new().spawn_on(runtime.handle(), || spawn(|| 42).join().unwrap()).unwrap();
        there.join().unwrap()
    });
    assert_eq!(answer, 42);
}

#[test]
fn run_inside_a_task_of_a_started_runtime_panics() {
    let runtime = Runtime::builder().workers(1).start().unwrap();
    let panic = runtime.spawn(|| run(|| unreachable!("it does not run"))).join().unwrap_err();
    let text = panic.downcast_ref::<&str>().unwrap();
    assert!(text.starts_with("lisle::run was called inside a task"), "{text}");
    assert_eq!(runtime.spawn(|| 1).join().unwrap(), 1);
}

#[test]
fn a_task_may_start_a_runtime_and_end_it() {
    for workers in [1, 2] {
        let answer = run(|| {
            let runtime = Runtime::builder().workers(workers).start().unwrap();
            let answer = runtime.spawn(|| 6 * 7).join().unwrap();
            runtime.shutdown_timeout(LONG).unwrap();
            answer
        });
        assert_eq!(answer, 42);
    }
}

/// No end of a test takes as long.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_drop_unwinds_however_many_wait() {
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let alive = Arc::new(());
    for _ in 0..20_000 {
        let alive = alive.clone();
        runtime.spawn(move || {
            let _alive = alive;
            Bell::new().wait();
        });
    }
    block_until(|| runtime.metrics().total().parked_tasks == 20_000);
    drop(runtime);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_shutdown_waits_for_what_can_be_unwound() {
    for workers in [1, 2, 4] {
        let runtime = Runtime::builder().workers(workers).start().unwrap();
        let bell = Bell::new();
        let theirs = bell.clone();
        let waits = runtime.spawn(move || theirs.wait());
        let yields = runtime.spawn(|| {
            loop {
                yield_now();
            }
        });
        block_until(|| bell.is_awaited());
        runtime.shutdown_timeout(LONG).unwrap();
        let ends: [Result<(), _>; 2] = [waits.join(), yields.join()];
        assert!(ends.into_iter().all(|end| end.unwrap_err().is::<Cancelled>()));
    }
}

#[test]
fn a_shutdown_says_which_thread_computes() {
    let runtime = Runtime::builder().workers(1).name("sums").start().unwrap();
    let (busy, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (started, until) = (busy.clone(), over.clone());
    let task = runtime.spawn(move || {
        started.store(true, Ordering::Release);
        block_until(|| until.load(Ordering::Acquire));
        7
    });
    block_until(|| busy.load(Ordering::Acquire));
    let error = runtime.shutdown_timeout(Duration::ZERO).unwrap_err();
    let dump = error.dump();
    let [busy] = dump.busy_workers() else { panic!("{error}") };
    assert_eq!((busy.thread(), dump.task_count()), ("sums-0", 0));
    let text = error.to_string();
    let number = task.task().id();
    let said = "the runtime 'sums' has not ended in time\n\n\
                worker 0 (thread sums-0) is busy with task ";
    assert!(
        text.starts_with(&format!("{said}{number}\n    spawned at scheduler/tests/")),
        "{text}"
    );
    over.store(true, Ordering::Release);
    assert_eq!(task.join().unwrap(), 7, "it goes on, and ends");
}

/// Its partner has taken the unparker and does not use it yet.
#[test]
fn a_shutdown_says_which_task_waits_for_a_hand_over() {
    for workers in [1, 2, 4] {
        while !one_waits_for_a_hand_over(workers) {}
    }
}

/// False if the machine has kept a worker from answering, which counts as busy then, or if the
/// worker has answered before the cancelled task had its turn.
fn one_waits_for_a_hand_over(workers: usize) -> bool {
    let runtime = Runtime::builder().workers(workers).start().unwrap();
    let bell = Bell::new();
    let theirs = bell.clone();
    let task = Builder::new().name("served").spawn_on(runtime.handle(), move || {
        theirs.wait();
    });
    let task = task.unwrap();
    block_until(|| bell.is_awaited());
    let unparker = bell.take().unwrap();
    let error = runtime.shutdown_timeout(Duration::ZERO).unwrap_err();
    unparker.unpark();
    task.join().unwrap();
    if !error.dump().busy_workers().is_empty() {
        return false;
    }
    let tasks: Vec<_> = error.dump().tasks().collect();
    assert_eq!(tasks.len(), 1, "{error}");
    if tasks[0].state() == TaskState::Ready {
        return false;
    }
    let served = tasks[0];
    assert_eq!(served.task().name(), Some("served"));
    assert_eq!(served.wait().unwrap().reason(), Bell::REASON);
    assert!(error.to_string().contains("'served': waiting for a bell"), "{error}");
    true
}

/// Such a task is left behind, and waited for no longer.
#[test]
fn a_shutdown_gets_over_what_swallows_its_cancellation() {
    let name = "a_shutdown_gets_over_what_swallows_its_cancellation";
    let ended = in_child(name, &[], || {
        for workers in [1, 2, 4] {
            let runtime = Runtime::builder().workers(workers).start().unwrap();
            let bell = Bell::new();
            let theirs = bell.clone();
            let task = runtime.spawn(move || {
                loop {
                    let _ = catch_unwind(AssertUnwindSafe(|| theirs.wait()));
                }
            });
            block_until(|| bell.is_awaited());
            runtime.shutdown_timeout(LONG).unwrap();
            let end: Result<(), _> = task.join();
            assert!(end.unwrap_err().is::<Cancelled>());
        }
    });
    ended.assert_success();
    let said = ended.stderr.matches("has caught its cancellation").count();
    assert_eq!(said, 3, "{}", ended.stderr);
}

#[test]
fn a_shutdown_says_which_task_waits_in_a_shield() {
    for workers in [1, 2, 4] {
        while !one_waits_in_a_shield(workers) {}
    }
}

/// False if the machine has kept a worker from answering, which counts as busy then.
fn one_waits_in_a_shield(workers: usize) -> bool {
    let runtime = Runtime::builder().workers(workers).start().unwrap();
    let bell = Bell::new();
    let theirs = bell.clone();
    let task = Builder::new().name("shielded").spawn_on(runtime.handle(), move || {
        shield(|| theirs.wait());
        7
    });
    let task = task.unwrap();
    block_until(|| bell.is_awaited());
    let error = runtime.shutdown_timeout(Duration::ZERO).unwrap_err();
    assert!(bell.ring(), "the end of the runtime has not ended the wait");
    assert_eq!(task.join().unwrap(), 7);
    if !error.dump().busy_workers().is_empty() {
        return false;
    }
    let tasks: Vec<_> = error.dump().tasks().collect();
    assert_eq!(tasks.len(), 1, "{error}");
    let shielded = tasks[0];
    assert_eq!(shielded.task().name(), Some("shielded"));
    assert_eq!(shielded.wait().unwrap().reason(), Bell::REASON);
    true
}

#[test]
fn a_task_that_shuts_its_own_runtime_down_is_told_of_itself() {
    for workers in [1, 2] {
        let runtime = Runtime::builder().workers(workers).start().unwrap();
        let (give, take) = std::sync::mpsc::channel::<Runtime>();
        let task = Builder::new().name("own").spawn_on(runtime.handle(), move || {
            let runtime = take.recv().unwrap();
            let error = runtime.shutdown_timeout(LONG).unwrap_err();
            error.dump().tasks().map(|task| task.task().name().map(str::to_owned)).collect()
        });
        give.send(runtime).unwrap();
        let names: Vec<_> = task.unwrap().join().unwrap();
        assert_eq!(names, [Some("own".to_owned())]);
    }
}

#[test]
fn a_task_that_waits_for_a_shutdown_lets_others_run() {
    run_on(1, || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (busy, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (started, until) = (busy.clone(), over.clone());
        drop(runtime.spawn(move || {
            started.store(true, Ordering::Release);
            block_until(|| until.load(Ordering::Acquire));
        }));
        block_until(|| busy.load(Ordering::Acquire));
        let releases = spawn(move || over.store(true, Ordering::Release));
        runtime.shutdown_timeout(LONG).unwrap();
        releases.join().unwrap();
    })
    .unwrap();
}

//! Tasks that are spawned from plain threads: the default runtime and runtimes of one's own.
#![cfg(not(lisle_loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{Builder, Cancelled, Runtime, current, run, spawn, yield_now};

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

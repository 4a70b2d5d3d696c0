//! Handles: spawning into a runtime of either kind from wherever one is kept, before and after its
//! end.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lisle_scheduler::{Builder, Cancelled, Handle, Runtime, current, run, spawn, yield_now};
use support::{Bell, Log, NoteDrop, block_until, run_in_order};

fn start(workers: usize) -> Runtime {
    Runtime::builder().workers(workers).start().unwrap()
}

#[test]
fn handles_may_be_kept_anywhere() {
    fn may_be_kept_anywhere<T: Clone + Send + Sync + std::fmt::Debug + 'static>() {}
    may_be_kept_anywhere::<Handle>();
    let runtime = Runtime::builder().workers(2).name("kept").start().unwrap();
    assert_eq!(format!("{:?}", runtime.handle()), "Handle { name: \"kept\", workers: 2 }");
    assert_eq!(format!("{runtime:?}"), "Runtime { name: \"kept\", workers: 2 }");
}

#[test]
fn a_plain_thread_has_no_current_runtime() {
    assert!(Handle::current().is_none());
    let inside = spawn(|| Handle::current().is_some());
    assert!(inside.join().unwrap(), "the default runtime is one, too");
}

#[test]
fn a_thread_spawns_into_the_runtime_of_run() {
    for workers in [1, 2, 4] {
        let main = || {
            let handle = Handle::current().unwrap();
            let bell = Bell::new();
            let theirs = bell.clone();
            let thread = thread::spawn(move || {
                let task = handle.spawn(move || theirs.ring_until_heard()).unwrap();
                task.join().unwrap();
                handle
            });
            bell.wait();
            thread
        };
        let thread = Runtime::builder().workers(workers).run(main).unwrap();
        // The run has ended, perhaps before the task had, which was given up then.
        let _ = thread.join();
    }
}

#[test]
fn a_spawn_on_ones_own_runtime_has_its_place_in_the_order() {
    let log = Log::new();
    run_in_order(|| {
        let handle = Handle::current().unwrap();
        let add = |n| {
            let log = log.clone();
            move || log.add(n)
        };
        drop((spawn(add(1)), handle.spawn(add(2)).unwrap(), spawn(add(3))));
        yield_now();
        log.expect(&[1, 2, 3]);
    });
}

#[test]
fn the_place_of_the_spawn_is_that_of_the_caller() {
    let runtime = start(1);
    let (give, take) = mpsc::channel::<Runtime>();
    let shuts_down = move || take.recv().unwrap().shutdown_timeout(Duration::ZERO);
    let (line, task) = (line!(), runtime.handle().spawn(shuts_down));
    give.send(runtime).unwrap();
    let error = task.unwrap().join().unwrap().unwrap_err();
    assert_eq!(error.dump().tasks().next().unwrap().spawned_at().line(), line);
}

#[test]
fn after_the_end_a_spawn_is_an_error_and_drops_its_closure() {
    let runtime = Runtime::builder().workers(2).name("brief").start().unwrap();
    let handle = runtime.handle().clone();
    assert_eq!(handle.spawn(|| 7).unwrap().join().unwrap(), 7);
    drop(runtime);
    let of_run = run(|| Handle::current().unwrap());
    for (handle, name) in [(handle, "brief"), (of_run, "lisle")] {
        let log = Log::new();
        for _ in 0..3 {
            let note = NoteDrop(log.clone(), 1);
            let error = handle.spawn(move || drop(note)).unwrap_err();
            let text = format!("the runtime '{name}' has ended and takes no more tasks");
            assert!(error.to_string().starts_with(&text), "{error}");
            log.expect(&[1]);
        }
        assert!(Builder::new().name("late").stack_size(1 << 20).spawn_on(&handle, || ()).is_err());
        assert!(run(|| handle.spawn(|| ()).is_err()), "nor does it take tasks from a task");
        assert_eq!(handle.metrics().total().live_tasks, 0);
        assert!(handle.metrics().total().switches > 0, "what was done is still known");
    }
}

/// A thread spawns for as long as it may while the runtime ends: each task runs or is cancelled,
/// and its joiner hears of it.
#[test]
fn no_task_is_lost_when_its_spawn_meets_the_end() {
    let (mut ran, mut cancelled) = (0, 0);
    for round in 0..300 {
        let runtime = start(1 + round % 3);
        let handle = runtime.handle().clone();
        let begun = Arc::new(AtomicBool::new(false));
        let (begin, closures) = (begun.clone(), Arc::new(AtomicUsize::new(0)));
        let dropped = closures.clone();
        let spawner = thread::spawn(move || {
            let mut tasks = Vec::new();
            loop {
                let alive = Alive::new(&closures);
                match handle.spawn(move || drop(alive)) {
                    Ok(task) => tasks.push(task),
                    Err(_) => return tasks,
                }
                begin.store(true, Ordering::Release);
            }
        });
        block_until(|| begun.load(Ordering::Acquire));
        drop(runtime);
        for task in spawner.join().unwrap() {
            assert!(task.is_finished(), "the runtime has ended");
            match task.join() {
                Ok(()) => ran += 1,
                Err(error) => {
                    assert!(error.is::<Cancelled>());
                    cancelled += 1;
                }
            }
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 0);
    }
    assert!(ran > 0, "{ran} tasks ran and {cancelled} were cancelled");
}

/// Counts itself while it is there.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first task never gives way. The second, which ends it, comes from outside and needs another
/// thread.
#[test]
fn a_busy_worker_does_not_keep_others_from_what_comes_from_outside() {
    for round in 0..50 {
        let runtime = start(2);
        for _ in 0..1 + round % 3 {
            let busy = Arc::new(AtomicBool::new(false));
            let over = Arc::new(AtomicBool::new(false));
            let (started, until) = (busy.clone(), over.clone());
            let first = runtime.spawn(move || {
                started.store(true, Ordering::Release);
                block_until(|| until.load(Ordering::Acquire));
            });
            block_until(|| busy.load(Ordering::Acquire));
            let second = runtime.spawn(move || over.store(true, Ordering::Release));
            second.join().unwrap();
            first.join().unwrap();
        }
    }
}

#[test]
fn what_comes_while_all_workers_compute_is_run_by_the_first_that_gets_free() {
    for round in 0..60 {
        let workers = [1, 2, 4][round % 3];
        let runtime = start(workers);
        let computing = Arc::new(AtomicUsize::new(0));
        let gates: Vec<_> = (0..workers).map(|_| Arc::new(AtomicBool::new(false))).collect();
        let compute = |gate: &Arc<AtomicBool>| {
            let (computing, gate) = (computing.clone(), gate.clone());
            runtime.spawn(move || {
                computing.fetch_add(1, Ordering::AcqRel);
                block_until(|| gate.load(Ordering::Acquire));
                thread::current().id()
            })
        };
        let mut tasks: Vec<_> = gates.iter().map(compute).collect();
        block_until(|| computing.load(Ordering::Acquire) == workers);
        let late = runtime.spawn(|| thread::current().id());
        let first = round % workers;
        gates[first].store(true, Ordering::Release);
        let by = late.join().unwrap();
        assert_eq!(by, tasks.swap_remove(first).join().unwrap());
        gates.iter().for_each(|gate| gate.store(true, Ordering::Release));
        tasks.into_iter().for_each(|task| assert_ne!(task.join().unwrap(), by));
    }
}

#[test]
fn two_runtimes_spawn_into_each_other() {
    let (one, other) = (start(1), start(2));
    let (handles, task) = ([one.handle().clone(), other.handle().clone()], mpsc::channel());
    fn bounce(handles: [Handle; 2], left: usize, done: mpsc::Sender<bool>) {
        if left == 0 {
            return done.send(current().is_some()).unwrap();
        }
        let there = handles[left % 2].clone();
        there.spawn(move || bounce(handles, left - 1, done)).unwrap();
    }
    bounce(handles, 1_000, task.0);
    assert!(task.1.recv().unwrap());
}

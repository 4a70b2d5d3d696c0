//! How several workers end: by the end of main, by panics and overflows, by being dropped.
#![cfg(not(lisle_loom))]

mod support;

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::Wake;
use lisle_scheduler::{
    Builder, Cancelled, Detached, Runtime, current, run, sleep, spawn, yield_now,
};
use support::channel::Channel;
use support::{Bell, Log, NoteDrop, OnDrop, block_until, in_child, on_each_worker, run_on};

const SEVERAL: [usize; 3] = [2, 4, 8];
const LONG: Duration = Duration::from_secs(3600);

/// Panics if it is dropped on another thread than it was made on, and counts if not.
struct AtHome(thread::ThreadId, Arc<AtomicUsize>);

impl AtHome {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        Self(thread::current().id(), count.clone())
    }
}

impl Drop for AtHome {
    fn drop(&mut self) {
        assert_eq!(thread::current().id(), self.0, "a frame has left its thread");
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

/// Main ends while tasks of every kind are on every worker. Each is unwound where it is.
#[test]
fn the_end_of_main_unwinds_everybody_at_home() {
    for workers in SEVERAL {
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let dropped = Arc::new(AtomicUsize::new(0));
        run_on(workers, || {
            let (starts, ends) = (begun.clone(), ended.clone());
            let crews = on_each_worker(workers, move |n| {
                for kind in 0..5 {
                    let (starts, ends) = (starts.clone(), ends.clone());
                    let stay = move || {
                        starts.fetch_add(1, Ordering::Relaxed);
                        let _frame = AtHome::new(&ends);
                        match kind {
                            0 => Bell::new().wait(),
                            1 => sleep(LONG),
                            2 => loop {
                                yield_now();
                            },
                            3 => drop(spawn(|| Bell::new().wait()).join()),
                            _ => drop(Channel::<u8>::bounded(0).recv_timeout(LONG)),
                        }
                    };
                    drop(Builder::new().name(format!("{n}.{kind}")).spawn(stay).unwrap());
                }
                yield_now();
            });
            crews.into_iter().for_each(|crew| crew.join().unwrap());
            while begun.load(Ordering::Relaxed) < 5 * workers {
                yield_now();
            }
            // Some that do not begin before the end.
            for _ in 0..100 {
                let unused = OnDrop({
                    let dropped = dropped.clone();
                    move || drop(dropped.fetch_add(1, Ordering::Relaxed).to_string())
                });
                drop(spawn(move || drop(unused)));
            }
        })
        .unwrap();
        assert_eq!(ended.load(Ordering::Relaxed), 5 * workers);
        assert_eq!(dropped.load(Ordering::Relaxed), 100);
    }
}

/// The end meets the start of threads, theft, and workers that fall asleep, at every moment.
#[test]
fn a_runtime_may_end_at_any_moment() {
    for workers in SEVERAL {
        for round in 0..300 {
            let created = AtomicUsize::new(0);
            let dropped = Arc::new(AtomicUsize::new(0));
            run_on(workers, || {
                for n in 0..round % 13 {
                    created.fetch_add(1, Ordering::Relaxed);
                    let unused = OnDrop({
                        let dropped = dropped.clone();
                        move || {
                            dropped.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                    drop(spawn(move || {
                        let _unused = unused;
                        (0..n % 3).for_each(|_| yield_now());
                        if n % 2 == 0 {
                            Bell::new().wait();
                        }
                    }));
                }
                (0..round % 7).for_each(|_| yield_now());
                let until = Instant::now() + Duration::from_micros(round as u64 * 3);
                block_until(|| Instant::now() >= until);
            })
            .unwrap();
            assert_eq!(dropped.load(Ordering::Relaxed), created.load(Ordering::Relaxed));
        }
    }
}

#[test]
fn tasks_that_are_given_up_elsewhere_still_spawn_and_clean_up() {
    for workers in SEVERAL {
        let log = Log::<&str>::new();
        run_on(workers, || {
            let (log, ready) = (log.clone(), Bell::new());
            let ringer = ready.clone();
            drop(spawn(move || {
                let _spawns = OnDrop(move || {
                    let note = NoteDrop(log.clone(), "a child of the end");
                    let child = spawn(move || drop(note));
                    let panic = child.join().unwrap_err();
                    assert!(panic.is::<Detached>(), "a cancelled task does not wait for its child");
                });
                ringer.ring_until_heard();
                Bell::new().wait();
            }));
            ready.wait();
        })
        .unwrap();
        log.expect(&["a child of the end"]);
    }
}

/// The runtime waits for a task that computes on another worker.
#[test]
fn the_end_waits_for_a_task_that_computes() {
    run_on(4, || {
        let (computing, over) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (theirs, end) = (computing.clone(), over.clone());
        drop(on_each_worker(2, move |_| {
            theirs.store(true, Ordering::Release);
            block_until(|| end.load(Ordering::Acquire));
        }));
        block_until(|| computing.load(Ordering::Acquire));
        drop(thread::spawn(move || over.store(true, Ordering::Release)));
    })
    .unwrap();
}

#[test]
fn panics_on_other_workers_harm_nobody() {
    for workers in SEVERAL {
        run_on(workers, || {
            let tasks = on_each_worker(workers, move |n| {
                let bystander = spawn(move || {
                    (0..10).for_each(|_| yield_now());
                    n
                });
                let _unwinds = OnDrop(|| assert!(thread::panicking()));
                assert_eq!(bystander.join().unwrap(), n);
                std::panic::resume_unwind(Box::new(n));
            });
            for (n, task) in tasks.into_iter().enumerate() {
                let panic: Box<dyn std::any::Any + Send> = task.join().unwrap_err();
                assert_eq!(*panic.downcast::<usize>().unwrap(), n);
            }
            // Every worker still works.
            let tasks = on_each_worker(workers, |_| assert!(!thread::panicking()));
            tasks.into_iter().for_each(|task| task.join().unwrap());
        })
        .unwrap();
    }
}

#[test]
fn the_panic_of_main_ends_all_workers() {
    for workers in SEVERAL {
        let ended = Arc::new(AtomicUsize::new(0));
        let count = ended.clone();
        let panic = catch_unwind(AssertUnwindSafe(|| {
            run_on(workers, || {
                let ready = Arc::new(AtomicUsize::new(0));
                let here = ready.clone();
                drop(on_each_worker(workers, move |_| {
                    let _frame = AtHome::new(&count);
                    here.fetch_add(1, Ordering::Relaxed);
                    Bell::new().wait();
                }));
                while ready.load(Ordering::Relaxed) < workers {
                    yield_now();
                }
                std::panic::resume_unwind(Box::new("the end"));
            })
        }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"the end"));
        assert_eq!(ended.load(Ordering::Relaxed), workers);
    }
}

fn overflow(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    overflow(depth + 1) + frame[depth as usize % 64]
}

#[test]
fn an_overflow_on_another_worker_names_its_task() {
    let ended = in_child("an_overflow_on_another_worker_names_its_task", &[], || {
        let _ = run_on(3, || {
            for name in ["deep sea", "shallows"] {
                let task = Builder::new().name(name).spawn(move || {
                    if name == "deep sea" {
                        black_box(overflow(0));
                    }
                    Bell::new().wait();
                });
                drop(task.unwrap());
            }
            // This worker never comes to them.
            block_until(|| false);
        });
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'deep sea' has overflowed its stack\nthe stack has 262144 bytes: ");
}

#[test]
fn several_runtimes_run_side_by_side() {
    let threads: Vec<_> = (0..3)
        .map(|n| {
            thread::spawn(move || {
                for _ in 0..30 {
                    let sum: usize = run_on(2, || {
                        let tasks = on_each_worker(2, move |m| n * 10 + m);
                        tasks.into_iter().map(|task| task.join().unwrap()).sum()
                    })
                    .unwrap();
                    assert_eq!(sum, n * 20 + 1);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// On two workers, with the threads of others counted, as is the default.
fn run_beside_others(main: impl FnOnce()) {
    support::sys::die_in(100);
    Runtime::builder().workers(2).run(main).unwrap();
}

/// A task of one runtime waits for one of another, on each of its workers.
#[test]
fn tasks_of_two_runtimes_talk() {
    let (to, fro) = (Channel::bounded(0), Channel::bounded(0));
    let (their_to, their_fro) = (to.clone(), fro.clone());
    let other = thread::spawn(move || {
        run_beside_others(|| {
            let tasks = on_each_worker(2, move |_| {
                (0..500).for_each(|_| their_fro.send(their_to.recv() + 1));
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
    });
    run_beside_others(|| {
        let tasks = on_each_worker(2, move |_| {
            (0..500).for_each(|n| {
                to.send(n);
                assert!(fro.recv() > 0);
            });
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    other.join().unwrap();
}

/// A task is spawned from outside and its runtime is dropped: at no moment is it forgotten.
#[test]
fn a_task_that_is_handed_in_is_never_forgotten() {
    support::sys::die_in(100);
    let (mut done, mut given_up) = (0, 0);
    for round in 0..600 {
        let runtime = Runtime::builder().workers(1 + round % 3).start().unwrap();
        // Awake, asleep, or about to fall asleep.
        runtime.spawn(|| ()).join().unwrap();
        let until = Instant::now() + Duration::from_nanos(round as u64 * 300);
        block_until(|| Instant::now() >= until);
        let task = runtime.spawn(|| ());
        drop(runtime);
        match task.join() {
            Ok(()) => done += 1,
            Err(panic) => {
                assert!(panic.is::<Cancelled>());
                given_up += 1;
            }
        }
    }
    assert_eq!(done + given_up, 600);
}

#[test]
fn a_deadline_on_another_worker_wakes_main() {
    for workers in SEVERAL {
        run_on(workers, || {
            let tasks = on_each_worker(workers, |n| {
                let deadline = Instant::now() + Duration::from_micros(500 * n as u64);
                assert_eq!(Bell::new().wait_until(Some(deadline)), Wake::TimedOut);
                assert!(Instant::now() >= deadline);
                current().unwrap().id()
            });
            for task in tasks {
                assert!(task.join().is_ok());
            }
        })
        .unwrap();
    }
}

#[test]
fn a_nested_run_is_refused_on_every_worker() {
    run_on(2, || {
        let tasks = on_each_worker(2, |_| {
            let panic = catch_unwind(|| run(|| ())).unwrap_err();
            panic.downcast_ref::<&str>().copied().unwrap_or_default().to_owned()
        });
        for task in tasks {
            assert!(task.join().unwrap().starts_with("lisle::run was called inside a task"));
        }
    })
    .unwrap();
}

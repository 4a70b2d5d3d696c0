//! Where tasks start that are placed: on the worker with the fewest of their kind.
#![cfg(not(lisle_loom))]

mod crowds;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};

use lisle_scheduler::internal::note_accept;
use lisle_scheduler::{Builder, JoinHandle, Runtime, metrics, scope, spawn, yield_now};
use support::sys::forbid_threads;
use support::{Bell, block_until, in_child, run_on};

fn here() -> ThreadId {
    thread::current().id()
}

/// Tasks that start, and then live until they are let go.
#[derive(Default)]
struct Residents {
    started: Arc<AtomicUsize>,
    tasks: Vec<(Bell, JoinHandle<ThreadId>)>,
}

impl Residents {
    fn body(&self) -> (Bell, impl FnOnce() -> ThreadId + Send + use<>) {
        let (started, bell) = (self.started.clone(), Bell::new());
        let theirs = bell.clone();
        let body = move || {
            started.fetch_add(1, Ordering::AcqRel);
            theirs.wait();
            here()
        };
        (bell, body)
    }

    fn spread(&mut self) {
        let (bell, body) = self.body();
        self.tasks.push((bell, Builder::new().spread().spawn(body).unwrap()));
    }

    fn accept(&mut self) {
        note_accept();
        let (bell, body) = self.body();
        self.tasks.push((bell, spawn(body)));
    }

    fn await_starts(&self) {
        while self.started.load(Ordering::Acquire) < self.tasks.len() {
            yield_now();
        }
    }

    /// Lets those go that have started last, and says how many of them each thread had.
    fn let_go(&mut self, count: usize) -> HashMap<ThreadId, usize> {
        self.await_starts();
        let mut threads = HashMap::new();
        let remaining = self.tasks.len() - count;
        for (bell, task) in self.tasks.split_off(remaining) {
            bell.ring_until_heard();
            *threads.entry(task.join().unwrap()).or_default() += 1;
            self.started.fetch_sub(1, Ordering::AcqRel);
        }
        threads
    }
}

/// Panics unless the tasks are on this many threads, and on each about as many.
#[track_caller]
fn assert_even(threads: &HashMap<ThreadId, usize>, workers: usize) {
    let counts = || threads.values().copied();
    assert_eq!(threads.len(), workers, "{threads:?}");
    assert!(counts().max().unwrap() - counts().min().unwrap() <= 2, "{threads:?}");
}

#[test]
fn spread_tasks_live_on_all_workers_alike() {
    for (workers, tasks) in [(1, 10), (2, 2), (2, 64), (4, 100), (8, 8), (8, 1000)] {
        run_on(workers, || {
            let mut residents = Residents::default();
            (0..tasks).for_each(|_| residents.spread());
            assert_even(&residents.let_go(tasks), workers);
        })
        .unwrap();
    }
}

/// The worker with main and its first tasks has more of them, so the next ones go to the other.
#[test]
fn spread_tasks_make_up_for_what_is_uneven() {
    run_on(2, || {
        let mut residents = Residents::default();
        let bells: Vec<_> = (0..20).map(|_| Bell::new()).collect();
        let locals: Vec<_> = bells
            .iter()
            .map(|bell| {
                let bell = bell.clone();
                lisle_scheduler::spawn_local(move || bell.wait())
            })
            .collect();
        yield_now();
        (0..18).for_each(|_| residents.spread());
        let threads = residents.let_go(18);
        assert_eq!(threads.get(&here()), None, "{threads:?}");
        bells.iter().for_each(Bell::ring_until_heard);
        locals.into_iter().for_each(|task| task.join().unwrap());
    })
    .unwrap();
}

/// The spawner never switches, and the other worker has nothing to do, or has no thread yet.
#[test]
fn a_placed_task_wakes_its_worker() {
    run_on(2, || {
        for _ in 0..50 {
            // On the spawner's worker, where it waits, or on the other one.
            let done = Arc::new(AtomicUsize::new(0));
            let spread = || {
                let done = done.clone();
                let body = move || {
                    done.fetch_add(1, Ordering::AcqRel);
                };
                Builder::new().spread().spawn(body).unwrap()
            };
            let tasks = [spread(), spread()];
            block_until(|| done.load(Ordering::Acquire) > 0);
            tasks.into_iter().for_each(|task| task.join().unwrap());
        }
    })
    .unwrap();
}

#[test]
fn what_a_loop_accepts_is_spread_over_all_workers() {
    for (workers, accepted) in [(1, 10), (2, 64), (8, 1000)] {
        for turn in [1, 7, usize::MAX] {
            run_on(workers, || {
                let mut residents = Residents::default();
                for n in 0..accepted {
                    if n % turn == 0 {
                        yield_now();
                    }
                    residents.accept();
                }
                assert_even(&residents.let_go(accepted), workers);
            })
            .unwrap();
        }
    }
}

/// Only the tasks that serve what was accepted are balanced, and only while they live.
#[test]
fn what_was_accepted_counts_until_its_task_ends() {
    run_on(2, || {
        let (mut others, mut residents) = (Residents::default(), Residents::default());
        (0..30).for_each(|_| others.spread());
        for _ in 0..5 {
            (0..20).for_each(|_| residents.accept());
            residents.await_starts();
            residents.let_go(11);
            (0..11).for_each(|_| residents.accept());
            assert_even(&residents.let_go(20), 2);
        }
        others.let_go(30);
    })
    .unwrap();
}

#[test]
fn a_task_that_panics_or_is_cancelled_counts_no_longer() {
    run_on(2, || {
        for _ in 0..10 {
            note_accept();
            let task = spawn(|| std::panic::resume_unwind(Box::new(())));
            assert!(task.join().is_err());
        }
        let mut residents = Residents::default();
        (0..20).for_each(|_| residents.accept());
        assert_even(&residents.let_go(20), 2);
    })
    .unwrap();
}

/// When the task that has accepted goes on in its next turn, what it spawns is like any other task:
/// it stays, if no thief comes.
#[test]
fn an_accept_is_forgotten_at_the_end_of_the_turn() {
    run_on(2, || {
        let steals = || metrics().unwrap().total().steals;
        let mut residents = Residents::default();
        // So that the next one would go to the other worker.
        residents.accept();
        residents.await_starts();
        loop {
            let before = steals();
            note_accept();
            yield_now();
            let thread = spawn(here).join().unwrap();
            if steals() == before {
                assert_eq!(thread, here());
                break;
            }
        }
        residents.let_go(1);
    })
    .unwrap();
}

/// The spawner waits for something that is not Lisle's: those on its own worker start later.
#[test]
fn spread_tasks_start_although_their_spawner_blocks() {
    run_on(4, || {
        let (sender, receiver) = mpsc::channel();
        let tasks: Vec<_> = (0..16)
            .map(|_| {
                let sender = sender.clone();
                let body = move || sender.send(here()).unwrap();
                Builder::new().spread().spawn(body).unwrap()
            })
            .collect();
        let elsewhere = receiver.iter().take(11).filter(|thread| *thread != here());
        assert_eq!(elsewhere.count(), 11);
        tasks.into_iter().for_each(|task| task.join().unwrap());
    })
    .unwrap();
}

#[test]
fn a_local_task_is_not_spread() {
    run_on(2, || {
        for _ in 0..10 {
            let home = here();
            let builder = Builder::new().spread();
            builder.spawn_local(move || assert_eq!(here(), home)).unwrap().join().unwrap();
        }
    })
    .unwrap();
}

#[test]
fn tasks_of_a_scope_are_spread() {
    run_on(4, || {
        let (residents, threads) = (Residents::default(), Mutex::new(HashMap::new()));
        scope(|s| {
            let spread = |_| {
                let (bell, body) = residents.body();
                let threads = &threads;
                let note = move || {
                    let thread = body();
                    *threads.lock().unwrap().entry(thread).or_default() += 1;
                };
                Builder::new().spread().spawn_scoped(s, note).unwrap();
                bell
            };
            let bells: Vec<_> = (0..40).map(spread).collect();
            bells.iter().for_each(Bell::ring_until_heard);
        });
        assert_even(&threads.into_inner().unwrap(), 4);
    })
    .unwrap();
}

#[test]
fn a_plain_thread_spreads_too() {
    note_accept();
    for workers in [1, 4] {
        let runtime = Runtime::builder().workers(workers).start().unwrap();
        let residents = Residents::default();
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let (bell, body) = residents.body();
                let builder = Builder::new().name("spread").stack_size(64 << 10).spread();
                (bell, builder.spawn_on(runtime.handle(), body).unwrap())
            })
            .collect();
        let mut threads = HashMap::new();
        for (bell, task) in tasks {
            bell.ring_until_heard();
            *threads.entry(task.join().unwrap()).or_default() += 1;
        }
        assert_even(&threads, workers);
    }
}

/// A closure that is run or dropped, once.
struct Once(Arc<AtomicUsize>);

impl Drop for Once {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

#[test]
fn a_runtime_that_ends_takes_all_spread_tasks_or_refuses_them() {
    for round in 0..30 {
        let runtime = Runtime::builder().workers(3).start().unwrap();
        let (stop, dropped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let spawners: Vec<_> = (0..2)
            .map(|_| {
                let (handle, stop, dropped) =
                    (runtime.handle().clone(), stop.clone(), dropped.clone());
                thread::spawn(move || {
                    let mut spawned = 0;
                    while !stop.load(Ordering::Acquire) {
                        let once = Once(dropped.clone());
                        spawned += 1;
                        let builder = Builder::new().spread();
                        if builder.spawn_on(&handle, move || drop(once)).is_err() {
                            break;
                        }
                    }
                    spawned
                })
            })
            .collect();
        block_until(|| dropped.load(Ordering::Acquire) > round);
        drop(runtime);
        stop.store(true, Ordering::Release);
        let spawned: usize = spawners.into_iter().map(|thread| thread.join().unwrap()).sum();
        assert_eq!(dropped.load(Ordering::Acquire), spawned);
    }
}

/// Destructors spawn while the runtime ends, with and without a place of their own.
#[test]
fn what_is_placed_while_the_runtime_ends_is_dropped() {
    struct SpawnOnDrop(Arc<AtomicUsize>);
    impl Drop for SpawnOnDrop {
        fn drop(&mut self) {
            for _ in 0..3 {
                let once = Once(self.0.clone());
                drop(Builder::new().spread().spawn(move || drop(once)));
                note_accept();
                let once = Once(self.0.clone());
                drop(spawn(move || drop(once)));
            }
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    run_on(2, || {
        for _ in 0..10 {
            let late = SpawnOnDrop(dropped.clone());
            let task = Builder::new().spread().spawn(move || {
                let _late = late;
                Bell::new().wait();
            });
            drop(task);
        }
        yield_now();
    })
    .unwrap();
    assert_eq!(dropped.load(Ordering::Acquire), 10 * 3 * 2);
}

#[test]
fn without_more_threads_all_tasks_run_on_those_there_are() {
    let name = "without_more_threads_all_tasks_run_on_those_there_are";
    let ended = in_child(name, &[], || {
        if !forbid_threads() {
            return eprintln!("skipped: threads cannot be forbidden here");
        }
        run_on(4, || {
            let mut residents = Residents::default();
            (0..10).for_each(|_| residents.spread());
            (0..10).for_each(|_| residents.accept());
            assert_eq!(residents.let_go(20), HashMap::from([(here(), 20)]));
        })
        .unwrap();
    });
    ended.assert_success();
}

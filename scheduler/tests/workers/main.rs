//! Several workers: tasks are spread before they start, stay where they started, and talk all the
//! same.
#![cfg(not(lisle_loom))]

mod idling;
mod stealing;
#[path = "../support/mod.rs"]
mod support;

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use lisle_scheduler::{Builder, JoinHandle, spawn, spawn_local, yield_now};
use support::channel::Channel;
use support::{on_each_worker, run_on};

const TEAMS: [usize; 4] = [1, 2, 4, 8];

fn join_all<T>(tasks: impl IntoIterator<Item = JoinHandle<T>>) -> Vec<T> {
    tasks.into_iter().map(|task| task.join().unwrap()).collect()
}

fn here() -> ThreadId {
    thread::current().id()
}

#[test]
fn as_many_threads_serve_as_there_are_workers() {
    for workers in TEAMS {
        let threads = run_on(workers, || {
            let threads: HashSet<_> =
                join_all(on_each_worker(workers, |_| here())).into_iter().collect();
            assert!(threads.contains(&here()), "the caller's thread is one of them");
            threads
        });
        assert_eq!(threads.unwrap().len(), workers);
    }
}

/// Notes on which thread it was made, and panics when it is asked on another.
struct Pinned(ThreadId, Rc<()>);

impl Pinned {
    fn new() -> Self {
        Self(here(), Rc::default())
    }

    fn check(&self) {
        assert_eq!(here(), self.0, "a started task has changed its thread");
        drop(self.1.clone());
    }
}

#[test]
fn a_started_task_stays_where_it_is() {
    for workers in TEAMS {
        run_on(workers, || {
            let channel = Channel::bounded(1);
            let tasks: Vec<_> = (0..200)
                .map(|n| {
                    let channel = channel.clone();
                    spawn(move || {
                        let pinned = Pinned::new();
                        for round in 0..20 {
                            match (n + round) % 4 {
                                0 => yield_now(),
                                1 => drop(channel.recv_timeout(Duration::from_micros(50))),
                                2 => drop(channel.send_timeout(n, Duration::from_micros(50))),
                                _ => {
                                    let child = spawn(move || {
                                        let pinned = Pinned::new();
                                        yield_now();
                                        pinned.check();
                                    });
                                    pinned.check();
                                    child.join().unwrap();
                                }
                            }
                            pinned.check();
                        }
                    })
                })
                .collect();
            join_all(tasks);
        })
        .unwrap();
    }
}

#[test]
fn a_local_task_stays_with_its_spawner() {
    for workers in TEAMS {
        run_on(workers, || {
            let crowds = on_each_worker(workers, |_| {
                let (home, count) = (here(), Rc::new(Cell::new(0)));
                // Strangers among them, which may be taken away.
                let strangers: Vec<_> = (0..100).map(|_| spawn(yield_now)).collect();
                let locals: Vec<_> = (0..100)
                    .map(|_| {
                        let count = count.clone();
                        spawn_local(move || {
                            assert_eq!(here(), home);
                            yield_now();
                            assert_eq!(here(), home);
                            count.set(count.get() + 1);
                        })
                    })
                    .collect();
                // Time for thieves.
                thread::sleep(Duration::from_millis(2));
                join_all(locals);
                join_all(strangers);
                count.get()
            });
            assert_eq!(join_all(crowds), vec![100; workers]);
        })
        .unwrap();
    }
}

#[test]
fn a_storm_of_spawns_loses_no_task() {
    const TASKS: usize = 5_000;
    for workers in TEAMS {
        let ran = Arc::new(AtomicUsize::new(0));
        let count = ran.clone();
        run_on(workers, || {
            let spawners = on_each_worker(workers, move |n| {
                let tasks: Vec<_> = (0..TASKS)
                    .map(|m| {
                        let count = count.clone();
                        // Some bring a stack of their own.
                        let builder = match m % 50 {
                            0 => Builder::new().stack_size(64 << 10),
                            _ => Builder::new(),
                        };
                        let task = builder.spawn(move || {
                            count.fetch_add(1, Ordering::Relaxed);
                            n * TASKS + m
                        });
                        task.unwrap()
                    })
                    .collect();
                for (m, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.join().unwrap(), n * TASKS + m);
                }
            });
            join_all(spawners);
        })
        .unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), workers * TASKS);
    }
}

/// A tree of tasks, ten branches a node, whose leaves are numbered and summed up.
fn skynet(first: u64, leaves: u64) -> u64 {
    if leaves == 1 {
        return first;
    }
    let branch = leaves / 10;
    let branches: Vec<_> =
        (0..10).map(|n| spawn(move || skynet(first + n * branch, branch))).collect();
    join_all(branches).into_iter().sum()
}

#[test]
fn tasks_spawn_tasks_a_hundred_thousand_in_all() {
    for workers in TEAMS {
        let sum = run_on(workers, || skynet(0, 100_000)).unwrap();
        assert_eq!(sum, 100_000 * 99_999 / 2);
    }
}

#[test]
fn tasks_on_two_workers_play_ping_pong() {
    for capacity in [0, 1] {
        run_on(2, || {
            let (to, fro) = (Channel::bounded(capacity), Channel::bounded(capacity));
            let players = on_each_worker(2, move |n| {
                for ball in 0..2_000 {
                    if n == 0 {
                        to.send(ball);
                        assert_eq!(fro.recv(), ball);
                    } else {
                        let ball = to.recv();
                        fro.send(ball);
                    }
                }
                here()
            });
            let threads = join_all(players);
            assert_ne!(threads[0], threads[1]);
        })
        .unwrap();
    }
}

#[test]
fn everybody_talks_to_everybody() {
    const PARTIES: usize = 12;
    const MESSAGES: usize = 50;
    for workers in TEAMS {
        for capacity in [0, 3, usize::MAX] {
            run_on(workers, || {
                let channels: Arc<Vec<_>> =
                    Arc::new((0..PARTIES).map(|_| Channel::bounded(capacity)).collect());
                let mut tasks = Vec::new();
                for me in 0..PARTIES {
                    let ours = channels.clone();
                    tasks.push(spawn(move || {
                        for n in 0..PARTIES * MESSAGES {
                            ours[(me + n) % PARTIES].send((me, n / PARTIES));
                        }
                    }));
                    let ours = channels.clone();
                    tasks.push(spawn(move || {
                        let mut next = [0; PARTIES];
                        for _ in 0..PARTIES * MESSAGES {
                            let (from, number) = ours[me].recv();
                            assert_eq!(
                                next[from], number,
                                "each sender's messages keep their order"
                            );
                            next[from] += 1;
                        }
                        assert_eq!(next, [MESSAGES; PARTIES]);
                    }));
                }
                join_all(tasks);
            })
            .unwrap();
        }
    }
}

/// Handles go to the next worker and are joined there: results, panics, and tasks that have long
/// ended.
#[test]
fn tasks_are_joined_on_other_workers() {
    const TASKS: usize = 300;
    for workers in TEAMS {
        run_on(workers, || {
            let desks: Arc<Vec<_>> = Arc::new((0..workers).map(|_| Channel::unbounded()).collect());
            let parties = on_each_worker(workers, move |me| {
                for n in 0..TASKS {
                    let task = spawn(move || {
                        (0..n % 3).for_each(|_| yield_now());
                        if n % 7 == 0 {
                            std::panic::resume_unwind(Box::new(n));
                        }
                        (n, vec![n; 20])
                    });
                    desks[(me + 1) % desks.len()].send((n, task));
                    if n % 5 == 0 {
                        yield_now();
                    }
                }
                for _ in 0..TASKS {
                    let (n, task) = desks[me].recv();
                    match task.join() {
                        Ok(result) => assert_eq!(result, (n, vec![n; 20])),
                        Err(panic) => assert_eq!(*panic.downcast::<usize>().unwrap(), n),
                    }
                }
            });
            join_all(parties);
        })
        .unwrap();
    }
}

/// Handles are dropped on other workers, at any moment around the end of their tasks.
#[test]
fn tasks_are_detached_on_other_workers() {
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    struct CountDrop;
    impl Drop for CountDrop {
        fn drop(&mut self) {
            DROPS.fetch_add(1, Ordering::Relaxed);
        }
    }
    const TASKS: usize = 2_000;
    run_on(2, || {
        let desk = Channel::unbounded();
        let parties = on_each_worker(2, move |n| match n {
            0 => {
                for n in 0..TASKS {
                    desk.send(Some(spawn(|| CountDrop)));
                    if n % 3 == 0 {
                        yield_now();
                    }
                }
                desk.send(None);
            }
            _ => while desk.recv().is_some() {},
        });
        join_all(parties);
    })
    .unwrap();
    // Those that had not begun when main ended have no result.
    assert!(DROPS.load(Ordering::Relaxed) <= TASKS);
}

#[test]
fn each_worker_has_its_own_thread_locals() {
    static ENDED: AtomicUsize = AtomicUsize::new(0);
    struct Tally(RefCell<Vec<Rc<ThreadId>>>);
    impl Drop for Tally {
        fn drop(&mut self) {
            assert!(self.0.get_mut().iter().all(|entry| Rc::strong_count(entry) == 1));
            ENDED.fetch_add(1, Ordering::Relaxed);
        }
    }
    thread_local! {
        static TALLY: Tally = const { Tally(RefCell::new(Vec::new())) };
    }
    const TASKS: usize = 500;
    for workers in TEAMS {
        ENDED.store(0, Ordering::Relaxed);
        // On a thread of its own, so that its thread-locals begin and end here.
        let runtime = thread::spawn(move || {
            run_on(workers, || {
                let counts = on_each_worker(workers, |_| {
                    join_all((0..TASKS).map(|_| {
                        spawn(|| {
                            let mine = TALLY.with(|tally| {
                                let entry = Rc::new(here());
                                tally.0.borrow_mut().push(entry.clone());
                                entry
                            });
                            yield_now();
                            assert_eq!(*mine, here());
                            assert_eq!(Rc::strong_count(&mine), 2);
                        })
                    }));
                    yield_now();
                });
                join_all(counts);
                // One at a time is on each worker now: nobody else changes its tally.
                let sums = on_each_worker(workers, |_| {
                    TALLY.with(|tally| {
                        let tally = tally.0.borrow();
                        assert!(tally.iter().all(|entry| **entry == here()));
                        tally.len()
                    })
                });
                join_all(sums).into_iter().sum::<usize>()
            })
            .unwrap()
        });
        assert_eq!(runtime.join().unwrap(), workers * TASKS);
        assert_eq!(ENDED.load(Ordering::Relaxed), workers);
    }
}

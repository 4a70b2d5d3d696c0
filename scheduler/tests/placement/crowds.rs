//! Actors and members of pools are told from other tasks when they start, and dealt to idle
//! workers.

use std::collections::HashMap;
use std::thread::ThreadId;

use lisle_scheduler::park::{Object, Reason, Wait, park};
use lisle_scheduler::{JoinHandle, metrics, spawn, spawn_local, turn, yield_now};

use crate::here;
use crate::support::{Bell, run_on};

/// Waits to be rung, for something to do.
struct Work;

impl Object for Work {
    fn reason(&self) -> Reason {
        Reason::new("waiting for work")
    }

    fn awaits_work(&self) -> bool {
        true
    }
}

fn wait_for_work(bell: &Bell) {
    let _ = park(Wait::on(&Work), None, |unparker| bell.put(unparker), || bell.take());
}

/// So often a burst is spawned again if a thief has come. On a slow machine one always comes for a
/// large burst, which lasts for too long.
const MOST_THIEVES: usize = 50;

/// How many tasks each thread gets, if `spawner` spawns so many that do what it is told, and no
/// thief comes. `None` if one has come each time.
fn starts(
    workers: usize,
    tasks: usize,
    spawner: impl Fn(usize, Bell) -> JoinHandle<ThreadId>,
) -> Option<HashMap<ThreadId, usize>> {
    for _ in 0..MOST_THIEVES {
        let (steals, threads) = run_on(workers, || {
            let bells: Vec<_> = (0..tasks).map(|_| Bell::new()).collect();
            let spawned: Vec<_> =
                bells.iter().enumerate().map(|(n, bell)| spawner(n, bell.clone())).collect();
            while !bells.iter().all(Bell::is_awaited) {
                yield_now();
            }
            let steals = metrics().unwrap().total().steals;
            bells.iter().for_each(Bell::ring_until_heard);
            let mut threads = HashMap::new();
            for task in spawned {
                *threads.entry(task.join().unwrap()).or_default() += 1;
            }
            (steals, threads)
        })
        .unwrap();
        if steals == 0 {
            return Some(threads);
        }
    }
    eprintln!("thieves have come for each burst of {tasks} tasks of {workers} workers");
    None
}

fn actor(bell: Bell) -> impl FnOnce() -> ThreadId + Send {
    move || {
        wait_for_work(&bell);
        here()
    }
}

/// Each worker has a turn of up to four tasks. A look around, once in 64 switches, may keep one
/// where it was spawned.
#[test]
fn actors_that_are_spawned_in_a_burst_are_dealt_to_idle_workers_alike() {
    let mut bursts = 0;
    for (workers, tasks) in [(1, 8), (2, 3), (2, 8), (2, 100), (3, 12), (4, 8), (8, 8), (8, 200)] {
        let Some(threads) = starts(workers, tasks, |_, bell| spawn(actor(bell))) else { continue };
        bursts += usize::from(workers > 1);
        assert_eq!(threads.len(), workers, "{threads:?}");
        let counts = || threads.values().copied();
        let difference = counts().max().unwrap() - counts().min().unwrap();
        let block = tasks.div_ceil(workers).min(4);
        assert!(difference <= block + tasks / 64, "of {tasks}: {threads:?}");
    }
    assert!(bursts > 0, "thieves have come for each");
}

#[track_caller]
fn assert_stay(tasks: usize, spawner: impl Fn(usize, Bell) -> JoinHandle<ThreadId>) {
    let threads = starts(2, tasks, spawner);
    assert_eq!(threads, Some(HashMap::from([(here(), tasks)])));
}

#[test]
fn pairs_and_strangers_stay_together() {
    assert_stay(2, |_, bell| spawn(actor(bell)));
    assert_stay(8, |n, bell| match n % 2 {
        0 => spawn(actor(bell)),
        _ => spawn(actor(bell)),
    });
}

#[test]
fn tasks_that_wait_for_something_else_than_work_stay() {
    assert_stay(8, |_, bell| {
        spawn(move || {
            bell.wait();
            here()
        })
    });
}

#[test]
fn tasks_that_do_something_before_they_wait_stay() {
    // An operation that could have waited.
    assert_stay(8, |_, bell| {
        spawn(move || {
            if turn::spend() {
                turn::next();
            }
            actor(bell)()
        })
    });
    // A wake-up, or a spawn.
    assert_stay(8, |_, bell| {
        spawn(move || {
            drop(spawn_local(|| ()));
            actor(bell)()
        })
    });
}

#[test]
fn local_tasks_stay_although_they_are_a_crowd() {
    assert_stay(8, |_, bell| spawn_local(actor(bell)));
}

//! Idle workers take tasks that have not started.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use lisle_scheduler::{JoinHandle, metrics, spawn};

use crate::support::channel::Channel;
use crate::support::sys::stay_on_one_processor;
use crate::support::{block_until, on_each_worker, run_on};
use crate::{here, join_all};

/// The spawner waits without a switch for tasks that only other workers can run, all at once. Even
/// a single one.
#[test]
fn tasks_are_spread_while_their_spawner_computes() {
    for workers in [2, 3, 4, 8] {
        for _ in 0..10 {
            let home = here();
            let threads = run_on(workers, || {
                let tasks = on_each_worker(workers - 1, |_| here());
                block_until(|| tasks.iter().all(JoinHandle::is_finished));
                join_all(tasks).into_iter().collect::<HashSet<_>>()
            });
            let threads = threads.unwrap();
            assert!(!threads.contains(&home));
            assert_eq!(threads.len(), workers - 1);
        }
    }
}

/// It waits for something that is not Lisle's: only another worker can run the task.
#[test]
fn a_single_task_is_taken_from_a_spawner_that_blocks() {
    run_on(2, || {
        for _ in 0..20 {
            let (sender, receiver) = mpsc::channel();
            let task = spawn(move || sender.send(here()).unwrap());
            assert_ne!(receiver.recv().unwrap(), here());
            task.join().unwrap();
        }
    })
    .unwrap();
}

/// The thief looks for work while it has the only processor, between the two spawns. It waits until
/// the spawner has had that for a moment: a pair that plays ping-pong would be torn apart.
#[test]
fn a_pair_is_not_torn_apart_while_its_spawner_waits_for_a_processor() {
    const ROUNDS: usize = 20;
    let is_torn = |_: &usize| {
        let pair = run_on(2, || {
            let searches = || metrics().unwrap().total().searches;
            let before = searches();
            let ping = spawn(here);
            block_until(|| searches() > before);
            let pong = spawn(here);
            [ping, pong].map(|player| player.join().unwrap())
        });
        let [ping, pong] = pair.unwrap();
        ping != pong
    };
    let torn = thread::spawn(move || {
        stay_on_one_processor();
        (0..ROUNDS).filter(is_torn).count()
    });
    // A spawner that is slow, or loses its processor to others again and again, may lose a task.
    let torn = torn.join().unwrap();
    assert!(torn <= ROUNDS / 2, "{torn} of {ROUNDS}");
}

/// A thief takes both. It may have come between the two spawns, but not each time.
#[test]
fn a_pair_that_was_spawned_together_is_stolen_together() {
    let steals_at_once = || {
        run_on(2, || {
            let [started, go_on] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
            let pair = [0, 1].map(|_| {
                let (started, go_on) = (started.clone(), go_on.clone());
                spawn(move || {
                    started.store(true, Ordering::Release);
                    block_until(|| go_on.load(Ordering::Acquire));
                })
            });
            block_until(|| started.load(Ordering::Acquire));
            let steals = metrics().unwrap().total().steals;
            go_on.store(true, Ordering::Release);
            join_all(pair);
            steals
        })
        .unwrap()
    };
    assert!((0..20).any(|_| steals_at_once() == 2));
}

/// Two of the workers, of which each may be the one that looks out for work, are called away again
/// and again by tasks of their own, while the spawner computes. One at least has nothing else to
/// do.
#[test]
fn tasks_are_spread_although_others_have_something_to_do() {
    for workers in [4, 8] {
        run_on(workers, || {
            let stop = Arc::new(AtomicBool::new(false));
            let (to, fro) = (Channel::bounded(0), Channel::bounded(0));
            let flag = stop.clone();
            let talkers = on_each_worker(2, move |n| {
                while !flag.load(Ordering::Acquire) {
                    let (mine, yours) = if n == 0 { (&to, &fro) } else { (&fro, &to) };
                    let _ = mine.send_timeout((), Duration::from_micros(100));
                    let _ = yours.recv_timeout(Duration::from_micros(100));
                }
            });
            for _ in 0..100 {
                let started = Arc::new(AtomicUsize::new(0));
                let tasks: Vec<_> = (0..4)
                    .map(|_| {
                        let started = started.clone();
                        spawn(move || {
                            started.fetch_add(1, Ordering::AcqRel);
                        })
                    })
                    .collect();
                block_until(|| started.load(Ordering::Acquire) == 4);
                join_all(tasks);
            }
            stop.store(true, Ordering::Release);
            join_all(talkers);
        })
        .unwrap();
    }
}

//! Tasks that share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use lisle::sync::{Mutex, RwLock, Semaphore, WaitGroup, broadcast};

use crate::run;

/// Each task adds 1 under the lock, again and again, and holds it over this many turns.
pub fn mutex(params: &Params) -> Outcome {
    let (tasks, yields, rounds) = (params.get("tasks"), params.get("yields"), params.get("rounds"));
    let play = |rounds| {
        let total = Arc::new(Mutex::new(0));
        let theirs = total.clone();
        let time = all(tasks, move |_| {
            for _ in 0..rounds {
                let mut total = theirs.lock();
                *total += 1;
                (0..yields).for_each(|_| lisle::yield_now());
            }
        });
        assert_eq!(*total.lock(), tasks * rounds);
        time
    };
    run(params, || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

/// Each task reads, but writes at every hundredth time.
pub fn rwlock(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    let play = |rounds: u64| {
        let value = Arc::new(RwLock::new(0_u64));
        let theirs = value.clone();
        let time = all(tasks, move |_| {
            let mut last = 0;
            for round in 0..rounds {
                if round % 100 == 0 {
                    *theirs.write() += 1;
                } else {
                    let now = *theirs.read();
                    assert!(now >= last);
                    last = now;
                }
            }
        });
        assert_eq!(*value.read(), tasks * rounds.div_ceil(100));
        time
    };
    run(params, || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

/// Each task takes a permit and keeps it for a turn.
pub fn semaphore(params: &Params) -> Outcome {
    let (tasks, permits) = (params.get("tasks"), params.get("permits"));
    let rounds = params.get("rounds");
    let play = |rounds| {
        let semaphore = Arc::new(Semaphore::new(permits as usize));
        let theirs = semaphore.clone();
        let time = all(tasks, move |_| {
            for _ in 0..rounds {
                let _permit = theirs.acquire().unwrap();
                lisle::yield_now();
            }
        });
        assert_eq!(semaphore.available_permits(), permits as usize);
        time
    };
    run(params, || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

/// A batch of tasks is spawned and waited for.
pub fn wait_group(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = |batches| {
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        for _ in 0..batches {
            let group = WaitGroup::new();
            for _ in 0..batch {
                let (member, done) = (group.clone(), done.clone());
                lisle::spawn(move || {
                    done.fetch_add(1, Ordering::Relaxed);
                    drop(member);
                });
            }
            group.wait();
        }
        let time = start.elapsed();
        assert_eq!(done.load(Ordering::Relaxed), batches * batch);
        time
    };
    run(params, || {
        play(batches / 10);
        Outcome::ns_each(play(batches), batches * batch)
    })
}

/// A message to each of the receivers. After each burst the sender waits until all have got it.
pub fn broadcast(params: &Params) -> Outcome {
    let (receivers, burst) = (params.get("receivers"), params.get("burst"));
    let bursts = params.get("bursts");
    let play = |bursts: u64| {
        let (sender, receiver) = broadcast::channel(burst as usize);
        let got = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..receivers)
            .map(|_| {
                let (mut receiver, got) = (receiver.resubscribe(), got.clone());
                lisle::spawn(move || {
                    let mut sum = 0;
                    while let Ok(message) = receiver.recv() {
                        sum += message;
                        got.fetch_add(1, Ordering::Release);
                    }
                    sum
                })
            })
            .collect();
        drop(receiver);
        let start = Instant::now();
        for n in 0..bursts {
            (0..burst).for_each(|message| assert!(sender.send(message).is_ok()));
            while got.load(Ordering::Acquire) < (n + 1) * burst * receivers {
                lisle::yield_now();
            }
        }
        let time = start.elapsed();
        drop(sender);
        let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, receivers * bursts * harness::sum_below(burst));
        time
    };
    run(params, || {
        play(bursts / 10);
        Outcome::ns_each(play(bursts), bursts * burst * receivers)
    })
}

/// The time that this many tasks take together.
fn all(tasks: u64, body: impl Fn(u64) + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks)
        .map(|n| {
            let body = body.clone();
            lisle::spawn(move || body(n))
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    start.elapsed()
}

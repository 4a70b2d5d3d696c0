//! Coroutines that share, by may's own locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use may::coroutine::yield_now;
use may::go;
use may::sync::{Mutex, RwLock, Semphore, WaitGroup};

use crate::run;

pub fn mutex(params: &Params) -> Outcome {
    let (tasks, yields, rounds) = (params.get("tasks"), params.get("yields"), params.get("rounds"));
    let play = move |rounds| {
        let total = Arc::new(Mutex::new(0));
        let theirs = total.clone();
        let time = all(tasks, move || {
            for _ in 0..rounds {
                let mut total = theirs.lock().unwrap();
                *total += 1;
                (0..yields).for_each(|_| yield_now());
            }
        });
        assert_eq!(*total.lock().unwrap(), tasks * rounds);
        time
    };
    run(params, move || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

pub fn rwlock(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    let play = move |rounds: u64| {
        let value = Arc::new(RwLock::new(0_u64));
        let theirs = value.clone();
        let time = all(tasks, move || {
            let mut last = 0;
            for round in 0..rounds {
                if round % 100 == 0 {
                    *theirs.write().unwrap() += 1;
                } else {
                    let now = *theirs.read().unwrap();
                    assert!(now >= last);
                    last = now;
                }
            }
        });
        assert_eq!(*value.read().unwrap(), tasks * rounds.div_ceil(100));
        time
    };
    run(params, move || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

pub fn semaphore(params: &Params) -> Outcome {
    let (tasks, permits) = (params.get("tasks"), params.get("permits") as usize);
    let rounds = params.get("rounds");
    let play = move |rounds| {
        let semaphore = Arc::new(Semphore::new(permits));
        let theirs = semaphore.clone();
        let time = all(tasks, move || {
            for _ in 0..rounds {
                theirs.wait();
                yield_now();
                theirs.post();
            }
        });
        assert_eq!(semaphore.get_value(), permits);
        time
    };
    run(params, move || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), tasks * rounds)
    })
}

pub fn wait_group(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = move |batches| {
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        for _ in 0..batches {
            let group = WaitGroup::new();
            for _ in 0..batch {
                let (member, done) = (group.clone(), done.clone());
                go!(move || {
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
    run(params, move || {
        play(batches / 10);
        Outcome::ns_each(play(batches), batches * batch)
    })
}

/// The time that this many coroutines take together.
fn all(tasks: u64, body: impl Fn() + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|_| go!(body.clone())).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    start.elapsed()
}

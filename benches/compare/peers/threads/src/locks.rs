//! Threads that share, by parking_lot's locks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use parking_lot::{Mutex, RwLock};

use crate::run;

pub fn mutex(params: &Params) -> Outcome {
    let (threads, yields) = (params.get("tasks"), params.get("yields"));
    let rounds = params.get("rounds");
    let play = |rounds| {
        let total = Arc::new(Mutex::new(0));
        let theirs = total.clone();
        let time = all(threads, move || {
            for _ in 0..rounds {
                let mut total = theirs.lock();
                *total += 1;
                (0..yields).for_each(|_| std::thread::yield_now());
            }
        });
        assert_eq!(*total.lock(), threads * rounds);
        time
    };
    run(params, || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), threads * rounds)
    })
}

pub fn rwlock(params: &Params) -> Outcome {
    let (threads, rounds) = (params.get("tasks"), params.get("rounds"));
    let play = |rounds: u64| {
        let value = Arc::new(RwLock::new(0_u64));
        let theirs = value.clone();
        let time = all(threads, move || {
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
        assert_eq!(*value.read(), threads * rounds.div_ceil(100));
        time
    };
    run(params, || {
        play(rounds / 10);
        Outcome::ns_each(play(rounds), threads * rounds)
    })
}

/// The time that this many threads take together.
fn all(threads: u64, body: impl Fn() + Clone + Send + 'static) -> Duration {
    let start = Instant::now();
    let threads: Vec<_> = (0..threads).map(|_| std::thread::spawn(body.clone())).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    start.elapsed()
}

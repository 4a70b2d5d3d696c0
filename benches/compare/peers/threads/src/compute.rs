//! The best that plain threads can do: each takes the next part that was not taken.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use harness::cpu::{forkjoin_alone, imbalance_alone, uneven, work};
use harness::{Outcome, Params};

pub fn forkjoin(params: &Params) -> Outcome {
    let (leaves, steps) = (params.get("leaves"), params.get("steps"));
    let alone = forkjoin_alone(leaves, steps);
    share(params.workers(), leaves, alone, |leaf| work(leaf, steps))
}

pub fn imbalance(params: &Params) -> Outcome {
    let (tasks, steps) = (params.get("tasks"), params.get("steps"));
    let alone = imbalance_alone(tasks, steps);
    share(params.workers(), tasks, alone, |task| work(task, uneven(task, steps)))
}

fn share(
    threads: usize,
    parts: u64,
    (expected, alone): (u64, std::time::Duration),
    part: impl Fn(u64) -> u64 + Sync,
) -> Outcome {
    let next = AtomicU64::new(0);
    let take_parts = || {
        let mut sum = 0_u64;
        loop {
            let n = next.fetch_add(1, Relaxed);
            if n >= parts {
                return sum;
            }
            sum = sum.wrapping_add(part(n));
        }
    };
    let start = Instant::now();
    let sum = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(take_parts)).collect();
        let own = take_parts();
        others.into_iter().map(|other| other.join().unwrap()).fold(own, u64::wrapping_add)
    });
    let time = start.elapsed();
    assert_eq!(sum, expected);
    Outcome::spread(time, alone)
}

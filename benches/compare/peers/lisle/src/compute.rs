//! Work for the processor that has to spread over the workers.

use std::time::Instant;

use harness::cpu::{forkjoin_alone, imbalance_alone, uneven, work};
use harness::{Outcome, Params};

use crate::run;

pub fn forkjoin(params: &Params) -> Outcome {
    let (leaves, steps) = (params.get("leaves"), params.get("steps"));
    let (expected, alone) = forkjoin_alone(leaves, steps);
    run(params, || {
        let start = Instant::now();
        let sum = fork(0, leaves, steps);
        let time = start.elapsed();
        assert_eq!(sum, expected);
        Outcome::spread(time, alone)
    })
}

/// The left half in a task of its own, the right half in this one.
fn fork(first: u64, leaves: u64, steps: u64) -> u64 {
    if leaves == 1 {
        return work(first, steps);
    }
    let half = leaves / 2;
    let left = lisle::spawn(move || fork(first, half, steps));
    let right = fork(first + half, leaves - half, steps);
    left.join().unwrap().wrapping_add(right)
}

pub fn imbalance(params: &Params) -> Outcome {
    let (tasks, steps) = (params.get("tasks"), params.get("steps"));
    let (expected, alone) = imbalance_alone(tasks, steps);
    run(params, || {
        let start = Instant::now();
        let spawned: Vec<_> =
            (0..tasks).map(|task| lisle::spawn(move || work(task, uneven(task, steps)))).collect();
        let sum = spawned.into_iter().map(|task| task.join().unwrap()).fold(0, u64::wrapping_add);
        let time = start.elapsed();
        assert_eq!(sum, expected);
        Outcome::spread(time, alone)
    })
}

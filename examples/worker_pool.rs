//! A pool of workers: one channel hands out the jobs, another brings back the results.
//!
//! A job is a number, and its result is how often the Collatz rule ("halve it if it is even, else
//! triple it and add one") must be applied until it is 1. One job is bad: it panics. That ends the
//! worker that has it, whose `join` returns an `Err`, and the others do what is left.
//!
//! ```text
//! cargo run --release --example worker_pool
//!
//! thread 'main' (13176) panicked at examples/worker_pool.rs:85:5:
//! 0 never reaches 1
//! in task 4 'worker 3', spawned at examples/worker_pool.rs:45:22
//! 27 reaches 1 in 111 steps
//! 871 reaches 1 in 178 steps
//! 97 reaches 1 in 118 steps
//! 6171 reaches 1 in 261 steps
//! 77031 reaches 1 in 350 steps
//! 8400511 reaches 1 in 685 steps
//! 837799 reaches 1 in 524 steps
//! worker 1 did 5 jobs
//! worker 2 did 2 jobs
//! worker 3 panicked: 0 never reaches 1
//! ```

mod support;

use lisle::channel::{Receiver, Sender, bounded};
use support::Args;

const JOBS: [u64; 8] = [27, 97, 0, 871, 6_171, 77_031, 837_799, 8_400_511];
const WORKERS: usize = 3;

fn main() {
    Args::new("worker_pool", "").finish();

    lisle::run(|| {
        let (give, jobs) = bounded(0);
        let (done, results) = bounded(0);

        let workers: Vec<_> = (1..=WORKERS)
            .map(|number| {
                let (jobs, done) = (jobs.clone(), done.clone());
                lisle::task::Builder::new()
                    .name(format!("worker {number}"))
                    .spawn(move || work(jobs, done))
                    .unwrap()
            })
            .collect();
        drop((jobs, done)); // only the workers' own are left, so the results end when they do

        lisle::spawn(move || {
            for job in JOBS {
                give.send(job).unwrap();
            }
        });
        for (job, steps) in results {
            println!("{job} reaches 1 in {steps} steps");
        }

        for worker in workers {
            let task = worker.task();
            let name = task.name().unwrap();
            match worker.join() {
                Ok(jobs_done) => println!("{name} did {jobs_done} jobs"),
                Err(panic) => {
                    let reason = panic.downcast_ref::<&str>().unwrap();
                    println!("{name} panicked: {reason}");
                }
            }
        }
    });
}

/// Does jobs while there are any, and says how many it did.
fn work(jobs: Receiver<u64>, done: Sender<(u64, u32)>) -> usize {
    let mut jobs_done = 0;
    for job in jobs {
        done.send((job, collatz_steps(job))).unwrap();
        jobs_done += 1;
    }
    jobs_done
}

fn collatz_steps(mut number: u64) -> u32 {
    assert!(number > 0, "0 never reaches 1");
    let mut steps = 0;
    while number != 1 {
        number = if number.is_multiple_of(2) { number / 2 } else { 3 * number + 1 };
        steps += 1;
    }
    steps
}

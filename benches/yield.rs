//! `yield_now`: a turn of one of N tasks that do nothing but yield.
//!
//! All tasks are alive and have run before the clock starts. Few tasks measure the scheduler, many
//! of them measure the caches. They all yield at the same place in the code, so that the processor
//! predicts where a yield returns to; `lisle/2 places` has two tasks that yield at different ones.
//!
//! The peer is the least scheduler that corosensei allows: a loop over a vector of coroutines,
//! which resumes each in turn.

mod support;

use std::time::{Duration, Instant};

use corosensei::Coroutine;
use corosensei::stack::DefaultStack;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lisle::channel::{Receiver, bounded};

use support::in_units;

/// Yields in a sample, at the least. With 100,000 tasks that is ten rounds.
const LEAST: u64 = 1_000_000;

/// Address space of a coroutine's stack, in bytes.
const STACK: usize = 64 * 1024;

fn turn(c: &mut Criterion) {
    let mut group = c.benchmark_group("yield");
    for tasks in [2, 1_000, 20_000, 100_000] {
        group.bench_function(BenchmarkId::new("lisle", tasks), |b| {
            b.iter_custom(|iters| in_units(iters, tasks, LEAST, |n| rounds_of_tasks(tasks, n)));
        });
    }
    group.bench_function("lisle/2 places", |b| {
        b.iter_custom(|iters| in_units(iters, 2, LEAST, rounds_of_two_places));
    });
    // Each of these stacks takes two of the 65,530 memory maps that a process may have.
    for coroutines in [2, 1_000, 20_000] {
        let mut round = coroutines_that_yield(coroutines);
        group.bench_function(BenchmarkId::new("corosensei", coroutines), |b| {
            b.iter_custom(|iters| {
                in_units(iters, coroutines, LEAST, |n| resume_all(&mut round, n))
            });
        });
    }
    group.finish();
}

/// The time in which each of `tasks` tasks yields `rounds` times.
///
/// Turns are taken in a strict order, so the other tasks yield exactly once whenever the first one
/// does: its own time is that of whole rounds.
fn rounds_of_tasks(tasks: u64, rounds: u64) -> Duration {
    lisle::run(move || {
        let (gate, closed_gate) = bounded::<()>(0);
        let first = {
            let closed_gate = closed_gate.clone();
            lisle::spawn(move || yield_in_rounds(&closed_gate, rounds))
        };
        let others: Vec<_> = (1..tasks)
            .map(|_| {
                let closed_gate = closed_gate.clone();
                lisle::spawn(move || {
                    yield_in_rounds(&closed_gate, rounds);
                })
            })
            .collect();
        lisle::yield_now();
        drop(gate);
        let time = first.join().unwrap();
        for task in others {
            task.join().unwrap();
        }
        time
    })
}

/// Waits until all tasks are at the gate and it opens, then yields.
fn yield_in_rounds(closed_gate: &Receiver<()>, rounds: u64) -> Duration {
    assert!(closed_gate.recv().is_err(), "the gate opens by disconnecting");
    lisle::yield_now();
    let start = Instant::now();
    for _ in 0..rounds {
        lisle::yield_now();
    }
    start.elapsed()
}

/// The time in which two tasks yield `rounds` times each, in two loops.
fn rounds_of_two_places(rounds: u64) -> Duration {
    lisle::run(move || {
        let other = lisle::spawn(move || {
            for _ in 0..=rounds {
                lisle::yield_now();
            }
        });
        lisle::yield_now();
        let start = Instant::now();
        for _ in 0..rounds {
            lisle::yield_now();
        }
        let time = start.elapsed();
        other.join().unwrap();
        time
    })
}

fn coroutines_that_yield(count: u64) -> Vec<Coroutine<(), (), ()>> {
    let endless = || {
        let stack = DefaultStack::new(STACK).unwrap();
        let mut coroutine = Coroutine::with_stack(stack, |yielder, ()| -> () {
            loop {
                yielder.suspend(());
            }
        });
        coroutine.resume(());
        coroutine
    };
    (0..count).map(|_| endless()).collect()
}

fn resume_all(coroutines: &mut [Coroutine<(), (), ()>], rounds: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        for coroutine in &mut *coroutines {
            coroutine.resume(());
        }
    }
    start.elapsed()
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = turn
}
criterion_main!(benches);

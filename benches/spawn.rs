//! Spawning a task that does nothing, and joining it.
//!
//! `one` joins each before it spawns the next. `batch` spawns a thousand and then joins them, which
//! is a thousand iterations. The peers: a coroutine made on a stack that is reused, and resumed to
//! its end; a plain thread.

mod support;

use std::time::{Duration, Instant};

use corosensei::Coroutine;
use corosensei::stack::DefaultStack;
use criterion::{Criterion, criterion_group, criterion_main};

use support::in_units;

const BATCH: usize = 1_000;

/// Tasks in a sample, at the least.
const LEAST: u64 = 10_000;
const LEAST_THREADS: u64 = 100;

fn one(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn/one");
    group.bench_function("lisle", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| lisle::run(move || tasks(n))));
    });
    group.bench_function("corosensei", |b| {
        let mut stacks = vec![DefaultStack::default()];
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| coroutines(&mut stacks, n)));
    });
    group.bench_function("threads", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST_THREADS, threads));
    });
    group.finish();
}

fn batch(c: &mut Criterion) {
    const UNIT: u64 = BATCH as u64;
    let mut group = c.benchmark_group("spawn/batch");
    group.bench_function("lisle", |b| {
        b.iter_custom(|iters| {
            in_units(iters, UNIT, LEAST, |n| lisle::run(move || task_batches(n)))
        });
    });
    group.bench_function("corosensei", |b| {
        let mut stacks: Vec<_> = (0..BATCH).map(|_| DefaultStack::default()).collect();
        b.iter_custom(|iters| in_units(iters, UNIT, LEAST, |n| coroutines(&mut stacks, n)));
    });
    group.finish();
}

fn tasks(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        lisle::spawn(|| ()).join().unwrap();
    }
    start.elapsed()
}

fn task_batches(count: u64) -> Duration {
    let mut handles = Vec::with_capacity(BATCH);
    let start = Instant::now();
    for _ in 0..count {
        handles.extend((0..BATCH).map(|_| lisle::spawn(|| ())));
        for handle in handles.drain(..) {
            handle.join().unwrap();
        }
    }
    start.elapsed()
}

/// Makes a coroutine on each of the stacks, then resumes them all, `count` times over.
fn coroutines(stacks: &mut Vec<DefaultStack>, count: u64) -> Duration {
    let mut made = Vec::with_capacity(stacks.len());
    let start = Instant::now();
    for _ in 0..count {
        made.extend(
            stacks.drain(..).map(|stack| Coroutine::<(), (), (), _>::with_stack(stack, |_, ()| ())),
        );
        stacks.extend(made.drain(..).map(|mut coroutine| {
            coroutine.resume(());
            coroutine.into_stack()
        }));
    }
    start.elapsed()
}

fn threads(count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        std::thread::spawn(|| ()).join().unwrap();
    }
    start.elapsed()
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = one, batch
}
criterion_main!(benches);

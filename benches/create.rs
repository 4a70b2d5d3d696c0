//! A coroutine's whole life: it is made, runs to its end, and is dropped.
//!
//! `new` takes whatever stack the library gives: Lisle has kept that of the last coroutine, the
//! peers map one. `same stack` is handed the stack of the one before. With the crate `generator`,
//! whose stacks cannot be taken out, that is a finished generator that gets a new body.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use criterion::{Criterion, criterion_group, criterion_main};
use generator::Gn;
use lisle::coroutine::{Coroutine, CoroutineState};
use lisle_runtime::stack::{Stack, StackSize};

use support::in_units;

/// Coroutines in a sample, at the least.
const LEAST: u64 = 10_000;
/// Where each of them maps and unmaps a stack.
const LEAST_MAPPED: u64 = 500;

fn new(c: &mut Criterion) {
    let mut group = c.benchmark_group("create/new");
    group.bench_function("lisle", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, lisle_new));
    });
    group.bench_function("corosensei", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST_MAPPED, corosensei_new));
    });
    group.bench_function("generator", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST_MAPPED, generator_new));
    });
    group.finish();
}

fn same_stack(c: &mut Criterion) {
    let mut group = c.benchmark_group("create/same stack");
    group.bench_function("lisle", |b| {
        let mut stack = Stack::allocate(StackSize::DEFAULT).ok();
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| lisle_on(&mut stack, n)));
    });
    group.bench_function("corosensei", |b| {
        let mut stack = Some(DefaultStack::default());
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| corosensei_on(&mut stack, n)));
    });
    group.bench_function("generator", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, generator_again));
    });
    group.finish();
}

#[inline(never)]
fn lisle_new(count: u64) -> Duration {
    let start = Instant::now();
    for n in 0..count {
        let coroutine = Coroutine::<u64, (), u64>::new(|_, n| n + 1);
        assert_eq!(coroutine.resume(black_box(n)), CoroutineState::Returned(n + 1));
    }
    start.elapsed()
}

#[inline(never)]
fn lisle_on(stack: &mut Option<Stack>, count: u64) -> Duration {
    let mut free = stack.take().unwrap();
    let start = Instant::now();
    for n in 0..count {
        let coroutine = Coroutine::<u64, (), u64>::with_stack(free, |_, n| n + 1);
        assert_eq!(coroutine.resume(black_box(n)), CoroutineState::Returned(n + 1));
        free = coroutine.into_stack().unwrap();
    }
    let time = start.elapsed();
    *stack = Some(free);
    time
}

#[inline(never)]
fn corosensei_new(count: u64) -> Duration {
    let start = Instant::now();
    for n in 0..count {
        let mut coroutine = corosensei::Coroutine::<u64, (), u64>::new(|_, n| n + 1);
        assert_eq!(coroutine.resume(black_box(n)).as_return(), Some(n + 1));
    }
    start.elapsed()
}

#[inline(never)]
fn corosensei_on(stack: &mut Option<DefaultStack>, count: u64) -> Duration {
    let mut free = stack.take().unwrap();
    let start = Instant::now();
    for n in 0..count {
        let mut coroutine =
            corosensei::Coroutine::<u64, (), u64, _>::with_stack(free, |_, n| n + 1);
        assert_eq!(coroutine.resume(black_box(n)).as_return(), Some(n + 1));
        free = coroutine.into_stack();
    }
    let time = start.elapsed();
    *stack = Some(free);
    time
}

#[inline(never)]
fn generator_new(count: u64) -> Duration {
    let start = Instant::now();
    for n in 0..count {
        let n = black_box(n);
        let mut generator = Gn::<()>::new_scoped_local(move |_| n + 1);
        assert_eq!(generator.resume(), Some(n + 1));
    }
    start.elapsed()
}

#[inline(never)]
fn generator_again(count: u64) -> Duration {
    let mut generator = Gn::<()>::new_scoped_local(|_| 0);
    generator.resume();
    let start = Instant::now();
    for n in 0..count {
        let n = black_box(n);
        generator.scoped_init(move |_| n + 1);
        assert_eq!(generator.resume(), Some(n + 1));
    }
    start.elapsed()
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = new, same_stack
}
criterion_main!(benches);

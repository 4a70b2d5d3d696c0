//! One item of a generator that counts: into the body, and out again with a number.
//!
//! The coroutine of corosensei is no iterator; its loop asks for the yields itself.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use generator::Gn;
use lisle::Generator;

use support::in_units;

/// Items in a sample, at the least.
const LEAST: u64 = 10_000;

fn item(c: &mut Criterion) {
    let mut group = c.benchmark_group("generator");
    group.bench_function("lisle", |b| {
        let mut iota = Generator::new(|out| {
            for n in 0_u64.. {
                out.suspend(n);
            }
        });
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut iota, n)));
    });
    group.bench_function("corosensei", |b| {
        let mut coroutine = corosensei::Coroutine::<(), u64, ()>::new(|yielder, ()| {
            for n in 0.. {
                yielder.suspend(n);
            }
        });
        let mut iota = std::iter::from_fn(|| coroutine.resume(()).as_yield());
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut iota, n)));
    });
    group.bench_function("generator", |b| {
        let mut iota = Gn::<()>::new_scoped_local(|mut scope| {
            for n in 0_u64.. {
                scope.yield_with(n);
            }
            generator::done!()
        });
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut iota, n)));
    });
    group.finish();
}

#[inline(never)]
fn add_up(items: &mut impl Iterator<Item = u64>, count: u64) -> Duration {
    let mut sum = 0_u64;
    let start = Instant::now();
    for item in items.take(count as usize) {
        sum = sum.wrapping_add(item);
    }
    let time = start.elapsed();
    black_box(sum);
    time
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = item
}
criterion_main!(benches);

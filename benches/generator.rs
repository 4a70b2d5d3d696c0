//! One item of a generator that counts: into the body, and out again with a number.
//!
//! - `item`: the body yields in a loop.
//! - `item/from a call`: it yields in a function that it calls for each item, which is not inlined.
//! - `item/tree`: it walks a tree of 4,095 nodes and yields at every depth of the recursion.
//! - `exchange`: no iterator but a coroutine that gets a number for each that it gives.
//!
//! The coroutine of corosensei is no iterator; its loop asks for the yields itself.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use generator::{Gn, Scope};
use lisle::coroutine::{Coroutine, CoroutineState, Generator, Yielder};

use support::in_units;

/// Items in a sample, at the least.
const LEAST: u64 = 10_000;
/// The depth of the tree, whose nodes are not stored anywhere.
const DEPTH: u32 = 12;

/// Measures a counting loop, yielding calls and a recursion of each library, whose way to yield is
/// `$yield`.
macro_rules! bodies {
    ($name:ident, $out:ty, |$yielder:ident, $item:ident| $yield:expr) => {
        mod $name {
            use super::*;

            pub fn count($yielder: $out) {
                for $item in 0_u64.. {
                    $yield;
                }
            }

            #[inline(never)]
            fn emit($yielder: $out, $item: u64) -> u64 {
                $yield;
                black_box($item)
            }

            pub fn count_in_calls(out: $out) {
                for item in 0_u64.. {
                    emit(out, item);
                }
            }

            pub fn walks(out: $out) {
                loop {
                    walk(out, DEPTH);
                }
            }

            fn walk($yielder: $out, depth: u32) {
                if depth > 0 {
                    walk($yielder, depth - 1);
                    let $item = u64::from(depth);
                    $yield;
                    walk($yielder, depth - 1);
                }
            }
        }
    };
}

bodies!(ours, &Yielder<(), u64, ()>, |out, item| out.suspend(item));
bodies!(theirs, &corosensei::Yielder<(), u64>, |out, item| out.suspend(item));

/// The crate `generator` lends its way to yield as a value that only one call can have at a time.
mod others {
    use super::*;

    type Out<'o, 's, 'a> = &'o mut Scope<'s, 'a, (), u64>;

    pub fn count(out: Out<'_, '_, '_>) {
        for item in 0.. {
            out.yield_with(item);
        }
    }

    #[inline(never)]
    fn emit(out: Out<'_, '_, '_>, item: u64) -> u64 {
        out.yield_with(item);
        black_box(item)
    }

    pub fn count_in_calls(out: Out<'_, '_, '_>) {
        for item in 0.. {
            emit(out, item);
        }
    }

    pub fn walks(out: Out<'_, '_, '_>) {
        loop {
            walk(out, DEPTH);
        }
    }

    fn walk(out: Out<'_, '_, '_>, depth: u32) {
        if depth > 0 {
            walk(out, depth - 1);
            out.yield_with(u64::from(depth));
            walk(out, depth - 1);
        }
    }
}

fn items(c: &mut Criterion) {
    macro_rules! compare {
        ($group:literal, $body:ident) => {
            let mut group = c.benchmark_group($group);
            group.bench_function("lisle", |b| {
                let mut items = Generator::new(ours::$body);
                b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut items, n)));
            });
            group.bench_function("corosensei", |b| {
                let mut coroutine =
                    corosensei::Coroutine::<(), u64, ()>::new(|out, ()| theirs::$body(out));
                let mut items = std::iter::from_fn(|| coroutine.resume(()).as_yield());
                b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut items, n)));
            });
            group.bench_function("generator", |b| {
                let mut items = Gn::<()>::new_scoped_local(|mut out| {
                    others::$body(&mut out);
                    generator::done!()
                });
                b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut items, n)));
            });
            group.finish();
        };
    }
    compare!("item", count);
    compare!("item/from a call", count_in_calls);
    compare!("item/tree", walks);
}

fn exchange(c: &mut Criterion) {
    let mut group = c.benchmark_group("exchange");
    group.bench_function("lisle", |b| {
        let coroutine = Coroutine::<u64, u64, ()>::new(|out, mut number| {
            loop {
                number = out.suspend(number.wrapping_mul(3));
            }
        });
        let turn = |number| match coroutine.resume(number) {
            CoroutineState::Yielded(tripled) => tripled,
            CoroutineState::Returned(()) => 0,
        };
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut (0..).map(turn), n)));
    });
    group.bench_function("corosensei", |b| {
        let mut coroutine = corosensei::Coroutine::<u64, u64, ()>::new(|out, mut number| {
            loop {
                number = out.suspend(number.wrapping_mul(3));
            }
        });
        let mut turn = |number| coroutine.resume(number).as_yield().unwrap_or(0);
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| add_up(&mut (0..).map(&mut turn), n)));
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
    targets = items, exchange
}
criterion_main!(benches);

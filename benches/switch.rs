//! The bare switch between two stacks, one way: half a round trip, without any scheduler.
//!
//! The two ways of corosensei are `resume` and `suspend`. Neither side carries a value over.

mod support;

use std::time::{Duration, Instant};

use corosensei::Coroutine;
use criterion::{Criterion, criterion_group, criterion_main};
use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::{Context, prepare, switch};

use support::in_units;

/// Switches in a sample, at the least.
const LEAST: u64 = 10_000;

/// Where the two players continue while the other one runs.
struct Players {
    caller: Context,
    bouncer: Context,
}

fn one_way(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");

    let stack = Stack::allocate(StackSize::MIN).unwrap();
    let players: *mut Players =
        Box::into_raw(Box::new(Players { caller: Context::NONE, bouncer: Context::NONE }));
    // SAFETY: the stack is unused and outlives its last switch; `players` is never freed.
    unsafe { (*players).bouncer = prepare(stack.top(), bounce, players.cast()) };
    group.bench_function("lisle", |b| {
        // SAFETY: the bouncer is suspended: it was just prepared, or has bounced back.
        b.iter_custom(|iters| in_units(iters, 2, LEAST, |n| unsafe { round_trips(players, n) }));
    });

    let mut coroutine = Coroutine::new(|yielder, ()| -> () {
        loop {
            yielder.suspend(());
        }
    });
    group.bench_function("corosensei", |b| {
        b.iter_custom(|iters| in_units(iters, 2, LEAST, |n| resumptions(&mut coroutine, n)));
    });

    group.finish();
}

/// # Safety
///
/// The bouncer is suspended, and nothing else has access to the players.
#[inline(never)]
unsafe fn round_trips(players: *mut Players, count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        // SAFETY: the bouncer is suspended, and switches back to what is saved here.
        unsafe { switch(&raw mut (*players).caller, (*players).bouncer) };
    }
    start.elapsed()
}

unsafe extern "C" fn bounce(players: *mut ()) -> ! {
    let players: *mut Players = players.cast();
    loop {
        // SAFETY: the caller is suspended while this stack runs, and saved where it continues.
        unsafe { switch(&raw mut (*players).bouncer, (*players).caller) };
    }
}

#[inline(never)]
fn resumptions(coroutine: &mut Coroutine<(), (), ()>, count: u64) -> Duration {
    let start = Instant::now();
    for _ in 0..count {
        coroutine.resume(());
    }
    start.elapsed()
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = one_way
}
criterion_main!(benches);

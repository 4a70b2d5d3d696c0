//! `switch` on the coroutines of corosensei and of generator, which have no scheduler.

use std::time::{Duration, Instant};

use corosensei::{Coroutine, CoroutineResult};
use generator::{Generator, Gn};
use harness::{Outcome, Params, Row};

const TABLE: &[Row] =
    &[(&["corosensei"], "switch", corosensei), (&["generator"], "switch", generator)];

fn main() {
    harness::serve(TABLE);
}

fn corosensei(params: &Params) -> Outcome {
    let mut coroutine = Coroutine::<u64, u64, ()>::new(|yielder, mut n| {
        loop {
            n = yielder.suspend(n + 1);
        }
    });
    let outcome = count(params, |n| match coroutine.resume(n) {
        CoroutineResult::Yield(next) => next,
        CoroutineResult::Return(()) => unreachable!("it never ends"),
    });
    // Unwinding the body is no part of this.
    std::mem::forget(coroutine);
    outcome
}

fn generator(params: &Params) -> Outcome {
    let mut generator: Generator<'static, u64, u64> = Gn::new_scoped(|mut scope| {
        let mut n = scope.yield_(0).unwrap_or_default();
        loop {
            n = scope.yield_(n + 1).unwrap_or_default();
        }
    });
    generator.resume();
    count(params, |n| generator.send(n))
}

/// Into a coroutine and out again, which counts, are two switches.
fn count(params: &Params, mut resume: impl FnMut(u64) -> u64) -> Outcome {
    let rounds = params.get("rounds");
    let mut play = |rounds: u64| -> Duration {
        let start = Instant::now();
        let mut n = 0;
        for _ in 0..rounds {
            n = resume(n);
        }
        let time = start.elapsed();
        assert_eq!(n, rounds);
        time
    };
    play(rounds / 10);
    Outcome::ns_each(play(rounds), 2 * rounds)
}

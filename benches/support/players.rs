//! The players of the games of messages: tasks of one worker and of two and plain threads, over the
//! same channels, and plain threads over crossbeam-channel's.

use std::thread;
use std::time::Duration;

use criterion::BenchmarkGroup;
use criterion::measurement::WallTime;

use crate::support::in_units;

/// Messages in a sample, at the least.
const LEAST: u64 = 1_000;

/// A game that is set up: the part of each player.
pub struct Game<T> {
    /// Measures the time of the game. Played by the task that starts it.
    pub timed: T,
    pub others: Vec<Box<dyn FnOnce() + Send>>,
}

/// Measures a game of some messages over both kinds of channels.
pub fn play<L, C>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    lisle: impl Fn(u64) -> Game<L>,
    crossbeam: impl Fn(u64) -> Game<C>,
) where
    L: FnOnce() -> Duration,
    C: FnOnce() -> Duration,
{
    for (workers, name) in [(1, "lisle tasks, 1 worker"), (2, "lisle tasks, 2 workers")] {
        group.bench_function(name, |b| {
            b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_tasks(workers, lisle(n))));
        });
    }
    group.bench_function("lisle threads", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_threads(lisle(n))));
    });
    group.bench_function("crossbeam threads", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_threads(crossbeam(n))));
    });
}

fn on_tasks(workers: usize, game: Game<impl FnOnce() -> Duration>) -> Duration {
    let builder = lisle::Runtime::builder().workers(workers);
    let main = || {
        let others: Vec<_> = game.others.into_iter().map(lisle::spawn).collect();
        let time = (game.timed)();
        others.into_iter().for_each(|other| other.join().unwrap());
        time
    };
    builder.run(main).unwrap()
}

fn on_threads(game: Game<impl FnOnce() -> Duration>) -> Duration {
    let others: Vec<_> = game.others.into_iter().map(thread::spawn).collect();
    let time = (game.timed)();
    others.into_iter().for_each(|other| other.join().unwrap());
    time
}

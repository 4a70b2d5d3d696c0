//! Deadlines of waits: those that are woken before, and those that fall due.
//!
//! No worker sleeps while the clock runs. The peers are the same games without deadlines.

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use lisle::channel::{Receiver, Sender, bounded};

use support::in_units;

/// Round trips in a sample, at the least.
const LEAST: u64 = 10_000;

/// Timers that fall due at once.
const TIMERS: u64 = 10_000;

/// A time-out that never comes.
const LONG: Duration = Duration::from_secs(30);

/// A message there and a message back, between two tasks; every receive waits.
fn round_trip(c: &mut Criterion) {
    let mut group = c.benchmark_group("timers/round trip");
    group.bench_function("recv", |b| {
        b.iter_custom(|iters| {
            in_units(iters, 1, LEAST, |n| ping_pong(n, |receiver| receiver.recv().unwrap()))
        });
    });
    group.bench_function("recv_timeout", |b| {
        b.iter_custom(|iters| {
            in_units(iters, 1, LEAST, |n| {
                ping_pong(n, |receiver| receiver.recv_timeout(LONG).unwrap())
            })
        });
    });
    group.bench_function("recv_deadline", |b| {
        let deadline = Instant::now() + 1_000 * LONG;
        b.iter_custom(|iters| {
            in_units(iters, 1, LEAST, |n| {
                ping_pong(n, move |receiver| receiver.recv_deadline(deadline).unwrap())
            })
        });
    });
    group.finish();
}

fn ping_pong(rounds: u64, receive: impl Fn(&Receiver<u64>) -> u64 + Copy + 'static) -> Duration {
    lisle::run(move || {
        let (to_pong, from_ping) = bounded(1);
        let (to_ping, from_pong) = bounded(1);
        let pong = lisle::spawn_local(move || {
            for _ in 0..rounds {
                to_ping.send(receive(&from_ping)).unwrap();
            }
        });
        let start = Instant::now();
        for round in 0..rounds {
            to_pong.send(round).unwrap();
            assert_eq!(receive(&from_pong), round);
        }
        let time = start.elapsed();
        pong.join().unwrap();
        time
    })
}

/// The end of the waits of many tasks: by their deadlines, which lie in a mixed order, or by a
/// message to each.
fn many(c: &mut Criterion) {
    let mut group = c.benchmark_group("timers/10,000 waits end");
    group.bench_function("due", |b| {
        b.iter_custom(|iters| in_units(iters, TIMERS, TIMERS, fall_due));
    });
    group.bench_function("woken", |b| {
        b.iter_custom(|iters| in_units(iters, TIMERS, TIMERS, be_woken));
    });
    group.finish();
}

/// The time in which all deadlines of a round fire and all tasks have gone on, for some rounds.
fn fall_due(rounds: u64) -> Duration {
    let (orders, order) = bounded::<Instant>(TIMERS as usize);
    let wait = move || order.recv().map(lisle::sleep_until).is_ok();
    with_many_tasks(rounds, orders, wait, |orders, run_all| {
        loop {
            let first = Instant::now() + Duration::from_millis(20);
            for n in 0..TIMERS {
                let later = Duration::from_nanos(100 * (n * 7_919 % TIMERS));
                orders.send(first + later).unwrap();
            }
            lisle::yield_now();
            if Instant::now() < first {
                while Instant::now() < first + Duration::from_millis(1) {}
                let start = Instant::now();
                run_all();
                return start.elapsed();
            }
            // The machine was busy, and some did not wait any more. Another try.
            run_all();
        }
    })
}

/// The same for tasks that are sent a message.
fn be_woken(rounds: u64) -> Duration {
    let (messages, message) = bounded::<()>(TIMERS as usize);
    let wait = move || message.recv().is_ok();
    with_many_tasks(rounds, messages, wait, |messages, run_all| {
        let start = Instant::now();
        for _ in 0..TIMERS {
            messages.send(()).unwrap();
        }
        run_all();
        start.elapsed()
    })
}

/// Starts the tasks, each of which waits again and again until its wait fails, and plays rounds:
/// `play` ends all waits, and `run_all` lets all tasks go on from there.
fn with_many_tasks<T: 'static>(
    rounds: u64,
    sender: Sender<T>,
    wait: impl Fn() -> bool + Clone + 'static,
    play: impl Fn(&Sender<T>, &dyn Fn()) -> Duration + 'static,
) -> Duration {
    lisle::run(move || {
        let gone_on = Rc::new(Cell::new(0));
        for _ in 0..TIMERS {
            let (wait, gone_on) = (wait.clone(), gone_on.clone());
            lisle::spawn_local(move || {
                while wait() {
                    gone_on.set(gone_on.get() + 1);
                }
            });
        }
        lisle::yield_now();
        let run_all = || {
            while gone_on.get() < TIMERS {
                lisle::yield_now();
            }
            gone_on.set(0);
        };
        (0..rounds).map(|_| play(&sender, &run_all)).sum()
    })
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = round_trip, many
}
criterion_main!(benches);

//! Messages between two parties: rendezvous round trips, and streams through a buffer.
//!
//! Each game is played three times: by two tasks of one worker, by two plain threads over the same
//! channels, and by two plain threads over crossbeam-channel's.

mod support;

use std::thread;
use std::time::{Duration, Instant};

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};

use support::in_units;

/// Messages in a sample, at the least.
const LEAST: u64 = 1_000;

/// The sender of an unbounded stream lets the receiver catch up after so many messages. Where
/// nothing else ever makes it wait, the size of the sample would decide what is measured.
const BURST: u64 = 1_024;

/// What the games need of a sender, whoever made it.
trait SendEnd: Send + 'static {
    fn send(&self, message: u64);
}

/// What the games need of a receiver, whoever made it.
trait RecvEnd: Send + 'static {
    /// The next message, or `None` when the sender is gone.
    fn recv(&self) -> Option<u64>;
}

impl SendEnd for lisle::channel::Sender<u64> {
    #[inline]
    fn send(&self, message: u64) {
        self.send(message).unwrap();
    }
}

impl RecvEnd for lisle::channel::Receiver<u64> {
    #[inline]
    fn recv(&self) -> Option<u64> {
        self.recv().ok()
    }
}

impl SendEnd for crossbeam_channel::Sender<u64> {
    #[inline]
    fn send(&self, message: u64) {
        self.send(message).unwrap();
    }
}

impl RecvEnd for crossbeam_channel::Receiver<u64> {
    #[inline]
    fn recv(&self) -> Option<u64> {
        self.recv().ok()
    }
}

/// Measures a game as played by the three kinds of players. `lisle` and `crossbeam` set up a game
/// of some messages: the part of each player.
fn play<L1, L2, C1, C2>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    lisle: impl Fn(u64) -> (L1, L2),
    crossbeam: impl Fn(u64) -> (C1, C2),
) where
    L1: FnOnce() -> Duration,
    L2: FnOnce() + Send + 'static,
    C1: FnOnce() -> Duration,
    C2: FnOnce() + Send + 'static,
{
    group.bench_function("lisle tasks", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_tasks(lisle(n))));
    });
    group.bench_function("lisle threads", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_threads(lisle(n))));
    });
    group.bench_function("crossbeam threads", |b| {
        b.iter_custom(|iters| in_units(iters, 1, LEAST, |n| on_threads(crossbeam(n))));
    });
}

fn on_tasks(
    (timed, other): (impl FnOnce() -> Duration, impl FnOnce() + Send + 'static),
) -> Duration {
    lisle::run(|| {
        let other = lisle::spawn(other);
        let time = timed();
        other.join().unwrap();
        time
    })
}

fn on_threads(
    (timed, other): (impl FnOnce() -> Duration, impl FnOnce() + Send + 'static),
) -> Duration {
    let other = thread::spawn(other);
    let time = timed();
    other.join().unwrap();
    time
}

/// A message there and a message back, each a meeting of the two.
fn rendezvous(c: &mut Criterion) {
    fn game<S: SendEnd, R: RecvEnd>(
        (to_pong, from_ping): (S, R),
        (to_ping, from_pong): (S, R),
        rounds: u64,
    ) -> (impl FnOnce() -> Duration, impl FnOnce() + Send + 'static) {
        let ping = move || {
            let start = Instant::now();
            for round in 0..rounds {
                to_pong.send(round);
                assert_eq!(from_pong.recv(), Some(round));
            }
            start.elapsed()
        };
        let pong = move || {
            while let Some(ball) = from_ping.recv() {
                to_ping.send(ball);
            }
        };
        (ping, pong)
    }

    let mut group = c.benchmark_group("channel/rendezvous round trip");
    play(
        &mut group,
        |n| game(lisle::channel::bounded(0), lisle::channel::bounded(0), n),
        |n| game(crossbeam_channel::bounded(0), crossbeam_channel::bounded(0), n),
    );
    group.finish();
}

/// One sender, one receiver, a buffer between them.
fn stream<S: SendEnd, R: RecvEnd>(
    (sender, receiver): (S, R),
    messages: u64,
    pause: impl Fn(u64) + Send + 'static,
) -> (impl FnOnce() -> Duration, impl FnOnce() + Send + 'static) {
    let consume = move || {
        let start = Instant::now();
        for message in 0..messages {
            assert_eq!(receiver.recv(), Some(message));
        }
        start.elapsed()
    };
    let produce = move || {
        for message in 0..messages {
            sender.send(message);
            pause(message);
        }
    };
    (consume, produce)
}

fn bounded(c: &mut Criterion) {
    const CAPACITY: usize = 128;
    let mut group = c.benchmark_group("channel/bounded 128");
    play(
        &mut group,
        |n| stream(lisle::channel::bounded(CAPACITY), n, |_| ()),
        |n| stream(crossbeam_channel::bounded(CAPACITY), n, |_| ()),
    );
    group.finish();
}

fn unbounded(c: &mut Criterion) {
    fn catch_up(message: u64) {
        if message % BURST == BURST - 1 {
            // On a plain thread this is `std::thread::yield_now`.
            lisle::yield_now();
        }
    }

    let mut group = c.benchmark_group("channel/unbounded");
    play(
        &mut group,
        |n| stream(lisle::channel::unbounded(), n, catch_up),
        |n| stream(crossbeam_channel::unbounded(), n, catch_up),
    );
    group.finish();
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = rendezvous, bounded, unbounded
}
criterion_main!(benches);

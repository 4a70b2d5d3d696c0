//! Messages between parties: rendezvous round trips, and streams through a buffer, from one to one
//! and from four to four.

#[path = "support/players.rs"]
mod players;
mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

use players::{Game, play};

/// Places of a bounded buffer.
const CAPACITY: usize = 128;

/// The sender of an unbounded stream lets the receiver catch up after this many messages. Where
/// nothing else ever makes it wait, the size of the sample would decide what is measured.
const BURST: u64 = 1_024;

/// What the games need of a sender, of either library.
trait SendEnd: Clone + Send + 'static {
    fn send(&self, message: u64);
}

/// What the games need of a receiver, of either library.
trait RecvEnd: Clone + Send + 'static {
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

/// A message there and a message back, each a meeting of the two.
fn rendezvous(c: &mut Criterion) {
    fn game<S: SendEnd, R: RecvEnd>(
        (to_pong, from_ping): (S, R),
        (to_ping, from_pong): (S, R),
        rounds: u64,
    ) -> Game<impl FnOnce() -> Duration> {
        let timed = move || {
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
        Game { timed, others: vec![Box::new(pong)] }
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
) -> Game<impl FnOnce() -> Duration> {
    let timed = move || {
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
    Game { timed, others: vec![Box::new(produce)] }
}

fn bounded(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel/bounded 128");
    play(
        &mut group,
        |n| stream(lisle::channel::bounded(CAPACITY), n, |_| ()),
        |n| stream(crossbeam_channel::bounded(CAPACITY), n, |_| ()),
    );
    group.finish();
}

/// Four senders and four receivers share a buffer. The clock stops when all receivers are done.
fn crowd<S: SendEnd, R: RecvEnd>(
    (sender, receiver): (S, R),
    (done, all_done): (S, R),
    messages: u64,
) -> Game<impl FnOnce() -> Duration> {
    let mut others: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for _ in 0..4 {
        let (receiver, done) = (receiver.clone(), done.clone());
        others.push(Box::new(move || {
            let mut count = 0;
            while receiver.recv().is_some() {
                count += 1;
            }
            done.send(count);
        }));
    }
    for part in 0..4 {
        let sender = sender.clone();
        others.push(Box::new(move || {
            (part..messages).step_by(4).for_each(|message| sender.send(message));
        }));
    }
    drop((sender, receiver));
    let start = Instant::now();
    let timed = move || {
        let received: u64 = (0..4).filter_map(|_| all_done.recv()).sum();
        assert_eq!(received, messages);
        start.elapsed()
    };
    Game { timed, others }
}

fn four_to_four(c: &mut Criterion) {
    let mut group = c.benchmark_group("channel/bounded 128, four to four");
    play(
        &mut group,
        |n| crowd(lisle::channel::bounded(CAPACITY), lisle::channel::bounded(4), n),
        |n| crowd(crossbeam_channel::bounded(CAPACITY), crossbeam_channel::bounded(4), n),
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
    targets = rendezvous, bounded, four_to_four, unbounded
}
criterion_main!(benches);

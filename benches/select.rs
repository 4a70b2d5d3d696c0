//! `select!` over four channels, into which one sender sends by turns.
//!
//! Without buffers sender and receiver meet at each message, and every other select has to wait.
//! With them most selects find something.

#[path = "support/players.rs"]
mod players;
mod support;

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};

use players::{Game, play};

/// The same game over each kind of channels, since a select names its types.
macro_rules! game {
    ($name:ident, $channel:path) => {
        fn $name(capacity: usize, messages: u64) -> Game<impl FnOnce() -> Duration> {
            use $channel as channel;
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..4).map(|_| channel::bounded(capacity)).unzip();
            // A channel without a sender would be selected, too.
            let open = senders.clone();
            let send = move || {
                for (message, sender) in (0..messages).zip(senders.iter().cycle()) {
                    sender.send(message).unwrap();
                }
            };
            let timed = move || {
                let start = Instant::now();
                let mut sum = 0;
                for _ in 0..messages {
                    let message = channel::select! {
                        recv(receivers[0]) -> message => message,
                        recv(receivers[1]) -> message => message,
                        recv(receivers[2]) -> message => message,
                        recv(receivers[3]) -> message => message,
                    };
                    sum += message.unwrap();
                }
                assert_eq!(sum, (0..messages).sum::<u64>());
                drop(open);
                start.elapsed()
            };
            Game { timed, others: vec![Box::new(send)] }
        }
    };
}

game!(lisle_game, lisle::channel);
game!(crossbeam_game, crossbeam_channel);

fn select(c: &mut Criterion) {
    for (capacity, name) in [(0, "select/4 rendezvous"), (128, "select/4 bounded 128")] {
        let mut group = c.benchmark_group(name);
        play(&mut group, |n| lisle_game(capacity, n), |n| crossbeam_game(capacity, n));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = support::settings();
    targets = select
}
criterion_main!(benches);

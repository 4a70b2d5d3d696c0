//! Tasks that talk.

use std::time::{Duration, Instant};

use harness::{Outcome, Params, nth_prime, sum_below};
use lisle::channel::{self, Receiver, Sender, bounded, select};

use crate::run;

pub fn pingpong(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, || {
        round_trips(rounds / 10);
        Outcome::ns_each(round_trips(rounds), rounds)
    })
}

fn round_trips(rounds: u64) -> Duration {
    let (to_pong, from_ping) = bounded(0);
    let (to_ping, from_pong) = bounded(0);
    let pong = lisle::spawn(move || {
        for ball in from_ping {
            to_ping.send(ball + 1).unwrap();
        }
    });
    let ping = lisle::spawn(move || {
        let start = Instant::now();
        let mut ball = 0;
        for _ in 0..rounds {
            to_pong.send(ball).unwrap();
            ball = from_pong.recv().unwrap();
        }
        assert_eq!(ball, rounds);
        start.elapsed()
    });
    let time = ping.join().unwrap();
    pong.join().unwrap();
    time
}

pub fn buffered(params: &Params) -> Outcome {
    let (pairs, capacity) = (params.get("pairs"), params.get("capacity"));
    let messages = params.get("messages");
    run(params, || {
        let play = |messages| stream(bounded(capacity as usize), pairs, messages, |_| ());
        play(messages / 10);
        Outcome::ns_each(play(messages), pairs * messages)
    })
}

pub fn unbounded(params: &Params) -> Outcome {
    let (burst, messages) = (params.get("burst"), params.get("messages"));
    let pause_after = move |sent: u64| {
        if sent.is_multiple_of(burst) {
            lisle::yield_now();
        }
    };
    run(params, || {
        let play = |messages| stream(channel::unbounded(), 1, messages, pause_after);
        play(messages / 10);
        Outcome::ns_each(play(messages), messages)
    })
}

/// Each of the senders sends `messages`, which the same number of receivers add up.
fn stream(
    (sender, receiver): (Sender<u64>, Receiver<u64>),
    pairs: u64,
    messages: u64,
    after: impl Fn(u64) + Copy + Send + 'static,
) -> Duration {
    let start = Instant::now();
    for _ in 0..pairs {
        let sender = sender.clone();
        lisle::spawn(move || {
            for message in 0..messages {
                sender.send(message).unwrap();
                after(message + 1);
            }
        });
    }
    drop(sender);
    let receivers: Vec<_> = (0..pairs)
        .map(|_| {
            let receiver = receiver.clone();
            lisle::spawn(move || receiver.iter().sum::<u64>())
        })
        .collect();
    let sum: u64 = receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum();
    let time = start.elapsed();
    assert_eq!(sum, pairs * sum_below(messages));
    time
}

pub fn select(params: &Params) -> Outcome {
    let messages = params.get("messages");
    run(params, || {
        merge_four(messages / 10);
        Outcome::ns_each(merge_four(messages), 4 * messages)
    })
}

/// Four tasks send `messages` each through a rendezvous channel of their own to one that selects.
fn merge_four(messages: u64) -> Duration {
    let source = |_| {
        let (sender, receiver) = bounded(0);
        let to_merger = sender.clone();
        lisle::spawn(move || (0..messages).try_for_each(|message| to_merger.send(message)));
        (sender, receiver)
    };
    let start = Instant::now();
    // Their senders stay here, so that no channel closes while others are still in use.
    let sources: [_; 4] = std::array::from_fn(source);
    let [a, b, c, d] = sources.each_ref().map(|(_, receiver)| receiver.clone());
    let merger = lisle::spawn(move || {
        let mut sum = 0;
        for _ in 0..4 * messages {
            sum += select! {
                recv(a) -> message => message.unwrap(),
                recv(b) -> message => message.unwrap(),
                recv(c) -> message => message.unwrap(),
                recv(d) -> message => message.unwrap(),
            };
        }
        sum
    });
    let sum = merger.join().unwrap();
    let time = start.elapsed();
    assert_eq!(sum, 4 * sum_below(messages));
    time
}

pub fn skynet(params: &Params) -> Outcome {
    let (leaves, room) = (params.get("leaves"), params.get("room") as usize);
    run(params, || {
        sum_of_leaves(leaves / 10, room);
        Outcome::ms(sum_of_leaves(leaves, room))
    })
}

fn sum_of_leaves(leaves: u64, room: usize) -> Duration {
    let start = Instant::now();
    let (sender, receiver) = bounded(room);
    lisle::spawn(move || node(sender, 0, leaves, room));
    assert_eq!(receiver.recv(), Ok(sum_below(leaves)));
    start.elapsed()
}

/// Sends the sum of the `leaves` numbers from `first` on, which ten children find.
fn node(parent: Sender<u64>, first: u64, leaves: u64, room: usize) {
    if leaves == 1 {
        parent.send(first).unwrap();
        return;
    }
    let (sender, receiver) = bounded(room);
    let each = leaves / 10;
    for child in 0..10 {
        let sender = sender.clone();
        lisle::spawn(move || node(sender, first + child * each, each, room));
    }
    let sum = (0..10).map(|_| receiver.recv().unwrap()).sum();
    parent.send(sum).unwrap();
}

pub fn sieve(params: &Params) -> Outcome {
    let primes = params.get("primes");
    run(params, || {
        last_prime(primes / 10);
        let (last, time) = last_prime(primes);
        assert_eq!(last, nth_prime(primes));
        Outcome::ms(time)
    })
}

/// The chain gets longer by a task that filters for each prime that comes out of it.
fn last_prime(primes: u64) -> (u64, Duration) {
    let start = Instant::now();
    let (generated, mut end_of_chain) = bounded(0);
    lisle::spawn(move || (2..).try_for_each(|n| generated.send(n)));
    for _ in 1..primes {
        let prime = end_of_chain.recv().unwrap();
        let (filtered, new_end) = bounded(0);
        lisle::spawn(move || filter(prime, end_of_chain, filtered));
        end_of_chain = new_end;
    }
    (end_of_chain.recv().unwrap(), start.elapsed())
}

fn filter(prime: u64, from: Receiver<u64>, to: Sender<u64>) {
    for n in from {
        if n % prime != 0 && to.send(n).is_err() {
            return;
        }
    }
}

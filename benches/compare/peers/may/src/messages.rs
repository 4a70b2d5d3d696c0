//! Coroutines that talk.

use std::time::{Duration, Instant};

use harness::{Outcome, Params, no_equal, sum_below};
use may::coroutine::yield_now;
use may::go;
use may::sync::{mpsc, spsc};

use crate::{TOO_MANY, has_stacks_for, run};

/// A kind of channel.
pub trait Channel: 'static {
    type Sender: Send + 'static;
    type Receiver: Send + 'static;

    fn new() -> (Self::Sender, Self::Receiver);
    fn send(sender: &Self::Sender, message: u64);
    /// `None` if no sender is left.
    fn recv(receiver: &Self::Receiver) -> Option<u64>;
}

/// For several senders.
pub struct Mpsc;

impl Channel for Mpsc {
    type Sender = mpsc::Sender<u64>;
    type Receiver = mpsc::Receiver<u64>;

    fn new() -> (Self::Sender, Self::Receiver) {
        mpsc::channel()
    }

    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).unwrap();
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

/// For one sender.
pub struct Spsc;

impl Channel for Spsc {
    type Sender = spsc::Sender<u64>;
    type Receiver = spsc::Receiver<u64>;

    fn new() -> (Self::Sender, Self::Receiver) {
        spsc::channel()
    }

    fn send(sender: &Self::Sender, message: u64) {
        sender.send(message).unwrap();
    }

    fn recv(receiver: &Self::Receiver) -> Option<u64> {
        receiver.recv().ok()
    }
}

pub fn pingpong<C: Channel>(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, move || {
        round_trips::<C>(rounds / 10);
        Outcome::ns_each(round_trips::<C>(rounds), rounds)
    })
}

fn round_trips<C: Channel>(rounds: u64) -> Duration {
    let (to_pong, from_ping) = C::new();
    let (to_ping, from_pong) = C::new();
    let pong = go!(move || {
        while let Some(ball) = C::recv(&from_ping) {
            C::send(&to_ping, ball + 1);
        }
    });
    let ping = go!(move || {
        let start = Instant::now();
        let mut ball = 0;
        for _ in 0..rounds {
            C::send(&to_pong, ball);
            ball = C::recv(&from_pong).unwrap();
        }
        assert_eq!(ball, rounds);
        start.elapsed()
    });
    let time = ping.join().unwrap();
    pong.join().unwrap();
    time
}

pub fn unbounded<C: Channel>(params: &Params) -> Outcome {
    let (burst, messages) = (params.get("burst"), params.get("messages"));
    run(params, move || {
        stream::<C>(burst, messages / 10);
        Outcome::ns_each(stream::<C>(burst, messages), messages)
    })
}

fn stream<C: Channel>(burst: u64, messages: u64) -> Duration {
    let start = Instant::now();
    let (sender, receiver) = C::new();
    let producer = go!(move || {
        for message in 0..messages {
            C::send(&sender, message);
            if (message + 1).is_multiple_of(burst) {
                yield_now();
            }
        }
    });
    let consumer = go!(move || std::iter::from_fn(|| C::recv(&receiver)).sum::<u64>());
    let sum = consumer.join().unwrap();
    let time = start.elapsed();
    producer.join().unwrap();
    assert_eq!(sum, sum_below(messages));
    time
}

pub fn skynet(params: &Params) -> Outcome {
    let leaves = params.get("leaves");
    if params.get("room") == 0 {
        return no_equal("its channels have no rendezvous");
    }
    if !has_stacks_for(leaves) {
        return TOO_MANY;
    }
    run(params, move || {
        sum_of_leaves(leaves / 10);
        Outcome::ms(sum_of_leaves(leaves))
    })
}

fn sum_of_leaves(leaves: u64) -> Duration {
    let start = Instant::now();
    let (sender, receiver) = mpsc::channel();
    go!(move || node(sender, 0, leaves));
    assert_eq!(receiver.recv(), Ok(sum_below(leaves)));
    start.elapsed()
}

/// Sends the sum of the `leaves` numbers from `first` on, which ten children find.
fn node(parent: mpsc::Sender<u64>, first: u64, leaves: u64) {
    if leaves == 1 {
        parent.send(first).unwrap();
        return;
    }
    let (sender, receiver) = mpsc::channel();
    let each = leaves / 10;
    for child in 0..10 {
        let sender = sender.clone();
        go!(move || node(sender, first + child * each, each));
    }
    let sum = (0..10).map(|_| receiver.recv().unwrap()).sum();
    parent.send(sum).unwrap();
}

//! Threads that talk.

use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};
use harness::{Outcome, Params, sum_below};

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
    let pong = thread::spawn(move || {
        for ball in from_ping {
            to_ping.send(ball + 1).unwrap();
        }
    });
    let ping = thread::spawn(move || {
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
            thread::yield_now();
        }
    };
    run(params, || {
        let play = |messages| stream(crossbeam_channel::unbounded(), 1, messages, pause_after);
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
        thread::spawn(move || {
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
            thread::spawn(move || receiver.iter().sum::<u64>())
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
        thread::spawn(move || (0..messages).try_for_each(|message| to_merger.send(message)));
        (sender, receiver)
    };
    let start = Instant::now();
    // Their senders stay here, so that no channel closes while others are still in use.
    let sources: [_; 4] = std::array::from_fn(source);
    let [a, b, c, d] = sources.each_ref().map(|(_, receiver)| receiver.clone());
    let merger = thread::spawn(move || {
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

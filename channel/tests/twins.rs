//! The blocking operations and those that only try are written apart: where nothing blocks they do
//! the same.
//!
//! Random programs run twice, once with each kind, beside tasks that wait at the same two channels:
//! in sends, receives, selects of both ends, and selects that only watch. All parties see the same.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use lisle_channel::{Receiver, RecvTimeoutError, Select, SendTimeoutError, Sender};
use lisle_channel::{TryRecvError, TrySendError, bounded, unbounded};
use lisle_scheduler::{spawn, yield_now};
use support::{Random, on_one_worker};

type Ends = (Sender<Counted>, Receiver<Counted>);

/// A message that counts itself while it lives.
struct Counted(usize, Arc<AtomicUsize>);

impl Counted {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(number, alive.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Which of the twins takes part.
#[derive(Clone, Copy)]
enum Kind {
    Tries,
    Waits,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    Received(usize),
    WouldBlock,
    Disconnected,
}

fn send(kind: Kind, sender: &Sender<Counted>, message: Counted) -> Outcome {
    let number = message.0;
    let (outcome, back) = match kind {
        Kind::Tries => match sender.try_send(message) {
            Ok(()) => return Outcome::Done,
            Err(TrySendError::Full(message)) => (Outcome::WouldBlock, message),
            Err(TrySendError::Disconnected(message)) => (Outcome::Disconnected, message),
        },
        Kind::Waits => match sender.send_deadline(message, Instant::now()) {
            Ok(()) => return Outcome::Done,
            Err(SendTimeoutError::Timeout(message)) => (Outcome::WouldBlock, message),
            Err(SendTimeoutError::Disconnected(message)) => (Outcome::Disconnected, message),
        },
    };
    assert_eq!(back.0, number, "another message came back");
    outcome
}

fn recv(kind: Kind, receiver: &Receiver<Counted>) -> Outcome {
    let received = match kind {
        Kind::Tries => receiver.try_recv().map_err(|error| match error {
            TryRecvError::Empty => Outcome::WouldBlock,
            TryRecvError::Disconnected => Outcome::Disconnected,
        }),
        Kind::Waits => receiver.recv_deadline(Instant::now()).map_err(|error| match error {
            RecvTimeoutError::Timeout => Outcome::WouldBlock,
            RecvTimeoutError::Disconnected => Outcome::Disconnected,
        }),
    };
    received.map_or_else(|outcome| outcome, |message| Outcome::Received(message.0))
}

/// Waits at the channels in some way, once, and says what has come of it.
fn take_part(way: usize, [a, b]: [Ends; 2], message: Counted) -> String {
    match way {
        0 => {
            drop((a.1, b));
            format!("{:?}", a.0.send(message).map_err(|error| error.0.0))
        }
        1 => {
            drop((a.0, b));
            format!("{:?}", a.1.recv().map(|message| message.0))
        }
        2..5 => {
            let mut select = Select::new_biased();
            if way != 2 {
                select.recv(&a.1);
                select.recv(&b.1);
            }
            if way != 3 {
                select.send(&a.0);
                select.send(&b.0);
            }
            let receivers = if way == 2 { 0 } else { 2 };
            let operation = select.select();
            let index = operation.index();
            let end = [&a, &b][index % 2];
            if index < receivers {
                format!("{index}: {:?}", operation.recv(&end.1).map(|message| message.0))
            } else {
                let sent = operation.send(&end.0, message);
                format!("{index}: {:?}", sent.map_err(|error| error.0.0))
            }
        }
        _ => {
            let mut select = Select::new_biased();
            if way == 5 {
                select.recv(&a.1);
                select.recv(&b.1);
            } else {
                select.send(&a.0);
                select.send(&b.0);
            }
            format!("{} is ready", select.ready())
        }
    }
}

/// What the main task and the others see when it sends and receives in this kind of way; and how
/// many messages are left.
fn program(seed: u64, kind: Kind) -> (Vec<String>, usize) {
    let mut random = Random::new(seed);
    let alive = Arc::new(AtomicUsize::new(0));
    let log = Arc::new(Mutex::new(Vec::new()));
    on_one_worker(|| {
        let mut ends: [Ends; 2] = std::array::from_fn(|_| any_channel(&mut random));
        for number in 0..100 {
            let at = random.below(2);
            let entry = match random.below(20) {
                0..6 => {
                    let (way, alive) = (random.below(7), alive.clone());
                    let parts = [ends[at].clone(), ends[1 - at].clone()];
                    let log = log.clone();
                    drop(spawn(move || {
                        let seen = take_part(way, parts, Counted::new(number, &alive));
                        log.lock().unwrap().push(format!("party {number}, way {way}: {seen}"));
                    }));
                    String::from("a party comes")
                }
                6..12 => format!("{:?}", send(kind, &ends[at].0, Counted::new(number, &alive))),
                12..18 => format!("{:?}", recv(kind, &ends[at].1)),
                18 => format!("{} and {}", ends[at].0.len(), alive.load(Ordering::Relaxed)),
                _ => {
                    // What the others have of the old channel may be all that is left of it.
                    let (sender, receiver) = any_channel(&mut random);
                    match random.below(3) {
                        0 => ends[at].0 = sender,
                        1 => ends[at].1 = receiver,
                        _ => ends[at] = (sender, receiver),
                    }
                    String::from("another channel")
                }
            };
            log.lock().unwrap().push(format!("{number}: {entry}"));
            for _ in 0..random.below(4) {
                yield_now();
            }
        }
    });
    let log = std::mem::take(&mut *log.lock().unwrap());
    (log, alive.load(Ordering::Relaxed))
}

fn any_channel(random: &mut Random) -> Ends {
    match random.below(4) {
        0 => bounded(0),
        1 => bounded(1),
        2 => bounded(3),
        _ => unbounded(),
    }
}

#[test]
fn what_blocks_and_what_tries_see_the_same() {
    let base = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seeds from {base}");
    for seed in base..base + 1_000 {
        let (tried, left) = program(seed, Kind::Tries);
        assert_eq!(left, 0, "seed {seed}: messages leak");
        let (waited, left) = program(seed, Kind::Waits);
        assert_eq!(left, 0, "seed {seed}: messages leak");
        assert_eq!(tried, waited, "seed {seed}");
    }
}

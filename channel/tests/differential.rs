//! Random programs of operations that do not block, run on our channels and on crossbeam-channel's:
//! all results agree. The selects are biased, since a random choice cannot agree.
//!
//! One thing is left out: how many messages a bounded channel holds after its last receiver has
//! gone. Ours drops them at once; the peer keeps them until its senders are gone too. The second
//! test pins that down.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel as peer;
use support::Random;

/// A message that counts itself while it lives.
#[derive(Clone)]
struct Counted {
    number: usize,
    alive: Arc<AtomicUsize>,
}

impl Counted {
    fn new(number: usize, alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive: alive.clone() }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The same program for each implementation: what it sees is written down as text.
macro_rules! interpreter {
    ($name:ident, $channel:ident) => {
        fn $name(seed: u64, capacity: Option<usize>) -> (Vec<String>, usize) {
            let mut random = Random::new(seed);
            let alive = Arc::new(AtomicUsize::new(0));
            let past = Instant::now();
            let (sender, receiver) = match capacity {
                Some(capacity) => $channel::bounded(capacity),
                None => $channel::unbounded(),
            };
            let (mut senders, mut receivers) = (vec![sender], vec![receiver]);
            let mut log = Vec::new();
            for number in 0..120 {
                let (s, r) = (random.below(8), random.below(8));
                let sender = (!senders.is_empty()).then(|| s % senders.len());
                let receiver = (!receivers.is_empty()).then(|| r % receivers.len());
                let connected = sender.is_some() && receiver.is_some();
                let message = || Counted::new(number, &alive);
                let entry = match (random.below(52), sender, receiver) {
                    (0..8, Some(at), _) => format!(
                        "{:?}",
                        senders[at].try_send(message()).map_err(|error| (
                            error.to_string(),
                            error.is_full(),
                            error.into_inner().number
                        ))
                    ),
                    (8..12, Some(at), _) => format!(
                        "{:?}",
                        senders[at].send_deadline(message(), past).map_err(|error| (
                            error.to_string(),
                            error.is_timeout(),
                            error.into_inner().number
                        ))
                    ),
                    (12..20, _, Some(at)) => {
                        format!("{:?}", receivers[at].try_recv().map(|message| message.number))
                    }
                    (20..24, _, Some(at)) => {
                        let result = receivers[at].recv_timeout(Duration::ZERO);
                        format!("{:?}", result.map(|message| message.number))
                    }
                    (24..26, Some(at), _) if connected => format!(
                        "{:?}",
                        (
                            senders[at].len(),
                            senders[at].is_empty(),
                            senders[at].is_full(),
                            senders[at].capacity(),
                        )
                    ),
                    (26..28, _, Some(at)) => format!(
                        "{:?}",
                        (
                            receivers[at].len(),
                            receivers[at].is_empty(),
                            receivers[at].is_full(),
                            receivers[at].capacity(),
                        )
                    ),
                    (28..30, _, Some(at)) => {
                        let numbers = receivers[at].try_iter().map(|message| message.number);
                        format!("{:?}", numbers.take(3).collect::<Vec<_>>())
                    }
                    (30..32, Some(at), _) => {
                        senders.push(senders[at].clone());
                        let last = senders.len() - 1;
                        format!("{}", senders[last].same_channel(&senders[at]))
                    }
                    (32..34, _, Some(at)) => {
                        receivers.push(receivers[at].clone());
                        let last = receivers.len() - 1;
                        format!("{}", receivers[last].same_channel(&receivers[at]))
                    }
                    (34..37, Some(at), _) => {
                        senders.swap_remove(at);
                        String::from("a sender goes")
                    }
                    (37..40, _, Some(at)) => {
                        receivers.swap_remove(at);
                        let left = capacity.is_none().then(|| alive.load(Ordering::Relaxed));
                        format!("a receiver goes, and leaves {left:?}")
                    }
                    (40..48, ..) => {
                        let mut select = $channel::Select::new_biased();
                        let mut operations = Vec::new();
                        for _ in 0..random.below(4) {
                            if random.below(2) == 0 && !senders.is_empty() {
                                let at = random.below(senders.len());
                                operations.push((select.send(&senders[at]), true, at));
                            } else if !receivers.is_empty() {
                                let at = random.below(receivers.len());
                                operations.push((select.recv(&receivers[at]), false, at));
                            }
                        }
                        if random.below(3) == 0 && operations.len() > 1 {
                            select.remove(operations.pop().expect("there are two").0);
                        }
                        let selected = match random.below(3) {
                            0 => select.try_select().map_err(|error| error.to_string()),
                            1 => select
                                .select_timeout(Duration::ZERO)
                                .map_err(|error| error.to_string()),
                            _ => select.select_deadline(past).map_err(|error| error.to_string()),
                        };
                        selected.map_or_else(
                            |error| error,
                            |operation| {
                                let index = operation.index();
                                let (_, sends, at) = operations[index];
                                if sends {
                                    let sent = operation.send(&senders[at], message());
                                    format!("{index}: {:?}", sent.map_err(|error| error.0.number))
                                } else {
                                    let received = operation.recv(&receivers[at]);
                                    format!("{index}: {:?}", received.map(|message| message.number))
                                }
                            },
                        )
                    }
                    (48..52, ..) => {
                        let mut select = $channel::Select::new_biased();
                        receivers.iter().rev().take(2).for_each(|r| _ = select.recv(r));
                        senders.iter().rev().take(2).for_each(|s| _ = select.send(s));
                        match random.below(2) {
                            0 => format!("{:?}", select.try_ready()),
                            _ => format!("{:?}", select.ready_timeout(Duration::ZERO)),
                        }
                    }
                    _ => continue,
                };
                log.push(entry);
            }
            drop((senders, receivers));
            (log, alive.load(Ordering::Relaxed))
        }
    };
}

interpreter!(ours, lisle_channel);
interpreter!(theirs, peer);

#[test]
fn random_programs_agree_with_crossbeam_channel() {
    let base = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seeds from {base}");
    for capacity in [Some(0), Some(1), Some(2), Some(5), None] {
        for seed in base..base + 300 {
            let (our_log, our_rest) = ours(seed, capacity);
            let (their_log, _) = theirs(seed, capacity);
            assert_eq!(our_log, their_log, "seed {seed}, capacity {capacity:?}");
            assert_eq!(our_rest, 0, "seed {seed}, capacity {capacity:?}: messages leak");
        }
    }
}

/// Writes its number down when it is dropped.
struct Noted(usize, Arc<Mutex<Vec<usize>>>);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

/// What was dropped when the last receiver has gone, and when the sender has, too.
macro_rules! dropped {
    ($channel:ident, $capacity:expr) => {{
        let capacity: Option<usize> = $capacity;
        let (sender, receiver) = capacity.map_or_else($channel::unbounded, $channel::bounded);
        let list = Arc::new(Mutex::new(Vec::new()));
        (0..100).for_each(|number| assert!(sender.send(Noted(number, list.clone())).is_ok()));
        (0..10).for_each(|_| drop(receiver.recv()));
        drop(receiver);
        let first = list.lock().unwrap().clone();
        drop(sender);
        (first, list.lock().unwrap().clone())
    }};
}

#[test]
fn what_was_not_received_is_dropped_in_order_and_once() {
    let all: Vec<usize> = (0..100).collect();
    assert_eq!(dropped!(lisle_channel, None), (all.clone(), all.clone()));
    assert_eq!(dropped!(peer, None), (all.clone(), all.clone()));
    assert_eq!(dropped!(lisle_channel, Some(100)), (all.clone(), all.clone()));
    assert_eq!(dropped!(peer, Some(100)), (all[..10].to_vec(), all));
}

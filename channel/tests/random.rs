//! Random operations by many parties at once. What may happen is different each time; what may not
//! is not: a message that is lost or doubled, or that overtakes another one of the same sender.
#![cfg(not(lisle_loom))]

mod support;

use std::collections::HashSet;
use std::time::Duration;

use lisle_channel::{
    Receiver, RecvTimeoutError, Select, Sender, TryRecvError, bounded, never, select, unbounded,
};
use support::{Ground, LONG, Random, everywhere};

const SENDING: usize = 4;
const RECEIVING: usize = 4;
const EACH: usize = 400;
const TINY: Duration = Duration::from_micros(20);

/// The sender of a message, and its number among those that this party sent into the same channel.
type Message = (usize, usize, Box<usize>);

fn send_all(party: usize, senders: &[Sender<Message>], mut random: Random) -> Vec<usize> {
    let mut sent = vec![0; senders.len()];
    for _ in 0..EACH {
        let at = random.below(senders.len());
        let other = (at + 1) % senders.len();
        let message = |at: usize, sent: &[usize]| (party, sent[at], Box::new(at));
        let went = match random.below(6) {
            0 => senders[at].send(message(at, &sent)).map(|()| at).ok(),
            1 => senders[at].try_send(message(at, &sent)).map(|()| at).ok(),
            2 => senders[at].send_timeout(message(at, &sent), TINY).map(|()| at).ok(),
            3 => select! {
                send(senders[at], message(at, &sent)) -> result => result.map(|()| at).ok(),
                send(senders[other], message(other, &sent)) -> result => {
                    result.map(|()| other).ok()
                }
            },
            4 => select! {
                send(senders[other], message(other, &sent)) -> result => {
                    result.map(|()| other).ok()
                }
                recv(never::<u8>()) -> _ => None,
                default(TINY) => None,
            },
            _ => {
                let mut select = Select::new();
                senders.iter().for_each(|sender| _ = select.send(sender));
                // Not for long: parties that only ask, at both ends, never become ready.
                select.ready_timeout(TINY).ok().and_then(|ready| {
                    senders[ready].try_send(message(ready, &sent)).map(|()| ready).ok()
                })
            }
        };
        if let Some(at) = went {
            sent[at] += 1;
        }
    }
    sent
}

fn receive_all(receivers: &[Receiver<Message>], mut random: Random) -> Vec<Message> {
    let mut received = Vec::new();
    let mut open: Vec<&Receiver<Message>> = receivers.iter().collect();
    while !open.is_empty() {
        let at = random.below(open.len());
        let mut list = Select::new();
        open.iter().for_each(|receiver| _ = list.recv(receiver));
        let (at, result) = match random.below(6) {
            0 => (at, open[at].try_recv()),
            1 => match open[at].recv_timeout(TINY) {
                Err(RecvTimeoutError::Timeout) => (at, Err(TryRecvError::Empty)),
                result => (at, result.map_err(|_| TryRecvError::Disconnected)),
            },
            2 => match list.ready_timeout(TINY) {
                Err(_) => continue,
                Ok(ready) => (ready, open[ready].try_recv()),
            },
            3 => match list.try_select() {
                Err(_) => continue,
                Ok(operation) => {
                    let at = operation.index();
                    (at, operation.recv(open[at]).map_err(|_| TryRecvError::Disconnected))
                }
            },
            4 => match list.select_timeout(TINY) {
                Err(_) => continue,
                Ok(operation) => {
                    let at = operation.index();
                    (at, operation.recv(open[at]).map_err(|_| TryRecvError::Disconnected))
                }
            },
            _ => {
                let operation = list.select_timeout(LONG).unwrap();
                let at = operation.index();
                (at, operation.recv(open[at]).map_err(|_| TryRecvError::Disconnected))
            }
        };
        match result {
            Ok(message) => received.push(message),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => _ = open.remove(at),
        }
    }
    received
}

fn play(ground: &Ground, seed: u64, capacities: [Option<usize>; 3]) {
    println!("seed {seed}, capacities {capacities:?}");
    let (senders, receivers): (Vec<_>, Vec<_>) =
        capacities.map(|capacity| capacity.map_or_else(unbounded, bounded)).into_iter().unzip();
    let random = |party: usize| Random::new(seed.wrapping_add(party as u64 * 0x9e37_79b9));
    let sending: Vec<_> = (0..SENDING)
        .map(|party| {
            let (senders, random) = (senders.clone(), random(party));
            ground.spawn(move || send_all(party, &senders, random))
        })
        .collect();
    let receiving: Vec<_> = (0..RECEIVING)
        .map(|party| {
            let (receivers, random) = (receivers.clone(), random(SENDING + party));
            ground.spawn(move || receive_all(&receivers, random))
        })
        .collect();
    drop((senders, receivers));
    let sent: Vec<_> = sending.into_iter().map(|party| party.join()).collect();
    let mut all = HashSet::new();
    for party in receiving {
        let mut last = [[None; 3]; SENDING];
        for (sender, number, channel) in party.join() {
            let last = &mut last[sender][*channel];
            assert!(*last < Some(number), "{number} of {sender} came after {last:?}");
            *last = Some(number);
            assert!(all.insert((sender, *channel, number)), "a message came twice");
        }
    }
    for (sender, sent) in sent.iter().enumerate() {
        for (channel, count) in sent.iter().enumerate() {
            assert!((0..*count).all(|number| all.remove(&(sender, channel, number))));
        }
    }
    assert!(all.is_empty(), "a message came that was not sent");
}

#[test]
fn random_operations_lose_nothing_and_keep_the_order() {
    let base = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    for (round, capacities) in
        [[Some(0), Some(0), Some(0)], [Some(0), Some(1), None], [Some(1), Some(2), Some(3)]]
            .into_iter()
            .enumerate()
    {
        everywhere(|ground| play(ground, base + round as u64, capacities));
    }
}

//! What Go's own tests of channels are about, on our channels: a sieve, order, fairness, selects
//! that do not block, selects against selects, many into one, closed channels.
#![cfg(not(lisle_loom))]

mod support;

use std::collections::HashSet;

use lisle_channel::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError, bounded, never,
    select, unbounded,
};
use support::{Ground, LONG, Party, everywhere};

/// One party for each prime, each with a channel to the next.
#[test]
fn sieve() {
    fn filter(prime: u32, numbers: Receiver<u32>, rest: Sender<u32>) {
        for number in numbers {
            if number % prime != 0 && rest.send(number).is_err() {
                return;
            }
        }
    }
    everywhere(|ground| {
        let (sender, mut numbers) = bounded(0);
        let mut parties = vec![ground.spawn(move || _ = (2..).try_for_each(|n| sender.send(n)))];
        let mut primes = Vec::new();
        for _ in 0..20 {
            let prime = numbers.recv().unwrap();
            primes.push(prime);
            let (sender, next) = bounded(0);
            parties.push(ground.spawn(move || filter(prime, numbers, sender)));
            numbers = next;
        }
        assert_eq!(primes[15..], [53, 59, 61, 67, 71]);
        drop(numbers);
        parties.into_iter().for_each(|party| party.join());
    });
}

/// A chain through which numbers are handed on stays in order, with and without buffers.
#[test]
fn fifo_through_a_chain() {
    for capacity in [0, 10] {
        everywhere(|ground| {
            let (first, mut last) = bounded(capacity);
            for _ in 0..10 {
                let (sender, next) = bounded(capacity);
                let previous = std::mem::replace(&mut last, next);
                let _ = ground.spawn(move || previous.into_iter().try_for_each(|n| sender.send(n)));
            }
            let feeding = ground.spawn(move || (0..500).for_each(|n| first.send(n).unwrap()));
            assert!(last.iter().eq(0..500));
            feeding.join();
        });
    }
}

/// Of two channels that always have something, neither is neglected, beside two that never have.
#[test]
fn select_fairness() {
    const TRIALS: usize = 4_000;
    everywhere(|ground| {
        let (to_one, one) = bounded(TRIALS + 1);
        let (to_two, two) = bounded(TRIALS + 1);
        for sender in [to_one, to_two] {
            (0..=TRIALS).for_each(|n| sender.send(n).unwrap());
        }
        let quiet = never::<usize>();
        let (output, counted) = bounded(0);
        let counting = ground.spawn(move || counted.iter().filter(|which| *which == 1).count());
        for _ in 0..TRIALS {
            let which = select! {
                recv(quiet) -> _ => unreachable!(),
                recv(one) -> _ => 1,
                recv(two) -> _ => 2,
                recv(quiet) -> _ => unreachable!(),
            };
            output.send(which).unwrap();
        }
        drop(output);
        let ones = counting.join();
        assert!(ones.abs_diff(TRIALS / 2) < TRIALS / 10, "{ones} of {TRIALS}");
    });
}

/// `default` is taken exactly if nothing is possible.
#[test]
fn non_blocking_selects() {
    for capacity in [0, 1, 10] {
        everywhere(|ground| {
            let (sender, receiver) = bounded(capacity);
            let received = select! { recv(receiver) -> m => Some(m), default => None };
            assert_eq!(received, None);
            for n in 0..capacity {
                select! { send(sender, n) -> r => r.unwrap(), default => panic!("there is room") }
            }
            select! { send(sender, 99) -> _ => panic!("there is no room"), default => {} }
            for n in 0..capacity {
                select! { recv(receiver) -> m => assert_eq!(m, Ok(n)), default => panic!("empty") }
            }

            // A party that waits at the other end is found.
            let waiting = ground.spawn({
                let receiver = receiver.clone();
                move || receiver.recv()
            });
            while select! { send(sender, 7) -> r => { r.unwrap(); false } default => true } {
                ground.pause();
            }
            assert_eq!(waiting.join(), Ok(7));
            let waiting = ground.spawn(move || sender.send(8));
            let message = loop {
                select! { recv(receiver) -> m => break m, default => ground.pause() }
            };
            assert_eq!((message, waiting.join()), (Ok(8), Ok(())));
        });
    }
}

/// Two receivers that select over the same two channels get every number once.
#[test]
fn double_select() {
    const NUMBERS: usize = 2_000;
    everywhere(|ground| {
        let channels: [(Sender<usize>, Receiver<usize>); 4] = std::array::from_fn(|_| bounded(0));
        let senders = channels.each_ref().map(|(sender, _)| sender.clone());
        let receivers = channels.each_ref().map(|(_, receiver)| receiver.clone());
        drop(channels);
        let sending = ground.spawn(move || {
            for n in 0..NUMBERS {
                select! {
                    send(senders[0], n) -> r => r.unwrap(),
                    send(senders[1], n) -> r => r.unwrap(),
                    send(senders[2], n) -> r => r.unwrap(),
                    send(senders[3], n) -> r => r.unwrap(),
                }
            }
        });
        let (collect, collected) = bounded(10);
        let parties: Vec<Party<()>> = (0..2)
            .map(|_| {
                let (receivers, collect) = (receivers.clone(), collect.clone());
                ground.spawn(move || {
                    loop {
                        let number = select! {
                            recv(receivers[0]) -> m => m,
                            recv(receivers[1]) -> m => m,
                            recv(receivers[2]) -> m => m,
                            recv(receivers[3]) -> m => m,
                        };
                        match number {
                            Ok(number) => collect.send(number).unwrap(),
                            Err(RecvError) => return,
                        }
                    }
                })
            })
            .collect();
        drop(collect);
        let numbers: Vec<_> = collected.iter().collect();
        assert_eq!(numbers.len(), NUMBERS);
        assert_eq!(numbers.into_iter().collect::<HashSet<_>>().len(), NUMBERS);
        sending.join();
        parties.into_iter().for_each(|party| party.join());
    });
}

/// Hundreds of parties send into one channel, each in its own order.
#[test]
fn many_into_one() {
    const EACH: usize = 20;
    for capacity in [Some(0), Some(7), None] {
        everywhere(|ground| {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            let parties: Vec<_> = (0..200)
                .map(|party| {
                    let sender = sender.clone();
                    ground.spawn(move || {
                        (0..EACH).for_each(|n| match n % 2 {
                            0 => sender.send((party, n)).unwrap(),
                            _ => select! {
                                send(sender, (party, n)) -> r => r.unwrap(),
                                recv(never::<()>()) -> _ => (),
                            },
                        });
                    })
                })
                .collect();
            drop(sender);
            let mut next = vec![0; parties.len()];
            for (party, n) in &receiver {
                assert_eq!(n, next[party]);
                next[party] += 1;
            }
            assert!(next.iter().all(|n| *n == EACH));
            parties.into_iter().for_each(|party| party.join());
        });
    }
}

/// After the last sender has gone: first what is buffered, then the error, always, in every way to
/// receive.
#[test]
fn closed_channels() {
    fn ways(receiver: &Receiver<u8>) -> [Option<u8>; 6] {
        let mut select = Select::new();
        select.recv(receiver);
        let index = select.ready();
        assert_eq!(index, 0);
        [
            receiver.recv().ok(),
            receiver.try_recv().ok(),
            receiver.recv_timeout(LONG).ok(),
            select! { recv(receiver) -> m => m.ok() },
            select! { recv(receiver) -> m => m.ok(), default => panic!("it is possible") },
            select.select().recv(receiver).ok(),
        ]
    }
    for capacity in [Some(0), Some(6), None] {
        everywhere(|ground| {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            let sending = ground.spawn(move || (0..6).for_each(|n| sender.send(n).unwrap()));
            match capacity {
                Some(0) => assert!(receiver.iter().eq(0..6)),
                _ => {
                    sending.join();
                    assert_eq!(ways(&receiver), [0, 1, 2, 3, 4, 5].map(Some));
                }
            }
            assert_eq!(ways(&receiver), [None; 6]);
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        });
    }
}

/// And without receivers every way to send gives the message back.
#[test]
fn closed_for_senders() {
    for capacity in [Some(0), Some(1), None] {
        everywhere(|_: &Ground| {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            drop(receiver);
            assert_eq!(sender.send(1), Err(SendError(1)));
            assert_eq!(sender.try_send(2), Err(TrySendError::Disconnected(2)));
            assert!(sender.send_timeout(3, LONG).unwrap_err().is_disconnected());
            select! { send(sender, 4) -> r => assert_eq!(r, Err(SendError(4))) }
            select! {
                send(sender, 5) -> r => assert_eq!(r, Err(SendError(5))),
                default => panic!(),
            }
            let mut select = Select::new();
            assert_eq!((select.send(&sender), select.ready()), (0, 0));
        });
    }
}

/// A channel is a message, too: a request brings the channel for its answer.
#[test]
fn channels_of_channels() {
    everywhere(|ground| {
        let (requests, inbox) = bounded::<(u64, Sender<u64>)>(0);
        let server = ground.spawn(move || {
            for (number, answer) in inbox {
                answer.send(number * number).unwrap();
            }
        });
        for number in 0..50 {
            let (answer, answered) = bounded(number as usize % 3);
            requests.send((number, answer)).unwrap();
            assert_eq!(answered.recv(), Ok(number * number));
            assert_eq!(answered.recv(), Err(RecvError));
        }
        drop(requests);
        server.join();
    });
}

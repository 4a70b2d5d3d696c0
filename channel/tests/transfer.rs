//! Messages arrive: all of them, once, in order, whichever party waits for the other.
#![cfg(not(lisle_loom))]

mod support;

use std::time::Duration;

use lisle_channel::{Receiver, RecvError, Sender, TryRecvError, TrySendError, bounded, unbounded};
use support::{Ground, LONG, everywhere, everywhere_with};

#[test]
fn one_sender_one_receiver_in_order() {
    everywhere_with(|ground, sender, receiver| {
        let sending = ground.spawn(move || (0..500).for_each(|n| sender.send(n).unwrap()));
        assert!(receiver.iter().eq(0..500));
        sending.join();
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

#[test]
fn many_to_many_loses_and_doubles_nothing() {
    everywhere_with(|ground, sender: Sender<(usize, usize)>, receiver| {
        const SENDERS: usize = 4;
        const EACH: usize = 200;
        let receiving: Vec<_> = (0..3)
            .map(|_| {
                let receiver = receiver.clone();
                ground.spawn(move || receiver.iter().collect::<Vec<_>>())
            })
            .collect();
        let sending: Vec<_> = (0..SENDERS)
            .map(|number| {
                let sender = sender.clone();
                ground.spawn(move || (0..EACH).for_each(|n| sender.send((number, n)).unwrap()))
            })
            .collect();
        drop((sender, receiver));
        sending.into_iter().for_each(|party| party.join());
        let mut all = Vec::new();
        for received in receiving {
            let received = received.join();
            for number in 0..SENDERS {
                let from_one = received.iter().filter(|message| message.0 == number);
                assert!(from_one.is_sorted(), "each receiver sees each sender's order");
            }
            all.extend(received);
        }
        all.sort_unstable();
        assert!(
            all.into_iter().eq((0..SENDERS).flat_map(|number| (0..EACH).map(move |n| (number, n))))
        );
    });
}

#[test]
fn many_to_many_with_impatient_parties() {
    everywhere_with(|ground, sender: Sender<u64>, receiver| {
        let mut parties = Vec::new();
        for number in 0..3 {
            let sender = sender.clone();
            parties.push(ground.spawn(move || {
                for n in 0..200 {
                    let mut message = number * 1000 + n;
                    let mut timeout = Duration::from_micros(n % 3);
                    while let Err(error) = sender.send_timeout(message, timeout) {
                        assert!(error.is_timeout());
                        message = error.into_inner();
                        timeout = (timeout + Duration::from_micros(1)) * 2;
                    }
                }
                0
            }));
            let receiver = receiver.clone();
            parties.push(ground.spawn(move || {
                let mut sum = 0;
                let mut timeout = Duration::ZERO;
                loop {
                    match receiver.recv_timeout(timeout) {
                        Ok(message) => {
                            sum += message;
                            timeout = Duration::ZERO;
                        }
                        Err(error) if error.is_disconnected() => return sum,
                        Err(_) => timeout = (timeout + Duration::from_micros(1)) * 2,
                    }
                }
            }));
        }
        drop((sender, receiver));
        let sum: u64 = parties.into_iter().map(|party| party.join()).sum();
        assert_eq!(sum, (0..3).flat_map(|number| (0..200).map(move |n| number * 1000 + n)).sum());
    });
}

#[test]
fn ping_pong_over_two_rendezvous() {
    everywhere(|ground| {
        let (ping, pinged) = bounded(0);
        let (pong, ponged) = bounded(0);
        let other = ground.spawn(move || {
            for n in pinged {
                pong.send(n + 1).unwrap();
            }
        });
        for n in 0..1000 {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n + 1));
        }
        drop(ping);
        other.join();
    });
}

#[test]
fn try_operations_of_a_rendezvous_need_a_partner() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));

        let receiving = spawn_receiver(ground, &receiver);
        while sender.try_send(2).is_err() {
            ground.pause();
        }
        assert_eq!(receiving.join(), Ok(2));

        let sending = ground.spawn(move || sender.send_timeout(3, LONG));
        let received = loop {
            match receiver.try_recv() {
                Ok(message) => break message,
                Err(error) => assert_eq!(error, TryRecvError::Empty),
            }
            ground.pause();
        };
        assert_eq!(received, 3);
        assert_eq!(sending.join(), Ok(()));
    });
}

fn spawn_receiver(
    ground: &Ground,
    receiver: &Receiver<i32>,
) -> support::Party<Result<i32, RecvError>> {
    let receiver = receiver.clone();
    ground.spawn(move || receiver.recv())
}

#[test]
fn a_bounded_channel_takes_its_capacity_and_no_more() {
    for capacity in 1..=5 {
        let (sender, receiver) = bounded(capacity);
        assert_eq!(sender.capacity(), Some(capacity));
        for lap in 0..4 {
            for n in 0..capacity {
                assert_eq!(receiver.len(), n);
                assert_eq!(sender.is_empty(), n == 0);
                assert!(!sender.is_full() && !receiver.is_full());
                sender.try_send((lap, n)).unwrap();
            }
            assert!(sender.is_full() && receiver.is_full());
            assert_eq!(sender.try_send((9, 9)), Err(TrySendError::Full((9, 9))));
            for n in 0..capacity {
                assert_eq!(receiver.try_recv(), Ok((lap, n)));
            }
            assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        }
    }
}

#[test]
fn an_unbounded_channel_counts_across_its_blocks() {
    let (sender, receiver) = unbounded();
    let (mut sent, mut received) = (0, 0);
    for round in 1..60 {
        for _ in 0..round * 7 {
            sender.send(sent).unwrap();
            sent += 1;
        }
        for _ in 0..round * 5 {
            assert_eq!(receiver.recv(), Ok(received));
            received += 1;
        }
        assert_eq!(sender.len(), sent - received);
        assert!(!sender.is_full());
    }
    drop(sender);
    assert!(receiver.iter().eq(received..sent));
    assert!(receiver.is_empty());
}

#[test]
fn lengths_of_a_rendezvous_are_zero() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let sending = ground.spawn(move || sender.send(1));
        ground.pause();
        assert!(receiver.is_empty() && receiver.is_full());
        assert_eq!((receiver.len(), receiver.capacity()), (0, Some(0)));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(sending.join(), Ok(()));
    });
}

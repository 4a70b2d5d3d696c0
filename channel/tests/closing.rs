//! One end goes: what the other end sees, parked or not.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;

use lisle_channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, Sender, TryRecvError, TrySendError,
    bounded, unbounded,
};
use support::{LONG, everywhere, everywhere_with, on_one_worker};

#[test]
fn receivers_learn_that_the_senders_are_gone() {
    everywhere_with(|ground, sender: Sender<u8>, receiver| {
        let parked: Vec<_> = (0..5)
            .map(|n| {
                let receiver = receiver.clone();
                ground.spawn(move || match n % 2 {
                    0 => receiver.recv() == Err(RecvError),
                    _ => receiver.recv_timeout(LONG) == Err(RecvTimeoutError::Disconnected),
                })
            })
            .collect();
        ground.pause();
        drop(sender);
        assert!(parked.into_iter().all(|party| party.join()));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(receiver.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    });
}

#[test]
fn senders_get_their_messages_back_when_the_receivers_are_gone() {
    for capacity in [0, 1, 3] {
        everywhere(|ground| {
            let (sender, receiver) = bounded(capacity);
            let parked: Vec<_> = (0..6)
                .map(|n| {
                    let sender = sender.clone();
                    ground.spawn(move || match n % 2 {
                        0 => sender.send(n) != Err(SendError(n)),
                        _ => sender.send_timeout(n, LONG) != Err(SendTimeoutError::Disconnected(n)),
                    })
                })
                .collect();
            ground.pause();
            drop(receiver);
            let buffered =
                parked.into_iter().filter_map(|party| party.join().then_some(())).count();
            assert!(buffered <= capacity);
            assert_eq!(sender.try_send(7), Err(TrySendError::Disconnected(7)));
            assert_eq!(sender.send(8), Err(SendError(8)));
            assert_eq!(sender.send_timeout(9, LONG), Err(SendTimeoutError::Disconnected(9)));
        });
    }
}

#[test]
fn what_is_buffered_outlives_the_senders() {
    for (sender, receiver) in [bounded(3), unbounded()] {
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        drop(sender);
        assert_eq!(receiver.len(), 2);
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.try_recv(), Ok(2));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    }
}

#[test]
fn what_parked_senders_hold_is_received_first() {
    // On tasks the order is exact: all four are parked when the first message is taken.
    on_one_worker(|| {
        let (sender, receiver) = bounded(1);
        sender.send(0).unwrap();
        for n in 1..5 {
            let sender = sender.clone();
            lisle_scheduler::spawn(move || sender.send(n).unwrap());
        }
        drop(sender);
        lisle_scheduler::yield_now();
        assert!(receiver.iter().eq(0..5));
    });
}

#[test]
fn what_is_buffered_goes_with_the_last_receiver() {
    for (sender, receiver) in [bounded(100), unbounded()] {
        let token = Arc::new(());
        let other = receiver.clone();
        for _ in 0..100 {
            sender.send(token.clone()).unwrap();
        }
        drop(receiver);
        assert_eq!(Arc::strong_count(&token), 101);
        drop(other);
        assert_eq!(Arc::strong_count(&token), 1);
        assert!(sender.is_empty());
        assert!(sender.send(token).is_err());
    }
}

#[test]
fn a_clone_keeps_its_end_alive() {
    let (sender, receiver) = unbounded();
    let other = sender.clone();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    other.send(1).unwrap();
    let also = receiver.clone();
    drop(receiver);
    assert_eq!(also.recv(), Ok(1));
    drop(other);
    assert_eq!(also.recv(), Err(RecvError));
}

#[test]
fn a_parked_sender_may_be_the_last_one() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let sending = ground.spawn(move || sender.send(1));
        assert_eq!(receiver.recv(), Ok(1));
        assert_eq!(receiver.recv(), Err(RecvError));
        assert_eq!(sending.join(), Ok(()));
    });
}

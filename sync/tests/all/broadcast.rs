//! Messages that all receivers get.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle::sync::broadcast::{self, RecvError, RecvTimeoutError, SendError, TryRecvError};
use lisle::{spawn_local, yield_now};

use crate::ground::{LONG, everywhere, on_one_worker, short_deadlines};

#[test]
fn each_receiver_gets_every_message_in_order() {
    everywhere(|ground| {
        const MESSAGES: usize = 100;
        let (sender, receiver) = broadcast::channel(2 * MESSAGES);
        let receivers: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.resubscribe();
                ground.spawn(move || {
                    let mut next = [0; 2];
                    while let Ok((sender, number)) = receiver.recv() {
                        assert_eq!(next[sender], number);
                        next[sender] += 1;
                    }
                    next
                })
            })
            .collect();
        drop(receiver);
        let senders = [0, 1].map(|n| {
            let sender = sender.clone();
            ground.spawn(move || {
                for number in 0..MESSAGES {
                    sender.send((n, number)).unwrap();
                    if number % 5 == 0 {
                        yield_now();
                    }
                }
            })
        });
        drop(sender);
        senders.into_iter().for_each(|sender| sender.join());
        assert!(receivers.into_iter().all(|receiver| receiver.join() == [MESSAGES; 2]));
    });
}

/// With a small capacity the messages that were got and those that were missed are all.
#[test]
fn slow_receivers_learn_how_many_they_have_missed() {
    everywhere(|ground| {
        const MESSAGES: u64 = 300;
        let (sender, receiver) = broadcast::channel(2);
        let receivers: Vec<_> = (0..3)
            .map(|n| {
                let mut receiver = receiver.resubscribe();
                let patience = if n == 0 { Duration::from_micros(5) } else { LONG };
                ground.spawn(move || {
                    let (mut got, mut missed) = (0, 0);
                    loop {
                        match receiver.recv_timeout(patience) {
                            Ok(number) => {
                                assert_eq!(number, got + missed);
                                got += 1;
                            }
                            Err(RecvTimeoutError::Lagged(more)) => missed += more,
                            Err(RecvTimeoutError::Timeout) => assert_eq!(n, 0),
                            Err(RecvTimeoutError::Closed) => return got + missed,
                        }
                    }
                })
            })
            .collect();
        drop(receiver);
        for number in 0..MESSAGES {
            sender.send(number).unwrap();
            if number % 3 == 0 {
                yield_now();
            }
        }
        drop(sender);
        assert!(receivers.into_iter().all(|receiver| receiver.join() == MESSAGES));
    });
}

#[test]
fn the_oldest_messages_go_first() {
    let (sender, mut receiver) = broadcast::channel(2);
    for number in 1..=5 {
        assert_eq!(sender.send(number), Ok(1));
    }
    assert_eq!((receiver.len(), sender.len()), (5, 2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(3)));
    assert_eq!((receiver.recv(), receiver.try_recv()), (Ok(4), Ok(5)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(receiver.is_empty() && sender.is_empty());
    for deadline in short_deadlines() {
        assert_eq!(receiver.recv_until(deadline), Err(RecvTimeoutError::Timeout));
    }
    sender.send(6).unwrap();
    assert!(!receiver.is_closed());
    drop(sender);
    assert!(receiver.is_closed());
    assert_eq!(receiver.recv_timeout(Duration::ZERO), Ok(6));
    assert_eq!(receiver.recv(), Err(RecvError::Closed));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

/// Each message is dropped once, when its last receiver has got it, is gone, or was too slow.
#[test]
fn messages_are_cloned_for_all_but_the_last_and_dropped_once() {
    struct Counted(Arc<[AtomicUsize; 2]>);
    impl Clone for Counted {
        fn clone(&self) -> Self {
            self.0[0].fetch_add(1, Ordering::Relaxed);
            Self(self.0.clone())
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0[1].fetch_add(1, Ordering::Relaxed);
        }
    }
    let counts: Arc<[AtomicUsize; 2]> = Arc::default();
    let now = || [0, 1].map(|n| counts[n].load(Ordering::Relaxed));
    let (sender, mut first) = broadcast::channel(2);
    assert!(sender.send(Counted(counts.clone())).is_ok());
    drop(first.recv());
    assert_eq!(now(), [0, 1]);

    let mut second = sender.subscribe();
    assert!(sender.send(Counted(counts.clone())).is_ok());
    drop((first.recv(), second.recv()));
    assert_eq!(now(), [1, 3]);

    for _ in 0..3 {
        assert!(sender.send(Counted(counts.clone())).is_ok());
    }
    assert_eq!(now(), [1, 4]);
    drop(first);
    assert_eq!(now(), [1, 4]);
    drop(second);
    assert_eq!(now(), [1, 6]);
    assert!(sender.send(Counted(counts.clone())).is_err());
    assert_eq!(now(), [1, 7]);
}

#[test]
fn a_sender_without_receivers_gets_its_message_back() {
    let sender = broadcast::Sender::new(1);
    assert_eq!(sender.send(1), Err(SendError(1)));
    let mut receiver = sender.subscribe();
    assert_eq!(sender.send(2), Ok(1));
    let other = sender.clone();
    assert_eq!((sender.sender_count(), sender.receiver_count()), (2, 1));
    assert!(other.same_channel(&sender) && receiver.same_channel(&receiver.resubscribe()));
    assert_eq!(receiver.recv(), Ok(2));
    assert!(catch_unwind(|| broadcast::channel::<u8>(0)).is_err());
}

/// What the last receiver has not got goes when it does, after those that wait for its end know.
#[test]
fn a_message_whose_destructor_panics_keeps_nobody_waiting() {
    #[derive(Clone)]
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            resume_unwind(Box::new("panic"));
        }
    }
    on_one_worker(|| {
        let (sender, receiver) = broadcast::channel(1);
        assert!(sender.send(Panics).is_ok());
        let waiter = spawn_local(move || sender.closed());
        yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
        waiter.join().unwrap();
    });
}

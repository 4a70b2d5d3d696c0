//! Tasks that poll for what another one has yet to do come to an end.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle_channel::{Receiver, Select, Sender, bounded, never, select, unbounded};
use lisle_scheduler::{Runtime, spawn, yield_now};
use support::on_one_worker;

/// Each way to poll for a message of a task that has not run yet.
#[test]
fn polling_for_a_message_comes_to_an_end() {
    fn poll(has_come: impl Fn(&Receiver<u8>) -> bool) {
        for (sender, receiver) in [bounded(0), bounded(1), unbounded()] {
            on_one_worker(|| {
                let partner = spawn(move || sender.send(7).unwrap());
                while !has_come(&receiver) {}
                partner.join().unwrap();
            });
        }
    }
    poll(|receiver| receiver.try_recv() == Ok(7));
    poll(|receiver| receiver.try_iter().next() == Some(7));
    poll(|receiver| receiver.recv_timeout(Duration::ZERO) == Ok(7));
    poll(|receiver| {
        select! {
            recv(receiver) -> message => message == Ok(7),
            default => false,
        }
    });
    poll(|receiver| {
        select! {
            recv(receiver) -> message => message == Ok(7),
            default => {
                thread::yield_now();
                false
            }
        }
    });
    poll(|receiver| {
        let mut select = Select::new();
        select.recv(receiver);
        select.try_select().is_ok_and(|operation| operation.recv(receiver) == Ok(7))
    });
    poll(|receiver| {
        let mut select = Select::new();
        select.recv(receiver);
        select.try_ready().is_ok() && receiver.try_recv() == Ok(7)
    });
}

/// And for a receiver.
#[test]
fn polling_for_a_place_comes_to_an_end() {
    fn poll(is_sent: impl Fn(&Sender<u8>) -> bool) {
        for capacity in [0, 1] {
            on_one_worker(|| {
                let (sender, receiver) = bounded(capacity);
                let full = (0..capacity).all(|_| sender.try_send(7).is_ok());
                assert!(full);
                let partner = spawn(move || receiver.iter().take(capacity + 1).count());
                while !is_sent(&sender) {}
                assert_eq!(partner.join().unwrap(), capacity + 1);
            });
        }
    }
    poll(|sender| sender.try_send(7).is_ok());
    poll(|sender| sender.send_timeout(7, Duration::ZERO).is_ok());
    poll(|sender| {
        select! {
            send(sender, 7) -> sent => sent.is_ok(),
            default => false,
        }
    });
    poll(|sender| {
        let mut select = Select::new();
        select.send(sender);
        select.try_ready().is_ok() && sender.try_send(7).is_ok()
    });
}

/// Four poll to send and four poll to receive, as a program made for threads may do.
#[test]
fn many_poll_each_other() {
    const EACH: usize = 300;
    for (workers, capacity) in [(1, 0), (1, 1), (1, 3), (2, 0), (2, 3)] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                let (sender, receiver) = bounded(capacity);
                // In a rendezvous somebody has to wait to be met.
                let polls_to_send = capacity != 0;
                let seen: Arc<[AtomicUsize]> = (0..EACH).map(|_| AtomicUsize::new(0)).collect();
                let senders: Vec<_> = (0..4)
                    .map(|_| {
                        let sender = sender.clone();
                        spawn(move || {
                            for n in 0..EACH {
                                if polls_to_send {
                                    while sender.try_send(n).is_err() {}
                                } else {
                                    sender.send(n).unwrap();
                                }
                            }
                        })
                    })
                    .collect();
                let receivers: Vec<_> = (0..4)
                    .map(|_| {
                        let (receiver, seen) = (receiver.clone(), seen.clone());
                        spawn(move || {
                            for _ in 0..EACH {
                                let n = loop {
                                    if let Ok(n) = receiver.try_recv() {
                                        break n;
                                    }
                                };
                                seen[n].fetch_add(1, Ordering::Relaxed);
                            }
                        })
                    })
                    .collect();
                senders.into_iter().chain(receivers).for_each(|task| task.join().unwrap());
                assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 4));
            })
            .unwrap();
    }
}

/// A destructor of a task that is given up polls for what another one's destructor has yet to do.
#[test]
fn destructors_may_poll_while_they_unwind() {
    struct Polls(Receiver<u8>);
    impl Drop for Polls {
        fn drop(&mut self) {
            while self.0.try_recv().is_err() {}
        }
    }
    struct Sends(Sender<u8>);
    impl Drop for Sends {
        fn drop(&mut self) {
            self.0.send(1).unwrap();
        }
    }
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let (polls, sends) = (Polls(receiver), Sends(sender));
        drop(spawn(move || {
            let _polls = polls;
            never::<u8>().recv().unwrap();
        }));
        drop(spawn(move || {
            let _sends = sends;
            never::<u8>().recv().unwrap();
        }));
        yield_now();
    });
}

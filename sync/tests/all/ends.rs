//! The ends of a watched value and of a broadcast, which are alike: senders that wait until no
//! receiver is left, receivers that go.

use std::time::{Duration, Instant};

use lisle::sync::{broadcast, watch};
use lisle::{spawn, spawn_local, yield_now};

use crate::ground::{deadlock_of, everywhere, on_one_worker, short_deadlines, was_cancelled};

trait Sender: Clone + Send + Sync + 'static {
    type Receiver: Send + 'static;
    /// What a report says of a receiver and of a sender that wait.
    const REASONS: [&str; 2];

    fn new() -> Self;
    fn subscribe(&self) -> Self::Receiver;
    fn closed(&self);
    fn closed_timeout(&self, timeout: Duration) -> bool;
    fn closed_until(&self, deadline: Instant) -> bool;
    fn receiver_count(&self) -> usize;
    /// Waits for something that nobody sends.
    fn receive(receiver: &mut Self::Receiver);
}

macro_rules! sender {
    ($channel:ident, $new:expr, $receive:ident, $reasons:expr) => {
        impl Sender for $channel::Sender<u8> {
            type Receiver = $channel::Receiver<u8>;
            const REASONS: [&str; 2] = $reasons;

            fn new() -> Self {
                $new
            }

            fn subscribe(&self) -> Self::Receiver {
                Self::subscribe(self)
            }

            #[track_caller]
            fn closed(&self) {
                Self::closed(self);
            }

            fn closed_timeout(&self, timeout: Duration) -> bool {
                Self::closed_timeout(self, timeout)
            }

            fn closed_until(&self, deadline: Instant) -> bool {
                Self::closed_until(self, deadline)
            }

            fn receiver_count(&self) -> usize {
                Self::receiver_count(self)
            }

            fn receive(receiver: &mut Self::Receiver) {
                assert!(receiver.$receive().is_err());
            }
        }
    };
}

sender!(
    watch,
    watch::Sender::new(0),
    changed,
    ["watching a value", "waiting for the last receiver of a watched value to go"]
);
sender!(
    broadcast,
    broadcast::Sender::new(1),
    recv,
    ["receiving a broadcast", "waiting for the last receiver of a broadcast to go"]
);

/// Calls a test of both.
macro_rules! of_both {
    ($test:ident) => {
        $test::<watch::Sender<u8>>();
        $test::<broadcast::Sender<u8>>();
    };
}

#[test]
fn senders_learn_that_no_receiver_is_left() {
    fn test<S: Sender>() {
        everywhere(|ground| {
            let sender = S::new();
            sender.closed(); // there is none yet
            let last = sender.subscribe();
            assert!(short_deadlines().into_iter().all(|deadline| !sender.closed_until(deadline)));
            let parties = [sender.subscribe(), last].map(|receiver| {
                ground.spawn(move || {
                    yield_now();
                    drop(receiver);
                })
            });
            assert!(sender.closed_timeout(Duration::MAX) && sender.closed_timeout(Duration::ZERO));
            sender.closed();
            parties.into_iter().for_each(|party| party.join());
        });
    }
    of_both!(test);
}

#[test]
fn several_senders_wait_for_that_at_once() {
    fn test<S: Sender>() {
        everywhere(|ground| {
            let sender = S::new();
            let receivers = [sender.subscribe(), sender.subscribe()];
            let waiters = [(); 3].map(|()| {
                let sender = sender.clone();
                ground.spawn(move || sender.closed())
            });
            for receiver in receivers {
                // One that gives up in their midst takes no other one along.
                assert!(short_deadlines().into_iter().all(|end| !sender.closed_until(end)));
                drop(receiver);
            }
            waiters.into_iter().for_each(|waiter| waiter.join());
        });
    }
    of_both!(test);
}

#[test]
fn one_that_is_cancelled_meanwhile_leaves_the_others_waiting() {
    fn test<S: Sender>() {
        on_one_worker(|| {
            let sender = S::new();
            let receiver = sender.subscribe();
            let [first, second, third] = [(); 3].map(|()| {
                let sender = sender.clone();
                spawn_local(move || sender.closed())
            });
            yield_now();
            second.cancel_handle().cancel();
            assert!(was_cancelled(second));
            assert!(!first.is_finished() && !third.is_finished());
            drop(receiver);
            first.join().unwrap();
            third.join().unwrap();
        });
    }
    of_both!(test);
}

#[test]
fn a_cancelled_receiver_goes() {
    fn test<S: Sender>() {
        let sender = S::new();
        let mut receiver = sender.subscribe();
        let task = on_one_worker(move || {
            let task = spawn(move || S::receive(&mut receiver));
            yield_now();
            task
        });
        assert!(was_cancelled(task));
        assert_eq!(sender.receiver_count(), 0);
    }
    of_both!(test);
}

#[test]
fn a_report_of_a_deadlock_counts_the_other_end() {
    fn test<S: Sender>() {
        let receiving = deadlock_of(|| {
            let sender = S::new();
            let mut receiver = sender.subscribe();
            let _senders = [sender.clone(), sender];
            S::receive(&mut receiver);
        });
        let closing = deadlock_of(|| {
            let sender = S::new();
            let _receiver = sender.subscribe();
            sender.closed();
        });
        let alive = ["2 senders are alive", "1 receiver is alive"];
        for (n, report) in [receiving, closing].into_iter().enumerate() {
            let text = report.to_string();
            assert!(text.contains(&format!("'main': {}", S::REASONS[n])), "{text}");
            assert!(text.contains(alive[n]), "{text}");
        }
    }
    of_both!(test);
}

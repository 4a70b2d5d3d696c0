//! Many parked parties: order, mass wake-up, cancellation, and what a report says of them.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::time::Duration;

use lisle_channel::{RecvError, SendError, bounded, unbounded};
use lisle_scheduler::{ForeignThreads, Runtime, spawn, yield_now};
use support::on_one_worker;

const MANY: usize = 10_000;

#[test]
fn parked_senders_are_served_first_come_first_served() {
    for capacity in [0, 1, 7] {
        on_one_worker(|| {
            let (sender, receiver) = bounded(capacity);
            for n in 0..MANY {
                let sender = sender.clone();
                spawn(move || sender.send(n).unwrap());
            }
            drop(sender);
            yield_now();
            assert!(receiver.iter().eq(0..MANY));
        });
    }
}

#[test]
fn parked_receivers_are_served_first_come_first_served() {
    for (sender, receiver) in [bounded(0), bounded(1), unbounded()] {
        on_one_worker(|| {
            let tasks: Vec<_> = (0..MANY)
                .map(|_| {
                    let receiver = receiver.clone();
                    spawn(move || receiver.recv().unwrap())
                })
                .collect();
            yield_now();
            for n in 0..MANY {
                sender.try_send(n).unwrap();
            }
            assert!(tasks.into_iter().map(|task| task.join().unwrap()).eq(0..MANY));
        });
    }
}

#[test]
fn ten_thousand_parked_senders_are_disconnected() {
    on_one_worker(|| {
        let token = Arc::new(());
        let (sender, receiver) = bounded(0);
        let tasks: Vec<_> = (0..MANY)
            .map(|n| {
                let (sender, token) = (sender.clone(), token.clone());
                spawn(move || sender.send((n, token)))
            })
            .collect();
        yield_now();
        drop(receiver);
        for (n, task) in tasks.into_iter().enumerate() {
            let SendError((returned, _)) = task.join().unwrap().unwrap_err();
            assert_eq!(returned, n);
        }
        assert_eq!(Arc::strong_count(&token), 1);
    });
}

#[test]
fn ten_thousand_parked_senders_are_cancelled() {
    let token = Arc::new(());
    let (sender, receiver) = bounded(1);
    on_one_worker(|| {
        for _ in 0..MANY {
            let (sender, token) = (sender.clone(), token.clone());
            spawn(move || sender.send(token));
        }
        yield_now();
        // The end of the runtime unwinds them, and their messages are dropped.
    });
    assert_eq!(Arc::strong_count(&token), 2);
    assert_eq!(receiver.len(), 1);
    assert!(receiver.try_iter().eq([token]));
    sender.try_send(Arc::new(())).expect("nobody is parked any more");
}

#[test]
fn a_cancelled_receiver_takes_nothing() {
    let (sender, receiver) = bounded(1);
    on_one_worker(|| {
        let receiver = receiver.clone();
        spawn(move || receiver.recv());
        yield_now();
    });
    sender.send(1).unwrap();
    assert_eq!(receiver.recv(), Ok(1));
}

#[test]
fn a_destructor_of_a_cancelled_task_sees_a_disconnected_channel() {
    struct Asks(lisle_channel::Receiver<u8>, lisle_channel::Sender<Result<u8, RecvError>>);
    impl Drop for Asks {
        fn drop(&mut self) {
            self.1.send(self.0.recv()).unwrap();
        }
    }
    let (_silent, asked) = unbounded();
    let (answer, answered) = unbounded();
    on_one_worker(|| {
        spawn(move || {
            let asks = Asks(asked, answer);
            asks.0.recv()
        });
        yield_now();
    });
    assert_eq!(answered.recv(), Ok(Err(RecvError)));
}

/// What it has collected is incomplete, and it does not go on as if the channel were closed.
#[test]
fn a_cancelled_iteration_does_not_end_while_another_task_unwinds() {
    struct Waits(lisle_channel::Receiver<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let _ = self.0.recv();
        }
    }
    let (sender, receiver) = unbounded();
    (0..10).for_each(|n| sender.send(n).unwrap());
    let (_silent, waits) = bounded::<()>(0);
    let task = on_one_worker(|| {
        drop(spawn(|| {
            let _waits = Waits(waits);
            std::panic::resume_unwind(Box::new("of another task"));
        }));
        let collects = spawn(move || receiver.iter().count());
        yield_now();
        collects
    });
    assert!(task.join().unwrap_err().is::<lisle_scheduler::Cancelled>());
}

#[test]
fn a_deadlock_report_names_the_blocked_call() {
    let builder = Runtime::builder().workers(1).foreign_threads(ForeignThreads::NeverWake);
    let mut lines = [0; 5];
    let deadlock = builder
        .run(|| {
            let (sender, receiver) = bounded(0);
            let other = sender.clone();
            lines[1] = line!() + 1;
            spawn(move || sender.send(1));
            lines[2] = line!() + 1;
            spawn(move || other.send_timeout(2, Duration::MAX));

            let (_mute, silent) = unbounded::<u8>();
            let other = silent.clone();
            lines[3] = line!() + 1;
            let mut iter = silent.clone().into_iter();
            spawn(move || iter.next());
            lines[4] = line!() + 1;
            spawn(move || other.recv_timeout(Duration::MAX));

            lines[0] = line!() + 1;
            silent.recv().map(|_| receiver)
        })
        .unwrap_err();
    let (sending, receiving) = ("sending on a channel", "receiving from a channel");
    let reasons = [receiving, sending, sending, receiving, receiving];
    assert_eq!(deadlock.tasks().len(), reasons.len());
    for ((task, reason), line) in deadlock.tasks().iter().zip(reasons).zip(lines) {
        assert_eq!(task.reason().as_str(), reason);
        assert_eq!((task.parked_at().file(), task.parked_at().line()), (file!(), line));
    }
}

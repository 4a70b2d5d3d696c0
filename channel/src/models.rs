//! Loom models of the hand-over protocol, one for each race that `README.md` argues about.
//!
//! The parties are plain threads, whose `park` is small; tasks use the same unparkers. The messages
//! own a loom `Arc` each: the end of a model checks that none was lost or freed twice.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use crate::error::{RecvTimeoutError, SendError, SendTimeoutError};
use crate::{Receiver, RecvError, Sender, bounded, unbounded};

#[derive(Debug)]
struct Message(Arc<u32>);

impl Message {
    fn new(number: u32) -> Self {
        Self(Arc::new(number))
    }
}

impl PartialEq<u32> for Message {
    fn eq(&self, number: &u32) -> bool {
        *self.0 == *number
    }
}

/// A rendezvous, a bounded and an unbounded channel.
const CAPACITIES: [Option<usize>; 3] = [Some(0), Some(1), None];

fn rendezvous() -> (Sender<Message>, Receiver<Message>) {
    bounded(0)
}

/// Either party may come first and park. The message passes through the slot of the parked one.
///
/// Seen to fail with `wake` before `put` in `serve_receiver`: the receiver's and the sender's
/// accesses to the slot overlap.
#[test]
fn loom_rendezvous() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let receiving =
            thread::spawn(move || [(); 2].map(|()| receiver.recv().expect("a sender is left")));
        sender.send(Message::new(1)).unwrap();
        sender.send(Message::new(2)).unwrap();
        assert_eq!(receiving.join().unwrap(), [1, 2]);
    });
}

/// A receiver that gives up races with a sender that wins it: the message is received, or comes
/// back to a sender that finds no receiver left.
///
/// Seen to fail with a `Channel::wait` that trusts the clock, that is, reports the time-out if the
/// deadline has passed whatever `park` says: a message was sent and never received.
#[test]
fn loom_receive_timeout_against_hand_over() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let receiving = thread::spawn(move || receiver.recv_deadline(Instant::now()));
        let sent = sender.send(Message::new(1));
        match receiving.join().unwrap() {
            Ok(message) => {
                assert_eq!(message, 1);
                assert!(sent.is_ok());
            }
            Err(error) => {
                assert_eq!(error, RecvTimeoutError::Timeout);
                assert_eq!(sent.unwrap_err().into_inner(), 1);
            }
        }
    });
}

/// A sender that gives up races with a receiver that wins it: the message is received or comes
/// back.
///
/// Seen to fail with the same change: the message is received and comes back.
#[test]
fn loom_send_timeout_against_hand_over() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let sending = thread::spawn(move || sender.send_deadline(Message::new(1), Instant::now()));
        let received = receiver.recv();
        match sending.join().unwrap() {
            Ok(()) => assert_eq!(received.unwrap(), 1),
            Err(SendTimeoutError::Timeout(message)) => {
                assert_eq!(message, 1);
                assert_eq!(received.unwrap_err(), RecvError);
            }
            Err(SendTimeoutError::Disconnected(_)) => panic!("the receiver was there"),
        }
    });
}

/// The last sender goes while two receivers park.
///
/// Seen to fail with `disconnect` waking one party only: deadlock.
#[test]
fn loom_disconnect_against_receivers() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let receiving =
            [receiver.clone(), receiver].map(|receiver| thread::spawn(move || receiver.recv()));
        drop(sender);
        for receiving in receiving {
            assert!(receiving.join().unwrap().is_err());
        }
    });
}

/// The last receiver goes while one of two senders parks behind the other's message. The parked
/// one gets its own message back, the buffered one is dropped.
///
/// Seen to fail with the verdict `Transferred` in `disconnect`: both sends have succeeded.
#[test]
fn loom_disconnect_against_senders() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        let sending = [(sender.clone(), 1), (sender, 2)]
            .map(|(sender, message)| thread::spawn(move || sender.send(Message::new(message))));
        drop(receiver);
        let mut buffered = 0;
        for (sending, sent) in sending.into_iter().zip(1..) {
            match sending.join().unwrap() {
                Ok(()) => buffered += 1,
                Err(SendError(message)) => assert_eq!(message, sent),
            }
        }
        assert!(buffered <= 1);
    });
}

/// Two senders and one place: one of them may park, and its message follows through the buffer.
///
/// Seen to fail with a `Channel::send` that releases the lock after its look and takes it again to
/// park: sender and receiver are both parked, deadlock.
#[test]
fn loom_bounded_two_senders() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        let sending = [(sender.clone(), 1), (sender, 2)]
            .map(|(sender, message)| thread::spawn(move || sender.send(Message::new(message))));
        let received = [(); 2].map(|()| *receiver.recv().unwrap().0);
        assert_eq!(received[0] + received[1], 3);
        for sending in sending {
            assert!(sending.join().unwrap().is_ok());
        }
        assert!(receiver.recv().is_err());
    });
}

/// A send finds the receiver parked, or leaves the message in the buffer for it.
///
/// Seen to fail with a `Channel::recv` that releases the lock after its look and takes it again to
/// park: the message stays in the buffer and the receiver sleeps, deadlock.
#[test]
fn loom_unbounded() {
    loom::model(|| {
        let (sender, receiver) = unbounded();
        let sending = thread::spawn(move || {
            sender.send(Message::new(1)).unwrap();
            sender.send(Message::new(2)).unwrap();
        });
        assert_eq!(receiver.recv().unwrap(), 1);
        assert_eq!(receiver.recv().unwrap(), 2);
        assert!(receiver.recv().is_err());
        sending.join().unwrap();
    });
}

/// The last sender goes behind its message, in a channel of each kind: first the message is
/// received, then the error.
///
/// Seen to fail with a `Channel::recv` that releases the lock after its look and takes it again to
/// park: nobody is left to wake the receiver, deadlock.
#[test]
fn loom_last_sender_goes() {
    for capacity in CAPACITIES {
        loom::model(move || {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            let sending = thread::spawn(move || sender.send(Message::new(1)).unwrap());
            assert_eq!(receiver.recv().unwrap(), 1);
            assert!(receiver.recv().is_err());
            sending.join().unwrap();
        });
    }
}

/// The last receiver goes while a message is sent, in a channel of each kind: the message comes
/// back or is discarded, and none is left behind.
///
/// Seen to fail with a `detach` that empties the buffer under the lock and counts the handle under
/// it later: a message that comes in between stays.
#[test]
fn loom_last_receiver_goes() {
    for capacity in CAPACITIES {
        loom::model(move || {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            let other = sender.clone();
            let sending = thread::spawn(move || other.send(Message::new(1)));
            drop(receiver);
            match sending.join().unwrap() {
                Ok(()) => assert_ne!(capacity, Some(0), "nobody has received"),
                Err(SendError(message)) => assert_eq!(message, 1),
            }
            assert!(sender.is_empty());
            assert_eq!(sender.send(Message::new(2)).unwrap_err().into_inner(), 2);
        });
    }
}

/// A sender that gives up waiting for a place races with a receiver that makes one and gives it to
/// the one that has waited longest.
///
/// Seen to fail with a `Channel::wait` that trusts the clock: the message is received and comes
/// back.
#[test]
fn loom_send_timeout_against_refill() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        sender.send(Message::new(1)).unwrap();
        let sending = thread::spawn(move || sender.send_deadline(Message::new(2), Instant::now()));
        assert_eq!(receiver.recv().unwrap(), 1);
        let followed = receiver.recv();
        match sending.join().unwrap() {
            Ok(()) => assert_eq!(followed.unwrap(), 2),
            Err(error) => {
                assert!(error.is_timeout() && followed.is_err());
                assert_eq!(error.into_inner(), 2);
            }
        }
    });
}

/// The whole runtime: two tasks, on stacks of their own and switched by the real switch, and a
/// thread meet on one channel. What each sends arrives once, wherever the parties are.
///
/// Seen to fail with a `Post::post` that does not unpark a worker that sleeps: loom reports a
/// deadlock. And with an `Inbox::push` that publishes by Relaxed: a causality violation.
#[test]
fn loom_two_tasks_and_a_thread() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let sending = thread::spawn({
            let sender = sender.clone();
            move || sender.send(Message::new(1)).unwrap()
        });
        lisle_scheduler::run(|| {
            let task = lisle_scheduler::spawn(move || sender.send(Message::new(2)).unwrap());
            let mut received: Vec<_> = receiver.iter().map(|message| *message.0).collect();
            received.sort();
            assert_eq!(received, [1, 2]);
            task.join().unwrap();
        });
        sending.join().unwrap();
    });
}

/// A task that waits for a message is cancelled while a thread hands it one: it has the message, or
/// the sender has it back.
///
/// Seen to fail with an `await_unpark` of the scheduler that reports the cancellation although the
/// unparker was used: the channel aborts, since it has served a party that goes without.
#[test]
fn loom_cancel_against_hand_over() {
    static RECEIVED: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let (received, sending, cancelling) = lisle_scheduler::run(|| {
            let task = lisle_scheduler::spawn(move || receiver.recv().map(|message| *message.0));
            lisle_scheduler::yield_now();
            let stop = task.cancel_handle();
            let cancelling = thread::spawn(move || stop.cancel());
            let sending = thread::spawn(move || sender.send(Message::new(1)));
            (task.join().ok(), sending, cancelling)
        });
        cancelling.join().unwrap();
        match sending.join().unwrap() {
            Ok(()) => assert_eq!(received, Some(Ok(1))),
            Err(SendError(message)) => assert!(message == 1 && received.is_none()),
        }
        RECEIVED[usize::from(received.is_some())].store(true, Relaxed);
    });
    assert!(RECEIVED.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

//! Loom models of the futures. An executor of one future is a thread that parks.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::block_on;
use loom::thread;

use crate::{bounded, unbounded};

fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Two futures receive, and one of them is dropped: before it was woken, or between that and its
/// next poll. The other one gets the message, whichever was woken for it.
///
/// Seen to fail: with a `leave` that does not wake the next future, loom reports a deadlock.
#[test]
fn model_of_a_woken_future_that_is_dropped() {
    loom::model(|| {
        let (sender, receiver) = unbounded();
        let mut dropped = receiver.recv_async();
        assert!(poll_once(&mut dropped).is_pending());
        let sending = thread::spawn(move || {
            sender.send(Arc::new(1)).unwrap();
            sender
        });
        let other = receiver.clone();
        let receiving = thread::spawn(move || *block_on(other.recv_async()).unwrap());
        drop(dropped);
        assert_eq!(receiving.join().unwrap(), 1);
        drop(sending.join().unwrap());
    });
}

/// A future that sends is dropped while a receiver takes its message: the message is received, or
/// it is dropped with the future and the receiver finds no sender.
///
/// Seen to fail: with a `Drop` of the future that does not settle, accesses to the slot overlap.
#[test]
fn model_of_a_sending_future_that_is_dropped() {
    loom::model(|| {
        let (sender, receiver) = bounded(0);
        let receiving = thread::spawn(move || receiver.recv().map(|message: Arc<u32>| *message));
        let mut send = sender.send_async(Arc::new(1));
        let sent = poll_once(&mut send).is_ready();
        drop(send);
        drop(sender);
        let received = receiving.join().unwrap();
        assert!(!sent || received == Ok(1));
    });
}

/// A future receives from a rendezvous whose sender parks: it is woken after the sender can be
/// found.
///
/// Seen to fail: with a sender that parks without waking a future, it does not end.
#[test]
fn model_of_a_sender_that_parks_for_a_future() {
    loom::model(|| {
        let (sender, receiver) = bounded(0);
        let sending = thread::spawn(move || sender.send(Arc::new(1)).unwrap());
        assert_eq!(*block_on(receiver.recv_async()).unwrap(), 1);
        sending.join().unwrap();
    });
}

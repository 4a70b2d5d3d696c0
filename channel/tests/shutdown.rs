//! Channels of a runtime that is ending: its tasks are unwound, and what their destructors try
//! comes back.
#![cfg(not(lisle_loom))]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lisle_channel::{
    Receiver, RecvError, RecvTimeoutError, Select, SendError, SendTimeoutError, Sender, bounded,
    select, unbounded,
};
use lisle_scheduler::{Cancelled, ForeignThreads, Runtime, spawn, yield_now};

const LONG: Duration = Duration::from_secs(1000);

/// Calls its function when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Ends a run with a task that waits in `wait`, and calls `last_words` while that task is unwound.
fn give_up(wait: impl FnOnce() + Send + 'static, last_words: impl FnMut() + Send + 'static) {
    let builder = Runtime::builder().workers(1);
    let done = builder.run(|| {
        drop(spawn(move || {
            let _last = OnDrop(last_words);
            wait();
        }));
        yield_now();
    });
    done.unwrap();
}

#[test]
fn messages_that_cannot_be_sent_any_more_come_back() {
    let (sender, receiver): (Sender<Box<u32>>, Receiver<Box<u32>>) = bounded(0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (theirs, keep) = (seen.clone(), receiver.clone());
    give_up(
        move || drop(keep.recv()),
        move || {
            assert_eq!(sender.send(Box::new(1)), Err(SendError(Box::new(1))));
            let late = sender.send_timeout(Box::new(2), LONG);
            assert_eq!(late, Err(SendTimeoutError::Disconnected(Box::new(2))));
            theirs.lock().unwrap().push("sent");
        },
    );
    assert_eq!(*seen.lock().unwrap(), ["sent"]);
    assert!(receiver.try_recv().is_err(), "nobody waits at the other end any more");
}

#[test]
fn receiving_fails_as_if_the_senders_were_gone() {
    let (sender, receiver) = unbounded::<u32>();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (theirs, ours) = (seen.clone(), receiver.clone());
    give_up(
        move || {
            let _ = receiver.recv();
        },
        move || {
            assert_eq!(ours.recv(), Err(RecvError));
            assert_eq!(ours.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
            theirs.lock().unwrap().push("received");
        },
    );
    assert_eq!(*seen.lock().unwrap(), ["received"]);
    drop(sender);
}

/// What needs no wait is done as ever.
#[test]
fn a_message_that_is_there_is_received_and_one_that_fits_is_sent() {
    let (sender, receiver) = unbounded::<u32>();
    sender.send(1).unwrap();
    let (waits, never_sent) = (receiver.clone(), bounded::<u32>(0));
    let theirs = sender.clone();
    give_up(
        move || {
            let _ = never_sent.1.recv();
        },
        move || {
            assert_eq!(waits.recv(), Ok(1));
            assert_eq!(theirs.send(2), Ok(()));
        },
    );
    assert_eq!(receiver.try_recv(), Ok(2));
    drop(sender);
}

#[test]
fn a_task_that_selects_is_unwound_and_leaves_no_trace() {
    let (sender, receiver) = bounded::<u32>(0);
    let (other, from_other) = bounded::<u32>(0);
    let (theirs, back) = (receiver.clone(), other.clone());
    give_up(
        move || {
            select! {
                recv(theirs) -> _ => unreachable!("nobody sends"),
                send(back, 1) -> _ => unreachable!("nobody receives"),
            }
        },
        || {},
    );
    assert!(sender.try_send(7).is_err(), "the receiver that waited is gone from the list");
    assert!(from_other.try_recv().is_err(), "and so is the sender");
    drop((receiver, other));
}

/// A destructor that must not suspend asks what is ready, although its task cannot wait any more.
#[test]
fn asking_what_is_ready_ends_in_a_section_that_must_not_suspend() {
    let (_sender, receiver) = bounded::<u32>(0);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (theirs, waits) = (seen.clone(), receiver.clone());
    give_up(
        move || {
            let _ = waits.recv();
        },
        move || {
            let index = lisle_runtime::no_suspend(|| {
                let mut select = Select::new();
                select.recv(&receiver);
                select.ready()
            });
            theirs.lock().unwrap().push(index);
        },
    );
    assert_eq!(*seen.lock().unwrap(), [0]);
}

/// The partner was won, and its message never comes: its task is left behind, and the run ends.
#[test]
fn the_partner_of_a_forgotten_operation_is_left_behind() {
    let policy = ForeignThreads::NeverWake;
    let builder = Runtime::builder().workers(1).foreign_threads(policy);
    let (sender, receiver) = bounded::<u32>(0);
    let partner = builder.run(|| {
        let theirs = receiver.clone();
        let partner = spawn(move || theirs.recv());
        yield_now();
        let mut select = Select::new();
        select.send(&sender);
        std::mem::forget(select.select());
        partner
    });
    assert!(partner.unwrap().join().unwrap_err().is::<Cancelled>());
    // Nothing is in the way of later parties.
    assert!(sender.try_send(1).is_err());
    let later = std::thread::spawn(move || receiver.recv());
    sender.send(2).unwrap();
    assert_eq!(later.join().unwrap(), Ok(2));
}

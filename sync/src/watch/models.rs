//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use loom::thread;

use super::channel;

/// A receiver waits while the value is changed and the sender goes: it sees the change, then the
/// end.
///
/// Seen to fail: with a `wait` that does not look again, or a sender that goes without waking, loom
/// reports a deadlock; with a `change` that wakes before it counts the version, too.
#[test]
fn model_of_changes_against_a_wait() {
    loom::model(|| {
        let (sender, mut receiver) = channel(1);
        let watcher = thread::spawn(move || {
            assert!(receiver.changed().is_ok());
            assert_eq!(*receiver.borrow_and_update(), 2);
            assert!(receiver.changed().is_err());
        });
        sender.send_replace(2);
        drop(sender);
        watcher.join().unwrap();
    });
}

/// A receiver has seen a change before the sender wakes it for that: it waits for the next one.
///
/// Seen to fail: when a wake-up without a change is taken for the end, the receiver is told that no
/// sender is left.
#[test]
fn model_of_a_wake_up_for_what_was_seen() {
    loom::model(|| {
        let (sender, mut receiver) = channel(1);
        let watcher = thread::spawn(move || {
            while *receiver.borrow_and_update() < 3 {
                assert!(receiver.changed().is_ok());
            }
        });
        sender.send_replace(2);
        sender.send_replace(3);
        watcher.join().unwrap();
        drop(sender);
    });
}

/// One receiver gives up and goes while the other one waits, and the sender waits for both to go.
///
/// Seen to fail: with a receiver that goes without waking, loom reports a deadlock.
#[test]
fn model_of_receivers_that_go() {
    loom::model(|| {
        let (sender, receiver) = channel(1);
        let mut other = receiver.clone();
        let impatient = thread::spawn(move || other.changed_until(Instant::now()).is_ok());
        let patient = thread::spawn(move || {
            let mut receiver = receiver;
            assert!(receiver.changed().is_ok());
        });
        sender.send_replace(2);
        sender.closed();
        impatient.join().unwrap();
        patient.join().unwrap();
    });
}

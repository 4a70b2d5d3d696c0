//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};

use lisle_scheduler::block_on;

use super::Notify;
use crate::models::{in_a_thread, poll_once};

/// A notification is kept for a party that comes later, and reaches one that waits already; one
/// that gives up leaves it to another.
///
/// Seen to fail: with a `commit` that does not look again, or a `notify_one` that keeps nothing,
/// loom reports a deadlock; with one that keeps what it has given, the last assertion fails.
#[test]
fn model_of_a_notification_against_waits() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let patient = in_a_thread(&notify, Notify::wait);
        let impatient = in_a_thread(&notify, |notify| notify.wait_until(Instant::now()));
        notify.notify_one();
        if impatient.join().unwrap() {
            notify.notify_one();
        }
        patient.join().unwrap();
        assert!(!notify.state.lock().kept);
    });
}

/// A party that has said that it is about to wait, and then does not see the change, is notified.
///
/// Seen to fail: with a `notified` that does not note the rounds, loom reports a deadlock.
#[test]
fn model_of_a_look_before_the_wait() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let is_open = Arc::new(AtomicBool::new(false));
        let waiters = [(); 2].map(|()| {
            let is_open = is_open.clone();
            in_a_thread(&notify, move |notify| {
                let notified = notify.notified();
                if !is_open.load(Ordering::Acquire) {
                    notified.wait();
                }
            })
        });
        is_open.store(true, Ordering::Release);
        notify.notify_waiters();
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

/// A future is dropped: before it was notified, or between that and its next poll. Another party
/// has the notification then, at once or later.
///
/// Seen to fail: with a `Drop` that passes nothing on, loom reports a deadlock.
#[test]
fn model_of_a_notified_future_that_is_dropped() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let mut dropped = notify.notified().into_future();
        assert!(poll_once(&mut dropped).is_pending());
        let notifying = in_a_thread(&notify, Notify::notify_one);
        let other = in_a_thread(&notify, |notify| block_on(notify.notified()));
        drop(dropped);
        notifying.join().unwrap();
        other.join().unwrap();
        assert!(!notify.state.lock().kept);
    });
}

/// One is notified while all are: a party that comes in between is not passed over for one of those
/// that are notified anyway.
///
/// Seen to fail: with a `notify_one` that takes the first party out and no other, loom reports a
/// deadlock.
#[test]
fn model_of_a_notification_amid_one_for_all() {
    loom::model(|| {
        let notify = Arc::new(Notify::new());
        let mut early = notify.notified().into_future();
        assert!(poll_once(&mut early).is_pending());
        let all = in_a_thread(&notify, Notify::notify_waiters);
        let mut late = notify.notified().into_future();
        let is_waiting = poll_once(&mut late).is_pending();
        notify.notify_one();
        block_on(early);
        if is_waiting {
            block_on(late);
        }
        all.join().unwrap();
    });
}

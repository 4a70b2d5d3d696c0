//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;

use lisle_scheduler::block_on;

use super::Semaphore;
use crate::models::{in_a_thread, poll_once};

/// One wants two permits and another one wants one, of which one comes back at a time.
///
/// Seen to fail: with a `wait_in_queue` that does not look again, an `add_permits` that looks for
/// waiters before it adds, or a `serve` that takes the permits of one that it leaves in the queue,
/// loom reports a deadlock.
#[test]
fn model_of_many_permits_against_releases() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let one = in_a_thread(&semaphore, |semaphore| drop(semaphore.acquire()));
        let two = in_a_thread(&semaphore, |semaphore| drop(semaphore.acquire_many(2)));
        semaphore.add_permits(1);
        semaphore.add_permits(1);
        one.join().unwrap();
        two.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

/// One that wants too much gives up in front of one that wants less.
///
/// Seen to fail: with a `retract` that does not serve those behind, loom reports a deadlock.
#[test]
fn model_of_a_party_that_leaves() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let greedy = in_a_thread(&semaphore, |semaphore| {
            drop(semaphore.acquire_many_until(2, Instant::now()));
        });
        let modest = in_a_thread(&semaphore, |semaphore| drop(semaphore.acquire()));
        greedy.join().unwrap();
        modest.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// A permit comes back to a party whose time is over.
///
/// Seen to fail: with a party that gives up what it was given, the sum is wrong.
#[test]
fn model_of_a_time_out_against_a_release() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let late = in_a_thread(&semaphore, |semaphore| {
            drop(semaphore.acquire_until(Instant::now()));
        });
        semaphore.add_permits(1);
        late.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// The semaphore is closed while one waits for a permit that comes back.
///
/// Seen to fail: with a `close` that forgets those that wait, loom reports a deadlock.
#[test]
fn model_of_a_close() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(0));
        let waiting = in_a_thread(&semaphore, |semaphore| semaphore.acquire().is_ok());
        let adding = in_a_thread(&semaphore, |semaphore| semaphore.add_permits(1));
        semaphore.close();
        adding.join().unwrap();
        waiting.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
}

/// A future is dropped that wants too much, in front of one that wants less: before it was given
/// its permits, or between that and its next poll.
///
/// Seen to fail: with a `Drop` that does not give back, loom reports a deadlock.
#[test]
fn model_of_a_future_that_is_dropped() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let mut dropped = semaphore.acquire_many_async(2);
        assert!(poll_once(&mut dropped).is_pending());
        let modest = in_a_thread(&semaphore, |semaphore| drop(block_on(semaphore.acquire_async())));
        let adding = in_a_thread(&semaphore, |semaphore| semaphore.add_permits(1));
        drop(dropped);
        modest.join().unwrap();
        adding.join().unwrap();
        assert_eq!(semaphore.available_permits(), 2);
    });
}

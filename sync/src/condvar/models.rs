//! Loom models of the condition variable.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::park::Wake;
use loom::thread;

use super::Condvar;
use crate::models::{Number, here, in_a_thread};
use crate::mutex::RawMutex;

/// Tokens under a mutex, and a condition variable for those that want one.
struct Store {
    mutex: RawMutex,
    condvar: Condvar,
    tokens: Number,
}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self { mutex: RawMutex::new(), condvar: Condvar::new(), tokens: Number::new(0) })
    }

    /// Waits for a token until a deadline. Whether it has got one.
    fn take(&self, deadline: Option<Instant>) -> bool {
        let _guard = Guard::new(&self.mutex);
        let mut left_early = false;
        loop {
            let taken = self.tokens.take_one();
            if taken || left_early {
                break taken;
            }
            let wake = self.condvar.wait_at(&self.mutex, deadline, here());
            left_early = wake != Wake::Unparked;
        }
    }

    fn add(&self, tokens: u32) {
        let _guard = Guard::new(&self.mutex);
        self.tokens.add(tokens);
    }
}

/// Has the lock until it is dropped, also by an unwinding.
struct Guard<'a>(&'a RawMutex);

impl<'a> Guard<'a> {
    fn new(mutex: &'a RawMutex) -> Self {
        mutex.lock(here());
        Self(mutex)
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // SAFETY: the lock is held.
        unsafe { self.0.unlock() };
    }
}

/// A notification that comes after the change is not lost, wherever the waiter is.
///
/// Seen to fail: with a `wait_at` that unlocks the mutex before it is queued, loom reports a
/// deadlock.
#[test]
fn model_of_a_notification_against_a_wait() {
    loom::model(|| {
        let store = Store::new();
        let taker = in_a_thread(&store, |store| store.take(None));
        store.add(1);
        store.condvar.notify_one();
        assert!(taker.join().unwrap());
    });
}

/// The first of two waiters gives up while one is notified: then the other one has the token. Both
/// have the lock again before they go on.
///
/// Seen to fail: with a `retract` that forgets whether others still wait, loom reports a deadlock;
/// without `Relock`, accesses to the number overlap.
#[test]
fn model_of_a_time_out_against_a_notification() {
    loom::model(|| {
        let store = Store::new();
        let impatient = in_a_thread(&store, |store| store.take(Some(Instant::now())));
        let patient = in_a_thread(&store, |store| store.take(None));
        store.add(1);
        store.condvar.notify_one();
        if impatient.join().unwrap() {
            store.add(1);
            store.condvar.notify_all();
        }
        assert!(patient.join().unwrap());
    });
}

/// The first of two waiters is a task, and is cancelled while one of them is notified: it has the
/// token, or it has the lock again as it unwinds, and the other one has the token.
///
/// Seen to fail: when a notification forgets whether others still wait, and when a cancellation
/// does not end the wait, loom reports a deadlock.
#[test]
fn model_of_a_cancel_against_a_notification() {
    loom::model(|| {
        let store = Store::new();
        let threads = lisle_scheduler::run(|| {
            let theirs = store.clone();
            let cancelled = lisle_scheduler::spawn(move || theirs.take(None));
            lisle_scheduler::yield_now();
            let stop = cancelled.cancel_handle();
            let canceller = thread::spawn(move || stop.cancel());
            let patient = in_a_thread(&store, |store| assert!(store.take(None)));
            store.add(1);
            store.condvar.notify_one();
            if cancelled.join().is_ok() {
                store.add(1);
                store.condvar.notify_all();
            }
            [canceller, patient]
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

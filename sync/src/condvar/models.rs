//! Loom models of the condition variable. The parties are plain threads; a time-out stands for a
//! cancellation too.

use std::panic::Location;
use std::time::Instant;

use lisle_runtime::internal::primitive::{Arc, cell};
use lisle_scheduler::park::Wake;
use loom::thread;

use super::Condvar;
use crate::mutex::RawMutex;

/// Tokens under a mutex, and a condition variable for those that want one.
struct Store {
    mutex: RawMutex,
    condvar: Condvar,
    tokens: cell::UnsafeCell<u32>,
}

// SAFETY: the models check that accesses to the number do not overlap.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            mutex: RawMutex::new(),
            condvar: Condvar::new(),
            tokens: cell::UnsafeCell::new(0),
        })
    }

    /// Waits for a token until a deadline. Whether it has got one.
    fn take(&self, deadline: Option<Instant>) -> bool {
        self.mutex.lock(Location::caller());
        let mut left_early = false;
        let taken = loop {
            // SAFETY: the lock is held.
            let taken = self.tokens.with_mut(|tokens| unsafe {
                let any = *tokens > 0;
                *tokens -= u32::from(any);
                any
            });
            if taken || left_early {
                break taken;
            }
            let wake = self.condvar.wait_at(&self.mutex, deadline, Location::caller());
            left_early = wake != Wake::Unparked;
        };
        // SAFETY: as above.
        unsafe { self.mutex.unlock() };
        taken
    }

    fn add(&self, tokens: u32) {
        self.mutex.lock(Location::caller());
        // SAFETY: the lock is held.
        self.tokens.with_mut(|number| unsafe { *number += tokens });
        // SAFETY: as above.
        unsafe { self.mutex.unlock() };
    }
}

fn in_a_thread<R: 'static>(
    store: &Arc<Store>,
    f: impl FnOnce(&Store) -> R + 'static,
) -> thread::JoinHandle<R> {
    let store = store.clone();
    thread::spawn(move || f(&store))
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

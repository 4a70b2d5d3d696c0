//! Loom models of the wait queue, one for each race that `README.md` argues about.
//!
//! The parties are plain threads. What is handed over owns a loom `Arc`: the end of a model checks
//! that none was lost or freed twice.

use std::time::Instant;

use lisle_runtime::internal::primitive::{Arc, Mutex};
use loom::thread;

use super::{Taken, WaitQueue, Waiter};
use crate::park::{Reason, Wake, park};

const REASON: Reason = Reason::new("waiting in a model");

type Parcel = Arc<()>;

/// A place where parcels are handed over: to those that wait, or else left there.
#[derive(Default)]
struct Counter {
    left: Vec<Parcel>,
    is_closed: bool,
    waiting: WaitQueue<Option<Parcel>>,
}

/// How a wait at a counter has ended.
#[derive(Debug)]
enum Got {
    Parcel(Parcel),
    TimedOut,
    Closed,
}

/// Waits for a parcel, until `deadline`.
fn fetch(counter: &Mutex<Counter>, deadline: Option<Instant>) -> Got {
    let mut state = counter.lock();
    if let Some(parcel) = state.left.pop() {
        return Got::Parcel(parcel);
    }
    if state.is_closed {
        return Got::Closed;
    }
    let mut waiter = Waiter::new(None);
    let wake = park(
        REASON,
        deadline,
        |unparker| {
            // SAFETY: the waiter stays until `park` has returned, after which the unparker is used
            // up or was taken back.
            unsafe { state.waiting.push(&waiter, unparker) };
            drop(state);
        },
        // SAFETY: it was pushed into this queue.
        || unsafe { counter.lock().waiting.remove(&waiter) },
    );
    match (wake, waiter.payload().take()) {
        (Wake::Unparked, Some(parcel)) => Got::Parcel(parcel),
        (Wake::Unparked, None) => Got::Closed,
        (_, None) => Got::TimedOut,
        (_, Some(_)) => panic!("it was handed a parcel and not woken"),
    }
}

/// Hands a parcel to the first waiter, or leaves it there.
fn bring(counter: &Mutex<Counter>, parcel: Parcel) {
    let mut state = counter.lock();
    match state.waiting.pop() {
        Some(mut first) => {
            drop(state);
            first.with(|place| *place = Some(parcel));
            first.wake();
        }
        None => state.left.push(parcel),
    }
}

fn close(counter: &Mutex<Counter>) {
    let mut state = counter.lock();
    state.is_closed = true;
    let all = state.waiting.take_all();
    drop(state);
    all.wake();
}

fn in_a_thread<R: 'static>(
    counter: &Arc<Mutex<Counter>>,
    f: impl FnOnce(&Mutex<Counter>) -> R + 'static,
) -> thread::JoinHandle<R> {
    let counter = counter.clone();
    thread::spawn(move || f(&counter))
}

/// The parcel is brought before the look, or after the push.
///
/// Seen to fail with a `fetch` that releases the lock after its look and takes it again to push:
/// deadlock. And with a `bring` that wakes before it writes the payload, by a `Taken` that is
/// copied: the accesses to the payload overlap.
#[test]
fn model_of_a_wake_up_against_a_push() {
    loom::model(|| {
        let counter = Arc::new(Mutex::new(Counter::default()));
        let fetching = in_a_thread(&counter, |counter| fetch(counter, None));
        bring(&counter, Parcel::default());
        assert!(matches!(fetching.join().unwrap(), Got::Parcel(_)));
    });
}

/// A waiter that gives up races with one that hands it a parcel: it has the parcel, or the parcel
/// is left at the counter.
///
/// Seen to fail with a `remove` that does not look at the key: it unlinks twice, and gives up a
/// parcel.
#[test]
fn model_of_a_time_out_against_a_wake_up() {
    loom::model(|| {
        let counter = Arc::new(Mutex::new(Counter::default()));
        let fetching = in_a_thread(&counter, |counter| fetch(counter, Some(Instant::now())));
        bring(&counter, Parcel::default());
        let got = fetching.join().unwrap();
        let left = counter.lock().left.len();
        assert!(matches!((&got, left), (Got::Parcel(_), 0) | (Got::TimedOut, 1)), "{got:?} {left}");
    });
}

/// The first of two waiters gives up, at any moment, while a parcel is brought: the second one has
/// it if the first one has not.
///
/// Seen to fail with an `unlink` that forgets the neighbour behind: the second one is never found.
#[test]
fn model_of_a_time_out_in_front_of_another_waiter() {
    loom::model(|| {
        let counter = Arc::new(Mutex::new(Counter::default()));
        let impatient = in_a_thread(&counter, |counter| fetch(counter, Some(Instant::now())));
        let patient = in_a_thread(&counter, |counter| fetch(counter, None));
        bring(&counter, Parcel::default());
        match impatient.join().unwrap() {
            Got::Parcel(_) => close(&counter),
            got => assert!(matches!(got, Got::TimedOut)),
        }
        patient.join().unwrap();
    });
}

/// All are woken at once while the second of them gives up. The lock is free while the chain is
/// walked.
///
/// Seen to fail with a `remove` that does not ask whether the waiter is in a chain: its accesses to
/// the key overlap with those of the chain's holder.
#[test]
fn model_of_a_time_out_against_waking_all() {
    loom::model(|| {
        let counter = Arc::new(Mutex::new(Counter::default()));
        let patient = in_a_thread(&counter, |counter| fetch(counter, None));
        while counter.lock().waiting.is_empty() {
            thread::yield_now();
        }
        let closing = in_a_thread(&counter, close);
        let got = fetch(&counter, Some(Instant::now()));
        assert!(matches!(got, Got::Closed | Got::TimedOut));
        assert!(matches!(patient.join().unwrap(), Got::Closed));
        closing.join().unwrap();
    });
}

/// One that was woken has no use for it, and passes the wake-up on to the next waiter.
///
/// Seen to fail without the second `bring`: deadlock.
#[test]
fn model_of_passing_a_wake_up_on() {
    loom::model(|| {
        let counter = Arc::new(Mutex::new(Counter::default()));
        let parties = [(); 2].map(|()| {
            in_a_thread(&counter, |counter| match fetch(counter, None) {
                Got::Parcel(parcel) => bring(counter, parcel),
                got => panic!("{got:?}"),
            })
        });
        bring(&counter, Parcel::default());
        for party in parties {
            party.join().unwrap();
        }
        assert_eq!(counter.lock().left.len(), 1);
    });
}

/// A party gives itself to a waker that it knows, without a queue.
///
/// Seen to fail with a `Taken::with` after the key is used: the accesses to the payload overlap.
#[test]
fn model_of_a_surrender() {
    loom::model(|| {
        let handed = Arc::new(Mutex::new(None::<Taken<Option<Parcel>>>));
        let waker = thread::spawn({
            let handed = handed.clone();
            move || {
                let mut taken = loop {
                    if let Some(taken) = handed.lock().take() {
                        break taken;
                    }
                    thread::yield_now();
                };
                taken.with(|place| *place = Some(Parcel::default()));
                taken.wake();
            }
        });
        let mut waiter: Waiter<Option<Parcel>> = Waiter::new(None);
        let wake = park(
            REASON,
            None,
            // SAFETY: the waiter stays until the unparker is used.
            |unparker| *handed.lock() = Some(unsafe { waiter.surrender(unparker) }),
            || None,
        );
        assert_eq!(wake, Wake::Unparked);
        assert!(waiter.payload().is_some());
        waker.join().unwrap();
    });
}

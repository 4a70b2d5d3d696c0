//! The condition variable.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lisle::sync::{Condvar, Mutex};
use lisle::task::shield;
use lisle::{sleep, spawn_local, yield_now};

use crate::ground::{LONG, deadlock_of, everywhere, on_one_worker, short_deadlines, was_cancelled};

/// A queue with a limit, made of a mutex and two conditions.
#[derive(Default)]
struct Queue {
    items: Mutex<VecDeque<usize>>,
    added: Condvar,
    taken: Condvar,
}

impl Queue {
    fn put(&self, item: usize) {
        let mut items = self.items.lock();
        self.taken.wait_while(&mut items, |items| items.len() == 2);
        items.push_back(item);
        self.added.notify_one();
    }

    fn take(&self, patience: Option<Duration>) -> Option<usize> {
        let mut items = self.items.lock();
        match patience {
            None => self.added.wait_while(&mut items, |items| items.is_empty()),
            Some(time) => {
                self.added.wait_timeout_while(&mut items, time, |items| items.is_empty());
            }
        }
        let item = items.pop_front();
        drop(items);
        if item.is_some() {
            self.taken.notify_one();
        }
        item
    }
}

#[test]
fn producers_and_consumers_meet() {
    const ITEMS: usize = 200;
    everywhere(|ground| {
        let queue = Arc::new(Queue::default());
        let theirs = queue.clone();
        let producers: Vec<_> = (0..2)
            .map(|_| {
                let queue = queue.clone();
                ground.spawn(move || (1..=ITEMS).for_each(|item| queue.put(item)))
            })
            .collect();
        let left = Arc::new(AtomicUsize::new(2 * ITEMS));
        let sums = ground.join_all(3, move |party| {
            let mut sum = 0;
            while left.load(Ordering::Relaxed) > 0 {
                // Those that wait for long are needed: the others give up again and again.
                let patience = Duration::from_micros(if party == 0 { 100 } else { 1 });
                if let Some(item) = theirs.take(Some(patience)) {
                    left.fetch_sub(1, Ordering::Relaxed);
                    sum += item;
                }
            }
            sum
        });
        producers.into_iter().for_each(|producer| producer.join());
        assert_eq!(sums.iter().sum::<usize>(), ITEMS * (ITEMS + 1));
        assert!(queue.items.lock().is_empty());
    });
}

#[test]
fn all_are_notified() {
    everywhere(|ground| {
        let gate = Arc::new((Mutex::new((0, false)), Condvar::new()));
        let theirs = gate.clone();
        let opener = ground.spawn(move || {
            let (mutex, condvar) = &*theirs;
            while mutex.lock().0 < 5 {
                yield_now();
            }
            mutex.lock().1 = true;
            condvar.notify_all();
        });
        ground.join_all(5, move |_| {
            let (mutex, condvar) = &*gate;
            let mut state = mutex.lock();
            state.0 += 1;
            condvar.wait_while(&mut state, |state| !state.1);
        });
        opener.join();
    });
}

#[test]
fn waiters_are_notified_one_by_one_in_their_order() {
    on_one_worker(|| {
        let shared = Rc::new((Mutex::new(Vec::new()), Condvar::new()));
        let waiters: Vec<_> = (0..3)
            .map(|n| {
                let shared = shared.clone();
                let waiter = spawn_local(move || {
                    let mut list = shared.0.lock();
                    shared.1.wait(&mut list);
                    list.push(n);
                });
                yield_now();
                waiter
            })
            .collect();
        for n in 0..3 {
            shared.1.notify_one();
            yield_now();
            assert_eq!(shared.0.lock().len(), n + 1);
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(*shared.0.lock(), [0, 1, 2]);
        shared.1.notify_one(); // nobody waits, and nothing is kept
    });
}

#[test]
fn the_mutex_is_locked_again_when_the_time_is_over() {
    everywhere(|ground| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let mut held = shared.0.lock();
        for deadline in short_deadlines() {
            assert!(shared.1.wait_until(&mut held, deadline).timed_out());
            assert!(shared.0.is_locked());
        }
        assert!(shared.1.wait_timeout(&mut held, Duration::ZERO).timed_out());
        for deadline in short_deadlines() {
            assert!(shared.1.wait_until_while(&mut held, deadline, |_| true).timed_out());
            assert!(!shared.1.wait_until_while(&mut held, deadline, |_| false).timed_out());
        }
        let theirs = shared.clone();
        let notifier = ground.spawn(move || {
            *theirs.0.lock() = 1;
            theirs.1.notify_all();
        });
        let result = shared.1.wait_timeout_while(&mut held, Duration::MAX, |value| *value == 0);
        assert!(!result.timed_out());
        drop(held);
        notifier.join();
    });
}

/// At the end of the runtime a waiter unwinds with the mutex locked, which another task holds at
/// that moment, in a shield.
#[test]
fn a_cancelled_waiter_has_the_lock_when_it_unwinds() {
    struct LooksAtLock(Rc<(Mutex<u32>, Condvar)>, Rc<AtomicBool>);
    impl Drop for LooksAtLock {
        fn drop(&mut self) {
            self.1.store(self.0.0.is_locked(), Ordering::Relaxed);
        }
    }
    let was_locked = Rc::new(AtomicBool::new(false));
    let shared = Rc::new((Mutex::new(0), Condvar::new()));
    let waiter = on_one_worker(|| {
        let (theirs, looks) = (shared.clone(), LooksAtLock(shared.clone(), was_locked.clone()));
        let waiter = spawn_local(move || {
            let mut held = theirs.0.lock();
            let _looks = looks; // dropped before the guard
            theirs.1.wait(&mut held);
        });
        yield_now();
        let theirs = shared.clone();
        spawn_local(move || {
            shield(|| {
                let mut held = theirs.0.lock();
                sleep(Duration::from_millis(2));
                *held = 7;
            });
        });
        yield_now();
        waiter
    });
    assert!(was_cancelled(waiter));
    assert!(was_locked.load(Ordering::Relaxed));
    assert_eq!(shared.0.try_lock().as_deref(), Some(&7));
}

/// A waiter that leaves early was not notified: another one is.
#[test]
fn a_notification_is_not_lost_to_a_waiter_that_was_cancelled() {
    let shared = Arc::new((Mutex::new(0), Condvar::new()));
    let theirs = shared.clone();
    let patient = std::thread::spawn({
        let shared = shared.clone();
        move || {
            let mut value = shared.0.lock();
            let result = shared.1.wait_timeout_while(&mut value, LONG, |value| *value == 0);
            assert!(!result.timed_out());
        }
    });
    let cancelled = on_one_worker(|| {
        let waiter = spawn_local(move || {
            let mut value = theirs.0.lock();
            theirs.1.wait_while(&mut value, |value| *value == 0);
        });
        yield_now();
        waiter
    });
    assert!(was_cancelled(cancelled));
    *shared.0.lock() = 1;
    shared.1.notify_one();
    patient.join().unwrap();
}

#[test]
fn a_report_of_a_deadlock_names_the_wait() {
    let deadlock = deadlock_of(|| {
        let (mutex, condvar) = (Mutex::new(()), Condvar::new());
        condvar.wait(&mut mutex.lock());
    });
    let text = deadlock.to_string();
    assert!(text.contains("'main': waiting at a condition variable"), "{text}");
    assert!(text.contains(&format!("at {}:{}:", file!(), line!() - 4)), "{text}");
}

//! Cancellation of single tasks, and regions whose time is over: what they cut short and what not.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lisle::sync::{
    Barrier, Condvar, Mutex, Notify, Once, RwLock, Semaphore, WaitGroup, broadcast, watch,
};
use lisle::task::JoinHandle;
use lisle::{sleep, spawn_local, timeout, yield_now};

use crate::ground::{LONG, everywhere, on_one_worker, was_cancelled};

/// Cancels a task that has begun to wait, and lets it run.
fn cancel<T>(task: &JoinHandle<T>) {
    yield_now();
    task.cancel();
    yield_now();
}

/// A wait for a lock that `release` ends. Cancelled meanwhile, the task has the lock all the same,
/// and unwinds at its next wait.
fn is_not_cut_short(wait: impl FnOnce(&dyn Fn()) + 'static, release: impl FnOnce()) {
    let log = Rc::new(std::cell::Cell::new(0));
    let theirs = log.clone();
    let task = spawn_local(move || {
        wait(&|| theirs.set(theirs.get() + 1));
        sleep(LONG);
        unreachable!("it is cancelled");
    });
    cancel(&task);
    assert_eq!(log.get(), 0, "it waits");
    assert!(!task.is_finished());
    release();
    assert!(was_cancelled(task));
    assert_eq!(log.get(), 1);
}

#[test]
fn waits_for_locks_are_not_cut_short() {
    on_one_worker(|| {
        let mutex: &'static Mutex<u8> = Box::leak(Box::default());
        let held = mutex.lock();
        is_not_cut_short(
            |done| {
                let _held = mutex.lock();
                done();
            },
            || drop(held),
        );
        let held = mutex.lock();
        is_not_cut_short(
            |done| {
                let _held = mutex.lock_timeout(LONG).unwrap();
                done();
            },
            || drop(held),
        );
        let lock: &'static RwLock<u8> = Box::leak(Box::default());
        let held = lock.write();
        is_not_cut_short(
            |done| {
                let _held = lock.read();
                done();
            },
            || drop(held),
        );
        let held = lock.read();
        is_not_cut_short(
            |done| {
                let _held = lock.write();
                done();
            },
            || drop(held),
        );
        let once: &'static Once = Box::leak(Box::default());
        let gate: &'static Notify = Box::leak(Box::default());
        let runner = spawn_local(|| once.call_once(|| gate.wait()));
        yield_now();
        is_not_cut_short(
            |done| {
                once.call_once(|| unreachable!("it runs already"));
                done();
            },
            || gate.notify_one(),
        );
        runner.join().unwrap();
        assert!(mutex.try_lock().is_some() && lock.try_write().is_some());
    });
}

#[test]
fn other_waits_are_cut_short() {
    on_one_worker(|| {
        let waits: Vec<fn()> = vec![
            || drop(Semaphore::new(1).acquire_many(2)),
            || Notify::new().wait(),
            || assert!(Barrier::new(2).wait().is_leader()),
            || {
                let group = WaitGroup::new();
                let _member = group.clone();
                group.wait();
            },
            || {
                let (_sender, mut receiver) = watch::channel(1);
                let _ = receiver.changed();
            },
            || {
                let (sender, _receiver) = watch::channel(1);
                sender.closed();
            },
            || {
                let (_sender, mut receiver) = broadcast::channel::<u8>(1);
                let _ = receiver.recv();
            },
            || Once::new().wait(),
            || {
                let mutex = Mutex::new(1);
                Condvar::new().wait(&mut mutex.lock());
            },
        ];
        for (n, wait) in waits.into_iter().enumerate() {
            let task = spawn_local(wait);
            cancel(&task);
            assert!(task.is_finished(), "wait {n}");
            assert!(was_cancelled(task), "wait {n}");
            // On a thread and in a task, a region cuts it short.
            assert!(timeout(Duration::from_millis(1), wait).is_err(), "wait {n}");
            let on_thread = std::thread::spawn(move || timeout(Duration::from_millis(1), wait));
            assert!(on_thread.join().unwrap().is_err(), "wait {n}");
        }
    });
}

/// The mutex is locked again by the time the wait has ended, though another party has it for a
/// while.
#[test]
fn a_waiter_whose_region_is_over_has_the_lock() {
    everywhere(|ground| {
        let shared = Arc::new((Mutex::new(0), Condvar::new()));
        let theirs = shared.clone();
        let other = ground.spawn(move || {
            for _ in 0..20 {
                let mut held = theirs.0.lock();
                *held += 1;
                yield_now();
                *held += 1;
            }
        });
        for _ in 0..5 {
            let mut held = shared.0.lock();
            let over = timeout(Duration::from_micros(100), || shared.1.wait(&mut held));
            assert!(over.is_err());
            assert_eq!(*held % 2, 0, "nobody else has it");
        }
        other.join();
    });
}

/// Of two waiters that are notified and cancelled in some order, a notification is lost to none.
#[test]
fn a_notification_and_a_cancellation_at_once() {
    on_one_worker(|| {
        for notified_first in [false, true] {
            let shared = Rc::new((Mutex::new(0), Condvar::new()));
            let waiter = || {
                let shared = shared.clone();
                spawn_local(move || {
                    let mut count = shared.0.lock();
                    shared.1.wait(&mut count);
                    *count += 1;
                })
            };
            let (first, second) = (waiter(), waiter());
            yield_now();
            if notified_first {
                shared.1.notify_one();
                first.cancel();
                assert!(first.join().is_ok(), "it had the notification");
                shared.1.notify_one();
            } else {
                first.cancel();
                shared.1.notify_one();
                assert!(first.join().is_err() || *shared.0.lock() == 1);
                shared.1.notify_one();
            }
            second.join().unwrap();
        }
    });
}

#[test]
fn a_cancelled_holder_releases() {
    on_one_worker(|| {
        let shared = Rc::new((Mutex::new(1), RwLock::new(1), Semaphore::new(1)));
        let theirs = shared.clone();
        let holder = spawn_local(move || {
            let _held = (theirs.0.lock(), theirs.1.write(), theirs.2.acquire());
            sleep(LONG);
        });
        yield_now();
        let theirs = shared.clone();
        let waiter = spawn_local(move || {
            let (a, b) = (theirs.0.lock(), theirs.1.read());
            *a + *b + theirs.2.acquire().unwrap().num_permits()
        });
        yield_now();
        holder.cancel();
        assert_eq!(waiter.join().unwrap(), 3);
        assert!(was_cancelled(holder));
    });
}

/// A task that only polls locks is no cancellation point, but the end of the runtime is.
#[test]
fn the_end_of_a_runtime_ends_loops_of_lock_operations() {
    for polls_locked in [false, true] {
        let mutex = Rc::new(Mutex::new(1));
        let task = on_one_worker(|| {
            let theirs = mutex.clone();
            let task = spawn_local(move || {
                if polls_locked {
                    let _held = theirs.lock();
                    while theirs.try_lock().is_none() {}
                } else {
                    while *theirs.lock() == 1 {}
                }
            });
            yield_now();
            task
        });
        assert!(was_cancelled(task));
        assert!(mutex.try_lock().is_some());
    }
}

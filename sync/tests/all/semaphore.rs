//! The semaphore.

use std::panic::catch_unwind;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lisle::sync::{AcquireTimeoutError, Semaphore, TryAcquireError};
use lisle::{spawn, spawn_local, yield_now};

use crate::ground::{everywhere, on_one_worker, short_deadlines, was_cancelled};

#[test]
fn no_more_permits_are_out_than_there_are() {
    const PERMITS: usize = 4;
    everywhere(|ground| {
        let shared = Arc::new((Semaphore::new(PERMITS), AtomicUsize::new(0)));
        let theirs = shared.clone();
        ground.join_all(6, move |party| {
            let (semaphore, out) = &*theirs;
            for round in 0..60 {
                let wanted = 1 + (party + round) % PERMITS;
                let permits = match (party + round) % 5 {
                    0 => semaphore.try_acquire_many(wanted).ok(),
                    1 => semaphore.acquire_many_until(wanted, Instant::now()).ok(),
                    2 => semaphore.acquire_many_timeout(wanted, Duration::from_micros(20)).ok(),
                    3 => semaphore.acquire_many_timeout(wanted, Duration::MAX).ok(),
                    _ => Some(semaphore.acquire_many(wanted).unwrap()),
                };
                if permits.is_some() {
                    assert!(out.fetch_add(wanted, Ordering::SeqCst) + wanted <= PERMITS);
                    yield_now();
                    out.fetch_sub(wanted, Ordering::SeqCst);
                }
            }
        });
        assert_eq!(shared.0.available_permits(), PERMITS);
    });
}

/// One that wants many is not passed by those that want few.
#[test]
fn parties_are_served_in_their_order() {
    on_one_worker(|| {
        let semaphore = Rc::new(Semaphore::new(2));
        let log = Rc::new(lisle::sync::Mutex::new(Vec::new()));
        let held = semaphore.acquire_many(2).unwrap();
        let tasks = [3, 1, 2].map(|wanted| {
            let (semaphore, log) = (semaphore.clone(), log.clone());
            let task = spawn_local(move || {
                let _permits = semaphore.acquire_many(wanted).unwrap();
                log.lock().push(wanted);
            });
            yield_now();
            task
        });
        drop(held);
        assert_eq!(semaphore.available_permits(), 2);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
        semaphore.add_permits(1);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*log.lock(), [3, 1, 2]);
        assert_eq!(semaphore.available_permits(), 3);
    });
}

/// It wants more than there will ever be, and leaves by its time or by its cancellation.
#[test]
fn a_party_that_leaves_lets_those_behind_it_go_on() {
    everywhere(|ground| {
        let semaphore = Arc::new(Semaphore::new(1));
        let theirs = semaphore.clone();
        let behind = ground.spawn(move || {
            for _ in 0..10 {
                drop(theirs.acquire().unwrap());
            }
        });
        for deadline in short_deadlines() {
            let error = semaphore.acquire_many_until(5, deadline).unwrap_err();
            assert_eq!(error, AcquireTimeoutError::Timeout);
        }
        behind.join();
    });
    let semaphore = Arc::new(Semaphore::new(1));
    let tasks = on_one_worker(|| {
        let theirs = semaphore.clone();
        let greedy = spawn(move || drop(theirs.acquire_many(5)));
        yield_now();
        let theirs = semaphore.clone();
        let modest = std::thread::spawn(move || drop(theirs.acquire().unwrap()));
        (greedy, modest)
    });
    assert!(was_cancelled(tasks.0));
    tasks.1.join().unwrap();
}

#[test]
fn closing_fails_all_waits() {
    everywhere(|ground| {
        let semaphore = Arc::new(Semaphore::new(1));
        let permit = semaphore.acquire().unwrap();
        let theirs = semaphore.clone();
        let started = Arc::new(AtomicUsize::new(0));
        let going = started.clone();
        let closer = ground.spawn({
            let semaphore = semaphore.clone();
            move || {
                while started.load(Ordering::SeqCst) < 2 {
                    yield_now();
                }
                semaphore.close();
            }
        });
        ground.join_all(2, move |_| {
            going.fetch_add(1, Ordering::SeqCst);
            assert!(theirs.acquire().is_err());
        });
        closer.join();
        assert!(semaphore.is_closed());
        drop(permit);
        assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::Closed);
        let error = semaphore.acquire_timeout(Duration::MAX).unwrap_err();
        assert_eq!(error, AcquireTimeoutError::Closed);
        assert_eq!(semaphore.available_permits(), 1);
    });
}

#[test]
fn permits_can_be_split_merged_and_forgotten() {
    let semaphore = Arc::new(Semaphore::new(6));
    let mut three = semaphore.acquire_many(3).unwrap();
    let one = three.split(1).unwrap();
    assert!(three.split(3).is_none());
    assert_eq!((three.num_permits(), one.num_permits()), (2, 1));
    three.merge(one);
    assert_eq!(three.num_permits(), 3);
    three.forget();
    assert_eq!(semaphore.available_permits(), 3);
    assert_eq!((semaphore.forget_permits(1), semaphore.forget_permits(5)), (1, 2));
    semaphore.add_permits(4);

    let mut owned = semaphore.clone().acquire_many_owned(3).unwrap();
    owned.merge(owned.semaphore().clone().try_acquire_owned().unwrap());
    assert!(semaphore.clone().try_acquire_owned().is_err());
    let late = semaphore.clone().acquire_many_owned_timeout(1, Duration::ZERO);
    assert_eq!(late.unwrap_err(), AcquireTimeoutError::Timeout);
    let late = semaphore.clone().acquire_many_owned_until(1, Instant::now());
    assert_eq!(late.unwrap_err(), AcquireTimeoutError::Timeout);
    let late = semaphore.clone().acquire_owned_timeout(Duration::ZERO);
    assert_eq!(late.unwrap_err(), AcquireTimeoutError::Timeout);
    let late = semaphore.clone().acquire_owned_until(Instant::now());
    assert_eq!(late.unwrap_err(), AcquireTimeoutError::Timeout);
    let part = owned.split(2).unwrap();
    std::thread::spawn(move || drop(part)).join().unwrap();
    assert_eq!((owned.num_permits(), semaphore.available_permits()), (2, 2));
    owned.forget();
    assert_eq!(semaphore.available_permits(), 2);
    drop(semaphore.try_acquire_many(0).unwrap());
    drop(Semaphore::new(0).acquire_many(0).unwrap());
}

#[test]
fn too_many_permits_are_a_panic() {
    assert!(catch_unwind(|| Semaphore::new(Semaphore::MAX_PERMITS + 1)).is_err());
    let semaphore = Semaphore::new(Semaphore::MAX_PERMITS);
    assert!(catch_unwind(|| semaphore.add_permits(1)).is_err());
    assert!(catch_unwind(|| semaphore.add_permits(usize::MAX)).is_err());
    assert_eq!(semaphore.available_permits(), Semaphore::MAX_PERMITS);
}

#[test]
fn huge_numbers_of_permits() {
    const MAX: usize = Semaphore::MAX_PERMITS;
    let semaphore = Semaphore::new(MAX);
    for wanted in [MAX + 1, usize::MAX] {
        assert_eq!(semaphore.try_acquire_many(wanted).unwrap_err(), TryAcquireError::NoPermits);
        let late = semaphore.acquire_many_timeout(wanted, Duration::ZERO);
        assert_eq!(late.unwrap_err(), AcquireTimeoutError::Timeout);
    }
    let mut all = semaphore.acquire_many(MAX).unwrap();
    assert!(all.split(usize::MAX).is_none());
    // More are added while those are out: there is no room for both when they come back.
    semaphore.add_permits(MAX - 1);
    drop(all);
    assert_eq!(semaphore.available_permits(), MAX);
    let mut sum = semaphore.try_acquire_many(MAX).unwrap();
    for _ in 0..9 {
        semaphore.add_permits(MAX);
        sum.merge(semaphore.try_acquire_many(MAX).unwrap());
    }
    drop(sum);
    assert_eq!(semaphore.forget_permits(usize::MAX), MAX);
}

/// Both get theirs back.
#[test]
fn permits_of_different_semaphores_are_not_merged() {
    let semaphores = [Semaphore::new(1), Semaphore::new(1)];
    let merged = catch_unwind(|| {
        let mut first = semaphores[0].acquire().unwrap();
        first.merge(semaphores[1].acquire().unwrap());
    });
    assert!(merged.is_err());
    assert!(semaphores.iter().all(|semaphore| semaphore.available_permits() == 1));
}

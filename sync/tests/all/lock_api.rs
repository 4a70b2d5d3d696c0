//! The locks in the form of the crate `lock_api`.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use lisle::sync::lock_api::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use lisle::{spawn_local, yield_now};

use crate::ground::{LONG, deadlock_of, everywhere, on_one_worker, short_deadlines};

#[test]
fn a_mutex_guards_a_value_held_over_waits() {
    const ROUNDS: usize = 60;
    everywhere(|ground| {
        let value = Arc::new(Mutex::new((0, 0)));
        let theirs = value.clone();
        ground.join_all(4, move |party| {
            for round in 0..ROUNDS {
                let mut pair = match (party + round) % 3 {
                    0 => theirs.lock(),
                    1 => theirs.try_lock_for(LONG).expect("it is released"),
                    _ => theirs.try_lock().unwrap_or_else(|| theirs.lock()),
                };
                pair.0 += 1;
                yield_now();
                assert_eq!(pair.0, pair.1 + 1);
                pair.1 += 1;
            }
        });
        assert_eq!(*value.lock(), (4 * ROUNDS, 4 * ROUNDS));
        assert!(!value.is_locked());
    });
}

#[test]
fn a_mutex_gives_up_when_the_time_is_over() {
    everywhere(|_| {
        let mutex = Mutex::new([1, 2]);
        let held = mutex.lock();
        assert!(short_deadlines().into_iter().all(|end| mutex.try_lock_until(end).is_none()));
        assert!(mutex.try_lock_for(Duration::ZERO).is_none());
        let part = MutexGuard::map(held, |pair| &mut pair[0]);
        assert!(mutex.try_lock().is_none() && mutex.is_locked());
        drop(part);
        assert!(mutex.try_lock_for(Duration::ZERO).is_some());
    });
}

#[test]
fn an_rwlock_has_readers_or_a_writer() {
    everywhere(|ground| {
        let lock = Arc::new(RwLock::new(1));
        let readers = (lock.read(), lock.try_read().unwrap());
        assert!(lock.is_locked() && !lock.is_locked_exclusive());
        assert!(short_deadlines().into_iter().all(|end| lock.try_write_until(end).is_none()));
        assert!(lock.try_write().is_none() && lock.try_write_for(Duration::ZERO).is_none());
        let theirs = lock.clone();
        let writer = ground.spawn(move || {
            let mut writer = theirs.write();
            *writer += 1;
            *RwLockWriteGuard::downgrade(writer)
        });
        yield_now();
        assert_eq!(*readers.0 + *readers.1, 2);
        drop(readers);
        assert_eq!(writer.join(), 2);
        let writer = lock.try_write_for(LONG).unwrap();
        assert!(lock.is_locked_exclusive());
        assert!(short_deadlines().into_iter().all(|end| lock.try_read_until(end).is_none()));
        assert!(lock.try_read().is_none() && lock.try_read_for(Duration::ZERO).is_none());
        let part = RwLockReadGuard::map(RwLockWriteGuard::downgrade(writer), |value| value);
        assert_eq!(*lock.try_read_for(LONG).unwrap() + *part, 4);
    });
}

/// The raw locks do what Lisle's own do: a waiter that came too late is next.
#[test]
fn overtaking_is_bounded() {
    on_one_worker(|| {
        let mutex = Rc::new(Mutex::new(Vec::new()));
        let mut held = mutex.lock();
        let theirs = mutex.clone();
        let waiter = spawn_local(move || theirs.lock().push("waiter"));
        yield_now();
        for round in ["first", "second"] {
            drop(held);
            held = mutex.lock();
            held.push(round);
            yield_now();
        }
        drop(held);
        waiter.join().unwrap();
        assert_eq!(*mutex.lock(), ["first", "waiter", "second"]);
    });
}

#[test]
fn a_report_of_a_deadlock_says_where_the_lock_was_taken() {
    let deadlock = deadlock_of(|| {
        let mutex = Mutex::new(());
        let _held = mutex.lock();
        let _again = mutex.lock();
    });
    let text = deadlock.to_string();
    let here = line!();
    assert!(text.contains(&format!("at {}:{}:", file!(), here - 3)), "{text}");
    assert!(text.contains(&format!("it was locked at {}:{}:", file!(), here - 4)), "{text}");
    let deadlock = deadlock_of(|| {
        let lock = RwLock::new(());
        let _held = lock.read();
        let _again = lock.write();
    });
    let text = deadlock.to_string();
    let here = line!();
    assert!(text.contains(&format!("at {}:{}:", file!(), here - 3)), "{text}");
    assert!(text.contains(&format!("it was locked at {}:{}:", file!(), here - 4)), "{text}");
}

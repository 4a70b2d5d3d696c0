//! The read-write lock.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lisle::deadlock::Awaited;
use lisle::sync::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard,
    RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use lisle::{sleep, spawn, spawn_local, yield_now};

use crate::ground::{LONG, deadlock_of, everywhere, on_one_worker, short_deadlines, was_cancelled};

#[test]
fn writers_are_alone_and_readers_are_not() {
    const ROUNDS: usize = 80;
    everywhere(|ground| {
        let shared = Arc::new((RwLock::new((0, 0)), AtomicUsize::new(0)));
        let theirs = shared.clone();
        let most = ground.join_all(6, move |party| {
            let (lock, readers) = &*theirs;
            let mut most = 0;
            for round in 0..ROUNDS {
                if (party + round) % 3 == 0 {
                    let mut pair = lock.write();
                    assert_eq!(readers.load(Ordering::SeqCst), 0);
                    pair.0 += 1;
                    yield_now();
                    pair.1 += 1;
                } else {
                    let pair = lock.read();
                    most = most.max(readers.fetch_add(1, Ordering::SeqCst) + 1);
                    yield_now();
                    assert_eq!(pair.0, pair.1);
                    readers.fetch_sub(1, Ordering::SeqCst);
                }
            }
            most
        });
        assert!(most.iter().any(|most| *most > 1), "readers share the lock: {most:?}");
        assert_eq!(*shared.0.read(), (2 * ROUNDS, 2 * ROUNDS));
        assert!(!shared.0.is_locked());
    });
}

#[test]
fn loses_nobody_among_parties_that_give_up() {
    const ROUNDS: usize = 60;
    everywhere(|ground| {
        let lock = Arc::new(RwLock::new(0));
        let theirs = lock.clone();
        let added = ground.join_all(6, move |party| {
            let mut added = 0;
            for round in 0..ROUNDS {
                let short = Duration::from_micros(((party + round) % 3) as u64 * 10);
                let writer = match (party + round) % 8 {
                    0 => theirs.write_timeout(short),
                    1 => theirs.write_until(Instant::now()),
                    2 => theirs.try_write(),
                    3 => Some(theirs.write()),
                    4 => {
                        drop(theirs.read_timeout(short));
                        None
                    }
                    5 => {
                        drop(theirs.read_until(Instant::now()));
                        None
                    }
                    6 => {
                        drop(theirs.read_timeout(Duration::MAX));
                        None
                    }
                    _ => {
                        let reader = theirs.read();
                        yield_now();
                        drop(reader);
                        None
                    }
                };
                if let Some(mut writer) = writer {
                    *writer += 1;
                    added += 1;
                    yield_now();
                    if round % 2 == 0 {
                        drop(RwLockWriteGuard::downgrade(writer));
                    }
                }
            }
            added
        });
        assert_eq!(*lock.read(), added.iter().sum::<usize>());
        assert!(lock.try_write().is_some());
    });
}

/// One after the other: readers, a writer that waits, readers behind it. Its release admits them
/// all, although another writer came before the last of them.
#[test]
fn a_writer_waits_for_earlier_readers_and_admits_those_that_waited() {
    on_one_worker(|| {
        let lock = Rc::new(RwLock::new(Vec::new()));
        let log = Rc::new(RwLock::new(Vec::new()));
        let first = lock.read();
        let start = |name: &'static str, writes: bool| {
            let (lock, log) = (lock.clone(), log.clone());
            let task = spawn_local(move || {
                if writes {
                    let mut list = lock.write();
                    log.write().push(name);
                    list.push(name);
                    yield_now();
                } else {
                    let _list = lock.read();
                    log.write().push(name);
                    yield_now();
                }
            });
            yield_now();
            task
        };
        let tasks = [
            start("writer", true),
            start("reader", false),
            start("late writer", true),
            start("late reader", false),
        ];
        assert!(lock.try_read().is_none(), "a writer waits");
        assert!(lock.try_write().is_none());
        drop(first);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*log.read(), ["writer", "reader", "late reader", "late writer"]);
        assert_eq!(*lock.read(), ["writer", "late writer"]);
    });
}

#[test]
fn a_writer_that_gives_up_lets_readers_in() {
    everywhere(|ground| {
        let lock = Arc::new(RwLock::new(1));
        let reader = lock.read();
        let theirs = lock.clone();
        let behind = ground.spawn(move || {
            let mut got = 0;
            while got < 20 {
                got += *theirs.read_timeout(LONG).expect("the writer gives up");
            }
        });
        for deadline in short_deadlines() {
            assert!(lock.write_until(deadline).is_none());
        }
        assert!(lock.write_timeout(Duration::from_millis(1)).is_none());
        behind.join(); // although the first reader is still there
        drop(reader);
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn a_writer_becomes_a_reader_among_others() {
    on_one_worker(|| {
        let lock = Rc::new(RwLock::new(0));
        let mut writer = lock.write();
        let theirs = lock.clone();
        let reader = spawn_local(move || *theirs.read());
        let theirs = lock.clone();
        let other = spawn_local(move || *theirs.write() = 2);
        yield_now();
        *writer = 1;
        let mine = RwLockWriteGuard::downgrade(writer);
        assert_eq!(reader.join().unwrap(), 1);
        assert!(lock.try_read().is_none(), "a writer waits");
        assert_eq!(*mine, 1);
        drop(mine);
        other.join().unwrap();
        assert_eq!(*lock.read(), 2);
        drop(RwLockWriteGuard::downgrade(lock.write()));
        assert!(!lock.is_locked());
    });
}

#[test]
fn the_end_of_a_runtime_unwinds_those_that_wait() {
    let lock = Arc::new(RwLock::new(()));
    let tasks: Vec<_> = on_one_worker(|| {
        let theirs = lock.clone();
        let holder = spawn(move || {
            let _reader = theirs.read();
            sleep(LONG);
        });
        yield_now();
        let theirs = lock.clone();
        let writer = spawn(move || {
            let _writer = theirs.write();
            sleep(LONG);
        });
        yield_now();
        let theirs = lock.clone();
        let reader = spawn(move || {
            let _reader = theirs.read();
            sleep(LONG);
        });
        yield_now();
        vec![holder, writer, reader]
    });
    assert!(tasks.into_iter().all(was_cancelled));
    assert!(lock.try_write().is_some());
}

#[test]
fn a_report_of_a_deadlock_tells_readers_and_writers_apart() {
    let deadlock = deadlock_of(|| {
        let lock = RwLock::new(());
        let _readers = (lock.read(), lock.read());
        drop(lock.write());
    });
    let text = deadlock.to_string();
    assert!(text.contains("'main': locking an RwLock for writing"), "{text}");
    assert!(text.contains("2 readers have locked it, the last of them at"), "{text}");

    let deadlock = deadlock_of(|| {
        let lock = RwLock::new(());
        let _writer = lock.write();
        drop(lock.read());
    });
    let text = deadlock.to_string();
    assert!(text.contains("'main': locking an RwLock for reading"), "{text}");
    assert!(text.contains(&format!("it was locked at {}:{}:", file!(), line!() - 5)), "{text}");
}

/// The second read waits for a writer, which waits for the first one.
#[test]
fn a_report_of_a_deadlock_shows_a_reader_that_reads_again() {
    let deadlock = deadlock_of(|| {
        let lock = Rc::new(RwLock::new(()));
        let theirs = lock.clone();
        let _first = lock.read();
        let writer = spawn_local(move || drop(theirs.write()));
        yield_now();
        let _again = lock.read();
        writer.join().unwrap();
    });
    let taken = line!() - 6;
    let [main, writer] = deadlock.tasks() else { panic!("{deadlock}") };
    for task in [main, writer] {
        let [Awaited::Release(held)] = task.awaited() else { panic!("{deadlock}") };
        assert_eq!((held.since().line(), held.times()), (taken, 1), "{deadlock}");
        assert_eq!(held.by().map(|task| task.id()), Some(main.task().id()), "{deadlock}");
    }
}

/// Readers and writers of three locks, each of which wants what the next one has.
#[test]
fn a_report_of_a_deadlock_shows_a_cycle_of_readers_and_writers() {
    let deadlock = deadlock_of(|| {
        let locks: Rc<[RwLock<()>; 3]> = Rc::default();
        let tasks = [0, 1, 2].map(|first| {
            let locks = locks.clone();
            spawn_local(move || {
                let next = &locks[(first + 1) % 3];
                if first == 0 {
                    let _first = locks[first].write();
                    yield_now();
                    drop(next.write());
                } else {
                    let _first = locks[first].read();
                    yield_now();
                    drop(next.write());
                }
            })
        });
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    let [written, read] = [line!() - 12, line!() - 8];
    let [_, tasks @ ..] = deadlock.tasks() else { panic!("{deadlock}") };
    for (place, task) in tasks.iter().enumerate() {
        let [Awaited::Release(held)] = task.awaited() else { panic!("{deadlock}") };
        let next = (place + 1) % 3;
        assert_eq!(held.by().map(|task| task.id()), Some(tasks[next].task().id()), "{deadlock}");
        assert_eq!(held.since().line(), if next == 0 { written } else { read }, "{deadlock}");
    }
}

#[test]
fn a_panic_unlocks_and_leaves_the_value_as_it_was() {
    let lock = RwLock::new(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let mut writer = lock.write();
        *writer = 2;
        resume_unwind(Box::new("panic"));
    }));
    assert!(panicked.is_err());
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _reader = lock.read();
        resume_unwind(Box::new("panic"));
    }));
    assert!(panicked.is_err());
    assert_eq!(lock.try_write().as_deref(), Some(&2));
}

#[test]
fn parts_of_a_value_are_guarded_too() {
    let lock = RwLock::new((1, [2, 3]));
    let part = RwLockReadGuard::map(lock.read(), |pair| &pair.1);
    let last = MappedRwLockReadGuard::map(part, |part| &part[1]);
    assert!(lock.try_write().is_none());
    let last = MappedRwLockReadGuard::filter_map(last, |_| None::<&u8>).unwrap_err();
    let last = MappedRwLockReadGuard::filter_map(last, |last| Some(last)).unwrap();
    assert_eq!(format!("{last} {last:?}"), "3 3");
    drop(last);
    let part = RwLockReadGuard::filter_map(lock.read(), |pair| pair.1.first()).unwrap();
    assert_eq!(*part, 2);
    drop(part);
    let whole = RwLockReadGuard::filter_map(lock.read(), |_| None::<&u8>).unwrap_err();
    assert!(lock.try_write().is_none() && whole.0 == 1);
    drop(whole);

    let part = RwLockWriteGuard::map(lock.write(), |pair| &mut pair.1);
    let last = MappedRwLockWriteGuard::map(part, |part| &mut part[1]);
    let last = MappedRwLockWriteGuard::filter_map(last, |_| None::<&mut u8>).unwrap_err();
    let mut last = MappedRwLockWriteGuard::filter_map(last, |last| Some(last)).unwrap();
    assert!(lock.try_read().is_none());
    *last += 1;
    assert_eq!(format!("{last} {last:?}"), "4 4");
    drop(last);
    *RwLockWriteGuard::filter_map(lock.write(), |pair| pair.1.first_mut()).unwrap() = 7;
    let whole = RwLockWriteGuard::filter_map(lock.write(), |_| None::<&mut u8>).unwrap_err();
    assert!(lock.try_read().is_none());
    assert_eq!(*whole, (1, [7, 4]));
    drop(whole);
    assert!(!lock.is_locked());
}

#[test]
fn a_guard_can_own_its_lock() {
    everywhere(|ground| {
        let lock = Arc::new(RwLock::new(1));
        let reader = lock.clone().read_owned();
        let second = lock.clone().try_read_owned().unwrap();
        assert!(lock.clone().try_write_owned().is_none());
        for deadline in short_deadlines() {
            assert!(lock.clone().write_owned_until(deadline).is_none());
            assert!(lock.clone().read_owned_until(deadline).is_some());
        }
        assert!(lock.clone().write_owned_timeout(Duration::ZERO).is_none());
        let theirs = lock.clone();
        let writer = ground.spawn(move || {
            let mut writer = theirs.write_owned();
            *writer += 1;
            let reader = OwnedRwLockWriteGuard::downgrade(writer);
            assert!(OwnedRwLockReadGuard::rwlock(&reader).is_locked());
            *reader
        });
        yield_now();
        assert_eq!(format!("{reader} {second:?}"), "1 1");
        drop((reader, second));
        assert_eq!(writer.join(), 2);
        let writer = lock.clone().write_owned_timeout(LONG).unwrap();
        assert!(lock.clone().read_owned_timeout(Duration::ZERO).is_none());
        assert!(Arc::ptr_eq(OwnedRwLockWriteGuard::rwlock(&writer), &lock));
        assert_eq!(format!("{writer} {writer:?}"), "2 2");
        drop(OwnedRwLockWriteGuard::downgrade(writer));
        let last = lock.try_write_owned().unwrap(); // has the lock alone
        assert_eq!(Arc::strong_count(OwnedRwLockWriteGuard::rwlock(&last)), 1);
    });
}

#[test]
fn the_rest_of_the_interface() {
    static LOCK: RwLock<[u8; 2]> = RwLock::new([1, 2]);
    let unsized_lock: &RwLock<[u8]> = &LOCK;
    assert_eq!(unsized_lock.read().len(), 2);
    let mut lock = RwLock::from(3);
    *lock.get_mut() += 1;
    assert_eq!(format!("{lock:?}"), "RwLock { value: 4 }");
    let reader = lock.read();
    assert_eq!(format!("{reader} {reader:?} {lock:?}"), "4 4 RwLock { value: 4 }");
    drop(reader);
    let writer = lock.write();
    assert_eq!(format!("{writer} {writer:?} {lock:?}"), "4 4 RwLock { value: <locked> }");
    drop(writer);
    assert_eq!(lock.into_inner(), 4);
    assert_eq!(RwLock::<u8>::default().into_inner(), 0);
}

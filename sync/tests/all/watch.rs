//! Values that are watched.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use lisle::sync::watch::{self, RecvError, RecvTimeoutError, SendError};
use lisle::yield_now;

use crate::ground::{LONG, everywhere, short_deadlines};

/// Values rise, and each receiver sees the last one.
#[test]
fn all_receivers_see_the_last_value() {
    everywhere(|ground| {
        const LAST: u32 = 200;
        let (sender, receiver) = watch::channel(0);
        let watchers: Vec<_> = (0..4)
            .map(|n| {
                let mut receiver = receiver.clone();
                ground.spawn(move || {
                    let mut last = 0;
                    loop {
                        let changed = match n {
                            0 => receiver.changed_timeout(Duration::from_micros(10)),
                            1 => receiver.changed_timeout(LONG),
                            _ => receiver.changed().map_err(|_| RecvTimeoutError::Closed),
                        };
                        let now = *receiver.borrow_and_update();
                        assert!(now >= last);
                        last = now;
                        if changed == Err(RecvTimeoutError::Closed) {
                            return last;
                        }
                    }
                })
            })
            .collect();
        drop(receiver);
        for n in 1..=LAST {
            sender.send_replace(n);
            if n % 7 == 0 {
                yield_now();
            }
        }
        drop(sender);
        assert!(watchers.into_iter().all(|watcher| watcher.join() == LAST));
    });
}

#[test]
fn a_change_is_seen_once_by_each() {
    let (sender, mut receiver) = watch::channel(1);
    let mut other = receiver.clone();
    assert!(!receiver.borrow().has_changed());
    sender.send(2).unwrap();
    assert!(receiver.borrow().has_changed());
    assert_eq!((receiver.changed(), receiver.has_changed()), (Ok(()), Ok(false)));
    for deadline in short_deadlines() {
        assert_eq!(receiver.changed_until(deadline), Err(RecvTimeoutError::Timeout));
    }
    receiver.mark_changed();
    assert_eq!(receiver.changed_timeout(Duration::ZERO), Ok(()));
    assert!(other.borrow_and_update().has_changed());
    assert_eq!(*other.borrow_and_update(), 2);
    assert!(!sender.send_if_modified(|_| false));
    assert_eq!(other.has_changed(), Ok(false));
    assert!(sender.send_if_modified(|value| {
        *value = 3;
        true
    }));
    other.mark_unchanged();
    assert_eq!(other.has_changed(), Ok(false));
    assert_eq!(sender.subscribe().has_changed(), Ok(false));
    assert_eq!((*sender.borrow(), sender.receiver_count(), sender.sender_count()), (3, 2, 1));
}

#[test]
fn the_end_of_the_senders_comes_after_the_last_value() {
    let (sender, mut receiver) = watch::channel(1);
    let second = sender.clone();
    assert!(sender.same_channel(&second) && receiver.same_channel(&receiver.clone()));
    drop(sender);
    second.send(2).unwrap();
    drop(second);
    assert_eq!(receiver.has_changed(), Err(RecvError));
    assert_eq!((receiver.changed(), *receiver.borrow()), (Ok(()), 2));
    assert_eq!(receiver.changed(), Err(RecvError));
    assert_eq!(receiver.changed_timeout(LONG), Err(RecvTimeoutError::Closed));
    assert_eq!(receiver.wait_for(|value| *value == 3).err(), Some(RecvError));
    assert_eq!(receiver.wait_for(|value| *value == 2).as_deref().ok(), Some(&2));
}

#[test]
fn a_value_without_receivers_changes_by_replacement_alone() {
    let (sender, receiver) = watch::channel(1);
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2), Err(SendError(2)));
    assert_eq!((sender.send_replace(3), *sender.borrow()), (1, 3));
    assert!(watch::Sender::<u8>::default().is_closed());
}

#[test]
fn a_wanted_value_is_waited_for() {
    everywhere(|ground| {
        let (sender, mut receiver) = watch::channel(0);
        let late = receiver.wait_for_timeout(|n| *n == 5, Duration::ZERO);
        assert_eq!(late.err(), Some(RecvTimeoutError::Timeout));
        let counting = ground.spawn(move || {
            for n in 1..=5 {
                sender.send(n).unwrap();
                yield_now();
            }
            sender.closed();
        });
        assert_eq!(*receiver.wait_for(|n| *n == 5).unwrap(), 5);
        assert!(receiver.wait_for_until(|n| *n == 5, short_deadlines()[0]).is_ok());
        drop(receiver);
        counting.join();
    });
}

#[test]
fn a_change_that_panics_is_not_told() {
    let (sender, receiver) = watch::channel(1);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        sender.send_modify(|value| {
            *value = 2;
            resume_unwind(Box::new("panic"));
        });
    }));
    assert!(panicked.is_err());
    assert_eq!((receiver.has_changed(), *receiver.borrow()), (Ok(false), 2));
}

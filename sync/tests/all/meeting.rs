//! Notifications, groups and barriers.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle::sync::{Barrier, Notify, Semaphore, WaitGroup};
use lisle::{spawn, spawn_local, yield_now};

use crate::ground::{LONG, deadlock_of, everywhere, on_one_worker, short_deadlines, was_cancelled};

#[test]
fn one_notification_is_kept_and_no_more() {
    let notify = Notify::new();
    notify.notify_one();
    notify.notify_one();
    notify.wait();
    for deadline in short_deadlines() {
        assert!(!notify.wait_until(deadline));
    }
    notify.notify_waiters();
    assert!(!notify.wait_timeout(Duration::ZERO));
    let notified = notify.notified();
    notify.notify_waiters();
    assert!(notified.wait_timeout(Duration::ZERO));
    notify.notify_one();
    assert!(notify.wait_timeout(Duration::MAX));
}

#[test]
fn notifications_hand_work_from_one_to_another() {
    everywhere(|ground| {
        const ROUNDS: usize = 100;
        let shared = Arc::new((Notify::new(), Notify::new(), AtomicUsize::new(0)));
        let theirs = shared.clone();
        let echo = ground.spawn(move || {
            for _ in 0..ROUNDS {
                theirs.0.wait();
                theirs.2.fetch_add(1, Ordering::Relaxed);
                theirs.1.notify_one();
            }
        });
        for round in 0..ROUNDS {
            assert_eq!(shared.2.load(Ordering::Relaxed), round);
            shared.0.notify_one();
            shared.1.wait();
        }
        echo.join();
    });
}

#[test]
fn all_waiters_are_notified_and_others_later_are_not() {
    on_one_worker(|| {
        let notify = Rc::new(Notify::new());
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let notify = notify.clone();
                spawn_local(move || notify.wait())
            })
            .collect();
        yield_now();
        notify.notify_waiters();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert!(!notify.wait_timeout(Duration::ZERO));
    });
}

#[test]
fn a_cancelled_waiter_leaves_its_notification_to_others() {
    let notify = Arc::new(Notify::new());
    let theirs = notify.clone();
    let cancelled = on_one_worker(|| {
        let waiter = spawn(move || theirs.wait());
        yield_now();
        waiter
    });
    assert!(was_cancelled(cancelled));
    notify.notify_one();
    assert!(notify.wait_timeout(LONG));
}

#[test]
fn a_group_waits_for_all_its_members() {
    everywhere(|ground| {
        let done = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        let members: Vec<_> = (0..5)
            .map(|n| {
                let (member, done) = (group.clone(), done.clone());
                ground.spawn(move || {
                    let other = (n % 2 == 0).then(|| member.clone());
                    yield_now();
                    done.fetch_add(1, Ordering::Relaxed);
                    drop((member, other));
                })
            })
            .collect();
        let theirs = (group.clone(), done.clone());
        let other = ground.spawn(move || {
            theirs.0.wait();
            assert_eq!(theirs.1.load(Ordering::Relaxed), 5);
        });
        group.wait();
        assert_eq!(done.load(Ordering::Relaxed), 5);
        members.into_iter().for_each(|member| member.join());
        other.join();
    });
}

#[test]
fn a_group_can_be_waited_for_again() {
    everywhere(|ground| {
        let mut group = WaitGroup::new();
        let member = group.clone();
        for deadline in short_deadlines() {
            group = group.wait_until(deadline).expect_err("a member is left");
        }
        let leaving = ground.spawn(move || drop(member));
        while let Err(again) = group.wait_timeout(Duration::from_micros(10)) {
            group = again;
        }
        leaving.join();
        assert!(WaitGroup::default().wait_timeout(Duration::ZERO).is_ok());
    });
}

/// The members of a group are tasks whose runtime ends.
#[test]
fn cancelled_members_leave_their_group() {
    let group = WaitGroup::new();
    on_one_worker(|| {
        for _ in 0..3 {
            let member = group.clone();
            spawn(move || {
                let _member = member;
                lisle::sleep(LONG);
            });
        }
        yield_now();
    });
    assert_eq!(format!("{group:?}"), "WaitGroup { members: 1 }");
    group.wait();
}

#[test]
fn a_barrier_opens_for_groups() {
    everywhere(|ground| {
        const ROUNDS: usize = 30;
        let shared = Arc::new((Barrier::new(4), AtomicUsize::new(0)));
        let led = ground.join_all(4, move |_| {
            let (barrier, arrived) = &*shared;
            let mut led = 0;
            for round in 1..=ROUNDS {
                arrived.fetch_add(1, Ordering::SeqCst);
                led += usize::from(barrier.wait().is_leader());
                assert!(arrived.load(Ordering::SeqCst) >= 4 * round);
                barrier.wait();
            }
            led
        });
        assert_eq!(led.iter().sum::<usize>(), ROUNDS);
    });
}

#[test]
fn a_barrier_uncounts_those_that_leave() {
    everywhere(|ground| {
        let barrier = Arc::new(Barrier::new(2));
        for deadline in short_deadlines() {
            assert_eq!(barrier.wait_until(deadline), None);
        }
        assert_eq!(barrier.wait_timeout(Duration::ZERO), None);
        let theirs = barrier.clone();
        let other = ground.spawn(move || theirs.wait_timeout(LONG).unwrap().is_leader());
        let mine = barrier.wait_timeout(Duration::MAX).unwrap().is_leader();
        assert!(mine != other.join());
    });
    let barrier = Arc::new(Barrier::new(2));
    let theirs = barrier.clone();
    let cancelled = on_one_worker(|| {
        let waiter = spawn(move || theirs.wait().is_leader());
        yield_now();
        waiter
    });
    assert!(was_cancelled(cancelled));
    assert_eq!(barrier.wait_timeout(Duration::ZERO), None);
    for size in [0, 1] {
        assert!(Barrier::new(size).wait().is_leader());
    }
}

#[test]
fn a_report_of_a_deadlock_names_each_wait() {
    let deadlock = deadlock_of(|| {
        let tasks = [
            spawn_local(|| assert!(Barrier::new(2).wait().is_leader())),
            spawn_local(|| Notify::new().wait()),
            spawn_local(|| {
                let group = WaitGroup::new();
                let _member = group.clone();
                group.wait();
            }),
            spawn_local(|| drop(Semaphore::new(0).acquire())),
        ];
        tasks.into_iter().for_each(|task| drop(task.join()));
    });
    let text = deadlock.to_string();
    for reason in [
        "waiting at a barrier",
        "waiting for a notification",
        "waiting for a group",
        "1 member is alive",
        "acquiring permits of a semaphore",
    ] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
}

//! Races, and sets of tasks.

use std::panic::panic_any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{Cancelled, CancelledBy, TaskSet, race, sleep, yield_now};

use crate::support::{Bell, OnDrop, run_in_order, run_on};
use crate::{HOUR, MOMENT, caught, everywhere, wait_for_ever};

#[test]
fn the_first_value_wins_and_the_losers_are_awaited() {
    everywhere(|| {
        let alive = AtomicUsize::new(0);
        let contenders = [HOUR, MOMENT, HOUR].map(|length| {
            let alive = &alive;
            move || {
                alive.fetch_add(1, Ordering::Relaxed);
                let _leaves = OnDrop(|| _ = alive.fetch_sub(1, Ordering::Relaxed));
                sleep(length);
                length
            }
        });
        assert_eq!(race(contenders), Some(MOMENT));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert_eq!(race(Vec::<fn() -> u8>::new()), None);
        let panic = caught(|| {
            race([true, false].map(|bad| {
                move || {
                    if bad {
                        panic_any("bad");
                    }
                    wait_for_ever();
                }
            }))
        });
        assert_eq!(panic, "bad");
    });
}

#[test]
fn results_come_in_the_order_of_their_ends() {
    run_in_order(|| {
        let mut set = TaskSet::new();
        for rounds in [3, 1, 2] {
            set.spawn(move || {
                (0..rounds).for_each(|_| yield_now());
                rounds
            });
        }
        assert_eq!(set.len(), 3);
        assert!(set.try_join_next().is_none());
        let results: Vec<_> = set.by_ref().map(Result::unwrap).collect();
        assert_eq!(results, [1, 2, 3]);
        assert!(set.is_empty() && set.join_next().is_none());
        set.spawn(|| panic_any("mine"));
        set.spawn(|| 4);
        assert_eq!(set.join_next().unwrap().unwrap_err().downcast_ref(), Some(&"mine"));
        assert_eq!(set.join_next().unwrap().unwrap(), 4);
    });
}

#[test]
fn a_limit_bounds_how_many_run() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let mut set = TaskSet::with_limit(3);
            for n in 0..40 {
                let (running, most) = (running.clone(), most.clone());
                set.spawn(move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    n
                });
            }
            assert_eq!(set.len(), 40);
            assert_eq!(set.map(Result::unwrap).sum::<i32>(), 780);
            assert!(most.load(Ordering::SeqCst) <= 3);
        })
        .unwrap();
    }
}

#[test]
fn a_dropped_set_cancels_and_waits_and_a_detached_one_goes_on() {
    everywhere(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let new_set = |alive: &Arc<AtomicUsize>| {
            let mut set = TaskSet::new();
            for _ in 0..5 {
                let alive = alive.clone();
                set.spawn(move || {
                    alive.fetch_add(1, Ordering::SeqCst);
                    let _leaves = OnDrop(|| _ = alive.fetch_sub(1, Ordering::SeqCst));
                    wait_for_ever();
                });
            }
            set
        };
        drop(new_set(&alive));
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        let set = new_set(&alive);
        set.cancel_all();
        let by = |result: thread::Result<()>| Cancelled::of(&result.unwrap_err()).unwrap().by();
        assert!(set.map(by).all(|by| by == CancelledBy::Handle));
    });
    run_in_order(|| {
        let bell = Bell::new();
        let mut set = TaskSet::new();
        let theirs = bell.clone();
        set.spawn(move || theirs.wait());
        set.detach();
        bell.ring_until_heard();
    });
}

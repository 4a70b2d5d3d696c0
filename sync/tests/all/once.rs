//! What is initialised once.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle::sync::{LazyLock, Once, OnceLock};
use lisle::{sleep, spawn, spawn_local, yield_now};

use crate::ground::{LONG, deadlock_of, everywhere, on_one_worker, short_deadlines, was_cancelled};

#[test]
fn an_initialiser_that_waits_runs_once() {
    everywhere(|ground| {
        let shared = Arc::new((OnceLock::new(), Once::new(), AtomicUsize::new(0)));
        let theirs = shared.clone();
        let values = ground.join_all(6, move |party| {
            let (cell, once, runs) = &*theirs;
            once.call_once(|| {
                yield_now();
                runs.fetch_add(1, Ordering::Relaxed);
            });
            assert!(once.is_completed());
            once.wait();
            let value = *cell.get_or_init(|| {
                sleep(Duration::from_micros(50));
                runs.fetch_add(1, Ordering::Relaxed);
                party
            });
            assert_eq!(cell.get(), Some(&value));
            value
        });
        assert_eq!(shared.2.load(Ordering::Relaxed), 2);
        assert!(values.iter().all(|value| *value == values[0]));
    });
}

/// Each of them is unwound but the last: one after the other has its turn.
#[test]
fn an_initialiser_that_is_unwound_leaves_its_turn_to_the_next() {
    everywhere(|ground| {
        let shared = Arc::new((OnceLock::new(), AtomicUsize::new(0)));
        let theirs = shared.clone();
        let outcomes = ground.join_all(5, move |_| {
            let (cell, runs) = &*theirs;
            let made = catch_unwind(AssertUnwindSafe(|| {
                cell.get_or_init(|| {
                    yield_now();
                    match runs.fetch_add(1, Ordering::Relaxed) {
                        3 => 7,
                        _ => resume_unwind(Box::new("panic")),
                    }
                });
            }));
            made.is_err()
        });
        assert_eq!(outcomes.into_iter().filter(|failed| *failed).count(), 3);
        assert_eq!((shared.0.get(), shared.1.load(Ordering::Relaxed)), (Some(&7), 4));
    });
}

#[test]
fn the_end_of_a_runtime_leaves_it_empty() {
    let cell = Arc::new(OnceLock::new());
    let tasks = on_one_worker(|| {
        let tasks = [(); 3].map(|()| {
            let cell = cell.clone();
            spawn(move || {
                cell.get_or_init(|| {
                    sleep(LONG);
                    1
                });
            })
        });
        yield_now();
        tasks
    });
    assert!(tasks.into_iter().all(was_cancelled));
    assert_eq!(*cell.get_or_init(|| 2), 2);
}

/// An initialiser is cancelled while others wait for it: the first of these has its turn.
#[test]
fn a_cancelled_initialiser_leaves_its_turn_to_the_next() {
    on_one_worker(|| {
        let cell = Rc::new(OnceLock::new());
        let theirs = cell.clone();
        let first = spawn_local(move || {
            theirs.get_or_init(|| {
                sleep(LONG);
                1
            });
        });
        yield_now();
        let heirs = [2, 3].map(|value| {
            let cell = cell.clone();
            let heir = spawn_local(move || *cell.get_or_init(|| value));
            yield_now();
            heir
        });
        let theirs = cell.clone();
        let watcher = spawn_local(move || *theirs.wait());
        yield_now();
        first.cancel();
        assert_eq!(heirs.map(|heir| heir.join().unwrap()), [2, 2]);
        assert_eq!(watcher.join().unwrap(), 2);
        assert!(was_cancelled(first));
    });
}

#[test]
fn those_that_bring_no_initialiser_wait_for_any() {
    everywhere(|ground| {
        let shared = Arc::new((OnceLock::new(), Once::new()));
        for deadline in short_deadlines() {
            assert_eq!(shared.0.wait_until(deadline), None);
            assert!(!shared.1.wait_until(deadline));
        }
        assert_eq!(shared.0.wait_timeout(Duration::ZERO), None);
        assert!(!shared.1.wait_timeout(Duration::ZERO));
        let theirs = shared.clone();
        let setter = ground.spawn(move || {
            let failed = theirs.0.get_or_try_init(|| {
                yield_now();
                Err("not yet")
            });
            assert_eq!(failed, Err("not yet"));
            assert_eq!(theirs.0.set(5), Ok(()));
            theirs.1.call_once(yield_now);
        });
        assert_eq!(shared.0.wait_timeout(Duration::MAX), Some(&5));
        assert_eq!(shared.0.wait(), &5);
        assert!(shared.1.wait_timeout(Duration::MAX));
        setter.join();
    });
}

#[test]
fn an_initialiser_that_wants_its_own_value_panics() {
    for in_runtime in [false, true] {
        let body = || {
            let cell: OnceLock<u8> = OnceLock::new();
            let panic = catch_unwind(AssertUnwindSafe(|| {
                cell.get_or_init(|| *cell.get_or_init(|| 1));
            }));
            let message = panic.unwrap_err().downcast::<String>().unwrap();
            assert!(message.contains("the initialiser of this OnceLock"), "{message}");
            assert!(message.contains(&format!("{}:{}:", file!(), line!() - 4)), "{message}");
            assert_eq!(*cell.get_or_init(|| 2), 2);
            let once = Once::new();
            assert!(
                catch_unwind(AssertUnwindSafe(|| once.call_once(|| once.call_once(|| ()))))
                    .is_err()
            );
            assert!(!once.is_completed());
        };
        if in_runtime { on_one_worker(body) } else { body() }
    }
}

/// Two initialisers, each of which wants the other one's value.
#[test]
fn a_report_of_a_deadlock_shows_a_cycle_of_initialisers() {
    let deadlock = deadlock_of(|| {
        let cells: Rc<[OnceLock<u8>; 2]> = Rc::default();
        let tasks = [0, 1].map(|n| {
            let cells = cells.clone();
            spawn_local(move || {
                *cells[n].get_or_init(|| {
                    yield_now();
                    *cells[1 - n].get_or_init(|| 1)
                })
            })
        });
        tasks.into_iter().for_each(|task| drop(task.join()));
    });
    let text = deadlock.to_string();
    let place = format!("it was begun at {}:{}:", file!(), line!() - 9);
    assert_eq!(text.matches("waiting for the end of an initialiser").count(), 2, "{text}");
    assert_eq!(text.matches(&place).count(), 2, "{text}");
}

#[test]
fn lazy_values_are_made_when_they_are_wanted() {
    static LAZY: LazyLock<String> = LazyLock::new(|| {
        yield_now();
        "made".into()
    });
    everywhere(|ground| {
        ground.join_all(4, |_| assert_eq!(LAZY.len(), 4));
        assert!(LazyLock::get(&LAZY).is_some());
    });
}

/// The initialiser can be called once only, so there is no second attempt.
#[test]
fn a_lazy_value_whose_initialiser_is_unwound_stays_away() {
    let lazy: LazyLock<u8, _> = LazyLock::new(|| resume_unwind(Box::new("first")));
    let first = catch_unwind(AssertUnwindSafe(|| *lazy)).unwrap_err();
    assert_eq!(first.downcast_ref(), Some(&"first"));
    let second = catch_unwind(AssertUnwindSafe(|| *lazy)).unwrap_err();
    let message = second.downcast::<String>().unwrap();
    assert!(message.contains("was unwound before"), "{message}");
}

#[test]
fn values_are_dropped_once() {
    let count = Rc::new(());
    let mut cell = OnceLock::from(count.clone());
    assert_eq!(Rc::strong_count(&count), 2);
    assert!(cell.set(count.clone()).is_err());
    assert_eq!(Rc::strong_count(&count), 2);
    assert!(cell.get_mut().is_some());
    drop(cell.take());
    assert_eq!((Rc::strong_count(&count), cell.get()), (1, None));
    assert!(cell.set(count.clone()).is_ok());
    drop(cell.into_inner());
    drop(OnceLock::from(count.clone()));
    drop(LazyLock::<Rc<()>, _>::new(|| count.clone()));
    assert_eq!(Rc::strong_count(&count), 1);
}

#[test]
fn the_rest_of_the_interface() {
    let cell: OnceLock<u8> = OnceLock::default();
    assert_eq!(format!("{cell:?}"), "OnceLock(<empty>)");
    let full = OnceLock::from(1);
    assert_eq!(format!("{full:?}"), "OnceLock(1)");
    assert!(full == full.clone() && full != cell && cell == cell.clone());
    let mut lazy: LazyLock<u8> = LazyLock::default();
    assert_eq!(format!("{lazy:?}"), "LazyLock(<not made>)");
    assert!(LazyLock::get_mut(&mut lazy).is_none());
    assert_eq!(*LazyLock::force(&lazy), 0);
    assert_eq!(format!("{lazy:?}"), "LazyLock(0)");
    assert_eq!(LazyLock::get_mut(&mut lazy), Some(&mut 0));
    let mut lazy = LazyLock::new(|| 1);
    *LazyLock::force_mut(&mut lazy) += 1;
    assert_eq!(*LazyLock::force_mut(&mut lazy), 2);
}

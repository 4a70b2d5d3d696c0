//! The end of a runtime: tasks that are not finished when main is are given up, properly.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{
    Builder, Cancelled, CancelledBy, Detached, JoinHandle, check_cancelled, spawn, spawn_local,
    yield_now,
};
use support::{Bell, Log, NoteDrop, OnDrop, in_child, run_in_order};

fn assert_cancelled<T>(task: JoinHandle<T>) {
    assert!(task.is_finished());
    let panic = task.join().err().expect("it was given up");
    assert_eq!(Cancelled::of(&panic).unwrap().by(), CancelledBy::Runtime);
}

#[test]
fn every_unfinished_task_is_unwound_or_dropped_on_the_home_thread() {
    let log = Log::<&str>::new();
    let home = thread::current().id();
    let noted = |what| {
        let log = log.clone();
        OnDrop(move || {
            assert_eq!(thread::current().id(), home);
            log.add(what);
        })
    };
    let (ended, [yielding, sleeping, parked, unstarted]) = run_in_order(|| {
        let (ends, yields, sleeps, parks) =
            (noted("ended"), noted("yielding"), noted("sleeping"), noted("parked"));
        let ended = spawn_local(move || drop(ends));
        let parked = spawn_local(move || {
            let _note = parks;
            Bell::new().wait();
            unreachable!("nobody rings");
        });
        let sleeping = spawn_local(move || {
            let _note = sleeps;
            let _ = Bell::new().wait_until(Some(Instant::now() + Duration::from_secs(3600)));
            unreachable!("it is given up");
        });
        let yielding = spawn_local(move || {
            let _note = yields;
            loop {
                yield_now();
            }
        });
        yield_now();
        log.expect(&["ended"]);
        let never = noted("unstarted");
        let unstarted = spawn_local(move || {
            let _note = never;
            unreachable!("it has not started when main ends");
        });
        (ended, [yielding, sleeping, parked, unstarted])
    });
    // Those that stood in the queue keep their places; those that waited come behind them.
    let order = log.take();
    assert_eq!(order[..2], ["yielding", "unstarted"]);
    assert_eq!(order.len(), 4);
    assert!(order.contains(&"sleeping") && order.contains(&"parked"));
    ended.join().unwrap();
    [yielding, sleeping, parked, unstarted].into_iter().for_each(assert_cancelled);
}

#[test]
fn locals_are_dropped_in_the_order_of_unwinding() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let (outer, inner) = (NoteDrop(log.clone(), "outer"), NoteDrop(log.clone(), "inner"));
        let captured = NoteDrop(log.clone(), "captured");
        drop(spawn(move || {
            let _captured = captured;
            let _outer = outer;
            let waits = || {
                let _inner = inner;
                Bell::new().wait();
            };
            waits();
        }));
        yield_now();
    });
    log.expect(&["inner", "outer", "captured"]);
}

#[test]
fn the_same_happens_when_main_panics() {
    let log = Log::<&str>::new();
    let theirs = log.clone();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        run_in_order(|| {
            let (parked, unstarted, main) = (
                NoteDrop(theirs.clone(), "parked"),
                NoteDrop(theirs.clone(), "unstarted"),
                NoteDrop(theirs.clone(), "main"),
            );
            drop(spawn(move || {
                let _note = parked;
                Bell::new().wait();
            }));
            yield_now();
            drop(spawn(move || drop(unstarted)));
            let _main = main;
            panic_any("main fails");
        })
    }));
    assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"main fails"));
    log.expect(&["main", "unstarted", "parked"]);
    assert!(!thread::panicking());
}

#[test]
fn ten_thousand_tasks_are_given_up() {
    let log = Log::<usize>::new();
    run_in_order(|| {
        for n in 0..10_000 {
            let note = NoteDrop(log.clone(), n);
            drop(spawn(move || {
                let _note = note;
                match n % 3 {
                    0 => Bell::new().wait(),
                    1 => loop {
                        yield_now();
                    },
                    _ => assert!(spawn(|| Bell::new().wait()).join().is_err()),
                }
            }));
        }
        yield_now();
    });
    let mut dropped = log.take();
    dropped.sort_unstable();
    assert!(dropped.into_iter().eq(0..10_000));
}

/// What happens to a waiting thread and to tasks that join one that is given up.
#[test]
fn joiners_of_given_up_tasks_are_told() {
    let log = Log::<&str>::new();
    let joiner = run_in_order(|| {
        let waits = spawn(|| Bell::new().wait());
        let note = NoteDrop(log.clone(), "joiner");
        drop(spawn(move || {
            let _note = note;
            let _ = waits.join();
            unreachable!("it is given up itself");
        }));
        let other = spawn(|| Bell::new().wait());
        let joiner = thread::spawn(move || other.join());
        yield_now();
        joiner
    });
    log.expect(&["joiner"]);
    let panic = joiner.join().unwrap().unwrap_err();
    let cancelled = Cancelled::of(&panic).unwrap();
    assert_eq!(cancelled.to_string(), "the task was cancelled because its runtime has ended");
}

/// A task that catches its unwinding is told again at its next wait, and may end as it likes.
#[test]
fn a_task_that_catches_the_unwinding_is_unwound_again() {
    let log = Log::<&str>::new();
    let task = run_in_order(|| {
        let log = log.clone();
        let task = spawn(move || {
            let caught = |wait: &dyn Fn()| {
                let panic = catch_unwind(AssertUnwindSafe(wait)).unwrap_err();
                assert!(panic.is::<Cancelled>());
                log.add("caught");
            };
            caught(&|| Bell::new().wait());
            caught(&yield_now);
            caught(&|| Bell::new().wait());
            caught(&|| drop(spawn(|| ()).join()));
            caught(&|| assert_eq!(Bell::new().wait_until(Some(Instant::now())), Wake::Unparked));
            caught(&check_cancelled);
            17
        });
        yield_now();
        task
    });
    log.expect(&["caught"; 6]);
    assert_eq!(task.join().unwrap(), 17);
}

/// Nothing is printed about tasks that are given up.
#[test]
fn giving_up_is_silent() {
    let ended = in_child("giving_up_is_silent", &[], || {
        run_in_order(|| {
            let _parked = spawn(|| Bell::new().wait());
            yield_now();
            let _unstarted = spawn(|| ());
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

/// What a destructor may try while its task is unwound because the runtime ends.
fn busy_destructor(log: Log<&'static str>) -> impl Drop {
    OnDrop(move || {
        assert!(thread::panicking());
        yield_now();
        log.add("yielded");
        assert_eq!(Bell::new().wait_until(None), Wake::Failed);
        Bell::new().wait();
        log.add("parked");
        let child = NoteDrop(log.clone(), "child dropped");
        let child = spawn(move || drop(child));
        assert!(child.join().unwrap_err().is::<Detached>());
        log.add("joined");
        let child = NoteDrop(log.clone(), "orphan dropped");
        drop(spawn(move || drop(child)));
        let refused = Builder::new().stack_size(usize::MAX).spawn(|| ());
        assert!(refused.is_err());
    })
}

#[test]
fn destructors_may_yield_park_spawn_and_join_while_the_runtime_ends() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let theirs = log.clone();
        drop(spawn(move || {
            let _busy = busy_destructor(theirs);
            Bell::new().wait();
        }));
        yield_now();
    });
    log.expect(&["yielded", "parked", "joined", "child dropped", "orphan dropped"]);
}

/// In a panic of its own a destructor's waits are waits.
#[test]
fn destructors_may_yield_park_spawn_and_join_during_a_panic() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let (log, bell) = (log.clone(), Bell::new());
        let theirs = bell.clone();
        let task = spawn(move || {
            let _busy = OnDrop(move || {
                assert!(thread::panicking());
                yield_now();
                log.add("yielded");
                theirs.wait();
                log.add("woken");
                assert_eq!(spawn(|| 3).join().unwrap(), 3);
                log.add("joined");
                assert!(thread::panicking());
            });
            panic_any("first");
        });
        bell.ring_until_heard();
        assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"first"));
        assert!(!thread::panicking());
    });
    log.expect(&["yielded", "woken", "joined"]);
}

/// The runtime ends while a destructor waits that a panic runs: the wait is cut short.
#[test]
fn a_destructor_that_waits_in_a_panic_is_given_up_with_its_task() {
    let log = Log::<&str>::new();
    let task = run_in_order(|| {
        let log = log.clone();
        let task = spawn(move || {
            let _waits = OnDrop(move || {
                log.add("waits");
                assert_eq!(Bell::new().wait_until(None), Wake::Failed);
                Bell::new().wait();
                log.add("goes on");
            });
            panic_any("its own panic");
        });
        yield_now();
        task
    });
    log.expect(&["waits", "goes on"]);
    assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"its own panic"));
}

/// Destructors that panic while the task is unwound from ordinary code, one after the other: each
/// of these unwinds from a block that has ended in the ordinary way.
#[test]
fn a_panic_in_a_destructor_of_a_given_up_task_becomes_its_result() {
    let log = Log::<&str>::new();
    let task = run_in_order(|| {
        let (first, second) = (log.clone(), log.clone());
        let task = spawn(move || {
            let _last = NoteDrop(second, "last");
            let caught = catch_unwind(|| Bell::new().wait());
            assert!(caught.unwrap_err().is::<Cancelled>());
            drop(OnDrop(move || {
                first.add("panics");
                panic_any("from a destructor");
            }));
        });
        yield_now();
        task
    });
    log.expect(&["panics", "last"]);
    assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"from a destructor"));
}

/// A wake that is under way when the runtime ends is waited for: its unparker outlives no wait.
#[test]
fn the_end_waits_for_an_unparker_in_other_hands() {
    for _ in 0..200 {
        let held = Arc::new(Mutex::new(None::<Unparker>));
        let log = Log::<Wake>::new();
        let waker = run_in_order(|| {
            let (slot, back, log) = (held.clone(), held.clone(), log.clone());
            drop(spawn(move || {
                log.add(park(
                    Reason::new("being tested"),
                    None,
                    |unparker| *slot.lock().unwrap() = Some(unparker),
                    || back.lock().unwrap().take(),
                ));
            }));
            yield_now();
            let taken = held.lock().unwrap().take().unwrap();
            thread::spawn(move || taken.unpark())
        });
        log.expect(&[Wake::Unparked]);
        waker.join().unwrap();
    }
}

/// Tasks are given up while threads ring for them: the parties agree on what happened.
#[test]
fn the_end_races_wakes() {
    for round in 0..200 {
        let bells: Vec<_> = (0..50).map(|_| Bell::new()).collect();
        let log = Log::<Wake>::new();
        let ringer = run_in_order(|| {
            for bell in &bells {
                let (bell, log) = (bell.clone(), log.clone());
                drop(spawn(move || log.add(bell.wait_until(None))));
            }
            yield_now();
            let ringer = thread::spawn({
                let bells = bells.clone();
                move || bells.iter().filter(|bell| bell.ring()).count()
            });
            for _ in 0..round % 10 {
                yield_now();
            }
            ringer
        });
        let woken = log.take();
        assert!(woken.iter().all(|wake| *wake == Wake::Unparked), "the others have unwound");
        assert_eq!(ringer.join().unwrap(), woken.len());
    }
}

#[test]
fn what_tasks_share_is_released() {
    let shared = Rc::new(());
    run_in_order(|| {
        for n in 0..100 {
            let shared = shared.clone();
            drop(spawn_local(move || {
                let _shared = shared;
                if n % 2 == 0 {
                    Bell::new().wait();
                }
            }));
            if n == 50 {
                yield_now();
            }
        }
    });
    assert_eq!(Rc::strong_count(&shared), 1);
}

//! One party waits in a `WaitCell`, another notifies it: before the wait, during it, after it was
//! given up, and from tasks and threads at once. And waits that nobody can end: `park_until`.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::{Event, WaitCell, park_until};
use lisle_scheduler::park::{Reason, Wake, in_task};
use lisle_scheduler::{Cancelled, spawn, spawn_local, yield_now};
use support::{run_in_order, run_on};

const REASON: Reason = Reason::new("waiting for an event");
const FIRST: Event = Event::new(0);
const LAST: Event = Event::new(253);
const MOMENT: Duration = Duration::from_millis(2);

/// Cells, each with what its notifier writes before the event.
type Cells = Arc<[(WaitCell, AtomicUsize)]>;

/// Waits at a cell at which the caller is the only party that waits.
fn wait(cell: &WaitCell, deadline: Option<Instant>) -> Wake {
    // SAFETY: no test lets two parties wait at one cell.
    unsafe { cell.wait(REASON, deadline) }
}

/// Runs `body` on a plain thread and in a task.
fn on_both(body: impl Fn()) {
    body();
    run_in_order(&body);
}

#[test]
fn an_event_before_the_wait_ends_it_at_once() {
    on_both(|| {
        let cell = WaitCell::new();
        assert_eq!(cell.event(), None);
        assert_eq!(cell.notify(LAST), None);
        assert_eq!(cell.event(), Some(LAST));
        // It stays.
        assert_eq!(wait(&cell, None), Wake::Unparked);
        assert_eq!(wait(&cell, Some(Instant::now())), Wake::Unparked);
        assert_eq!(cell.event(), Some(LAST));
    });
}

#[test]
fn an_event_ends_the_wait_of_a_parked_task() {
    run_in_order(|| {
        let cell = Arc::new(WaitCell::new());
        let waiter = spawn_local({
            let cell = cell.clone();
            move || wait(&cell, None)
        });
        yield_now();
        assert!(!waiter.is_finished());
        assert_eq!(cell.event(), None);
        assert_eq!(cell.notify(FIRST), None);
        yield_now();
        assert!(waiter.is_finished());
        assert_eq!(waiter.join().unwrap(), Wake::Unparked);
        assert_eq!(cell.event(), Some(FIRST));
    });
}

#[test]
fn a_wait_that_timed_out_can_be_repeated() {
    on_both(|| {
        let cell = WaitCell::new();
        for _ in 0..3 {
            assert_eq!(wait(&cell, Some(Instant::now())), Wake::TimedOut);
            assert_eq!(wait(&cell, Some(Instant::now() + MOMENT)), Wake::TimedOut);
        }
        // Nobody waits any more: there is nothing that it could wake.
        assert_eq!(cell.notify(FIRST), None);
        assert_eq!(wait(&cell, Some(Instant::now())), Wake::Unparked);
    });
}

#[test]
fn the_last_event_stays_and_each_notifier_hears_of_the_one_before() {
    let cell = WaitCell::default();
    assert_eq!(cell.notify(FIRST), None);
    assert_eq!(cell.notify(LAST), Some(FIRST));
    assert_eq!(cell.try_set(FIRST), Err(LAST));
    assert_eq!(cell.event(), Some(LAST));
}

#[test]
fn an_event_of_the_waiting_side_is_set_only_if_it_is_the_first() {
    let cell = WaitCell::new();
    assert_eq!(wait(&cell, Some(Instant::now())), Wake::TimedOut);
    assert_eq!(cell.try_set(FIRST), Ok(()));
    assert_eq!(cell.try_set(LAST), Err(FIRST));
    assert_eq!(cell.notify(LAST), Some(FIRST));
}

#[test]
fn a_cancelled_wait_leaves_the_cell_empty() {
    let cell = Arc::new(WaitCell::new());
    let waiter = run_in_order(|| {
        let cell = cell.clone();
        let waiter = spawn_local(move || wait(&cell, None));
        yield_now();
        waiter
    });
    assert!(waiter.join().unwrap_err().is::<Cancelled>());
    assert_eq!(cell.try_set(FIRST), Ok(()));
}

#[test]
fn a_cancelled_task_finds_an_event_that_has_come_and_begins_no_other_wait() {
    let task = run_in_order(|| {
        let task = spawn_local(|| {
            let cell = WaitCell::new();
            assert!(catch_unwind(AssertUnwindSafe(|| wait(&cell, None))).is_err());
            let another = WaitCell::new();
            another.notify(FIRST);
            assert_eq!(wait(&another, None), Wake::Unparked);
            wait(&cell, None)
        });
        yield_now();
        task
    });
    assert!(task.join().unwrap_err().is::<Cancelled>());
}

#[test]
#[should_panic(expected = "too large")]
fn a_code_that_does_not_fit_is_refused() {
    let _ = Event::new(254);
}

/// The first side of many pairs waits, with and without patience, and the second one notifies it.
/// What was written before an event is seen after it.
#[test]
fn tasks_and_threads_notify_each_other() {
    const PAIRS: usize = 300;
    for workers in [1, 2, 4] {
        let pairs: Cells = (0..PAIRS).map(|_| (WaitCell::new(), AtomicUsize::new(0))).collect();
        let waiter = |pairs: Cells, first: usize| {
            for (n, (cell, written)) in pairs.iter().enumerate().skip(first).step_by(2) {
                while n % 3 == 0 && wait(cell, Some(Instant::now())) != Wake::Unparked {}
                assert_eq!(wait(cell, None), Wake::Unparked);
                assert_eq!(cell.event(), Some(FIRST));
                assert_eq!(written.load(Relaxed), n + 1);
            }
        };
        let notifier = |pairs: Cells, first: usize| {
            for (n, (cell, written)) in pairs.iter().enumerate().skip(first).step_by(2) {
                written.store(n + 1, Relaxed);
                assert_eq!(cell.notify(FIRST), None);
                if in_task() && n % 5 == 0 {
                    yield_now();
                }
            }
        };
        // Of the pairs with even numbers, a task waits and a thread notifies; of the others, a
        // thread waits and a task notifies.
        let (even, odd) = (pairs.clone(), pairs.clone());
        let threads =
            [thread::spawn(move || notifier(even, 0)), thread::spawn(move || waiter(odd, 1))];
        run_on(workers, || {
            let (even, odd) = (pairs.clone(), pairs.clone());
            let tasks = [spawn(move || waiter(even, 0)), spawn(move || notifier(odd, 1))];
            tasks.into_iter().for_each(|task| task.join().unwrap());
        })
        .unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

/// Two tasks of a runtime, on one worker or on two.
#[test]
fn tasks_notify_each_other_in_turn() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            let rounds: Arc<[_]> = (0..200).map(|_| [WaitCell::new(), WaitCell::new()]).collect();
            let there = spawn({
                let rounds = rounds.clone();
                move || {
                    for [to, fro] in rounds.iter() {
                        assert_eq!(to.notify(FIRST), None);
                        assert_eq!(wait(fro, None), Wake::Unparked);
                    }
                }
            });
            let back = spawn(move || {
                for [to, fro] in rounds.iter() {
                    assert_eq!(wait(to, None), Wake::Unparked);
                    assert_eq!(fro.notify(LAST), None);
                }
            });
            there.join().unwrap();
            back.join().unwrap();
        })
        .unwrap();
    }
}

#[test]
fn nothing_but_its_deadline_ends_a_wait_without_a_notifier() {
    on_both(|| {
        let deadline = Instant::now() + MOMENT;
        assert_eq!(park_until(REASON, Some(deadline)), Wake::TimedOut);
        assert!(Instant::now() >= deadline);
    });
    let task = run_in_order(|| {
        let task = spawn_local(|| park_until(REASON, None));
        yield_now();
        task
    });
    assert!(task.join().unwrap_err().is::<Cancelled>());
}

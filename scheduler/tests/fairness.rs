//! Tasks that are always ready keep none waiting. Each test states its bound, in switches.
//!
//! What is measured is counted, not timed: the tasks that are always ready count their own turns,
//! and whatever comes from outside is complete before the counting begins, since the thread that
//! begins it blocks the worker until then.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::Wake;
use lisle_scheduler::{JoinHandle, sleep, sleep_until, spawn, spawn_local, yield_now};
use support::{Bell, block_until, on_each_worker, run_in_order, run_on};

/// Switches between two looks at the inbox and at the clock.
const POLL_INTERVAL: usize = 64;

/// Tasks on the calling worker that are always ready, and what they count.
struct Crowd {
    turns: Rc<Cell<usize>>,
    over: Rc<Cell<bool>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// `size` tasks, each of which counts its turns until the crowd leaves.
    fn gather(size: usize) -> Self {
        let (turns, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let tasks = (0..size)
            .map(|_| {
                let (turns, over) = (turns.clone(), over.clone());
                spawn_local(move || {
                    while !over.get() {
                        turns.set(turns.get() + 1);
                        yield_now();
                    }
                })
            })
            .collect();
        Self { turns, over, tasks }
    }

    /// Turns that the crowd has had.
    fn turns(&self) -> usize {
        self.turns.get()
    }

    fn leave(self) {
        self.over.set(true);
        self.tasks.into_iter().for_each(|task| task.join().unwrap());
    }
}

/// Bound: of N tasks that are always ready each has one turn in every N switches, exactly.
#[test]
fn each_of_n_ready_tasks_has_a_turn_in_n_switches() {
    for size in [1, 2, 3, 10, 100, 1000] {
        run_in_order(|| {
            let turns = Rc::new(RefCell::new(Vec::new()));
            let tasks: Vec<_> = (0..size)
                .map(|n| {
                    let turns = turns.clone();
                    spawn_local(move || {
                        for _ in 0..20 {
                            turns.borrow_mut().push(n);
                            yield_now();
                        }
                    })
                })
                .collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
            for round in turns.borrow().chunks(size) {
                assert!(round.iter().copied().eq(0..size), "{round:?}");
            }
        });
    }
}

/// Bound: as above on each of several workers, whatever the others do.
#[test]
fn each_worker_is_fair_to_its_own() {
    run_on(4, || {
        let workers = on_each_worker(4, |_| {
            let crowd = Crowd::gather(10);
            yield_now();
            for round in 1..200 {
                assert_eq!(crowd.turns(), 10 * round, "this task's turn is in between");
                yield_now();
            }
            crowd.leave();
        });
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    })
    .unwrap();
}

/// How many turns a crowd had between `wake`, which blocks the worker until it is done, and the end
/// of the wait at a bell.
fn held_up_by(size: usize, wake: impl FnOnce(Bell)) -> usize {
    let (bell, crowd) = (Bell::new(), Crowd::gather(size));
    let theirs = bell.clone();
    let turns = crowd.turns.clone();
    let waiter = spawn_local(move || {
        theirs.wait();
        turns.get()
    });
    // In any phase of the worker's count.
    (0..size % 7 + 1).for_each(|_| yield_now());
    let before = crowd.turns();
    wake(bell);
    while !waiter.is_finished() {
        yield_now();
    }
    let after = waiter.join().unwrap();
    crowd.leave();
    after - before
}

/// Bound: after a wake-up from a plain thread a task runs within 64 + N + 1 switches, if N others
/// are always ready: the worker looks into its inbox every 64, and the queue is first-in first-out.
#[test]
fn a_wake_from_a_thread_is_not_held_up_by_yielding_tasks() {
    for size in [1, 2, 5, 63, 64, 65, 200] {
        run_in_order(|| {
            for _ in 0..20 {
                let turns = held_up_by(size, |bell| {
                    thread::spawn(move || assert!(bell.ring())).join().unwrap();
                });
                assert!(turns <= POLL_INTERVAL + size + 1, "{turns} of {size}");
            }
        });
    }
}

/// Bound: the same for a wake-up from another worker.
#[test]
fn a_wake_from_another_worker_is_not_held_up_by_yielding_tasks() {
    for size in [1, 10, 100] {
        run_on(2, || {
            let (asked, rung) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let (question, answer) = (asked.clone(), rung.clone());
            let bells = Arc::new((0..20).map(|_| Bell::new()).collect::<Vec<_>>());
            let theirs = bells.clone();
            let parties = on_each_worker(2, move |n| {
                for round in 1..=20 {
                    if n == 0 {
                        block_until(|| question.load(Ordering::Acquire) == round);
                        assert!(theirs[round - 1].ring());
                        answer.store(round, Ordering::Release);
                        continue;
                    }
                    let bell = theirs[round - 1].clone();
                    let turns = held_up_by(size, |own| {
                        // The bell goes to the other worker, under a name that it knows.
                        bell.put(own.take().expect("somebody waits"));
                        asked.store(round, Ordering::Release);
                        block_until(|| rung.load(Ordering::Acquire) == round);
                    });
                    assert!(turns <= POLL_INTERVAL + size + 1, "{turns} of {size}");
                }
            });
            parties.into_iter().for_each(|party| party.join().unwrap());
        })
        .unwrap();
    }
}

/// Bound: the same for a deadline, counted from the moment at which it has passed.
#[test]
fn a_deadline_is_not_held_up_by_yielding_tasks() {
    for size in [1, 10, 64, 100] {
        run_in_order(|| {
            for _ in 0..10 {
                let crowd = Crowd::gather(size);
                let turns = crowd.turns.clone();
                let deadline = Instant::now() + Duration::from_millis(2);
                let waiter = spawn_local(move || {
                    assert_eq!(Bell::new().wait_until(Some(deadline)), Wake::TimedOut);
                    turns.get()
                });
                yield_now();
                block_until(|| Instant::now() >= deadline);
                let before = crowd.turns();
                while !waiter.is_finished() {
                    yield_now();
                }
                let turns = waiter.join().unwrap() - before;
                assert!(turns <= POLL_INTERVAL + size + 1, "{turns} of {size}");
                crowd.leave();
            }
        });
    }
}

/// Bound: a new task begins within N + 1 switches, if N others are always ready.
#[test]
fn a_new_task_is_not_held_up_by_yielding_tasks() {
    for size in [1, 10, 300] {
        run_in_order(|| {
            let crowd = Crowd::gather(size);
            yield_now();
            for _ in 0..50 {
                let before = crowd.turns();
                let new = spawn(|| ());
                yield_now();
                assert!(new.is_finished());
                assert_eq!(crowd.turns() - before, size);
            }
            crowd.leave();
        });
    }
}

/// Bound: tasks that have started wait for no more new ones than there were when they yielded. Here
/// each new task spawns its successor, and at any time there are ten.
#[test]
fn started_tasks_are_not_held_up_by_new_ones() {
    fn chain(begun: Rc<Cell<usize>>, over: Rc<Cell<bool>>) {
        begun.set(begun.get() + 1);
        if !over.get() {
            drop(spawn_local(move || chain(begun, over)));
        }
    }
    run_in_order(|| {
        let (begun, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        for _ in 0..10 {
            let (begun, over) = (begun.clone(), over.clone());
            drop(spawn_local(move || chain(begun, over)));
        }
        for turn in 1..500 {
            yield_now();
            assert_eq!(begun.get(), 10 * turn);
        }
        over.set(true);
        yield_now();
    });
}

/// The same with tasks that others may steal: those that are not stolen keep their places.
#[test]
fn started_tasks_are_not_held_up_by_new_ones_that_may_be_stolen() {
    static OVER: AtomicBool = AtomicBool::new(false);
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    fn chain(home: thread::ThreadId) {
        if thread::current().id() == home {
            BEGUN.fetch_add(1, Ordering::Relaxed);
        }
        if !OVER.load(Ordering::Relaxed) {
            drop(spawn(move || chain(home)));
        }
    }
    for workers in [1, 2, 4] {
        OVER.store(false, Ordering::Relaxed);
        BEGUN.store(0, Ordering::Relaxed);
        run_on(workers, || {
            let home = thread::current().id();
            (0..10).for_each(|_| drop(spawn(move || chain(home))));
            for turn in 1..2_000 {
                yield_now();
                // A thief keeps the successors of what it has taken.
                assert!(BEGUN.load(Ordering::Relaxed) <= 10 * turn);
            }
            OVER.store(true, Ordering::Relaxed);
            yield_now();
        })
        .unwrap();
    }
}

/// Bound: a worker whose tasks yield for ever comes to every new task, stolen ones apart, within as
/// many switches as tasks are ready; so a burst that nobody helps with begins within one round.
#[test]
fn a_burst_begins_within_one_round() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            let crowd = Crowd::gather(20);
            yield_now();
            let begun = Arc::new(AtomicUsize::new(0));
            let burst: Vec<_> = (0..1_000)
                .map(|_| {
                    let begun = begun.clone();
                    spawn(move || {
                        begun.fetch_add(1, Ordering::Relaxed);
                    })
                })
                .collect();
            let before = crowd.turns();
            yield_now();
            assert_eq!(crowd.turns() - before, 20, "one round");
            // What thieves have taken begins there.
            burst.into_iter().for_each(|task| task.join().unwrap());
            assert_eq!(begun.load(Ordering::Relaxed), 1_000);
            crowd.leave();
        })
        .unwrap();
    }
}

/// Bound: a task whose waits are always over before they begin has 64 of them in a turn, and what
/// it waits for comes all the same.
#[test]
fn waits_without_time_let_others_run() {
    run_in_order(|| {
        let crowd = Crowd::gather(1);
        yield_now();
        let (before, past) = (crowd.turns(), Instant::now());
        (0..640).for_each(|_| sleep_until(past));
        assert_eq!(crowd.turns() - before, 10);
        crowd.leave();

        let done = Rc::new(Cell::new(false));
        let theirs = done.clone();
        let other = spawn_local(move || theirs.set(true));
        while !done.get() {
            sleep(Duration::from_nanos(1));
        }
        other.join().unwrap();

        // A task that has a turn at such a moment may use the unparker, which then counts.
        let bell = Bell::new();
        let theirs = bell.clone();
        let ringer = spawn_local(move || {
            while !theirs.ring() {
                yield_now();
            }
        });
        let wakes = (0..640).filter(|_| bell.wait_until(Some(past)) == Wake::Unparked);
        assert_eq!(wakes.count(), 1);
        ringer.join().unwrap();
    });
}

/// What only looks never lets others run.
#[test]
fn looking_whether_a_task_has_finished_does_not_switch() {
    run_in_order(|| {
        let task = spawn(|| ());
        (0..10_000).for_each(|_| assert!(!task.is_finished()));
        task.join().unwrap();
    });
}

//! Faults that an explorer must find, and programs in which it must find none.
#![cfg(not(lisle_loom))]

mod faults;
mod points;
#[path = "../support/mod.rs"]
mod support;
mod twins;
mod variables;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use lisle::channel::{TryRecvError, bounded, select, unbounded};
use lisle::explore::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use lisle::explore::{Cause, Explorer, Failure, Fault, Strategy, explore, point};
use lisle::sync::{Condvar, Mutex, RwLock};
use lisle::{scope, sleep, spawn, yield_now};

const STRATEGIES: [Strategy; 4] = [
    Strategy::Mixed,
    Strategy::Random,
    Strategy::Pct { depth: 3 },
    Strategy::Exhaustive { preemptions: 2 },
];

/// What each strategy finds.
#[track_caller]
fn failures(program: impl Fn() + Sync) -> Vec<Failure> {
    let found = STRATEGIES.map(|strategy| {
        let explorer = Explorer::new().strategy(strategy).iterations(20_000);
        let failure = explorer.check(&program).expect_err("there is a fault");
        assert!(failure.is_repeatable(), "{failure}");
        println!(
            "{strategy:?}: {} executions, {} switches",
            failure.executions(),
            failure.switches()
        );
        failure
    });
    println!("{}", found[0]);
    found.into()
}

#[track_caller]
fn panics(program: impl Fn() + Sync) {
    for failure in failures(program) {
        assert!(matches!(failure.cause(), Cause::Panic(_)), "{failure}");
    }
}

#[track_caller]
fn deadlocks(program: impl Fn() + Sync) {
    for failure in failures(program) {
        assert!(matches!(failure.cause(), Cause::Deadlock(_)), "{failure}");
    }
}

#[track_caller]
fn holds(program: impl Fn() + Sync) {
    for strategy in STRATEGIES {
        Explorer::new().strategy(strategy).iterations(2_000).run(&program);
    }
}

#[test]
fn a_torn_increment() {
    panics(|| {
        let count = AtomicUsize::new(0);
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| count.store(count.load(SeqCst) + 1, SeqCst));
            }
        });
        assert_eq!(count.load(SeqCst), 2);
    });
    holds(|| {
        let count = AtomicUsize::new(0);
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| count.fetch_add(1, SeqCst));
            }
        });
        assert_eq!(count.load(SeqCst), 2);
    });
}

/// A condition variable that looks at its condition before it says that it waits.
#[test]
fn a_lost_wake_up() {
    deadlocks(|| {
        let ready = AtomicBool::new(false);
        let (wake, woken) = bounded::<()>(1);
        let waits = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                if !ready.load(SeqCst) {
                    waits.store(true, SeqCst);
                    woken.recv().unwrap();
                }
            });
            scope.spawn(|| {
                ready.store(true, SeqCst);
                if waits.load(SeqCst) {
                    wake.send(()).unwrap();
                }
            });
        });
    });
}

/// A stack whose nodes are used again, so that an old head looks like the present one.
#[test]
fn aba_in_a_stack() {
    const NONE: usize = usize::MAX;
    struct Stack {
        head: AtomicUsize,
        next: [AtomicUsize; 3],
    }
    impl Stack {
        fn push(&self, node: usize) {
            loop {
                let head = self.head.load(SeqCst);
                self.next[node].store(head, SeqCst);
                if self.head.compare_exchange(head, node, SeqCst, SeqCst).is_ok() {
                    return;
                }
            }
        }
        fn pop(&self) -> Option<usize> {
            loop {
                let head = self.head.load(SeqCst);
                if head == NONE {
                    return None;
                }
                let next = self.next[head].load(SeqCst);
                if self.head.compare_exchange(head, next, SeqCst, SeqCst).is_ok() {
                    return Some(head);
                }
            }
        }
    }
    panics(|| {
        let stack = Stack {
            head: AtomicUsize::new(NONE),
            next: std::array::from_fn(|_| AtomicUsize::new(NONE)),
        };
        (0..3).for_each(|node| stack.push(node));
        let (first, others) = scope(|scope| {
            let first = scope.spawn(|| stack.pop());
            let others = scope.spawn(|| {
                let taken = stack.pop();
                let kept = stack.pop();
                taken.into_iter().for_each(|node| stack.push(node));
                kept
            });
            (first.join().unwrap(), others.join().unwrap())
        });
        let mut all: Vec<_> = [first, others].into_iter().flatten().collect();
        while let Some(node) = stack.pop() {
            all.push(node);
            assert!(all.len() <= 3, "a node came twice: {all:?}");
        }
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    });
}

#[test]
fn dining_philosophers() {
    fn dine(left_first: impl Fn(usize) -> bool + Sync) -> impl Fn() + Sync {
        move || {
            let forks: Vec<_> = (0..3).map(|_| Mutex::new(())).collect();
            scope(|scope| {
                for n in 0..3 {
                    let (forks, left_first) = (&forks, &left_first);
                    scope.spawn(move || {
                        let (left, right) = (&forks[n], &forks[(n + 1) % 3]);
                        let (one, other) =
                            if left_first(n) { (left, right) } else { (right, left) };
                        let _one = one.lock();
                        let _other = other.lock();
                    });
                }
            });
        }
    }
    deadlocks(dine(|_| true));
    holds(dine(|n| n != 0));
}

/// The flag is set before the value is there.
#[test]
fn a_double_checked_cache() {
    panics(|| {
        let is_there = AtomicBool::new(false);
        let lock = Mutex::new(());
        let value = AtomicUsize::new(0);
        let get = || {
            if !is_there.load(SeqCst) {
                let _locked = lock.lock();
                if !is_there.load(SeqCst) {
                    is_there.store(true, SeqCst);
                    value.store(7, SeqCst);
                }
            }
            value.load(SeqCst)
        };
        scope(|scope| {
            let handles = [scope.spawn(get), scope.spawn(get)];
            handles.into_iter().for_each(|handle| assert_eq!(handle.join().unwrap(), 7));
        });
    });
}

/// A lock is taken to be free because it is held for moments alone.
#[test]
fn a_try_lock_that_must_succeed() {
    panics(|| {
        let lock = Mutex::new(0);
        scope(|scope| {
            scope.spawn(|| *lock.lock() += 1);
            scope.spawn(|| *lock.try_lock().expect("it is free") += 1);
        });
    });
    panics(|| {
        let lock = RwLock::new(0);
        scope(|scope| {
            scope.spawn(|| *lock.read());
            scope.spawn(|| *lock.try_write().expect("it is free") += 1);
        });
    });
    panics(|| {
        let lock = Mutex::new(0);
        scope(|scope| {
            scope.spawn(|| *lock.lock() += 1);
            scope.spawn(|| assert!(!lock.is_locked()));
        });
    });
    let faults = Explorer::new().faults([Fault::EarlyTimeout]);
    let failure = faults.check(|| {
        let lock = Mutex::new(0);
        scope(|scope| {
            scope.spawn(|| *lock.lock() += 1);
            scope.spawn(|| *lock.lock_timeout(Duration::from_secs(1)).unwrap() += 1);
        });
    });
    let failure = failure.unwrap_err();
    assert!(failure.to_string().contains("goes on to the first time-out"), "{failure}");
}

/// One that closes looks whether the queue is empty, and one that sends whether it is open.
#[test]
fn a_race_between_close_and_send() {
    panics(|| {
        let is_closed = AtomicBool::new(false);
        let (tx, rx) = unbounded();
        let sent = scope(|scope| {
            let sender = scope.spawn(|| {
                let open = !is_closed.load(SeqCst);
                if open {
                    tx.send(1).unwrap();
                }
                open
            });
            scope.spawn(|| {
                while rx.try_recv().is_ok() {}
                is_closed.store(true, SeqCst);
            });
            sender.join().unwrap()
        });
        let left = rx.try_recv();
        assert!(!sent || is_closed.load(SeqCst) && left == Err(TryRecvError::Empty), "lost");
    });
}

/// A barrier that lets go when all but one are there.
#[test]
fn a_barrier_that_is_off_by_one() {
    panics(|| {
        let arrived = AtomicUsize::new(0);
        let (go, gone) = unbounded();
        let wait = || {
            if arrived.fetch_add(1, SeqCst) + 1 >= 2 {
                (0..3).for_each(|_| go.send(()).unwrap());
            }
            gone.recv().unwrap();
            assert_eq!(arrived.load(SeqCst), 3);
        };
        scope(|scope| {
            let handles = [scope.spawn(wait), scope.spawn(wait), scope.spawn(wait)];
            handles.into_iter().for_each(|handle| handle.join().unwrap());
        });
    });
}

/// Senders and receivers wait at one condition, and the wrong one is woken.
#[test]
fn a_bounded_buffer_with_one_condition() {
    struct Buffer {
        items: Mutex<VecDeque<u32>>,
        changed: Condvar,
        is_right: bool,
    }
    impl Buffer {
        fn notify(&self) {
            if self.is_right {
                self.changed.notify_all()
            } else {
                self.changed.notify_one()
            };
        }
        fn put(&self, item: u32) {
            let mut items = self.items.lock();
            while items.len() == 1 {
                self.changed.wait(&mut items);
            }
            items.push_back(item);
            drop(items);
            self.notify();
        }
        fn take(&self) -> u32 {
            let mut items = self.items.lock();
            while items.is_empty() {
                self.changed.wait(&mut items);
            }
            let item = items.pop_front().unwrap();
            drop(items);
            self.notify();
            item
        }
    }
    fn exchange(is_right: bool) {
        let items = Mutex::new(VecDeque::new());
        let buffer = Buffer { items, changed: Condvar::new(), is_right };
        scope(|scope| {
            for n in 0..2 {
                let buffer = &buffer;
                scope.spawn(move || (0..2).for_each(|m| buffer.put(n * 2 + m)));
                scope.spawn(|| (0..2).for_each(|_| _ = buffer.take()));
            }
        });
    }
    deadlocks(|| exchange(false));
    Explorer::new().iterations(300).run(|| exchange(true));
}

/// The sum is read under one lock and written under another.
#[test]
fn a_torn_update_over_two_locks() {
    panics(|| {
        let (from, to) = (Mutex::new(10), Mutex::new(0));
        scope(|scope| {
            scope.spawn(|| {
                *from.lock() -= 5;
                *to.lock() += 5;
            });
            let sum = scope.spawn(|| *from.lock() + *to.lock());
            assert_eq!(sum.join().unwrap(), 10);
        });
    });
}

#[test]
fn a_leaked_task() {
    for failure in failures(|| {
        let is_late = Arc::new(AtomicBool::new(false));
        let late = is_late.clone();
        spawn(move || {
            let (tx, rx) = bounded::<()>(0);
            if late.load(SeqCst) {
                std::mem::forget(tx);
            }
            let _ = rx.recv();
        });
        is_late.store(true, SeqCst);
    }) {
        assert!(matches!(failure.cause(), Cause::Lost(tasks) if tasks.len() == 1), "{failure}");
    }
}

/// An order of many steps of one task before the first of another, which chance hardly ever finds.
#[test]
fn an_order_that_priorities_find() {
    let program = || {
        let steps = AtomicUsize::new(0);
        scope(|scope| {
            let slow = scope.spawn(|| steps.load(SeqCst));
            scope.spawn(|| (0..30).for_each(|_| _ = steps.fetch_add(1, SeqCst)));
            scope.spawn(|| (0..30).for_each(|_| point()));
            assert_ne!(slow.join().unwrap(), 30);
        });
    };
    let by_priority = Explorer::new().strategy(Strategy::Pct { depth: 2 }).iterations(200);
    let failure = by_priority.check(program).unwrap_err();
    println!("{failure}");
    let by_chance = Explorer::new().strategy(Strategy::Random).iterations(200);
    assert_eq!(by_chance.run(program), 200);
}

#[test]
fn a_program_that_does_not_end() {
    let explorer = Explorer::new().max_steps(1_000);
    let failure = explorer
        .check(|| {
            let stop = AtomicBool::new(false);
            scope(|scope| {
                scope.spawn(|| while !stop.load(SeqCst) {});
                scope.spawn(|| if !stop.load(SeqCst) {});
            });
        })
        .unwrap_err();
    assert!(matches!(failure.cause(), Cause::Endless(1_000)), "{failure}");
}

/// An exhaustive search ends when there is nothing more to try.
#[test]
fn an_exhaustive_search_counts_the_schedules() {
    let program = |tasks: usize| {
        move || {
            scope(|scope| (0..tasks).for_each(|_| drop(scope.spawn(|| ()))));
        }
    };
    let all = |preemptions, tasks| {
        let explorer = Explorer::new().strategy(Strategy::Exhaustive { preemptions });
        explorer.run(program(tasks))
    };
    assert_eq!(all(0, 1), 1);
    assert_eq!(all(0, 2), 2);
    assert_eq!(all(0, 3), 6);
}

/// The same choices lead to the same end, and the schedule that a failure names leads to it again.
#[test]
fn executions_can_be_repeated() {
    let program = || {
        let seen = Mutex::new(Vec::new());
        scope(|scope| {
            for n in 0..4 {
                let seen = &seen;
                scope.spawn(move || (0..3).for_each(|m| seen.lock().push(n * 10 + m)));
            }
        });
        let seen = seen.into_inner();
        assert!(!seen.is_sorted_by_key(|n| n % 10), "{seen:?}");
    };
    let find = || Explorer::new().iterations(100_000).seed(5).check(program).unwrap_err();
    let (one, two) = (find(), find());
    assert_eq!(one.to_string(), two.to_string());
    assert_eq!(one.executions(), two.executions());
}

#[test]
fn time_is_virtual() {
    explore(|| {
        let start = lisle::time::now();
        let tasks: Vec<_> = (1..4).map(|n| spawn(move || sleep(Duration::from_secs(n)))).collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(lisle::time::now() - start, Duration::from_secs(3));
    });
}

/// Operations of a select are tried in either order.
#[test]
fn selects_choose_either_way() {
    let (seen_first, seen_second) = (AtomicBool::new(false), AtomicBool::new(false));
    let executions = Explorer::new().strategy(Strategy::Exhaustive { preemptions: 1 }).run(|| {
        let ((first, a), (second, b)) = (bounded(1), bounded(1));
        first.send(1).unwrap();
        second.send(2).unwrap();
        select! {
            recv(a) -> _ => seen_first.store(true, SeqCst),
            recv(b) -> _ => seen_second.store(true, SeqCst),
        }
    });
    assert!(executions >= 2);
    assert!(seen_first.into_inner() && seen_second.into_inner());
}

#[test]
fn a_point_elsewhere_does_nothing() {
    point();
    lisle::run(|| (0..1_000).for_each(|_| point()));
}

#[test]
fn a_loop_that_yields_until_another_acts_ends() {
    holds(|| {
        let done = AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                while !done.load(SeqCst) {
                    yield_now();
                }
            });
            scope.spawn(|| done.store(true, SeqCst));
        });
    });
}

#[lisle::test(explore)]
fn a_test_can_be_explored() {
    assert_eq!(spawn(|| 7).join().unwrap(), 7);
}

#[lisle::test(explore = Explorer::new().iterations(10))]
#[should_panic(expected = "it panics: seven")]
fn a_test_is_explored_as_it_says() {
    panic!("seven");
}

#[test]
fn a_panic_of_a_task_that_nobody_joins_is_a_failure() {
    let failure = Explorer::new().check(|| drop(spawn(|| panic!("unseen")))).unwrap_err();
    assert!(matches!(failure.cause(), Cause::Panic(text) if text == "unseen"), "{failure}");
    Explorer::new().iterations(10).run(|| drop(spawn(|| panic!("seen")).join().unwrap_err()));
}

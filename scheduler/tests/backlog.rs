//! More tasks that have not started than the order of arrival is kept for.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lisle_scheduler::{Cancelled, JoinHandle, metrics, spawn, spawn_local, yield_now};
use support::random::Random;
use support::{Bell, Log, OnDrop, block_until, run_in_order, run_on};

/// Where guard pages take memory maps, a process can have some 32,000 stacks: each test has them to
/// itself.
fn alone() -> MutexGuard<'static, ()> {
    static TESTS: Mutex<()> = Mutex::new(());
    TESTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// More than wait in the order of arrival.
const MANY: usize = 5_000;

/// Local tasks among them, and the spawner lets all of them go first by yielding once.
#[test]
fn what_is_spawned_in_a_row_starts_in_that_order_whatever_its_number() {
    let _alone = alone();
    let log = Log::<usize>::new();
    run_in_order(|| {
        for n in 0..MANY {
            let log = log.clone();
            let body = move || log.add(n);
            drop(if n % 5 == 0 { spawn_local(body) } else { spawn(body) });
        }
        yield_now();
        log.add(MANY);
    });
    log.expect(&(0..=MANY).collect::<Vec<_>>());
}

/// Tasks that yield keep their places among those that come.
#[test]
fn a_task_that_yields_comes_after_all_that_were_there() {
    let _alone = alone();
    let begun = Arc::new(AtomicUsize::new(0));
    let spawn_some = |count| {
        for _ in 0..count {
            let begun = begun.clone();
            drop(spawn(move || {
                begun.fetch_add(1, Ordering::Relaxed);
            }));
        }
    };
    run_in_order(|| {
        let seen = Rc::new(RefCell::new(Vec::new()));
        spawn_some(MANY);
        let other = spawn_local({
            let (begun, seen) = (begun.clone(), seen.clone());
            move || {
                for _ in 0..2 {
                    seen.borrow_mut().push(begun.load(Ordering::Relaxed));
                    yield_now();
                }
            }
        });
        spawn_some(3);
        yield_now();
        assert_eq!(begun.load(Ordering::Relaxed), MANY + 3);
        spawn_some(2 * MANY);
        yield_now();
        assert_eq!(begun.load(Ordering::Relaxed), 3 * MANY + 3);
        other.join().unwrap();
        assert_eq!(*seen.borrow(), [MANY, MANY + 3]);
    });
}

/// A tree of 65,535 tasks, each of which waits for its two children. Level by level 32,767 would
/// wait at once.
#[test]
fn a_tree_is_finished_subtree_by_subtree() {
    let _alone = alone();
    #[derive(Default)]
    struct Open {
        now: AtomicUsize,
        most: AtomicUsize,
    }
    fn node(open: Arc<Open>, levels: usize) -> usize {
        let now = open.now.fetch_add(1, Ordering::Relaxed) + 1;
        open.most.fetch_max(now, Ordering::Relaxed);
        let children: Vec<_> = (0..if levels == 0 { 0 } else { 2 })
            .map(|_| {
                let open = open.clone();
                spawn(move || node(open, levels - 1))
            })
            .collect();
        let leaves = children.into_iter().map(|child| child.join().unwrap()).sum();
        open.now.fetch_sub(1, Ordering::Relaxed);
        if levels == 0 { 1 } else { leaves }
    }
    let open = Arc::new(Open::default());
    let root = open.clone();
    run_in_order(|| assert_eq!(node(root, 15), 32_768));
    let most = open.most.load(Ordering::Relaxed);
    assert!(most < 12_000, "{most} nodes were open at once");
}

/// Bound: however many descendants others have, a task starts when 4,096 and, for each batch of 16
/// before it, 256 more batches have started. Here each task has two children, for ever.
#[test]
fn a_task_is_not_held_up_for_ever_by_those_with_descendants() {
    let _alone = alone();
    fn breed(begun: Arc<AtomicUsize>, over: Arc<AtomicBool>) {
        let enough = begun.fetch_add(1, Ordering::Relaxed) > 100_000;
        for _ in 0..2 {
            if !enough && !over.load(Ordering::Relaxed) {
                let (begun, over) = (begun.clone(), over.clone());
                drop(spawn(move || breed(begun, over)));
            }
        }
    }
    run_in_order(|| {
        let (begun, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        // As many as have a place, and the first batch of those that have none: the last one stays
        // behind it.
        for _ in 0..4_096 + 16 {
            let (begun, over) = (begun.clone(), over.clone());
            drop(spawn(move || breed(begun, over)));
        }
        let last = {
            let (begun, over) = (begun.clone(), over.clone());
            spawn(move || {
                over.store(true, Ordering::Relaxed);
                begun.load(Ordering::Relaxed)
            })
        };
        let before = last.join().unwrap();
        assert!(before <= 4_096 + 256 * 16, "{before} tasks came before it");
    });
}

/// Bound: while N others are runnable that wake each other for ever, a quarter of N get a place at
/// a time. So those have some 4 turns for each task that starts, and not N for every 16.
#[test]
fn a_crowd_that_is_woken_again_and_again_does_not_hold_them_up() {
    let _alone = alone();
    const PAIRS: usize = 500;
    run_in_order(|| {
        let (turns, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
        let talk = |mine: Bell, other: Bell| {
            let (turns, over) = (turns.clone(), over.clone());
            spawn_local(move || {
                while !over.get() {
                    mine.wait();
                    turns.set(turns.get() + 1);
                    other.ring();
                }
            })
        };
        let first: Vec<_> = (0..PAIRS)
            .map(|_| {
                let [one, other] = [Bell::new(), Bell::new()];
                drop(talk(one.clone(), other.clone()));
                drop(talk(other, one.clone()));
                one
            })
            .collect();
        yield_now();
        first.iter().for_each(|bell| assert!(bell.ring()));
        let tasks: Vec<_> = (0..MANY).map(|_| spawn(|| ())).collect();
        turns.set(0);
        tasks.into_iter().for_each(|task| task.join().unwrap());
        over.set(true);
        assert!(turns.get() >= PAIRS, "the crowd must be awake");
        assert!(turns.get() <= 5 * MANY, "they had {} turns", turns.get());
    });
}

/// A woken task does not wait until all have started: only those come before it that have a place
/// in the queue, which are 4,096 at first and then batches of 16.
#[test]
fn a_woken_task_comes_before_those_without_a_place() {
    let _alone = alone();
    run_in_order(|| {
        let begun = Arc::new(AtomicUsize::new(0));
        let bells = [Bell::new(), Bell::new()];
        let woken: Vec<_> = bells
            .iter()
            .map(|bell| {
                let (bell, begun) = (bell.clone(), begun.clone());
                spawn(move || {
                    bell.wait();
                    begun.load(Ordering::Relaxed)
                })
            })
            .collect();
        yield_now();
        for n in 1..=MANY {
            let (begun, bell) = (begun.clone(), bells[1].clone());
            drop(spawn(move || {
                begun.fetch_add(1, Ordering::Relaxed);
                if n == 4_500 {
                    assert!(bell.ring());
                }
            }));
        }
        assert!(bells[0].ring());
        let seen: Vec<_> = woken.into_iter().map(|task| task.join().unwrap()).collect();
        assert_eq!(seen[0], 4_096);
        assert!((4_500..=4_516).contains(&seen[1]), "{} had begun", seen[1]);
    });
}

/// The spawner does not switch before all have run: others must take even those that have no place
/// yet.
#[test]
fn all_of_them_can_be_stolen() {
    let _alone = alone();
    for workers in [2, 4] {
        run_on(workers, || {
            let begun = Arc::new(AtomicUsize::new(0));
            let tasks: Vec<_> = (0..MANY)
                .map(|_| {
                    let begun = begun.clone();
                    spawn(move || begun.fetch_add(1, Ordering::Relaxed))
                })
                .collect();
            block_until(|| tasks.iter().all(JoinHandle::is_finished));
            assert_eq!(begun.load(Ordering::Relaxed), MANY);
            let left = || {
                let here = metrics().unwrap().workers()[0];
                (here.live_tasks, here.runnable_tasks)
            };
            assert_eq!(left(), (1, 1));
            // Now the spawner's worker comes to the places of those that are gone.
            yield_now();
            assert_eq!(left(), (1, 1));
        })
        .unwrap();
    }
}

#[test]
fn metrics_count_them_as_runnable() {
    let _alone = alone();
    run_in_order(|| {
        let tasks: Vec<_> = (0..MANY).map(|_| spawn(|| ())).collect();
        let before = metrics().unwrap().workers()[0];
        assert_eq!((before.live_tasks, before.runnable_tasks), (MANY as u64 + 1, MANY as u64 + 1));
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let after = metrics().unwrap().workers()[0];
        assert_eq!((after.live_tasks, after.runnable_tasks), (1, 1));
    });
}

/// The main task ends before they start: their closures are dropped, those of local tasks too.
#[test]
fn the_end_drops_them() {
    let _alone = alone();
    for workers in [1, 2] {
        let dropped = Arc::new(AtomicUsize::new(0));
        run_on(workers, || {
            for n in 0..MANY {
                let dropped = dropped.clone();
                let counted = OnDrop(move || {
                    dropped.fetch_add(1, Ordering::Relaxed);
                });
                let body = move || drop(counted);
                drop(if n % 2 == 0 { spawn(body) } else { spawn_local(body) });
            }
        })
        .unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed), MANY);
    }
}

/// What a forest of random trees counts.
#[derive(Default)]
struct Forest {
    spawned: AtomicUsize,
    begun: AtomicUsize,
    /// Tasks whose closure exists.
    alive: AtomicUsize,
    dropped_twice: AtomicBool,
}

/// One closure, which is dropped once, whether it has run, panicked or been given up.
struct Seed {
    forest: Arc<Forest>,
    random: Random,
    dropped: AtomicBool,
}

impl Seed {
    fn new(forest: &Arc<Forest>, random: &mut Random) -> Self {
        forest.spawned.fetch_add(1, Ordering::Relaxed);
        forest.alive.fetch_add(1, Ordering::Relaxed);
        let random = Random::new(random.next());
        Self { forest: forest.clone(), random, dropped: AtomicBool::new(false) }
    }

    fn grow(mut self, levels: usize) {
        self.forest.begun.fetch_add(1, Ordering::Relaxed);
        let random = &mut self.random;
        let late = random.one_in(50).then(|| OnDrop(yield_now));
        let mut children = Vec::new();
        for _ in 0..if levels == 0 { 0 } else { random.below(11) } {
            let child = Self::new(&self.forest, random);
            let body = move || child.grow(levels - 1);
            let child = if random.one_in(8) { spawn_local(body) } else { spawn(body) };
            if random.one_in(40) {
                yield_now();
            }
            if !random.one_in(10) {
                children.push(child);
            }
        }
        if random.one_in(40) {
            // The children that are left are on their own.
            resume_unwind(Box::new(()));
        }
        for child in children {
            if let Err(panic) = child.join() {
                assert!(panic.is::<()>() || panic.is::<Cancelled>(), "no task panics by mistake");
            }
        }
        drop(late);
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if self.dropped.swap(true, Ordering::Relaxed) {
            self.forest.dropped_twice.store(true, Ordering::Relaxed);
        }
        self.forest.alive.fetch_sub(1, Ordering::Release);
    }
}

/// Forests in which tasks spawn, spawn locally, yield, join, forget and panic, some of which are
/// felled when the main task ends. Every task starts once, unless it was felled before, and is
/// dropped once.
#[test]
fn forests_grow_and_are_felled() {
    let _alone = alone();
    let base = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seeds from {base}");
    for (n, workers) in [1, 2, 4, 2, 4, 2, 4].into_iter().enumerate() {
        let forest = Arc::new(Forest::default());
        run_on(workers, || {
            let random = &mut Random::new(base + n as u64);
            let felled = n >= 3;
            let trees: Vec<_> = (0..2_000 + random.below(4_000))
                .map(|_| {
                    let seed = Seed::new(&forest, random);
                    let levels = if random.one_in(400) { 5 } else { 1 };
                    spawn(move || seed.grow(levels))
                })
                .collect();
            if felled {
                let some = random.below(trees.len());
                trees.into_iter().take(some).for_each(|tree| drop(tree.join()));
                return;
            }
            while forest.alive.load(Ordering::Acquire) != 0 {
                yield_now();
            }
            assert_eq!(
                forest.begun.load(Ordering::Relaxed),
                forest.spawned.load(Ordering::Relaxed)
            );
            let here = metrics().unwrap().workers()[0];
            assert_eq!((here.live_tasks, here.runnable_tasks), (1, 1));
        })
        .unwrap();
        assert_eq!(forest.alive.load(Ordering::Acquire), 0);
        assert!(!forest.dropped_twice.load(Ordering::Relaxed));
        println!("{workers} workers: {:?}", forest.spawned);
    }
}

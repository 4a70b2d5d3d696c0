//! The round robin: a task that becomes runnable goes to the tail of one queue, and none overtakes.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use lisle_scheduler::park::{Reason, Unparker, park};
use lisle_scheduler::{Builder, JoinHandle, spawn, spawn_local, yield_now};
use support::{Bell, Log, run_in_order};

/// Spawns, yields, parks, wakes and joins: the comments give the queue after each step.
#[test]
fn a_whole_schedule() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let bell = Bell::new();
        let (a_log, a_bell) = (log.clone(), bell.clone());
        let a = spawn(move || {
            a_log.add("a1");
            yield_now(); // b c main a
            a_log.add("a2");
            assert!(a_bell.ring()); // d b main c
            a_log.add("a3");
            yield_now(); // d b main c a
            a_log.add("a4");
        }); // main (runs), a
        let b_log = log.clone();
        let b = spawn_local(move || {
            b_log.add("b1");
            let d_log = b_log.clone();
            let _detached = spawn(move || d_log.add("d")); // c main a d
            yield_now(); // c main a d b
            b_log.add("b2");
        });
        let c_log = log.clone();
        let c = spawn(move || {
            c_log.add("c1");
            bell.wait(); // main a d b
            c_log.add("c2");
            yield_now(); // a c
            c_log.add("c3");
        });
        log.add("main1");
        yield_now(); // a b c main
        log.add("main2");
        yield_now(); // a d b main
        log.add("main3");
        a.join().unwrap(); // c a; and when a has ended: c main
        log.add("main4");
        c.join().unwrap();
        b.join().unwrap();
    });
    log.expect(&[
        "main1", "a1", "b1", "c1", "main2", "a2", "a3", "d", "b2", "main3", "c2", "a4", "c3",
        "main4",
    ]);
}

/// Tasks that start on the stack of one that has ended take their turn like all others.
#[test]
fn an_ending_task_does_not_favour_its_successor() {
    let log = Log::<(char, usize)>::new();
    run_in_order(|| {
        let tasks: Vec<_> = (0..4)
            .flat_map(|n| {
                let (short, long) = (log.clone(), log.clone());
                let short = spawn(move || short.add(('s', n)));
                let long = spawn(move || {
                    long.add(('l', n));
                    yield_now();
                    long.add(('L', n));
                });
                [short, long]
            })
            .collect();
        yield_now();
        log.add(('m', 0));
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    log.expect(&[
        ('s', 0),
        ('l', 0),
        ('s', 1),
        ('l', 1),
        ('s', 2),
        ('l', 2),
        ('s', 3),
        ('l', 3),
        ('m', 0),
        ('L', 0),
        ('L', 1),
        ('L', 2),
        ('L', 3),
    ]);
}

/// Whatever way the `n`th of many tasks is spawned, it is the `n`th in the queue.
fn spawn_variously(n: usize, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    match n % 7 {
        0 | 3 => spawn_local(body),
        1 => Builder::new().stack_size(64 * 1024).spawn(body).unwrap(),
        4 => Builder::new().name(format!("task {n}")).spawn_local(body).unwrap(),
        _ => spawn(body),
    }
}

#[test]
fn a_thousand_tasks_take_turns() {
    const TASKS: usize = 1000;
    const ROUNDS: usize = 5;
    let log = Log::<(usize, usize)>::new();
    run_in_order(|| {
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                let log = log.clone();
                spawn_variously(n, move || {
                    for round in 0..ROUNDS {
                        log.add((round, n));
                        yield_now();
                    }
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    let expected: Vec<_> =
        (0..ROUNDS).flat_map(|round| (0..TASKS).map(move |n| (round, n))).collect();
    log.expect(&expected);
}

/// A thousand parked tasks are woken in an order that has nothing to do with that of their parking.
#[test]
fn woken_tasks_run_in_the_order_of_their_waking() {
    const TASKS: usize = 1000;
    let order: Vec<_> = (0..TASKS).map(|n| n * 387 % TASKS).collect();
    let log = Log::<usize>::new();
    run_in_order(|| {
        let bells: Vec<_> = (0..TASKS).map(|_| Bell::new()).collect();
        let tasks: Vec<_> = (0..TASKS)
            .map(|n| {
                let (log, bell) = (log.clone(), bells[n].clone());
                spawn_variously(n, move || {
                    bell.wait();
                    log.add(n);
                })
            })
            .collect();
        yield_now();
        assert!(order.iter().all(|&n| bells[n].ring()));
        assert_eq!(log.len(), 0, "waking does not switch");
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    log.expect(&order);
}

/// What a task of the random programs does at a step.
#[derive(Clone, Debug)]
enum Step {
    Yield,
    Spawn(Script),
    Park,
    /// Wakes the task that has been parked longest, if there is one.
    WakeOldest,
    /// Wakes the task that was parked last.
    WakeNewest,
}

type Script = Vec<Step>;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % sides
    }

    fn script(&mut self, depth: u64) -> Script {
        (0..self.roll(8))
            .map(|_| match self.roll(if depth > 0 { 7 } else { 5 }) {
                0 | 1 => Step::Yield,
                2 => Step::Park,
                3 => Step::WakeOldest,
                4 => Step::WakeNewest,
                _ => Step::Spawn(self.script(depth - 1)),
            })
            .collect()
    }
}

/// Runs a script, and its children, in the plainest way: a queue of what is left of each.
fn predict(script: Script) -> Vec<usize> {
    let mut trace = Vec::new();
    let mut ready = VecDeque::from([(0, VecDeque::from(script))]);
    let mut parked = VecDeque::new();
    let mut tasks = 1;
    while let Some((me, mut steps)) = ready.pop_front() {
        trace.push(me);
        loop {
            match steps.pop_front() {
                None => break,
                Some(Step::Yield) => {
                    ready.push_back((me, steps));
                    break;
                }
                Some(Step::Park) => {
                    parked.push_back((me, steps));
                    break;
                }
                Some(Step::Spawn(child)) => {
                    ready.push_back((tasks, child.into()));
                    tasks += 1;
                }
                Some(Step::WakeOldest) => ready.extend(parked.pop_front()),
                Some(Step::WakeNewest) => ready.extend(parked.pop_back()),
            }
        }
        if ready.is_empty() {
            ready.extend(parked.pop_front());
        }
    }
    trace
}

/// What the tasks of a random program share.
#[derive(Default)]
struct World {
    trace: RefCell<Vec<usize>>,
    parked: RefCell<VecDeque<(usize, Unparker)>>,
    tasks: Cell<usize>,
    live: Cell<usize>,
}

impl World {
    fn spawn(self: &Rc<Self>, script: Script) {
        let me = self.tasks.replace(self.tasks.get() + 1);
        self.live.set(self.live.get() + 1);
        let world = self.clone();
        let body = move || world.follow(me, script);
        match me % 3 {
            0 => drop(Builder::new().stack_size(48 * 1024).spawn_local(body).unwrap()),
            _ => drop(spawn_local(body)),
        }
    }

    fn follow(self: &Rc<Self>, me: usize, script: Script) {
        self.trace.borrow_mut().push(me);
        for step in script {
            match step {
                Step::Yield => yield_now(),
                Step::Park => self.park(me),
                Step::Spawn(script) => {
                    self.spawn(script);
                    continue;
                }
                Step::WakeOldest => {
                    let oldest = self.parked.borrow_mut().pop_front();
                    oldest.into_iter().for_each(|(_, unparker)| unparker.unpark());
                    continue;
                }
                Step::WakeNewest => {
                    let newest = self.parked.borrow_mut().pop_back();
                    newest.into_iter().for_each(|(_, unparker)| unparker.unpark());
                    continue;
                }
            }
            self.trace.borrow_mut().push(me);
        }
        self.live.set(self.live.get() - 1);
    }

    fn park(&self, me: usize) {
        let _ = park(
            Reason::new("following a script"),
            None,
            |unparker| self.parked.borrow_mut().push_back((me, unparker)),
            || {
                let mut parked = self.parked.borrow_mut();
                let place = parked.iter().position(|(task, _)| *task == me)?;
                parked.remove(place).map(|(_, unparker)| unparker)
            },
        );
    }
}

/// Five hundred random programs run exactly as a list on paper says.
#[test]
fn random_programs_run_as_predicted() {
    for seed in 0..500 {
        let script = Dice(seed).script(4);
        let world = Rc::new(World::default());
        run_in_order(|| {
            world.spawn(script.clone());
            while world.live.get() > 0 {
                // Main is the one task more; it wakes somebody only where the prediction does.
                let before = world.trace.borrow().len();
                yield_now();
                if world.trace.borrow().len() == before {
                    let oldest = world.parked.borrow_mut().pop_front();
                    oldest.into_iter().for_each(|(_, unparker)| unparker.unpark());
                }
            }
        });
        assert_eq!(world.trace.take(), predict(script), "seed {seed}");
    }
}

//! What workers do that have nothing to do: they look out for a moment, and then they sleep.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle_scheduler::{Builder, ForeignThreads, Runtime, metrics};

use crate::support::channel::Channel;
use crate::support::sys::{die_in, stay_on_one_processor};
use crate::support::{Bell, LIMIT, block_until, on_each_worker, run_on};
use crate::{here, join_all};

/// What the kernel knows of the threads of that name: how often each has left a processor.
fn switches_of(name: &str) -> Vec<(String, String)> {
    let mut switches = Vec::new();
    for task in fs::read_dir("/proc/self/task").unwrap().flatten() {
        let Ok(status) = fs::read_to_string(task.path().join("status")) else { continue };
        if status.starts_with(&format!("Name:\t{name}-")) {
            let at = status.find("voluntary_ctxt_switches").expect("Linux counts them");
            let number = task.file_name().into_string().unwrap();
            switches.push((number, status[at..].to_owned()));
        }
    }
    switches.sort();
    switches
}

/// Each worker has a task that waits. A thread that makes a system call now and then would be seen
/// to leave its processor. When they have fallen asleep, and given back what they do not need,
/// there comes a time in which none does.
#[test]
fn idle_workers_are_left_alone() {
    const WORKERS: usize = 4;
    const LONG: Duration = Duration::from_millis(300);
    die_in(LIMIT);
    let runtime = Runtime::builder().workers(WORKERS).thread_name("idle").start().unwrap();
    let bells: Vec<_> = (0..2 * WORKERS).map(|_| Bell::new()).collect();
    let wait_on = |bell: &Bell| {
        let bell = bell.clone();
        Builder::new().spread().spawn_on(runtime.handle(), move || bell.wait()).unwrap()
    };
    let tasks: Vec<_> = bells.iter().map(wait_on).collect();
    block_until(|| bells.iter().all(Bell::is_awaited));
    block_until(|| {
        let before = switches_of("idle");
        assert_eq!(before.len(), WORKERS);
        thread::sleep(LONG);
        switches_of("idle") == before
    });
    bells.iter().for_each(Bell::ring_until_heard);
    join_all(tasks);
}

/// While one worker of two spins, the other cannot run: what it waits for comes when it sleeps.
#[test]
fn workers_that_share_a_processor_do_not_spin_in_vain() {
    const ROUNDS: u64 = 1_000;
    let pinned = thread::spawn(|| {
        stay_on_one_processor();
        die_in(LIMIT);
        let builder = Runtime::builder().foreign_threads(ForeignThreads::NeverWake);
        let run = builder.workers(2).carry(false).run(|| {
            let (to, fro) = (Channel::bounded(0), Channel::bounded(0));
            // Not `on_each_worker`, whose tasks wait for each other in a loop.
            let pong = Builder::new().spread().spawn({
                let (to, fro) = (to.clone(), fro.clone());
                move || {
                    for _ in 0..ROUNDS {
                        to.recv();
                        fro.send(());
                    }
                    here()
                }
            });
            for _ in 0..ROUNDS {
                to.send(());
                fro.recv();
            }
            assert_ne!(pong.unwrap().join().unwrap(), here());
            metrics().unwrap().total()
        });
        run.unwrap()
    });
    let total = pinned.join().unwrap();
    assert!(total.sleeps >= ROUNDS, "each message ends a sleep: {total:?}");
    assert!(total.vain_spins <= ROUNDS / 4, "{total:?}");
}

/// A bell is rung from another worker at the moment at which its worker falls asleep.
#[test]
fn a_wake_from_another_worker_is_not_lost_while_the_worker_falls_asleep() {
    run_on(2, || {
        let (bell, turn) = (Bell::new(), Arc::new(AtomicUsize::new(0)));
        let parties = on_each_worker(2, move |n| {
            for round in 1..2_000 {
                if n == 0 {
                    turn.store(round, Ordering::Release);
                    bell.wait();
                } else {
                    block_until(|| turn.load(Ordering::Acquire) == round);
                    let from = std::time::Instant::now();
                    let delay = Duration::from_nanos(round as u64 * 40);
                    while from.elapsed() < delay {
                        std::hint::spin_loop();
                    }
                    block_until(|| bell.ring());
                }
            }
        });
        join_all(parties);
    })
    .unwrap();
}

//! What the metrics say of a known course of events.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::{
    Runtime, WorkerMetrics, blocking, metrics, run, sleep, spawn, spawn_local, yield_now,
};
use support::{Bell, block_until, on_each_worker, run_in_order, run_on};

fn total() -> WorkerMetrics {
    metrics().expect("asked by a task").total()
}

#[test]
fn a_plain_thread_has_none() {
    assert!(metrics().is_none());
}

#[test]
fn tasks_are_live_parked_or_runnable() {
    run_in_order(|| {
        assert_eq!((total().live_tasks, total().parked_tasks, total().runnable_tasks), (1, 0, 1));
        let bells: Vec<_> = (0..10).map(|_| Bell::new()).collect();
        let tasks: Vec<_> = bells
            .iter()
            .map(|bell| {
                let bell = bell.clone();
                spawn(move || bell.wait())
            })
            .collect();
        assert_eq!((total().live_tasks, total().parked_tasks, total().runnable_tasks), (11, 0, 11));
        yield_now();
        assert_eq!((total().live_tasks, total().parked_tasks, total().runnable_tasks), (11, 10, 1));
        bells[..4].iter().for_each(|bell| assert!(bell.ring()));
        assert_eq!((total().live_tasks, total().parked_tasks, total().runnable_tasks), (11, 6, 5));
        bells[4..].iter().for_each(|bell| assert!(bell.ring()));
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!((total().live_tasks, total().parked_tasks, total().runnable_tasks), (1, 0, 1));
        assert!(total().cached_stacks > 0, "the stacks of ten tasks are kept");
    });
}

#[test]
fn every_turn_counts_once() {
    run_in_order(|| {
        let before = total().switches;
        let other = spawn_local(|| (0..999).for_each(|_| yield_now()));
        (0..1000).for_each(|_| yield_now());
        assert_eq!(total().switches - before, 2000);
        other.join().unwrap();
    });
}

/// Asking often does not keep the worker from looking around.
#[test]
fn asking_starves_nobody() {
    run_in_order(|| {
        let bell = Bell::new();
        let waiter = spawn_local({
            let bell = bell.clone();
            move || bell.wait()
        });
        yield_now();
        let ringer = thread::spawn(move || bell.ring_until_heard());
        while !waiter.is_finished() {
            yield_now();
            assert!(total().live_tasks <= 2);
        }
        ringer.join().unwrap();
    });
}

#[test]
fn wakes_from_elsewhere_and_sleeps_are_counted() {
    run_in_order(|| {
        let bell = Bell::new();
        let ringer = bell.clone();
        let before = total();
        let ringer = thread::spawn(move || ringer.ring_until_heard());
        bell.wait();
        ringer.join().unwrap();
        assert_eq!(total().wakes_received - before.wakes_received, 1);
        assert_eq!((total().wakes_sent, total().steals), (0, 0));

        let before = total();
        // On a machine that is held up the time may have passed before the worker comes to sleep.
        while total().sleeps == before.sleeps {
            sleep(Duration::from_millis(5));
        }
        assert_eq!(total().wakes_received, before.wakes_received, "its own timer is no wake");
    });
}

#[test]
fn what_is_stolen_and_sent_is_counted_where_it_happens() {
    run_on(2, || {
        let bell = Bell::new();
        let theirs = bell.clone();
        let home = thread::current().id();
        let workers = on_each_worker(2, move |_| {
            if thread::current().id() != home {
                theirs.ring_until_heard();
            }
        });
        bell.wait();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let metrics = metrics().unwrap();
        let [first, second] = metrics.workers() else { panic!("there are two workers") };
        assert!(second.steals >= 1 && second.searches >= 1, "{metrics:?}");
        assert!(first.wakes_received >= 1 && second.wakes_sent >= 1, "{metrics:?}");
        // The other worker publishes its last task's end when it looks around.
        block_until(|| (total().live_tasks, total().runnable_tasks) == (1, 1));
    })
    .unwrap();
}

#[test]
fn a_monitor_outside_reads_a_started_runtime() {
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let bell = Bell::new();
    let waiter = runtime.spawn({
        let bell = bell.clone();
        move || bell.wait()
    });
    block_until(|| bell.is_awaited() && runtime.metrics().total().parked_tasks == 1);
    assert_eq!(runtime.metrics().workers().len(), 2);
    assert_eq!(runtime.metrics().total().live_tasks, 1);
    bell.ring_until_heard();
    waiter.join().unwrap();
    block_until(|| runtime.metrics().total().live_tasks == 0);
    // Metrics of one runtime do not show another.
    run(|| assert_eq!(total().live_tasks, 1));
}

/// While the one worker computes, it takes nothing; what it computes counts, too.
#[test]
fn what_no_worker_has_taken_yet_counts_in_the_total() {
    let runtime = Runtime::builder().workers(1).start().unwrap();
    let (busy, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (started, until) = (busy.clone(), over.clone());
    let mut tasks = vec![runtime.spawn(move || {
        started.store(true, Ordering::Release);
        block_until(|| until.load(Ordering::Acquire));
    })];
    block_until(|| busy.load(Ordering::Acquire));
    let counts = || {
        let (metrics, total) = (runtime.metrics(), runtime.metrics().total());
        (metrics.injected_tasks(), total.live_tasks, total.parked_tasks, total.runnable_tasks)
    };
    assert_eq!(counts(), (0, 1, 0, 1));
    tasks.extend((0..3).map(|_| runtime.spawn(|| ())));
    assert_eq!(counts(), (3, 4, 0, 4));
    assert_eq!(runtime.metrics().workers()[0].live_tasks, 1);
    over.store(true, Ordering::Release);
    tasks.into_iter().for_each(|task| task.join().unwrap());
    block_until(|| counts() == (0, 0, 0, 0));
}

#[test]
fn tasks_count_when_they_start_once_each() {
    run_in_order(|| {
        assert_eq!(total().started_tasks, 1);
        let kept = spawn(|| ());
        // Nobody joins it, and what it leaves has a destructor.
        drop(spawn(|| vec![1]));
        assert_eq!(total().started_tasks, 1);
        kept.join().unwrap();
        yield_now();
        assert_eq!((total().started_tasks, total().live_tasks), (3, 1));
    });
}

#[test]
fn timers_are_pending_and_then_fired() {
    run_in_order(|| {
        let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
        yield_now();
        assert_eq!((total().pending_timers, total().fired_timers), (1, 0));
        let idle = total().idle_time;
        sleep(Duration::from_millis(2));
        assert_eq!((total().pending_timers, total().fired_timers), (1, 1));
        assert!(total().idle_time > idle);
        sleeper.cancel();
        sleeper.join().unwrap_err();
        assert_eq!((total().pending_timers, total().fired_timers), (0, 1));
    });
}

/// Other tests of this process may have calls and stacks of their own.
#[test]
fn blocking_calls_and_stacks_belong_to_the_process() {
    run_in_order(|| {
        let before = metrics().unwrap();
        assert!(before.stacks().stacks >= 1);
        assert!(before.stacks().reserved_bytes >= before.stacks().stacks * 4096);
        assert_eq!(blocking(|| 7), 7);
        let after = metrics().unwrap().blocking();
        assert!(after.calls > before.blocking().calls && after.threads >= 1, "{after:?}");
        assert!(after.idle_threads <= after.threads, "{after:?}");
        assert_eq!(total().io_waits, 0);
    });
}

#[test]
fn delays_are_sampled_where_that_is_asked_for() {
    const TURN: Duration = Duration::from_micros(500);
    let turns = || {
        for _ in 0..200 {
            let start = Instant::now();
            block_until(|| start.elapsed() >= TURN);
            yield_now();
        }
    };
    let measured = |wanted| {
        let builder = Runtime::builder().workers(1).queue_delays(wanted);
        let done = builder.run(|| {
            let others: Vec<_> = (0..3).map(|_| spawn(turns)).collect();
            others.into_iter().for_each(|other| other.join().unwrap());
            total().queue_delays
        });
        done.unwrap()
    };
    assert_eq!(measured(false).count(), 0);
    let delays = measured(true);
    // Of 600 turns, one in 64 or 66.
    assert!((4..=12).contains(&delays.count()), "{delays:?}");
    // A turn at least, of those that come before; none has waited for 64.
    assert!(delays.quantile(0.5).unwrap() > TURN, "{delays:?}");
    assert!(delays.sum() >= TURN * (delays.count() as u32 / 2), "{delays:?}");
}

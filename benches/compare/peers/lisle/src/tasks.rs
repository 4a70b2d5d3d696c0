//! Switching, yielding, spawning, waiting.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use harness::{BATCH, Lateness, Outcome, Params, Race, Usage};
use lisle::channel::{Receiver, bounded};
use lisle::coroutine::{Coroutine, CoroutineState};

use crate::run;

/// Into a coroutine and out again are two switches.
pub fn switch(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    let coroutine = Coroutine::<u64, u64, ()>::new(|yielder, mut n| {
        loop {
            n = yielder.suspend(n + 1);
        }
    });
    let play = |rounds: u64| {
        let start = Instant::now();
        let mut n = 0;
        for _ in 0..rounds {
            match coroutine.resume(n) {
                CoroutineState::Yielded(next) => n = next,
                CoroutineState::Returned(()) => unreachable!("it never ends"),
            }
        }
        let time = start.elapsed();
        assert_eq!(n, rounds);
        time
    };
    play(rounds / 10);
    Outcome::ns_each(play(rounds), 2 * rounds)
}

pub fn yields(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    run(params, || {
        let race = Arc::new(Race::new(tasks));
        let (gate, closed_gate) = bounded(0);
        let runners: Vec<_> = (0..tasks)
            .map(|_| {
                let (race, closed_gate) = (race.clone(), closed_gate.clone());
                lisle::spawn(move || {
                    wait_at(&closed_gate, &race);
                    yield_often(rounds / 10);
                    race.started();
                    yield_often(rounds);
                    race.at_goal();
                })
            })
            .collect();
        wait_until(|| race.is_ready());
        drop(gate);
        for runner in runners {
            runner.join().unwrap();
        }
        Outcome::ns_each(race.time(), tasks * rounds)
    })
}

fn yield_often(rounds: u64) {
    for _ in 0..rounds {
        lisle::yield_now();
    }
}

/// Until the gate opens, which is when its sender is dropped.
fn wait_at(closed_gate: &Receiver<()>, race: &Race) {
    race.at_gate();
    assert!(closed_gate.recv().is_err(), "nothing is sent");
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        lisle::sleep(Duration::from_millis(1));
    }
}

pub fn spawn(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = move |batches| {
        let mut handles = Vec::with_capacity(batch as usize);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..batches {
            handles.extend((0..batch).map(|n| lisle::spawn(move || n + 1)));
            sum += handles.drain(..).map(|handle| handle.join().unwrap()).sum::<u64>();
        }
        let time = start.elapsed();
        assert_eq!(sum, batches * batch * (batch + 1) / 2);
        time
    };
    run(params, || {
        play(batches / 10);
        Outcome::ns_each(play(batches), batches * batch)
    })
}

/// No warm-up: what counts is the first touch of the memory.
pub fn idle(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    run(params, || {
        let race = Arc::new(Race::new(tasks));
        let (gate, closed_gate) = bounded(0);
        let before = Usage::now();
        let start = Instant::now();
        for task in 1..=tasks {
            let (race, closed_gate) = (race.clone(), closed_gate.clone());
            lisle::spawn(move || {
                wait_at(&closed_gate, &race);
                race.at_goal();
            });
            if task.is_multiple_of(BATCH) {
                lisle::yield_now();
            }
        }
        while !race.is_ready() {
            lisle::yield_now();
        }
        let time = start.elapsed();
        let bytes = Usage::now().memory - before.memory;
        drop(gate);
        wait_until(|| race.is_over());
        Outcome::parked(bytes, time, tasks)
    })
}

pub fn timers(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    run(params, || {
        let race = Arc::new(Race::new(tasks));
        let lateness = Arc::new(OnceLock::<Lateness>::new());
        let (gate, closed_gate) = bounded(0);
        let sleepers: Vec<_> = (0..tasks)
            .map(|task| {
                let (race, closed_gate) = (race.clone(), closed_gate.clone());
                let lateness = lateness.clone();
                lisle::spawn(move || {
                    wait_at(&closed_gate, &race);
                    let lateness = lateness.get().unwrap();
                    lisle::sleep_until(lateness.due(task));
                    lateness.woken(task);
                })
            })
            .collect();
        wait_until(|| race.is_ready());
        let before = Usage::now();
        let lateness = lateness.get_or_init(|| Lateness::new(tasks));
        drop(gate);
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        Outcome::late(lateness.mean(), Usage::now().cpu - before.cpu)
    })
}

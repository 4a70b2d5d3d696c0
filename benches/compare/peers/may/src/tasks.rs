//! Yielding, spawning, waiting.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use harness::{BATCH, Lateness, Outcome, Params, Race, Usage};
use may::coroutine::{sleep, yield_now};
use may::go;
use may::sync::SyncFlag;

use crate::{TOO_MANY, has_stacks_for, run};

fn wait_at(gate: &SyncFlag, race: &Race) {
    race.at_gate();
    gate.wait();
}

fn yield_often(rounds: u64) {
    for _ in 0..rounds {
        yield_now();
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(1));
    }
}

pub fn yields(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    if !has_stacks_for(tasks) {
        return TOO_MANY;
    }
    run(params, move || {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(SyncFlag::new());
        let runners: Vec<_> = (0..tasks)
            .map(|_| {
                let (race, gate) = (race.clone(), gate.clone());
                go!(move || {
                    wait_at(&gate, &race);
                    yield_often(rounds / 10);
                    race.started();
                    yield_often(rounds);
                    race.at_goal();
                })
            })
            .collect();
        wait_until(|| race.is_ready());
        gate.fire();
        for runner in runners {
            runner.join().unwrap();
        }
        Outcome::ns_each(race.time(), tasks * rounds)
    })
}

pub fn spawn(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = move |batches| {
        let mut handles = Vec::with_capacity(batch as usize);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..batches {
            handles.extend((0..batch).map(|n| go!(move || n + 1)));
            sum += handles.drain(..).map(|handle| handle.join().unwrap()).sum::<u64>();
        }
        let time = start.elapsed();
        assert_eq!(sum, batches * batch * (batch + 1) / 2);
        time
    };
    run(params, move || {
        play(batches / 10);
        Outcome::ns_each(play(batches), batches * batch)
    })
}

pub fn idle(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    if !has_stacks_for(tasks) {
        return TOO_MANY;
    }
    run(params, move || {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(SyncFlag::new());
        let before = Usage::now();
        let start = Instant::now();
        for task in 1..=tasks {
            let (race, gate) = (race.clone(), gate.clone());
            go!(move || {
                wait_at(&gate, &race);
                race.at_goal();
            });
            if task.is_multiple_of(BATCH) {
                yield_now();
            }
        }
        // Not by yielding: a coroutine that does so keeps others from being started.
        wait_until(|| race.is_ready());
        let time = start.elapsed();
        let bytes = Usage::now().memory - before.memory;
        gate.fire();
        wait_until(|| race.is_over());
        Outcome::parked(bytes, time, tasks)
    })
}

pub fn timers(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    if !has_stacks_for(tasks) {
        return TOO_MANY;
    }
    run(params, move || {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(SyncFlag::new());
        let lateness = Arc::new(OnceLock::<Lateness>::new());
        let sleepers: Vec<_> = (0..tasks)
            .map(|task| {
                let (race, gate, lateness) = (race.clone(), gate.clone(), lateness.clone());
                go!(move || {
                    wait_at(&gate, &race);
                    let lateness = lateness.get().unwrap();
                    sleep(lateness.due(task).saturating_duration_since(Instant::now()));
                    lateness.woken(task);
                })
            })
            .collect();
        wait_until(|| race.is_ready());
        let before = Usage::now();
        let lateness = lateness.get_or_init(|| Lateness::new(tasks));
        gate.fire();
        for sleeper in sleepers {
            sleeper.join().unwrap();
        }
        Outcome::late(lateness.mean(), Usage::now().cpu - before.cpu)
    })
}

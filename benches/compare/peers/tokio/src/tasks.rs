//! Yielding, spawning, waiting.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use harness::{BATCH, Lateness, Outcome, Params, Race, Usage};
use tokio::sync::Semaphore;
use tokio::task::yield_now;

use crate::run;

/// A gate is a semaphore without permits: all waiting tasks go on when it is closed.
async fn wait_at(gate: &Semaphore, race: &Race) {
    race.at_gate();
    assert!(gate.acquire().await.is_err(), "there are no permits");
}

async fn yield_often(rounds: u64) {
    for _ in 0..rounds {
        yield_now().await;
    }
}

async fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub fn yields(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    run(params, async move {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(Semaphore::new(0));
        let runners: Vec<_> = (0..tasks)
            .map(|_| {
                let (race, gate) = (race.clone(), gate.clone());
                tokio::spawn(async move {
                    wait_at(&gate, &race).await;
                    yield_often(rounds / 10).await;
                    race.started();
                    yield_often(rounds).await;
                    race.at_goal();
                })
            })
            .collect();
        wait_until(|| race.is_ready()).await;
        gate.close();
        for runner in runners {
            runner.await.unwrap();
        }
        Outcome::ns_each(race.time(), tasks * rounds)
    })
}

pub fn spawn(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = async move |batches| {
        let mut handles = Vec::with_capacity(batch as usize);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..batches {
            handles.extend((0..batch).map(|n| tokio::spawn(async move { n + 1 })));
            for handle in handles.drain(..) {
                sum += handle.await.unwrap();
            }
        }
        let time = start.elapsed();
        assert_eq!(sum, batches * batch * (batch + 1) / 2);
        time
    };
    run(params, async move {
        play(batches / 10).await;
        Outcome::ns_each(play(batches).await, batches * batch)
    })
}

pub fn idle(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    run(params, async move {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(Semaphore::new(0));
        let before = Usage::now();
        let start = Instant::now();
        for task in 1..=tasks {
            let (race, gate) = (race.clone(), gate.clone());
            tokio::spawn(async move {
                wait_at(&gate, &race).await;
                race.at_goal();
            });
            if task.is_multiple_of(BATCH) {
                yield_now().await;
            }
        }
        while !race.is_ready() {
            yield_now().await;
        }
        let time = start.elapsed();
        let bytes = Usage::now().memory - before.memory;
        gate.close();
        wait_until(|| race.is_over()).await;
        Outcome::parked(bytes, time, tasks)
    })
}

pub fn timers(params: &Params) -> Outcome {
    let tasks = params.get("tasks");
    run(params, async move {
        let race = Arc::new(Race::new(tasks));
        let gate = Arc::new(Semaphore::new(0));
        let lateness = Arc::new(OnceLock::<Lateness>::new());
        let sleepers: Vec<_> = (0..tasks)
            .map(|task| {
                let (race, gate, lateness) = (race.clone(), gate.clone(), lateness.clone());
                tokio::spawn(async move {
                    wait_at(&gate, &race).await;
                    let lateness = lateness.get().unwrap();
                    tokio::time::sleep_until(lateness.due(task).into()).await;
                    lateness.woken(task);
                })
            })
            .collect();
        wait_until(|| race.is_ready()).await;
        let before = Usage::now();
        let lateness = lateness.get_or_init(|| Lateness::new(tasks));
        gate.close();
        for sleeper in sleepers {
            sleeper.await.unwrap();
        }
        Outcome::late(lateness.mean(), Usage::now().cpu - before.cpu)
    })
}

//! Tasks that are awaited together, time limits, and calls that may block.

use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};

use crate::run;

pub fn scope(params: &Params) -> Outcome {
    let (tasks, scopes) = (params.get("tasks"), params.get("scopes"));
    let play = move |scopes| async move {
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..scopes {
            let mut set = JoinSet::new();
            for n in 0..tasks {
                set.spawn(async move { n + 1 });
            }
            while let Some(result) = set.join_next().await {
                sum += result.unwrap();
            }
        }
        let time = start.elapsed();
        assert_eq!(sum, scopes * tasks * (tasks + 1) / 2);
        time
    };
    run(params, async move {
        play(scopes / 10).await;
        Outcome::ns_each(play(scopes).await, scopes * tasks)
    })
}

pub fn timeout(params: &Params) -> Outcome {
    const LIMIT: Duration = Duration::from_secs(60);
    let rounds = params.get("rounds");
    run(params, async move {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut play = async |rounds, is_limited| {
            let mut sum = 0;
            let start = Instant::now();
            for n in 0..rounds {
                sender.send(n).await.unwrap();
                sum += match is_limited {
                    true => tokio::time::timeout(LIMIT, receiver.recv()).await.unwrap(),
                    false => receiver.recv().await,
                }
                .unwrap();
            }
            let time = start.elapsed();
            assert_eq!(sum, harness::sum_below(rounds));
            time
        };
        play(rounds / 10, true).await;
        let without = play(rounds, false).await;
        Outcome::ns_each(play(rounds, true).await.saturating_sub(without), rounds)
    })
}

pub fn blocking(params: &Params) -> Outcome {
    let (callers, calls) = (params.get("callers"), params.get("calls"));
    let play = move |calls| async move {
        let start = Instant::now();
        let mut set = JoinSet::new();
        for _ in 0..callers {
            set.spawn(async move {
                for _ in 0..calls {
                    spawn_blocking(|| ()).await.unwrap();
                }
            });
        }
        set.join_all().await;
        start.elapsed()
    };
    run(params, async move {
        play(calls / 10).await;
        Outcome::ns_each(play(calls).await, callers * calls)
    })
}

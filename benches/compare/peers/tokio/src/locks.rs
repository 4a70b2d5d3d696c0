//! Tasks that share, by tokio's own locks.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use tokio::sync::{Mutex, RwLock, Semaphore, broadcast};
use tokio::task::{JoinSet, yield_now};

use crate::run;

pub fn mutex(params: &Params) -> Outcome {
    let (tasks, yields, rounds) = (params.get("tasks"), params.get("yields"), params.get("rounds"));
    let play = move |rounds| async move {
        let total = Arc::new(Mutex::new(0));
        let time = all(tasks, || {
            let total = total.clone();
            async move {
                for _ in 0..rounds {
                    let mut total = total.lock().await;
                    *total += 1;
                    for _ in 0..yields {
                        yield_now().await;
                    }
                }
            }
        })
        .await;
        assert_eq!(*total.lock().await, tasks * rounds);
        time
    };
    run(params, async move {
        play(rounds / 10).await;
        Outcome::ns_each(play(rounds).await, tasks * rounds)
    })
}

pub fn rwlock(params: &Params) -> Outcome {
    let (tasks, rounds) = (params.get("tasks"), params.get("rounds"));
    let play = move |rounds: u64| async move {
        let value = Arc::new(RwLock::new(0_u64));
        let time = all(tasks, || {
            let value = value.clone();
            async move {
                let mut last = 0;
                for round in 0..rounds {
                    if round % 100 == 0 {
                        *value.write().await += 1;
                    } else {
                        let now = *value.read().await;
                        assert!(now >= last);
                        last = now;
                    }
                }
            }
        })
        .await;
        assert_eq!(*value.read().await, tasks * rounds.div_ceil(100));
        time
    };
    run(params, async move {
        play(rounds / 10).await;
        Outcome::ns_each(play(rounds).await, tasks * rounds)
    })
}

pub fn semaphore(params: &Params) -> Outcome {
    let (tasks, permits) = (params.get("tasks"), params.get("permits"));
    let rounds = params.get("rounds");
    let play = move |rounds| async move {
        let semaphore = Arc::new(Semaphore::new(permits as usize));
        let time = all(tasks, || {
            let semaphore = semaphore.clone();
            async move {
                for _ in 0..rounds {
                    let _permit = semaphore.acquire().await.unwrap();
                    yield_now().await;
                }
            }
        })
        .await;
        assert_eq!(semaphore.available_permits(), permits as usize);
        time
    };
    run(params, async move {
        play(rounds / 10).await;
        Outcome::ns_each(play(rounds).await, tasks * rounds)
    })
}

/// A `JoinSet` stands for a group.
pub fn wait_group(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = move |batches| async move {
        let done = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        for _ in 0..batches {
            let mut set = JoinSet::new();
            for _ in 0..batch {
                let done = done.clone();
                set.spawn(async move {
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            while set.join_next().await.is_some() {}
        }
        let time = start.elapsed();
        assert_eq!(done.load(Ordering::Relaxed), batches * batch);
        time
    };
    run(params, async move {
        play(batches / 10).await;
        Outcome::ns_each(play(batches).await, batches * batch)
    })
}

pub fn broadcast(params: &Params) -> Outcome {
    let (receivers, burst) = (params.get("receivers"), params.get("burst"));
    let bursts = params.get("bursts");
    let play = move |bursts: u64| async move {
        let (sender, receiver) = broadcast::channel(burst as usize);
        let got = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..receivers)
            .map(|_| {
                let (mut receiver, got) = (receiver.resubscribe(), got.clone());
                tokio::spawn(async move {
                    let mut sum = 0;
                    while let Ok(message) = receiver.recv().await {
                        sum += message;
                        got.fetch_add(1, Ordering::Release);
                    }
                    sum
                })
            })
            .collect();
        drop(receiver);
        let start = Instant::now();
        for n in 0..bursts {
            (0..burst).for_each(|message| assert!(sender.send(message).is_ok()));
            while got.load(Ordering::Acquire) < (n + 1) * burst * receivers {
                yield_now().await;
            }
        }
        let time = start.elapsed();
        drop(sender);
        let mut sum = 0_u64;
        for task in tasks {
            sum += task.await.unwrap();
        }
        assert_eq!(sum, receivers * bursts * harness::sum_below(burst));
        time
    };
    run(params, async move {
        play(bursts / 10).await;
        Outcome::ns_each(play(bursts).await, bursts * burst * receivers)
    })
}

/// The time that this many tasks take together.
async fn all<F>(tasks: u64, body: impl Fn() -> F) -> Duration
where
    F: Future<Output = ()> + Send + 'static,
{
    let start = Instant::now();
    let tasks: Vec<_> = (0..tasks).map(|_| tokio::spawn(body())).collect();
    for task in tasks {
        task.await.unwrap();
    }
    start.elapsed()
}

//! Tasks on several workers: they talk across, or should be on all of them to compute. With tokio's
//! own channels; a pool shares a receiver by tokio's mutex, as its documentation advises.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::apart::{GAP, Meeting, START, jobs_alone, spin};
use harness::cpu::work;
use harness::{Outcome, Params, sum_below};
use tokio::sync::mpsc::{Receiver, Sender, channel, unbounded_channel};
use tokio::sync::{Mutex, oneshot};
use tokio::task::JoinHandle;

use crate::run;

pub fn torn(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, async move {
        let (to_pong, from_ping) = channel(1);
        let (to_ping, mut from_pong) = channel(1);
        let ping = tokio::spawn(async move { play_ping(&to_pong, &mut from_pong, rounds).await });
        spin(GAP);
        let pong = tokio::spawn(play_pong(from_ping, to_ping));
        let time = ping.await.unwrap();
        pong.await.unwrap();
        Outcome::ns_each(time, rounds)
    })
}

async fn play_ping(to_pong: &Sender<u64>, from_pong: &mut Receiver<u64>, rounds: u64) -> Duration {
    let start = Instant::now();
    let mut ball = 0;
    for _ in 0..rounds {
        to_pong.send(ball).await.unwrap();
        ball = from_pong.recv().await.unwrap();
    }
    assert_eq!(ball, rounds);
    start.elapsed()
}

async fn play_pong(mut from_ping: Receiver<u64>, to_ping: Sender<u64>) {
    while let Some(ball) = from_ping.recv().await {
        to_ping.send(ball + 1).await.unwrap();
    }
}

/// Two tasks on two workers, from where they may move.
fn apart<A: Send + 'static, B: Send + 'static>(
    one: impl Future<Output = A> + Send + 'static,
    other: impl Future<Output = B> + Send + 'static,
) -> (JoinHandle<A>, JoinHandle<B>) {
    let meeting = Arc::new(Meeting::default());
    let theirs = meeting.clone();
    let one = tokio::spawn(async move {
        meeting.attend();
        one.await
    });
    let other = tokio::spawn(async move {
        theirs.attend();
        other.await
    });
    (one, other)
}

pub fn across(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, async move {
        let (to_pong, from_ping) = channel(1);
        let (to_ping, mut from_pong) = channel(1);
        let (ping, pong) = apart(
            async move {
                play_ping(&to_pong, &mut from_pong, rounds / 10).await;
                play_ping(&to_pong, &mut from_pong, rounds).await
            },
            play_pong(from_ping, to_ping),
        );
        let time = ping.await.unwrap();
        pong.await.unwrap();
        Outcome::ns_each(time, rounds)
    })
}

pub fn stream_across(params: &Params) -> Outcome {
    let (capacity, messages) = (params.get("capacity"), params.get("messages"));
    run(params, async move {
        let (sender, mut receiver) = channel(capacity as usize);
        let start = Instant::now();
        let (sending, sum) = apart(
            async move {
                for message in 0..messages {
                    sender.send(message).await.unwrap();
                }
            },
            async move {
                let mut sum = 0;
                while let Some(message) = receiver.recv().await {
                    sum += message;
                }
                sum
            },
        );
        sending.await.unwrap();
        assert_eq!(sum.await.unwrap(), sum_below(messages));
        Outcome::ns_each(start.elapsed(), messages)
    })
}

pub fn ask_across(params: &Params) -> Outcome {
    let (clients, requests) = (params.get("clients"), params.get("requests"));
    run(params, async move {
        let (to_server, mut questions) = channel::<(u64, oneshot::Sender<u64>)>(64);
        let start = Instant::now();
        let (server, asking) = apart(
            async move {
                while let Some((question, answer)) = questions.recv().await {
                    answer.send(question + 1).unwrap();
                }
            },
            async move {
                let clients: Vec<_> = (0..clients)
                    .map(|_| {
                        let to_server = to_server.clone();
                        tokio::spawn(async move {
                            for question in 0..requests {
                                let (to_us, answer) = oneshot::channel();
                                to_server.send((question, to_us)).await.unwrap();
                                assert_eq!(answer.await, Ok(question + 1));
                            }
                        })
                    })
                    .collect();
                drop(to_server);
                for client in clients {
                    client.await.unwrap();
                }
            },
        );
        asking.await.unwrap();
        server.await.unwrap();
        Outcome::ns_each(start.elapsed(), clients * requests)
    })
}

pub fn actors(params: &Params) -> Outcome {
    let (actors, steps) = (params.get("actors"), params.get("steps"));
    let (expected, alone) = jobs_alone(actors, steps);
    run(params, async move {
        let (done, mut results) = unbounded_channel();
        let actors: Vec<_> = (0..actors)
            .map(|_| {
                let (sender, mut inbox) = unbounded_channel();
                let done = done.clone();
                tokio::spawn(async move {
                    while let Some(job) = inbox.recv().await {
                        done.send(work(job, steps)).unwrap();
                    }
                });
                sender
            })
            .collect();
        tokio::time::sleep(START).await;
        let start = Instant::now();
        for (job, actor) in actors.iter().enumerate() {
            actor.send(job as u64).unwrap();
        }
        let mut sum = 0_u64;
        for _ in &actors {
            sum = sum.wrapping_add(results.recv().await.unwrap());
        }
        let time = start.elapsed();
        assert_eq!(sum, expected);
        Outcome::spread(time, alone)
    })
}

pub fn jobs(params: &Params) -> Outcome {
    let (pool, jobs, steps) = (params.get("pool"), params.get("jobs"), params.get("steps"));
    let (expected, alone) = jobs_alone(jobs, steps);
    run(params, async move {
        let (to_pool, queue) = unbounded_channel();
        let (done, mut results) = channel(1);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..pool {
            let (queue, done) = (queue.clone(), done.clone());
            tokio::spawn(async move {
                loop {
                    let job = queue.lock().await.recv().await;
                    let Some(job) = job else { return };
                    done.send(work(job, steps)).await.unwrap();
                }
            });
        }
        tokio::time::sleep(START).await;
        let start = Instant::now();
        (0..jobs).for_each(|job| to_pool.send(job).unwrap());
        let mut sum = 0_u64;
        for _ in 0..jobs {
            sum = sum.wrapping_add(results.recv().await.unwrap());
        }
        let time = start.elapsed();
        assert_eq!(sum, expected);
        Outcome::spread(time, alone)
    })
}

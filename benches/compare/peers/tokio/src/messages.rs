//! Tasks that talk, through channels of any kind.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use harness::{Outcome, Params, no_equal, nth_prime, sum_below};
use tokio::task::yield_now;

use crate::channels::{Channel, Room};
use crate::run;

const RENDEZVOUS: Room = Room::For(0);

pub fn pingpong<C: Channel>(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, async move {
        round_trips::<C>(rounds / 10).await;
        Outcome::ns_each(round_trips::<C>(rounds).await, rounds)
    })
}

async fn round_trips<C: Channel>(rounds: u64) -> Duration {
    let (to_pong, mut from_ping) = C::new(RENDEZVOUS);
    let (to_ping, mut from_pong) = C::new(RENDEZVOUS);
    let pong = tokio::spawn(async move {
        while let Some(ball) = C::recv(&mut from_ping).await {
            assert!(C::send(&to_ping, ball + 1).await);
        }
    });
    let ping = tokio::spawn(async move {
        let start = Instant::now();
        let mut ball = 0;
        for _ in 0..rounds {
            assert!(C::send(&to_pong, ball).await);
            ball = C::recv(&mut from_pong).await.unwrap();
        }
        assert_eq!(ball, rounds);
        start.elapsed()
    });
    let time = ping.await.unwrap();
    pong.await.unwrap();
    time
}

pub fn buffered<C: Channel>(params: &Params) -> Outcome {
    let (pairs, room) = (params.get("pairs"), Room::For(params.get("capacity") as usize));
    let messages = params.get("messages");
    if pairs > 1 && C::another(&C::new(room).1).is_none() {
        return no_equal("its channels have one receiver");
    }
    run(params, async move {
        stream::<C>(room, pairs, messages / 10, None).await;
        Outcome::ns_each(stream::<C>(room, pairs, messages, None).await, pairs * messages)
    })
}

pub fn unbounded<C: Channel>(params: &Params) -> Outcome {
    let (burst, messages) = (params.get("burst"), params.get("messages"));
    run(params, async move {
        stream::<C>(Room::Unlimited, 1, messages / 10, Some(burst)).await;
        let time = stream::<C>(Room::Unlimited, 1, messages, Some(burst)).await;
        Outcome::ns_each(time, messages)
    })
}

/// Each of the senders sends `messages`, which the same number of receivers add up. A sender yields
/// after each `burst`.
async fn stream<C: Channel>(room: Room, pairs: u64, messages: u64, burst: Option<u64>) -> Duration {
    let start = Instant::now();
    let (sender, receiver) = C::new(room);
    for _ in 0..pairs {
        let sender = sender.clone();
        tokio::spawn(async move {
            for message in 0..messages {
                assert!(C::send(&sender, message).await);
                if burst.is_some_and(|burst| (message + 1).is_multiple_of(burst)) {
                    yield_now().await;
                }
            }
        });
    }
    drop(sender);
    let others: Vec<_> = (1..pairs).map(|_| C::another(&receiver).unwrap()).collect();
    let receivers: Vec<_> = others
        .into_iter()
        .chain([receiver])
        .map(|mut receiver| {
            tokio::spawn(async move {
                let mut sum = 0;
                while let Some(message) = C::recv(&mut receiver).await {
                    sum += message;
                }
                sum
            })
        })
        .collect();
    let mut sum = 0;
    for receiver in receivers {
        sum += receiver.await.unwrap();
    }
    let time = start.elapsed();
    assert_eq!(sum, pairs * sum_below(messages));
    time
}

pub fn select<C: Channel>(params: &Params) -> Outcome {
    let messages = params.get("messages");
    run(params, async move {
        merge_four::<C>(messages / 10).await;
        Outcome::ns_each(merge_four::<C>(messages).await, 4 * messages)
    })
}

/// Four tasks send `messages` each through a rendezvous channel of their own to one that selects.
async fn merge_four<C: Channel>(messages: u64) -> Duration {
    let source = |_| {
        let (sender, receiver) = C::new(RENDEZVOUS);
        let to_merger = sender.clone();
        tokio::spawn(async move {
            for message in 0..messages {
                assert!(C::send(&to_merger, message).await);
            }
        });
        (sender, receiver)
    };
    let start = Instant::now();
    // Their senders stay here, so that no channel closes while others are still in use.
    let [(_a, mut a), (_b, mut b), (_c, mut c), (_d, mut d)] = std::array::from_fn(source);
    let merger = tokio::spawn(async move {
        let mut sum = 0;
        for _ in 0..4 * messages {
            let message = tokio::select! {
                message = C::recv(&mut a) => message,
                message = C::recv(&mut b) => message,
                message = C::recv(&mut c) => message,
                message = C::recv(&mut d) => message,
            };
            sum += message.unwrap();
        }
        sum
    });
    let sum: u64 = merger.await.unwrap();
    let time = start.elapsed();
    assert_eq!(sum, 4 * sum_below(messages));
    time
}

pub fn skynet<C: Channel>(params: &Params) -> Outcome {
    let (leaves, room) = (params.get("leaves"), Room::For(params.get("room") as usize));
    run(params, async move {
        sum_of_leaves::<C>(leaves / 10, room).await;
        Outcome::ms(sum_of_leaves::<C>(leaves, room).await)
    })
}

async fn sum_of_leaves<C: Channel>(leaves: u64, room: Room) -> Duration {
    let start = Instant::now();
    let (sender, mut receiver) = C::new(room);
    tokio::spawn(node::<C>(sender, 0, leaves, room));
    assert_eq!(C::recv(&mut receiver).await, Some(sum_below(leaves)));
    start.elapsed()
}

/// Sends the sum of the `leaves` numbers from `first` on, which ten children find.
fn node<C: Channel>(
    parent: C::Sender,
    first: u64,
    leaves: u64,
    room: Room,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        if leaves == 1 {
            assert!(C::send(&parent, first).await);
            return;
        }
        let (sender, mut receiver) = C::new(room);
        let each = leaves / 10;
        for child in 0..10 {
            tokio::spawn(node::<C>(sender.clone(), first + child * each, each, room));
        }
        let mut sum = 0;
        for _ in 0..10 {
            sum += C::recv(&mut receiver).await.unwrap();
        }
        assert!(C::send(&parent, sum).await);
    })
}

pub fn sieve<C: Channel>(params: &Params) -> Outcome {
    let primes = params.get("primes");
    run(params, async move {
        last_prime::<C>(primes / 10).await;
        let (last, time) = last_prime::<C>(primes).await;
        assert_eq!(last, nth_prime(primes));
        Outcome::ms(time)
    })
}

/// The chain gets longer by a task that filters for each prime that comes out of it.
async fn last_prime<C: Channel>(primes: u64) -> (u64, Duration) {
    let start = Instant::now();
    let (generated, mut end_of_chain) = C::new(RENDEZVOUS);
    tokio::spawn(async move {
        let mut n = 2;
        while C::send(&generated, n).await {
            n += 1;
        }
    });
    for _ in 1..primes {
        let prime = C::recv(&mut end_of_chain).await.unwrap();
        let (filtered, new_end) = C::new(RENDEZVOUS);
        tokio::spawn(filter::<C>(prime, end_of_chain, filtered));
        end_of_chain = new_end;
    }
    (C::recv(&mut end_of_chain).await.unwrap(), start.elapsed())
}

async fn filter<C: Channel>(prime: u64, mut from: C::Receiver, to: C::Sender) {
    while let Some(n) = C::recv(&mut from).await {
        if n % prime != 0 && !C::send(&to, n).await {
            return;
        }
    }
}

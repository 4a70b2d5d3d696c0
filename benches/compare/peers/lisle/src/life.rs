//! Tasks that are awaited together, time limits, and calls that may block.

use std::time::{Duration, Instant};

use harness::{Outcome, Params};
use lisle::channel::bounded;

use crate::run;

pub fn scope(params: &Params) -> Outcome {
    let (tasks, scopes) = (params.get("tasks"), params.get("scopes"));
    let play = move |scopes| {
        let mut results = vec![0; tasks as usize];
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..scopes {
            lisle::scope(|s| {
                for (n, result) in (0..tasks).zip(&mut results) {
                    s.spawn(move || *result = n + 1);
                }
            });
            sum += results.iter_mut().map(std::mem::take).sum::<u64>();
        }
        let time = start.elapsed();
        assert_eq!(sum, scopes * tasks * (tasks + 1) / 2);
        time
    };
    run(params, || {
        play(scopes / 10);
        Outcome::ns_each(play(scopes), scopes * tasks)
    })
}

/// What a limit costs that is never reached, beyond the call that it limits.
pub fn timeout(params: &Params) -> Outcome {
    const LIMIT: Duration = Duration::from_secs(60);
    let rounds = params.get("rounds");
    run(params, || {
        let (sender, receiver) = bounded(1);
        let play = |rounds, receive: &dyn Fn() -> u64| {
            let mut sum = 0;
            let start = Instant::now();
            for n in 0..rounds {
                sender.send(n).unwrap();
                sum += receive();
            }
            let time = start.elapsed();
            assert_eq!(sum, harness::sum_below(rounds));
            time
        };
        let bare = || receiver.recv().unwrap();
        let limited = || lisle::timeout(LIMIT, || receiver.recv().unwrap()).unwrap();
        play(rounds / 10, &limited);
        let without = play(rounds, &bare);
        Outcome::ns_each(play(rounds, &limited).saturating_sub(without), rounds)
    })
}

pub fn blocking(params: &Params) -> Outcome {
    let (callers, calls) = (params.get("callers"), params.get("calls"));
    let play = move |calls| {
        let start = Instant::now();
        lisle::scope(|s| {
            for _ in 0..callers {
                s.spawn(move || (0..calls).for_each(|_| lisle::blocking(|| ())));
            }
        });
        start.elapsed()
    };
    run(params, || {
        play(calls / 10);
        Outcome::ns_each(play(calls), callers * calls)
    })
}

//! Coroutines on several workers: they talk across, or should be on all of them to compute.

use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::apart::{GAP, Meeting, START, jobs_alone, spin};
use harness::cpu::work;
use harness::{Outcome, Params};
use may::coroutine::sleep;
use may::go;
use may::sync::mpsc::{Receiver, Sender, channel};

use crate::run;

pub fn torn(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, move || {
        let (to_pong, from_ping) = channel();
        let (to_ping, from_pong) = channel();
        let ping = go!(move || play_ping(&to_pong, &from_pong, rounds));
        spin(GAP);
        let pong = go!(move || play_pong(&from_ping, &to_ping));
        let time = ping.join().unwrap();
        pong.join().unwrap();
        Outcome::ns_each(time, rounds)
    })
}

fn play_ping(to_pong: &Sender<u64>, from_pong: &Receiver<u64>, rounds: u64) -> Duration {
    let start = Instant::now();
    let mut ball = 0;
    for _ in 0..rounds {
        to_pong.send(ball).unwrap();
        ball = from_pong.recv().unwrap();
    }
    assert_eq!(ball, rounds);
    start.elapsed()
}

fn play_pong(from_ping: &Receiver<u64>, to_ping: &Sender<u64>) {
    for ball in from_ping {
        to_ping.send(ball + 1).unwrap();
    }
}

pub fn across(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, move || {
        let (to_pong, from_ping) = channel();
        let (to_ping, from_pong) = channel();
        let meeting = Arc::new(Meeting::default());
        let theirs = meeting.clone();
        let ping = go!(move || {
            meeting.attend();
            play_ping(&to_pong, &from_pong, rounds / 10);
            play_ping(&to_pong, &from_pong, rounds)
        });
        let pong = go!(move || {
            theirs.attend();
            play_pong(&from_ping, &to_ping);
        });
        let time = ping.join().unwrap();
        pong.join().unwrap();
        Outcome::ns_each(time, rounds)
    })
}

pub fn actors(params: &Params) -> Outcome {
    let (actors, steps) = (params.get("actors"), params.get("steps"));
    let (expected, alone) = jobs_alone(actors, steps);
    run(params, move || {
        let (done, results) = channel();
        let actors: Vec<_> = (0..actors)
            .map(|_| {
                let (sender, inbox) = channel();
                let done = done.clone();
                go!(move || {
                    while let Ok(job) = inbox.recv() {
                        done.send(work(job, steps)).unwrap();
                    }
                });
                sender
            })
            .collect();
        sleep(START);
        let start = Instant::now();
        for (job, actor) in actors.iter().enumerate() {
            actor.send(job as u64).unwrap();
        }
        let sum = actors.iter().map(|_| results.recv().unwrap()).fold(0, u64::wrapping_add);
        let time = start.elapsed();
        assert_eq!(sum, expected);
        Outcome::spread(time, alone)
    })
}

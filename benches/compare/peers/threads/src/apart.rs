//! Threads in place of the tasks that talk across workers, or compute on all of them.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use harness::apart::{GAP, Meeting, START, jobs_alone, spin};
use harness::cpu::work;
use harness::{Outcome, Params, sum_below};

use crate::run;

pub fn torn(params: &Params) -> Outcome {
    let rounds = params.get("rounds");
    run(params, || {
        let (to_pong, from_ping) = bounded(0);
        let (to_ping, from_pong) = bounded(0);
        let ping = thread::spawn(move || play_ping(&to_pong, &from_pong, rounds));
        spin(GAP);
        let pong = thread::spawn(move || play_pong(&from_ping, &to_ping));
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
    run(params, || {
        let (to_pong, from_ping) = bounded(0);
        let (to_ping, from_pong) = bounded(0);
        let (meeting, theirs) = meeting();
        let ping = thread::spawn(move || {
            meeting.attend();
            play_ping(&to_pong, &from_pong, rounds / 10);
            play_ping(&to_pong, &from_pong, rounds)
        });
        let pong = thread::spawn(move || {
            theirs.attend();
            play_pong(&from_ping, &to_ping);
        });
        let time = ping.join().unwrap();
        pong.join().unwrap();
        Outcome::ns_each(time, rounds)
    })
}

fn meeting() -> (Arc<Meeting>, Arc<Meeting>) {
    let meeting = Arc::new(Meeting::default());
    (meeting.clone(), meeting)
}

pub fn stream_across(params: &Params) -> Outcome {
    let (capacity, messages) = (params.get("capacity"), params.get("messages"));
    run(params, || {
        let (sender, receiver) = bounded(capacity as usize);
        let start = Instant::now();
        let sum = thread::spawn(move || receiver.iter().sum::<u64>());
        (0..messages).for_each(|message| sender.send(message).unwrap());
        drop(sender);
        assert_eq!(sum.join().unwrap(), sum_below(messages));
        Outcome::ns_each(start.elapsed(), messages)
    })
}

pub fn ask_across(params: &Params) -> Outcome {
    let (clients, requests) = (params.get("clients"), params.get("requests"));
    run(params, || {
        let (to_server, questions) = bounded::<(u64, Sender<u64>)>(64);
        let start = Instant::now();
        let server = thread::spawn(move || {
            for (question, answer) in questions {
                answer.send(question + 1).unwrap();
            }
        });
        let threads: Vec<_> = (0..clients)
            .map(|_| {
                let to_server = to_server.clone();
                thread::spawn(move || {
                    let (to_us, answers) = bounded(1);
                    for question in 0..requests {
                        to_server.send((question, to_us.clone())).unwrap();
                        assert_eq!(answers.recv(), Ok(question + 1));
                    }
                })
            })
            .collect();
        drop(to_server);
        threads.into_iter().for_each(|client| client.join().unwrap());
        server.join().unwrap();
        Outcome::ns_each(start.elapsed(), clients * requests)
    })
}

/// Each of as many threads as there are workers plays its share of the actors.
pub fn actors(params: &Params) -> Outcome {
    let (actors, steps) = (params.get("actors"), params.get("steps"));
    let (expected, alone) = jobs_alone(actors, steps);
    let (done, results) = unbounded();
    let threads: Vec<_> = (0..params.workers())
        .map(|_| {
            let (sender, inbox) = unbounded();
            let done = done.clone();
            thread::spawn(move || serve(&inbox, &done, steps));
            sender
        })
        .collect();
    thread::sleep(START);
    let start = Instant::now();
    for (job, thread) in (0..actors).zip(threads.iter().cycle()) {
        thread.send(job).unwrap();
    }
    let sum = results.iter().take(actors as usize).fold(0, u64::wrapping_add);
    let time = start.elapsed();
    assert_eq!(sum, expected);
    Outcome::spread(time, alone)
}

/// The pool has as many threads as there are workers.
pub fn jobs(params: &Params) -> Outcome {
    let (jobs, steps) = (params.get("jobs"), params.get("steps"));
    let (expected, alone) = jobs_alone(jobs, steps);
    let (to_pool, queue) = unbounded();
    let (done, results) = bounded(0);
    for _ in 0..params.workers() {
        let (queue, done) = (queue.clone(), done.clone());
        thread::spawn(move || serve(&queue, &done, steps));
    }
    thread::sleep(START);
    let start = Instant::now();
    (0..jobs).for_each(|job| to_pool.send(job).unwrap());
    let sum = results.iter().take(jobs as usize).fold(0, u64::wrapping_add);
    let time = start.elapsed();
    assert_eq!(sum, expected);
    Outcome::spread(time, alone)
}

fn serve(inbox: &Receiver<u64>, done: &Sender<u64>, steps: u64) {
    for job in inbox {
        done.send(work(job, steps)).unwrap();
    }
}

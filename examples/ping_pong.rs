//! Two tasks play ping-pong: a number goes over one channel and comes back over another.
//!
//! Both channels are `bounded(0)`. They hold nothing, so each message is a meeting of the two
//! tasks, and a round trip is two meetings. With `--threads` two plain OS threads then play the
//! same game over the same kind of channel, and what a task saves becomes visible.
//!
//! ```text
//! cargo run --release --example ping_pong -- [ROUNDS] [--threads]
//! ```
//!
//! With `--threads`, on a virtual machine that gives each of the two threads a core:
//!
//! ```text
//! tasks: 20,000,000 round trips in 1.25 s
//!     15,939,464 round trips a second, 62 ns a round trip
//! threads: 200,000 round trips in 0.12 s
//!     1,654,929 round trips a second, 604 ns a round trip
//! ```
//!
//! When other programs want the cores as well, threads need about 9,000 ns, tasks still 70.

mod support;

use std::time::{Duration, Instant};

use lisle::channel::{Receiver, Sender, bounded};
use support::{Args, Progress, grouped};

/// Threads play fewer rounds, for each takes them longer.
const FEWER_ON_THREADS: usize = 100;

fn main() {
    let mut args = Args::new("ping_pong", "[ROUNDS] [--threads]");
    let on_threads = args.flag("--threads");
    let rounds = args.count("ROUNDS", 20_000_000);
    args.finish();

    report("tasks", rounds, play_on_tasks(rounds));
    if on_threads {
        let rounds = rounds.div_ceil(FEWER_ON_THREADS);
        report("threads", rounds, play_on_threads(rounds));
    }
}

fn play_on_tasks(rounds: usize) -> Duration {
    lisle::run(move || {
        let (to_pong, from_ping) = bounded(0);
        let (to_ping, from_pong) = bounded(0);
        let ping = lisle::spawn(move || ping(rounds, to_pong, from_pong));
        let pong = lisle::spawn(move || pong(from_ping, to_ping));
        pong.join().unwrap();
        ping.join().unwrap()
    })
}

fn play_on_threads(rounds: usize) -> Duration {
    let (to_pong, from_ping) = bounded(0);
    let (to_ping, from_pong) = bounded(0);
    let ping = std::thread::spawn(move || ping(rounds, to_pong, from_pong));
    let pong = std::thread::spawn(move || pong(from_ping, to_ping));
    pong.join().unwrap();
    ping.join().unwrap()
}

/// Serves `rounds` times, and says how long that took.
fn ping(rounds: usize, to_pong: Sender<usize>, from_pong: Receiver<usize>) -> Duration {
    let mut progress = Progress::new("round trips", rounds);
    let start = Instant::now();
    for round in 1..=rounds {
        to_pong.send(round).unwrap();
        assert_eq!(from_pong.recv(), Ok(round));
        if round.is_multiple_of(1024) {
            progress.at(round);
        }
    }
    start.elapsed()
}

/// Returns every ball, until ping has no more.
fn pong(from_ping: Receiver<usize>, to_ping: Sender<usize>) {
    for ball in from_ping {
        to_ping.send(ball).unwrap();
    }
}

fn report(players: &str, rounds: usize, time: Duration) {
    let seconds = time.as_secs_f64();
    let a_second = grouped((rounds as f64 / seconds) as usize);
    let each = grouped((seconds * 1e9 / rounds as f64) as usize);
    let rounds = grouped(rounds);
    println!("{players}: {rounds} round trips in {seconds:.2} s");
    println!("    {a_second} round trips a second, {each} ns a round trip");
}

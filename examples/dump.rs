//! A program that says what all its tasks do.
//!
//! Four members of a pool wait for jobs, a hundred clients sleep, one task has not started yet, and
//! main asks for a dump.
//!
//! ```text
//! cargo run --release --example dump
//!
//! runtime 'example': 106 tasks on 1 worker
//!
//! 100 tasks: sleeping for up to 0.001 s
//!     at examples/dump.rs:64:32
//!     spawned at examples/dump.rs:63:9
//!     these are 6, 7, 8, 9, 10, 11, 12, 13 and 92 more
//!
//! 4 tasks: receiving from a channel for up to 0.001 s
//!     at examples/dump.rs:58:66
//!     spawned at examples/dump.rs:58:50
//!     1 sender is alive
//!     these are 2 'member 0', 3 'member 1', 4 'member 2' and 5 'member 3'
//!
//! task 1 'main': running
//!     spawned at examples/dump.rs:47:10
//!
//! task 106: not started
//!     spawned at examples/dump.rs:67:5
//! ```
//!
//! With `--serve` it stays until its input ends, and prints a dump whenever SIGQUIT comes, as from
//! Ctrl-\ or `kill -QUIT`.

mod support;

use std::io::{self, Read};
use std::time::Duration;

use lisle::channel::unbounded;
use lisle::task::Builder;
use support::Args;

fn main() {
    let mut args = Args::new("dump", "[--serve]");
    let serve = args.flag("--serve");
    args.finish();

    lisle::Runtime::builder()
        .name("example")
        .workers(1)
        .run(|| show(serve))
        .expect("main goes on by itself")
        .expect("signals and the standard streams work");
}

fn show(serve: bool) -> io::Result<()> {
    let (jobs, job) = unbounded::<u32>();
    for n in 0..4 {
        let job = job.clone();
        Builder::new().name(format!("member {n}")).spawn(move || job.iter().sum::<u32>())?;
    }
    for _ in 0..100 {
        lisle::spawn(|| lisle::sleep(Duration::from_secs(60)));
    }
    lisle::yield_now();
    lisle::spawn(|| ());
    if serve {
        lisle::dump::on_signal(lisle::signal::SIGQUIT)?;
        println!("SIGQUIT to {} prints a dump", std::process::id());
        let mut input = String::new();
        lisle::io::stdin().read_to_string(&mut input)?;
    } else {
        println!("{}", lisle::dump());
    }
    drop(jobs); // the pool ends
    Ok(())
}

//! Two tasks wait for each other for ever, and Lisle says so.
//!
//! Ann and Bob are so polite that each speaks only after the other. Nothing can wake them any more,
//! so `lisle::run` panics with a report of what each waits for, and where. Had the program other
//! threads, one of them might send something some day, and there would be no report.
//!
//! ```text
//! cargo run --release --example deadlock
//!
//! thread 'main' (16934) panicked at examples/deadlock.rs:39:5:
//! deadlock: all tasks are asleep and nothing can wake them
//!
//! task 1 'main': joining a task
//!     at examples/deadlock.rs:46:22
//!     spawned at examples/deadlock.rs:39:5
//!     waits for task 2 'Ann'
//!
//! task 2 'Ann': receiving from a channel
//!     at examples/deadlock.rs:52:16
//!     spawned at examples/deadlock.rs:43:53
//!     1 sender is alive
//!
//! task 3 'Bob': receiving from a channel
//!     at examples/deadlock.rs:52:16
//!     spawned at examples/deadlock.rs:44:53
//!     1 sender is alive
//! ```
//!
//! The exit code is 101, as for any panic of the main thread.

mod support;

use lisle::channel::{Receiver, Sender, bounded};
use support::Args;

fn main() {
    Args::new("deadlock", "").finish();

    lisle::run(|| {
        let (to_ann, from_bob) = bounded(0);
        let (to_bob, from_ann) = bounded(0);

        let ann =
            lisle::task::Builder::new().name("Ann").spawn(move || be_polite(from_bob, to_bob));
        let bob =
            lisle::task::Builder::new().name("Bob").spawn(move || be_polite(from_ann, to_ann));

        ann.unwrap().join().unwrap();
        bob.unwrap().join().unwrap();
    });
}

fn be_polite(from_other: Receiver<&str>, to_other: Sender<&str>) {
    from_other.recv().unwrap(); // nothing is ever sent
    to_other.send("Good morning!").unwrap();
}

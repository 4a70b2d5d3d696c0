//! A supervisor that starts its workers anew when they panic, and gives up on one that does nothing
//! else.
//!
//! Each worker is a task of a scope, so the supervisor ends after the last of them, and what they
//! have in common is borrowed. One works, one panics now and then, one always does, and one hangs:
//! it has a time limit. What the panics say is on standard error. (In a program that is built with
//! `panic = "abort"` there is nothing to supervise: the first panic ends the process.)
//!
//! ```text
//! cargo run --release --example supervisor
//!
//! steady: done after 1 start
//! shaky: done after 3 starts
//! broken: given up after 4 starts: it is beyond repair
//! stuck: given up after 4 starts: it takes too long
//! ```

mod support;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use lisle::task::Cancelled;
use support::Args;

const MOST_STARTS: usize = 4;
const LIMIT: Duration = Duration::from_millis(20);

/// What a worker does when it is started for the n-th time.
type Work = fn(usize);

fn main() {
    Args::new("supervisor", "").finish();

    let workers: [(&str, Work); 4] = [
        ("steady", |_| lisle::yield_now()),
        ("shaky", |start| assert!(start > 2, "not yet")),
        ("broken", |_| panic!("it is beyond repair")),
        ("stuck", |_| lisle::sleep(Duration::from_secs(3600))),
    ];
    lisle::run(|| {
        lisle::scope(|s| {
            let supervisors = workers.map(|(name, work)| s.spawn(move || supervise(name, work)));
            for supervisor in supervisors {
                println!("{}", supervisor.join().unwrap());
            }
        });
    });
}

/// Has the work done, however often it takes, and says how that went.
fn supervise(name: &str, work: Work) -> String {
    let mut reason = String::new();
    for start in 1..=MOST_STARTS {
        let attempt = AssertUnwindSafe(|| lisle::timeout(LIMIT, || work(start)));
        match catch_unwind(attempt) {
            Ok(Ok(())) => {
                let plural = if start == 1 { "" } else { "s" };
                return format!("{name}: done after {start} start{plural}");
            }
            Ok(Err(_)) => reason = "it takes too long".to_owned(),
            // The supervisor itself is to stop.
            Err(payload) if Cancelled::of(&payload).is_some() => resume_unwind(payload),
            Err(payload) => reason = text_of(payload.as_ref()),
        }
    }
    format!("{name}: given up after {MOST_STARTS} starts: {reason}")
}

/// What a panic has said.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    text.or(payload.downcast_ref().map(String::as_str)).unwrap_or("it has panicked").to_owned()
}

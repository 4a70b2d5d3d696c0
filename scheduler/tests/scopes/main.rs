//! Scopes, their failures and races, sets of tasks, and task-local values.
#![cfg(not(lisle_loom))]

mod ends;
mod locals;
mod races;
mod scope;
#[path = "../support/mod.rs"]
mod support;
mod try_scope;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lisle_scheduler::Cancelled;
use support::{Bell, run_on};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

fn wait_for_ever() {
    Bell::new().wait();
}

/// With each number of workers, and from a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 2, 4] {
        run_on(workers, body).unwrap();
    }
    body();
}

/// The message of a panic.
fn caught<T>(body: impl FnOnce() -> T) -> &'static str {
    let payload = catch_unwind(AssertUnwindSafe(body)).err().expect("it panics");
    match payload.downcast_ref::<Cancelled>() {
        Some(_) => "cancelled",
        None => payload.downcast_ref::<&str>().expect("a text"),
    }
}

//! Tasks that are cancelled by a handle, whatever they are doing, and regions of tasks and threads
//! that end early.
#![cfg(not(lisle_loom))]

mod callbacks;
mod handles;
mod regions;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use lisle_scheduler::{Cancelled, CancelledBy, JoinHandle};
use support::Bell;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

#[track_caller]
fn assert_cancelled<T>(task: JoinHandle<T>, by: CancelledBy) {
    let payload = task.join().err().expect("it was cancelled");
    assert_eq!(Cancelled::of(&payload).map(Cancelled::by), Some(by));
}

fn wait_for_ever() {
    Bell::new().wait();
    unreachable!("nobody rings");
}

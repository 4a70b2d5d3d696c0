//! What the attributes expand to. Not part of the interface.

use std::time::Duration;

use crate::deadlock::ForeignThreads;
use crate::explore::Explorer;
use crate::{Runtime, RuntimeBuilder};

/// What `#[lisle::main]` starts from.
pub fn for_main() -> RuntimeBuilder {
    Runtime::builder()
}

/// What `#[lisle::test]` starts from.
pub fn for_test(name: &str) -> RuntimeBuilder {
    Runtime::builder()
        .name(name)
        .thread_name("lisle")
        .foreign_threads(ForeignThreads::LaterMayWake)
        .stall_notice(Duration::from_secs(10))
}

/// Runs `test` under many schedules.
#[track_caller]
pub fn explore(explorer: Explorer, test: impl Fn() + Sync) {
    explorer.run(test);
}

/// Runs `main` in the runtime that was set up, as [`run`](crate::run) does.
#[track_caller]
pub fn run<R>(builder: RuntimeBuilder, main: impl FnOnce() -> R) -> R {
    // Not `unwrap_or_else`: a panic in a closure would not be located at the caller.
    match builder.run(main) {
        Ok(result) => result,
        Err(deadlock) => panic!("{deadlock}"),
    }
}

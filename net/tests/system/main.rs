//! Files, programs, signals and the standard streams: in tasks and on plain threads.
#![cfg(not(lisle_loom))]

mod files;
mod programs;
mod signals;
mod standard;
mod surface;

use std::env;

use lisle_net::process::Command;
use lisle_scheduler::Runtime;

/// Calls `body` in a task on one worker, in one on two workers, and on a plain thread.
#[track_caller]
fn in_tasks_and_on_a_thread(body: impl Fn() + Copy + Send + 'static) {
    for workers in [1, 2] {
        Runtime::builder().workers(workers).run(body).unwrap();
    }
    body();
}

const CHILD: &str = "LISLE_TEST_CHILD";

/// This test program, to be started for one test alone, which then [finds](is_child) that it is a
/// child.
fn this_program_for(test: &str) -> Command {
    let program = env::current_exe().unwrap();
    // The kernel cannot start programs of a foreign architecture itself.
    let mut command = match env::var("LISLE_TEST_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    };
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, test);
    command
}

/// Whether this is the child. One that hangs is killed.
fn is_child(test: &str) -> bool {
    const LIMIT: u32 = 60;
    let is_child = env::var_os(CHILD).is_some_and(|child| child == test);
    if is_child {
        // SAFETY: the call touches no memory.
        unsafe { libc::alarm(LIMIT) };
    }
    is_child
}

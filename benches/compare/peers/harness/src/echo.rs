//! What the servers of `echo` and `latency` share: their clients.

use std::process::Command;

use crate::{Outcome, Params};

/// How much a server reads at once.
pub const ROOM: usize = 1024;

/// Has the clients talk to the server at `port`, and waits for them. It blocks the calling thread.
///
/// # Panics
///
/// If they cannot be started, or have failed.
pub fn clients(params: &Params, port: u16) -> Outcome {
    let program = std::env::var_os("LISLE_LOAD").expect("LISLE_LOAD is the program of the clients");
    let numbers = [u64::from(port), params.get("connections"), params.get("requests")];
    let mut clients = Command::new(program);
    clients.arg(params.bench()).args(numbers.map(|n| n.to_string()));
    let output = clients.output().expect("the clients are a program");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the clients have failed: {complaints}");
    Outcome::Line(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

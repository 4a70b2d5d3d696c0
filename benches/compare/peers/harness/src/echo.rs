//! What the servers of `echo` share: their clients.

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
    let output = Command::new(program).args(numbers.map(|n| n.to_string())).output();
    let output = output.expect("the clients are a program");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    let ns =
        said.trim().parse().unwrap_or_else(|_| panic!("the clients have failed: {complaints}"));
    Outcome::Measured(vec![("ns", ns)])
}

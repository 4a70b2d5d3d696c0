//! What tests share that start programs.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// Runs a program, through an emulator if it is of a foreign architecture, whose programs the
/// kernel cannot start itself.
pub fn command(program: PathBuf) -> Command {
    match env::var("LISLE_TEST_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

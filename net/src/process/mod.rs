//! Other programs: [`std::process`], and to wait for one lets other tasks run.
//!
//! ```
//! use lisle::process::Command;
//!
//! lisle::run(|| {
//!     let output = Command::new("echo").arg("hello").output()?;
//!     assert!(output.status.success());
//!     assert_eq!(output.stdout, b"hello\n");
//!     Ok::<_, std::io::Error>(())
//! })
//! # .unwrap();
//! ```

mod child;
mod command;
mod start;

use std::process;

use crate::io::Io;

pub use self::child::Child;
pub use self::command::Command;
pub use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

/// What is written for a child to read. See [`Child::stdin`].
pub type ChildStdin = Io<process::ChildStdin>;
/// What a child writes. See [`Child::stdout`].
pub type ChildStdout = Io<process::ChildStdout>;
/// What a child writes as errors. See [`Child::stderr`].
pub type ChildStderr = Io<process::ChildStderr>;

//! Ends of programs that are built with `panic = "abort"`. Nothing can be unwound there, so what is
//! suspended when its runtime or its handle ends is left behind, and the program goes on.
//!
//! Each case runs in a process of its own: this program, with the name of the case.

mod cancelling;
mod cases;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, Stdio};

/// How a case has to end.
pub enum End {
    /// Well, and without a word.
    Silent,
    /// Well, with these words.
    Says(&'static [&'static str]),
    /// By an abort, with these words.
    Aborts(&'static [&'static str]),
}

type Case = (&'static str, fn(), End);

const SIGABRT: i32 = 6;

fn main() -> ExitCode {
    let mut cases = cases::all();
    cases.extend(cancelling::all());
    if let Some(name) = std::env::args().nth(1) {
        let (_, body, _) = cases.iter().find(|case| case.0 == name).expect("a case of this name");
        body();
        return ExitCode::SUCCESS;
    }
    let failed: Vec<_> = cases.iter().filter(|case| !ends_as_it_should(case)).collect();
    println!("{} cases, {} failed", cases.len(), failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a case, and says what it did if that is wrong. One that hangs is killed.
fn ends_as_it_should((name, _, end): &Case) -> bool {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new("timeout")
        .args(["--signal=KILL", "60"])
        .arg(program)
        .arg(name)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .output()
        .expect("a process more");
    let said = String::from_utf8_lossy(&output.stderr);
    let (status, well) = (output.status, output.status.success());
    // `timeout` ends as its command did, or with what a shell would make of that.
    let aborted = status.signal() == Some(SIGABRT) || status.code() == Some(128 + SIGABRT);
    let right = match end {
        End::Silent => well && said.is_empty(),
        End::Says(words) => well && words.iter().all(|word| said.contains(word)),
        End::Aborts(words) => aborted && words.iter().all(|word| said.contains(word)),
    };
    println!("{name}: {}", if right { "ok" } else { "FAILED" });
    if !right {
        println!("    {status}\n{said}");
    }
    right
}

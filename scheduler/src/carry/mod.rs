//! Carrying: the thread of one worker runs another worker, under that worker's identity.
//!
//! What code takes for its thread is the block of thread-locals to which a register points, and the
//! stack. Whichever kernel thread loads the register and goes on on the stack *is* that thread, for
//! all that Rust and the C library can see. So a worker is an *identity*, and its thread is only
//! the one that runs it at the moment. A worker that is about to idle, and has just woken a task of
//! one that sleeps, does not wake the other thread, which takes some 50 µs: it lets its own
//! identity rest, and its thread goes on as the other.
//!
//! `README.md` beside this file has the protocol, and why nothing is lost. The code is for x86_64
//! with glibc; elsewhere, and where a tool watches the program, no worker has an identity.

#[cfg(any(
    all(test, lisle_loom),
    all(
        target_arch = "x86_64",
        target_env = "gnu",
        not(lisle_loom),
        not(lisle_switch = "ucontext"),
        not(lisle_sanitize = "address"),
        not(lisle_sanitize = "thread"),
        not(lisle_sanitize = "valgrind"),
    )
))]
#[cfg_attr(lisle_loom, allow(dead_code, reason = "models do not use all of it"))]
mod protocol;

#[cfg(all(
    target_arch = "x86_64",
    target_env = "gnu",
    not(lisle_loom),
    not(lisle_switch = "ucontext"),
    not(lisle_sanitize = "address"),
    not(lisle_sanitize = "thread"),
    not(lisle_sanitize = "valgrind"),
))]
#[path = "identity.rs"]
mod imp;

#[cfg(not(all(
    target_arch = "x86_64",
    target_env = "gnu",
    not(lisle_loom),
    not(lisle_switch = "ucontext"),
    not(lisle_sanitize = "address"),
    not(lisle_sanitize = "thread"),
    not(lisle_sanitize = "valgrind"),
)))]
#[path = "none.rs"]
mod imp;

#[cfg(all(test, lisle_loom))]
mod models;

use std::{env, io};

pub(crate) use self::imp::{Identity, Mate};

/// How a rest has ended.
#[allow(dead_code, reason = "no worker rests where none has an identity")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rested {
    /// Something has come, or may have.
    Called,
    /// Its time was over, or nobody has come for long.
    InVain,
}

/// The variable that switches carrying off, or on.
const VARIABLE: &str = "LISLE_CARRY";

/// Whether the environment lets workers be carried.
pub(crate) fn is_wanted() -> io::Result<bool> {
    match env::var_os(VARIABLE) {
        None => Ok(true),
        Some(value) => match value.to_str() {
            Some("0") => Ok(false),
            Some("" | "1") => Ok(true),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{VARIABLE} must be 0 or 1, but is {value:?}"),
            )),
        },
    }
}

//! A panic in a task says which: a panic hook that adds a line to what the one before it has said.
//!
//! Hooks belong to the process. This one is set when the first runtime starts that wants it, calls
//! the hook that it finds then, and stays; one that the program sets later replaces it. It costs
//! nothing before a task panics, and a task that is cancelled is unwound without a hook.

use std::fmt::{self, Display, Formatter};
use std::panic::{set_hook, take_hook};
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, io, thread};

use crate::task::Control;
use crate::worker;

/// The variable that switches the line off, or on.
const VARIABLE: &str = "LISLE_PANIC_NOTE";

/// Whether the environment wants the line.
pub(crate) fn is_wanted() -> io::Result<bool> {
    match env::var_os(VARIABLE) {
        None => Ok(true),
        Some(value) => match value.to_str() {
            Some("" | "1") => Ok(true),
            Some("0") => Ok(false),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{VARIABLE} must be 0 or 1, but is {value:?}"),
            )),
        },
    }
}

/// Sets the hook unless that was done before.
pub(crate) fn install() {
    static INSTALLED: AtomicBool = AtomicBool::new(false);
    // A thread that unwinds cannot set a hook; another runtime will.
    if cfg!(lisle_loom) || thread::panicking() || INSTALLED.swap(true, Ordering::Relaxed) {
        return;
    }
    let before = take_hook();
    set_hook(Box::new(move |panic| {
        before(panic);
        worker::with_panicking_task(say);
    }));
}

/// Neither allocates nor waits for another task, and does not fail.
fn say(task: &Control) {
    // Not a line that is written to the descriptor itself: a test's harness shows what is printed
    // with the test that has printed it.
    eprint!("{}", Unfailing(task));
}

/// The line. What becomes of it is kept from the macro, which panics if the line cannot be written.
struct Unfailing<'a>(&'a Control);

impl Display for Unfailing<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self(task) = self;
        let _ = writeln!(f, "in task {}, spawned at {}", task.title(), task.spawned_at);
        Ok(())
    }
}

//! Looking at a suspended stack from its own top.
//!
//! ```text
//!   |  the body's frames   |
//!   |  frame of switch()   |  as it was left
//!   +----------------------+  <- context
//!   |  the backend's frame |  says to an unwinder: called by the suspended switch()
//!   |  the caller's f      |
//!   |          |           |
//! ```
//!
//! Nothing is continued: `f` runs between the suspension and the next switch, in the free part of
//! the stack, and the memory above is only read.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread;

use super::{Context, backend};
use crate::sanitizer;

/// How many bytes must be free below a suspended frame, and may be used by what runs on top of it.
/// `Backtrace::force_capture` takes about 5 KiB the first time and 2 KiB later.
pub const ROOM_ON_TOP: usize = 16 * 1024;

/// How a backend calls `function(data)` on top of a suspended stack.
pub(super) type CallOnTop =
    unsafe fn(on: Context, function: unsafe extern "C" fn(*mut ()), data: *mut ());

/// Runs `f` on top of a suspended stack, as if what is suspended there had called it, and comes
/// back. A backtrace that `f` captures shows how the suspension was reached, and ends at the base
/// of that stack. A panic of `f` goes on in the caller.
///
/// `None`, without running `f`, if less than [`ROOM_ON_TOP`] is left down to `bottom`, or if the
/// backend is `ucontext`.
///
/// # Safety
///
/// - `context` was stored by a [`switch`](super::switch), and not made by
///   [`prepare`](super::prepare). It is not continued, and its stack not freed, before this
///   returns.
/// - `bottom` is the lowest usable byte of that stack.
/// - `f` does not switch, and calls nothing that might.
pub unsafe fn on_top_of<R>(
    context: Context,
    bottom: *const u8,
    f: impl FnOnce() -> R,
) -> Option<R> {
    let call = backend::CALL_ON_TOP?;
    if context.frame().addr().saturating_sub(bottom.addr()) < ROOM_ON_TOP {
        return None;
    }
    let mut visit = Visit { f: Some(f), outcome: None };
    let departure = sanitizer::leave(context);
    // SAFETY: nobody uses the stack below the suspended frame before this call is over, and there
    // is room. `run` gets the visit that it was made for, and does not unwind.
    unsafe { call(context, run_of(&visit), (&raw mut visit).cast()) };
    sanitizer::arrive(departure);
    match visit.outcome.expect("the function has run") {
        Ok(result) => Some(result),
        Err(panic) => resume_unwind(panic),
    }
}

struct Visit<F, R> {
    f: Option<F>,
    outcome: Option<thread::Result<R>>,
}

/// The `run` for the types of a visit, which a closure's caller cannot name.
fn run_of<F: FnOnce() -> R, R>(_: &Visit<F, R>) -> unsafe extern "C" fn(*mut ()) {
    run::<F, R>
}

/// # Safety
///
/// `data` is a `Visit<F, R>` that has not been run.
unsafe extern "C" fn run<F: FnOnce() -> R, R>(data: *mut ()) {
    let stay = sanitizer::visit();
    // SAFETY: the visitor waits in `on_top_of`, which owns the visit.
    let visit = unsafe { &mut *data.cast::<Visit<F, R>>() };
    let f = visit.f.take().expect("a visit runs once");
    visit.outcome = Some(catch_unwind(AssertUnwindSafe(f)));
    sanitizer::leave_visit(stay);
}

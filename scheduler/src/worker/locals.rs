//! The end of a thread's thread-locals while tasks still run on the thread.
//!
//! `std::process::exit`, called by a task, destroys the thread-locals of its thread, the youngest first,
//! on the stack of that task. Other tasks are suspended meanwhile, perhaps with references to what is
//! destroyed; a destructor that waited would let them go on. So from a moment on no task of the thread
//! is left any more: waits end at once, as if the other side were gone, and yields do nothing.
//!
//! That moment is when a thread-local of our own is destroyed, which is as old as the worker. The
//! destructors of younger ones have run by then; what those may not do is left to the user.

use std::cell::Cell;

use lisle_runtime::never_suspend_again;

use super::current;

struct Locals;

thread_local! {
    static LOCALS: Locals = const { Locals };
    static GONE: Cell<bool> = const { Cell::new(false) };
}

impl Drop for Locals {
    fn drop(&mut self) {
        // A thread on which no task runs any more waits as threads do.
        if current().is_some() {
            GONE.set(true);
            never_suspend_again();
        }
    }
}

/// From now on it is noticed when the thread-locals of this thread are destroyed.
pub(super) fn watch() {
    // The thread of a model outlives it.
    if !cfg!(lisle_loom) {
        let _ = LOCALS.try_with(|_| ());
    }
}

/// Whether a task that wants to be left calls from the destructor of a thread-local. Asked where tasks
/// must not be left.
#[cold]
pub(super) fn are_gone() -> bool {
    GONE.get()
}

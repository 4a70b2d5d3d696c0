//! What all waits of this crate share.

use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::abort_with;
use lisle_scheduler::internal::uninterrupted;
use lisle_scheduler::{now, turn};

/// How often a party looks before it joins an empty queue for a lock. A holder on another thread
/// often needs no longer; one that is suspended on this thread never comes back meanwhile.
pub(crate) const SPINS: u32 = if cfg!(lisle_loom) { 0 } else { 10 };

/// The end of a time that begins now. `None` if it never comes.
pub(crate) fn deadline_in(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

/// Counts the taking of a lock, which could wait, and lets others run if the turn is used up. That
/// does not unwind the task where a wait for a lock would not.
#[inline(always)]
pub(crate) fn spend_on_lock() {
    if turn::spend() {
        uninterrupted(turn::next);
    }
}

/// Counts an operation that could wait, other than the taking of a lock, and lets others run if the
/// turn is used up.
#[inline(always)]
pub(crate) fn spend() {
    if turn::spend() {
        turn::next();
    }
}

/// The calling task can neither have the lock nor wait for it, nor go on without it.
#[cold]
pub(crate) fn cannot_wait(what: &str) -> ! {
    abort_with(format_args!(
        "a destructor has to wait for {what}, and cannot: it belongs to a thread-local of a thread \
         that ends, or runs amid a panic for which there is no memory"
    ))
}

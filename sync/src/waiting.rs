//! What all waits of this crate share.

use std::time::{Duration, Instant};

use lisle_runtime::internal::last_words::abort_with;
use lisle_runtime::internal::primitive::BriefMutex;
pub(crate) use lisle_scheduler::internal::points::{
    are_at_releases, are_in_use, note_look_at_lock, pass, pass_aside, pass_at, pass_before_release,
};
use lisle_scheduler::internal::{WaitQueue, Waiter, next_turn_at, next_turn_on_lock_at};
use lisle_scheduler::park::{Place, Wait, Wake, park};
use lisle_scheduler::{now, turn};

/// How often a party looks before it joins an empty queue for a lock. A holder on another thread
/// often needs no longer; one that is suspended on this thread never comes back meanwhile.
pub(crate) const SPINS: u32 = if cfg!(lisle_loom) { 0 } else { 10 };

/// The end of a time that begins now. `None` if it never comes.
pub(crate) fn deadline_in(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}

/// Before a look whether a lock is held, where programs are explored: another party may come first.
#[cold]
pub(crate) fn look_at(place: Place) {
    note_look_at_lock();
    pass_at(place);
}

/// As [`look_at`], for an operation with which a turn ends: one that locks for a time.
#[cold]
pub(crate) fn look_in_next_turn(place: Place) {
    note_look_at_lock();
    next_turn_on_lock_at(place);
}

/// Counts an operation at this place that could wait, other than the taking of a lock, and lets
/// others run if the turn is used up.
#[inline(always)]
pub(crate) fn spend_at(place: Place) {
    if turn::spend() {
        next_turn_at(place);
    }
}

/// Waits in a queue that lies in `state`, until another party takes the caller out. If `is_over`
/// says by then that there is nothing to wait for, the caller is not queued.
///
/// # Safety
///
/// `queue` always finds the same one, which stays in `state` as long as parties wait there.
#[inline]
pub(crate) unsafe fn wait_in<S>(
    state: &BriefMutex<S>,
    queue: fn(&mut S) -> &mut WaitQueue,
    mut is_over: impl FnMut(&mut S) -> bool,
    wait: Wait<'_>,
    deadline: Option<Instant>,
) -> Wake {
    let waiter = Waiter::new(());
    park(
        wait,
        deadline,
        |unparker| {
            let mut state = state.lock();
            if is_over(&mut state) {
                drop(state);
                return unparker.unpark();
            }
            // SAFETY: the waiter is in no queue. It stays until `park` has returned, after which
            // the unparker is used up or was taken back. The queue stays, says the caller.
            unsafe { queue(&mut state).push(&waiter, unparker) };
        },
        // SAFETY: the waiter is in this queue or was never in one.
        || unsafe { queue(&mut state.lock()).remove(&waiter) },
    )
}

/// The calling task can neither have the lock nor wait for it, nor go on without it.
#[cold]
pub(crate) fn cannot_wait(what: &str) -> ! {
    abort_with(format_args!(
        "a destructor has to wait for {what}, and cannot: it belongs to a thread-local of a thread \
         that ends, or runs amid a panic for which there is no memory"
    ))
}

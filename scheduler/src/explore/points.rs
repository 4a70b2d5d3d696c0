//! Where the operations of the library come by that end no turn elsewhere: those that never wait.
//!
//! The others count as operations of a [turn](mod@crate::turn), which ends at each of them in a
//! program that is explored. These look whether this process has explored anything: one load and a
//! branch, as in [`now`](crate::now).

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Fault;
use crate::park::Place;
use crate::worker;

/// Whether this process has explored a program.
static ARE_IN_USE: AtomicBool = AtomicBool::new(false);

pub(super) fn begin_use() {
    ARE_IN_USE.store(true, Ordering::Relaxed);
}

#[inline(always)]
pub fn are_in_use() -> bool {
    ARE_IN_USE.load(Ordering::Relaxed)
}

/// By what a task comes to a point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Passage {
    /// An operation that could wait, and unwinds a task that is cancelled.
    Waiting(Place),
    /// One that never waits or waits for a lock, and unwinds it only if its runtime ends.
    Quick(Place),
    /// What a destructor does, or another that cannot be unwound, and what its line does not say.
    Aside(&'static str, Option<Place>),
}

/// Another task may go first, in a program that is explored.
///
/// # Panics
///
/// Unwinds a task whose runtime ends.
#[inline(always)]
#[track_caller]
pub fn pass() {
    if are_in_use() {
        pass_by(Passage::Quick(Location::caller()));
    }
}

/// As [`pass`], for an operation at this place.
#[inline(always)]
pub fn pass_at(place: Place) {
    if are_in_use() {
        pass_by(Passage::Quick(place));
    }
}

/// As [`pass`], for a destructor: it never unwinds the task. `what` completes "the task …".
#[inline(always)]
pub fn pass_aside(what: &'static str, place: Option<Place>) {
    if are_in_use() {
        pass_by(Passage::Aside(what, place));
    }
}

#[cold]
fn pass_by(passage: Passage) {
    worker::with_current(|worker| worker.map_or((), |worker| worker.pass(passage)));
}

/// Whether the calling task is explored.
#[inline]
pub fn is_explored() -> bool {
    are_in_use() && worker::with_current(|worker| worker.is_some_and(|worker| worker.is_explored()))
}

/// Whether a send is to find that no receiver is left.
#[inline(always)]
#[track_caller]
pub fn finds_receivers_gone() -> bool {
    are_in_use() && strikes_at(Fault::ReceiverGone, Some(Location::caller()))
}

/// As [`finds_receivers_gone`], for a send of a select, whose place the history has already.
#[inline(always)]
pub fn selected_send_finds_receivers_gone() -> bool {
    are_in_use() && strikes_at(Fault::ReceiverGone, None)
}

/// As [`pass`], and then whether a send is to find that no receiver is left.
#[inline(always)]
#[track_caller]
pub fn pass_and_find_receivers_gone() -> bool {
    are_in_use() && {
        pass();
        finds_receivers_gone()
    }
}

#[cold]
pub(super) fn strikes_at(fault: Fault, place: Option<Place>) -> bool {
    worker::with_current(|worker| {
        worker.is_some_and(|worker| {
            let engine = worker.team().settings.engine.as_ref();
            let task = worker.running_task().map(|task| task.id);
            engine.is_some_and(|engine| engine.strikes(fault, task, place))
        })
    })
}

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

static ARE_IN_USE: AtomicBool = AtomicBool::new(false);
/// Whether this process has explored a program that looks whether a lock is held.
static ARE_AT_RELEASES: AtomicBool = AtomicBool::new(false);

pub(super) fn begin_use() {
    ARE_IN_USE.store(true, Ordering::Relaxed);
}

pub(super) fn begin_use_at_releases() {
    ARE_AT_RELEASES.store(true, Ordering::Relaxed);
}

/// Whether this process has explored a program.
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
    /// The release of a lock that was taken at this place, if that is known.
    Release(Option<Place>),
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

/// Whether tasks come to a point before they release a lock: in a program that looks whether locks
/// are held.
///
/// In others it would make no difference. What is done under a lock, and its release after that,
/// are the same as both at once for those that lock it, too: they wait, and get it, in either case.
/// And each point that makes no difference makes what there is to find rarer.
#[inline(always)]
pub fn are_at_releases() -> bool {
    ARE_AT_RELEASES.load(Ordering::Relaxed)
}

/// As [`pass_aside`], before a lock is released that was taken at `place`, if
/// [that is a point](are_at_releases).
#[cold]
pub fn pass_before_release(place: Option<Place>) {
    pass_by(Passage::Release(place));
}

/// The caller is about to look whether a lock is held, or takes it only if it is not.
#[cold]
pub fn note_look_at_lock() {
    worker::with_current(|worker| {
        let engine = worker.and_then(|worker| worker.team().settings.engine.as_ref());
        engine.inspect(|engine| engine.note_look_at_lock());
    });
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

/// Which of `len` things comes first, if the calling task is explored.
pub fn choose(len: usize) -> Option<usize> {
    worker::with_current(|worker| {
        let engine = worker.and_then(|worker| worker.team().settings.engine.as_ref());
        engine.map(|engine| engine.choose_thing(len))
    })
}

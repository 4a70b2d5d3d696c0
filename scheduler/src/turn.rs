//! How much a task may do in one turn.
//!
//! An operation that could wait but need not, say a receive from a channel that is never empty,
//! would keep all other tasks of its thread from running if it were repeated for ever. So would one
//! that fails rather than waits, with which a task polls for what another one has yet to do. Both
//! are counted, and a task that has had its share lets the others run first.
//!
//! So of operations that could wait a task carries out 256 in a turn, and then all others that are
//! runnable have a turn each. Receiving, sending to a channel with a limit, blocking selects, their
//! timed forms and joining are such. Reading, writing and accepting call the system, and count four
//! times: 64 of them fill a turn. Of those that have failed, the 64th in a turn is the last: the
//! `try_` operations of channels, `default`, and waits whose time was over when they began. What
//! succeeds without being able to wait never switches: a send without a limit, a `try_` operation,
//! and looks such as `len`, `is_empty` or `is_finished`. A loop that does nothing but look has to
//! call [`yield_now`](crate::yield_now) itself.
//!
//! Operations built on [`park`](mod@crate::park) outside of Lisle count as follows.
//!
//! ```
//! use lisle::park::turn;
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! /// Takes one of the permits, if any is left.
//! fn try_acquire(permits: &Cell<u32>) -> bool {
//!     let left = permits.get().checked_sub(1);
//!     match left {
//!         Some(left) => permits.set(left),
//!         None => turn::fail(),
//!     }
//!     left.is_some()
//! }
//!
//! lisle::run(|| {
//!     let permits = Rc::new(Cell::new(0));
//!     let theirs = permits.clone();
//!     lisle::spawn_local(move || theirs.set(1));
//!     while !try_acquire(&permits) {} // polls, and the other task has its turn all the same
//! });
//! ```
//!
//! An operation that could wait, and succeeds at once, calls [`spend`] first, and [`next`] when its
//! share is used up:
//!
//! ```
//! use lisle::park::turn;
//! use std::cell::Cell;
//! use std::rc::Rc;
//!
//! /// Takes a number. One that has to wait would park here.
//! fn take(next: &Cell<u32>) -> u32 {
//!     if turn::spend() {
//!         turn::next(); // the others have a turn each
//!     }
//!     next.replace(next.get() + 1)
//! }
//!
//! lisle::run(|| {
//!     let numbers = Rc::new(Cell::new(0));
//!     let stop = Rc::new(Cell::new(false));
//!     let theirs = stop.clone();
//!     lisle::spawn_local(move || theirs.set(true));
//!     while !stop.get() {
//!         take(&numbers); // never waits, and the other task has its turn all the same
//!     }
//! });
//! ```

use std::cell::Cell;
use std::hint::cold_path;
use std::panic::Location;

use crate::worker::{self, with_allowance};

/// How many operations that could wait a task carries out in one turn.
const OPERATIONS: u16 = 256;

/// How many operations that call the system it carries out.
const CALLS: u16 = 64;

/// How many operations fail in one turn until the others have theirs.
const FAILURES: u8 = 64;

/// By how many operations a turn is made longer at most.
const EXTENSION: u16 = 4096;

/// What can have happened in a turn.
const EXTENDED: u8 = 1;
const ACCEPTED: u8 = 2;

/// What is left of a turn. Each thread has one, which begins anew whenever a task has its turn.
#[repr(C, align(4))]
pub(crate) struct Allowance {
    operations: Cell<u16>,
    failures: Cell<u8>,
    /// `EXTENDED` if the turn was made longer, `ACCEPTED` if the task has accepted something.
    marks: Cell<u8>,
}

impl Allowance {
    pub(crate) const fn new() -> Self {
        Self {
            operations: Cell::new(OPERATIONS),
            failures: Cell::new(FAILURES),
            marks: Cell::new(0),
        }
    }

    /// A turn begins. One store sets all: this is done at each switch.
    #[inline(always)]
    pub(crate) fn renew(&self) {
        self.operations.set(OPERATIONS);
        self.failures.set(FAILURES);
        self.marks.set(0);
    }

    /// The turn cannot end here: it ends at the next operation.
    pub(crate) fn postpone(&self) {
        self.operations.set(0);
        self.failures.set(1);
    }

    /// The turn may end at the next operation, and is not made longer.
    pub(crate) fn end_at_each_operation(&self) {
        self.operations.set(0);
        self.marks.set(self.marks.get() | EXTENDED);
    }

    /// Counts operations. True if none was left.
    #[inline(always)]
    pub(crate) fn spend(&self, operations: u16) -> bool {
        let (left, used_up) = self.operations.get().overflowing_sub(operations);
        self.operations.set(left);
        if used_up {
            cold_path();
        }
        used_up
    }

    /// Counts one failure. True if it was the last one.
    #[inline(always)]
    pub(crate) fn fail(&self) -> bool {
        let left = self.failures.get().wrapping_sub(1);
        self.failures.set(left);
        let last = left == 0;
        if last {
            cold_path();
        }
        last
    }

    /// Makes the turn longer, unless that was done before.
    fn extend(&self, operations: usize) -> bool {
        let marks = self.marks.get();
        let extends = operations > 0 && marks & EXTENDED == 0;
        if extends {
            self.marks.set(marks | EXTENDED);
            self.operations.set(operations.min(EXTENSION.into()) as u16);
        }
        extends
    }

    pub(crate) fn note_accept(&self) {
        self.marks.set(self.marks.get() | ACCEPTED);
    }

    /// Whether the task has accepted something in this turn.
    #[inline(always)]
    pub(crate) fn has_accepted(&self) -> bool {
        self.marks.get() & ACCEPTED != 0
    }
}

/// Counts an operation that could wait and need not, before it does anything. If it returns true
/// the calling task has carried out 256 of them in this turn and has not waited; then the operation
/// calls [`next`], and looks again whether it has to wait. One that waits need not be counted.
///
/// ```
/// use std::cell::Cell;
///
/// use lisle::park::turn;
///
/// /// Takes a permit. (Waiting for one is left out.)
/// fn take(permits: &Cell<u32>) {
///     if turn::spend() {
///         turn::next(); // another task may have taken the last one meanwhile
///     }
///     permits.set(permits.get() - 1);
/// }
///
/// let permits = Cell::new(1_000);
/// lisle::run(|| (0..1_000).for_each(|_| take(&permits)));
/// ```
#[inline(always)]
pub fn spend() -> bool {
    with_allowance(|allowance| allowance.spend(1))
}

/// Counts an operation that calls the system and could wait, as [`spend`] counts others. 64 of them
/// fill a turn.
#[inline(always)]
pub(crate) fn spend_on_call() -> bool {
    with_allowance(|allowance| allowance.spend(OPERATIONS / CALLS))
}

/// Makes a turn that is used up longer, by as many operations as it takes to do what has piled up,
/// but no more than 4,096. False if there is nothing, or the turn was made longer before.
///
/// For operations that take from what others can add to without limit: with only 256 operations a
/// turn they would fall back for ever behind a task that adds more than that in each turn.
///
/// ```
/// use lisle::park::turn;
///
/// /// Takes from what others can add to without limit.
/// fn take(heap: &mut Vec<u32>) -> Option<u32> {
///     if turn::spend() && !turn::extend(heap.len()) {
///         turn::next();
///     }
///     heap.pop()
/// }
///
/// assert_eq!(lisle::run(|| take(&mut vec![7])), Some(7));
/// ```
pub fn extend(operations: usize) -> bool {
    with_allowance(|allowance| allowance.extend(operations))
}

/// Counts an operation that has failed rather than waited. The 64th in one turn of a task calls
/// [`next`].
///
/// # Panics
///
/// As [`next`].
///
/// ```
/// use std::cell::Cell;
///
/// use lisle::park::turn;
///
/// fn try_take(permits: &Cell<u32>) -> bool {
///     let is_there = permits.get() > 0;
///     if is_there {
///         permits.set(permits.get() - 1);
///     } else {
///         turn::fail(); // a loop that polls lets others run
///     }
///     is_there
/// }
///
/// let permits = Cell::new(1);
/// assert!(try_take(&permits) && !try_take(&permits));
/// ```
#[inline(always)]
#[track_caller]
pub fn fail() {
    if with_allowance(Allowance::fail) {
        next();
    }
}

/// Lets the other runnable tasks of this worker have a turn each, as
/// [`yield_now`](crate::yield_now) does, but goes on at once inside
/// [`no_suspend`](lisle_runtime::no_suspend) and on a plain thread.
///
/// # Panics
///
/// Unwinds a task that is cancelled, unless it is unwinding already.
///
/// ```
/// use lisle::park::turn;
///
/// lisle::run(|| {
///     for _step in 0..1_000 {
///         if turn::spend() {
///             turn::next(); // others run
///         }
///     }
/// });
/// ```
#[cold]
#[inline(never)]
#[track_caller]
pub fn next() {
    worker::next_turn_at(Location::caller());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_has_its_number_of_operations() {
        let allowance = Allowance::new();
        for _ in 0..2 {
            assert!((0..OPERATIONS).all(|_| !allowance.spend(1)));
            assert!(allowance.spend(1));
            allowance.renew();
        }
    }

    #[test]
    fn a_turn_has_its_number_of_failures_too() {
        let allowance = Allowance::new();
        for _ in 0..2 {
            assert!((1..FAILURES).all(|_| !allowance.fail()));
            assert!(allowance.fail());
            allowance.renew();
        }
    }

    #[test]
    fn a_turn_is_made_longer_once() {
        let allowance = Allowance::new();
        for _ in 0..2 {
            while !allowance.spend(1) {}
            assert!(!allowance.extend(0), "for nothing");
            assert!(allowance.extend(10));
            assert!((0..10).all(|_| !allowance.spend(1)));
            assert!(allowance.spend(1));
            assert!(!allowance.extend(10), "a second time");
            allowance.renew();
        }
        assert!(allowance.extend(usize::MAX));
        assert!((0..EXTENSION).all(|_| !allowance.spend(1)));
        assert!(allowance.spend(1));
    }

    #[test]
    fn a_turn_that_could_not_end_ends_at_the_next_operation_of_either_kind() {
        let allowance = Allowance::new();
        allowance.postpone();
        assert!(allowance.spend(1));
        assert!(allowance.fail());
    }

    #[test]
    fn a_turn_has_its_number_of_calls() {
        let allowance = Allowance::new();
        for _ in 0..2 {
            assert!((0..CALLS).all(|_| !allowance.spend(OPERATIONS / CALLS)));
            assert!(allowance.spend(OPERATIONS / CALLS));
            allowance.renew();
        }
    }
}

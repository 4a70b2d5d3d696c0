//! The waiting of a select.
//!
//! A round has two steps. First the operations are attempted one by one; nothing of the party is
//! enqueued meanwhile, so it is free to win any party that it meets. If none is possible, it is
//! enqueued for all of them and parks. While it is enqueued it never wins: if it finds an operation
//! possible it withdraws, and begins the next round. `README.md` shows that this loses nothing and
//! comes to an end.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::check_cancelled_at;
use lisle_scheduler::park::{self, Awaited, Object, Reason, Wake, park};
use lisle_scheduler::{now, turn};

use super::operation::Operation;
use super::random::{random, random_walk};
use crate::claim::{Claim, Entry, Grant, GrantCell, Purpose};
use crate::receiver::Receiver;
use crate::sender::Sender;

/// One operation of a select, with what is enqueued for it.
pub struct Case<'a> {
    pub(super) operation: &'a dyn Operation,
    /// The index by which [`Select`](super::Select) knows it.
    pub(super) number: usize,
    /// The operation's stamp, for a last look.
    stamp: MaybeUninit<usize>,
    /// Made anew for each wait, and never dropped: it owns nothing. Its index is the place of the
    /// case in the list.
    entry: MaybeUninit<Entry>,
}

/// Which of several possible operations is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One at random.
    Random,
    /// The one that comes first.
    Listed,
}

/// How long a select waits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Patience {
    None,
    Until(Instant),
    Endless,
}

/// How a round's wait ended.
enum Ended {
    Granted(usize),
    LookAgain,
    Failed,
}

impl<'a> Case<'a> {
    /// The operation to send.
    #[inline]
    pub fn send<T>(sender: &'a Sender<T>) -> Self {
        Self::new(sender, 0)
    }

    /// The operation to receive.
    #[inline]
    pub fn recv<T>(receiver: &'a Receiver<T>) -> Self {
        Self::new(receiver, 0)
    }

    #[inline]
    pub(super) fn new(operation: &'a dyn Operation, number: usize) -> Self {
        Self { operation, number, stamp: MaybeUninit::uninit(), entry: MaybeUninit::uninit() }
    }

    /// # Safety
    ///
    /// It was written since the case was made.
    #[inline]
    unsafe fn entry(&self) -> &Entry {
        // SAFETY: passed on to the caller.
        unsafe { self.entry.assume_init_ref() }
    }
}

impl Patience {
    /// The patience of a party that waits for at most `timeout`. One that is too long for an
    /// `Instant` never ends.
    #[inline]
    pub(super) fn lasting(timeout: Duration) -> Self {
        now().checked_add(timeout).map_or(Self::Endless, Self::Until)
    }

    /// Counts the select as an operation of this turn if it may wait. Tells whether it may not.
    #[inline]
    #[track_caller]
    fn spend(self, cases: &[Case<'_>]) -> bool {
        let none = matches!(self, Self::None);
        if !none && turn::spend() {
            end_turn(cases);
        }
        none
    }

    /// Counts a select that fails as a failure of this turn, unless it has been counted above.
    #[inline]
    fn fail(self) {
        if matches!(self, Self::None) {
            turn::fail();
        }
    }

    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Until(deadline) => Some(deadline),
            Self::None | Self::Endless => None,
        }
    }

    fn is_over(self) -> bool {
        match self {
            Self::None | Self::Endless => false,
            Self::Until(deadline) => deadline <= now(),
        }
    }
}

/// Lets others run, unless there is more to receive than the turn had operations for.
#[cold]
#[track_caller]
fn end_turn(cases: &[Case<'_>]) {
    let backlog = cases.iter().map(|case| case.operation.backlog()).fold(0, usize::saturating_add);
    if !turn::extend(backlog) {
        turn::next();
    }
}

/// Waits until an operation is possible and begins it, with its grant where it is going to be
/// completed. Gives its place among the cases, or `None` if the patience ends before.
#[track_caller]
pub(super) fn select(
    cases: &mut [Case<'_>],
    order: Order,
    patience: Patience,
    grant: &mut GrantCell,
) -> Option<usize> {
    let mut over = patience.spend(cases);
    let mut withdrawals = 0;
    loop {
        if over {
            return last_look(cases, order, patience, |operation| operation.attempt(grant))
                .map(|at| begun(at, patience, grant));
        }
        let walk = Walk::new(cases.len(), order);
        for at in walk.clone() {
            if cases[at].operation.attempt(grant) {
                return Some(begun(at, patience, grant));
            }
        }
        let claim = Claim::new(Purpose::Select, grant);
        match wait(cases, walk, &claim, patience.deadline(), withdrawals) {
            Ended::Granted(_) if grant.is_empty() => withdrawals += 1,
            Ended::Granted(index) => {
                return Some(begun(index, patience, grant));
            }
            Ended::LookAgain => withdrawals += 1,
            Ended::Failed => {
                // In a destructor, an operation fails as if the other end were gone.
                grant.put(Grant::Disconnected);
                return (!cases.is_empty()).then(|| begun(0, patience, grant));
            }
        }
        over = patience.is_over();
    }
}

/// Waits until an operation seems possible, and gives its place. `None` if the patience ends
/// before.
#[track_caller]
pub(super) fn ready(cases: &mut [Case<'_>], order: Order, patience: Patience) -> Option<usize> {
    let nothing = GrantCell::new();
    let mut over = patience.spend(cases);
    let mut withdrawals = 0;
    loop {
        if over {
            return last_look(cases, order, patience, |operation| operation.is_ready());
        }
        let walk = Walk::new(cases.len(), order);
        for at in walk.clone() {
            if cases[at].operation.is_ready() {
                return Some(at);
            }
        }
        let claim = Claim::new(Purpose::Watch, &nothing);
        match wait(cases, walk, &claim, patience.deadline(), withdrawals) {
            Ended::Granted(..) | Ended::LookAgain => withdrawals += 1,
            Ended::Failed => {
                // In a destructor, which is going to ask again: let others run meanwhile. Inside
                // `no_suspend` it goes on at once.
                turn::next();
                return (!cases.is_empty()).then_some(0);
            }
        }
        over = patience.is_over();
    }
}

/// Looks for an operation that is `possible`, and gives its place. `None` only if there was a
/// moment at which none was: that between two looks in a row, if nothing has changed from the one
/// to the other.
#[inline]
fn last_look(
    cases: &mut [Case<'_>],
    order: Order,
    patience: Patience,
    mut possible: impl FnMut(&dyn Operation) -> bool,
) -> Option<usize> {
    loop {
        for at in Walk::new(cases.len(), order) {
            let case = &mut cases[at];
            case.stamp.write(case.operation.stamp());
            if possible(case.operation) {
                return Some(at);
            }
        }
        // SAFETY: the walk has come to each case and written its stamp.
        let same = |case: &Case| case.operation.is_unchanged(unsafe { case.stamp.assume_init() });
        // A single operation is looked at in one moment, so no second look is needed.
        if cases.len() < 2 || cases.iter().all(same) {
            patience.fail();
            return None;
        }
    }
}

/// Parks once, for all operations, which are enlisted in the order of the `walk`: of several at the
/// same end of a channel, the first to be enlisted is the first to be won.
#[track_caller]
fn wait(
    cases: &mut [Case<'_>],
    mut walk: Walk,
    claim: &Claim,
    deadline: Option<Instant>,
    withdrawals: usize,
) -> Ended {
    let deadline = cases.iter().filter_map(|case| case.operation.deadline()).chain(deadline).min();
    for (place, case) in cases.iter_mut().enumerate() {
        case.entry.write(Entry::new(claim, place));
    }
    if withdrawals > 0 {
        // SAFETY: the entries were written just now.
        unsafe { sort_for_enlisting(cases) };
        walk = Walk::new(cases.len(), Order::Listed);
    }
    let all: *mut [Case<'_>] = cases;
    // Dropped when nothing is enlisted any more, also if the wait unwinds.
    let order = (withdrawals > 0).then_some(OriginalOrder(all));
    // SAFETY: they are borrowed for this call, and shared until `order` is dropped.
    let cases = unsafe { &*all };
    let enlisted = Enlisted { cases, walk, count: Cell::new(0) };
    let object = Operations(cases);
    let wake = park(
        park::Wait::on(&object),
        deadline,
        |unparker| {
            // SAFETY: nothing is enlisted yet.
            unsafe { claim.arm(unparker) };
            for at in enlisted.walk.clone() {
                let case = &cases[at];
                // SAFETY: cases and claim stay where they are until `park` has come to its end and
                // everything that was enlisted is delisted, by `Enlisted`. The entry was written
                // above.
                let enlists = unsafe { case.operation.enlist(case.entry(), claim) };
                if enlists {
                    enlisted.count.set(enlisted.count.get() + 1);
                } else if let Some(unparker) = claim.withdraw() {
                    return unparker.unpark();
                }
                if !claim.is_open() {
                    return;
                }
            }
        },
        || {
            let unparker = claim.withdraw()?;
            enlisted.delist();
            Some(unparker)
        },
    );
    drop(enlisted);
    // SAFETY: the wait is over.
    let granted = unsafe { claim.granted() };
    drop(order);
    match (wake, granted) {
        (_, Some(index)) => Ended::Granted(index),
        (Wake::TimedOut | Wake::Unparked, None) => Ended::LookAgain,
        (Wake::Failed, None) => Ended::Failed,
    }
}

/// Puts cases that were sorted for enlisting back into the order in which the user has added them.
struct OriginalOrder<'a>(*mut [Case<'a>]);

impl Drop for OriginalOrder<'_> {
    fn drop(&mut self) {
        // SAFETY: `wait` borrows them, has written their entries, and does not use them meanwhile.
        let cases = unsafe { &mut *self.0 };
        // SAFETY: as above.
        cases.sort_unstable_by_key(|case| unsafe { case.entry() }.index());
    }
}

/// The cases that are enlisted: as many as `count` says, in the order of the walk.
struct Enlisted<'c, 'a> {
    cases: &'c [Case<'a>],
    walk: Walk,
    count: Cell<usize>,
}

impl Enlisted<'_, '_> {
    #[inline]
    fn delist(&self) {
        for at in self.walk.clone().take(self.count.take()) {
            let case = &self.cases[at];
            // SAFETY: a case is counted once its entry was written and it was enlisted.
            unsafe { case.operation.delist(case.entry()) };
        }
    }
}

impl Drop for Enlisted<'_, '_> {
    #[inline]
    fn drop(&mut self) {
        self.delist();
    }
}

/// What a select waits at.
struct Operations<'c, 'a>(&'c [Case<'a>]);

impl Object for Operations<'_, '_> {
    fn reason(&self) -> Reason {
        Reason::new("selecting")
    }

    fn awaits_work(&self) -> bool {
        true
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.0.iter().for_each(|case| case.operation.describe(say));
    }
}

/// The operation at `place` has begun, as far as `grant` says.
#[inline]
fn begun(place: usize, patience: Patience, grant: &mut GrantCell) -> usize {
    if !matches!(patience, Patience::None) && grant.is_disconnected() {
        // The other end may be gone just because its task was cancelled before ours.
        check_cancelled_at(Location::caller());
    }
    place
}

/// Puts the cases in an order in which parties do not make each other withdraw for ever: that of
/// the channels' addresses. Which of one channel's comes first is left to chance.
///
/// # Safety
///
/// The entry of each case was written.
#[cold]
unsafe fn sort_for_enlisting(cases: &mut [Case<'_>]) {
    let mask = random(cases.len()) as usize;
    cases.sort_unstable_by_key(|case| {
        // SAFETY: passed on to the caller.
        let place = unsafe { case.entry() }.index();
        (case.operation.address(), place ^ mask)
    });
}

/// The places of the cases in the order in which they are attempted.
#[derive(Clone)]
struct Walk {
    at: usize,
    step: usize,
    len: usize,
    left: usize,
}

impl Walk {
    #[inline]
    fn new(len: usize, order: Order) -> Self {
        let (at, step) = match order {
            Order::Random => random_walk(len),
            Order::Listed => (0, 1),
        };
        Self { at, step, len, left: len }
    }
}

impl Iterator for Walk {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        self.at += self.step;
        if self.at >= self.len {
            self.at -= self.len;
        }
        Some(at)
    }
}

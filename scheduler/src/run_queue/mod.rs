//! The run queue of a worker: which task has its turn next.
//!
//! It has two halves. The [`RunQueue`] is the worker's own: it pushes and takes the next task. The
//! [`Backlog`] is what other workers may touch: they steal tasks from it that have not started.
//!
//! # The order
//!
//! 1. **Strict round robin.** A task that becomes runnable goes to the tail, whether new, woken or
//!    yielding, and the task at the head has the next turn. Started tasks stand in a [`ring`].
//!    Tasks that have not started wait in the backlog's [`front`], and a *marker* in the ring keeps
//!    the place of each, so there is one order of arrival over both.
//! 2. **Beyond the front's capacity the order bends.** While as many tasks wait to start as
//!    [fit in front](backlog::FRONT_CAPACITY), new ones are [`deferred`]: they have no place in the
//!    ring yet. When all tasks in front have started, a [batch](backlog::BATCH) of deferred tasks
//!    moves there. As long as some are deferred, all new tasks are.
//! 3. **Subtree first.** The tasks that are deferred between two batches are a *generation*. A
//!    batch is taken from the youngest one, and within it the oldest task comes first. So what one
//!    task spawns in a row starts in that order, whatever its number, but a tree of tasks that
//!    grows faster than it is worked off is finished subtree by subtree, instead of unfolding level
//!    by level with an open stack for each inner node.
//! 4. **The elders' turn.** One batch in [`ELDERS_TURN`](backlog::ELDERS_TURN) is taken from the
//!    oldest generation instead, so no task waits for ever behind others that keep having
//!    descendants.
//! 5. **Only woken tasks pass deferred ones.** A task that yields, or is new and local, must wait
//!    [`behind`] the deferred tasks: until as many of them have entered the ring as were deferred
//!    when it was queued, whichever they are. A batch stops early to let it in. A woken task goes
//!    to the tail of the ring: a parent sums up what its children send before more of the tree
//!    unfolds.
//! 6. **A batch grows with the ring**: it is at least a quarter as long. A crowd of tasks that wake
//!    each other for ever would otherwise have a turn each for every few tasks that start.
//! 7. **A thief takes** the task that has been deferred longest, which may have a large tree to
//!    unfold, or else the oldest one in front. Its marker stays in the ring, and is passed over. It
//!    takes half of them, but a pair together.
//!
//! The README of this crate has the bounds that follow from these rules, and `NOTES.md` beside it
//! the measurements.

mod backlog;
mod behind;
mod deferred;
mod front;
#[cfg(all(test, lisle_loom))]
mod models;
mod ring;

use std::cell::Cell;
use std::ptr::NonNull;

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::switch::Context;

pub(crate) use self::backlog::{Backlog, Mark};
use self::backlog::{Queued, Refill};
use self::behind::Behind;
use self::ring::{Entry, Ring};
use crate::task::Control;

/// The owner's half of a run queue.
///
/// Invariants, between two calls:
/// - **Markers.** For each task in front of the backlog there is a marker in the ring, and while
///   tasks are deferred there is at least one. So an empty ring means that nothing is runnable.
/// - **Behind.** Tasks wait behind deferred ones only while there are some.
/// - **Thefts.** A theft becomes known late, when the owner comes to the place of a task that is
///   gone. Until then the place is counted here. The backlog counts all thefts, the owner those
///   that are known.
pub(crate) struct RunQueue {
    ring: Ring,
    behind: Behind,
    backlog: Arc<Backlog>,
    known_thefts: Cell<u64>,
}

/// How many tasks there are, as a report needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Tasks that wait for their turn.
    pub(crate) runnable: usize,
    /// Stolen tasks that the owner has not noticed yet.
    pub(crate) unknown_thefts: usize,
}

impl RunQueue {
    /// The owner's half for a backlog.
    ///
    /// # Panics
    ///
    /// If the backlog has had an owner.
    pub(crate) fn new(backlog: Arc<Backlog>) -> Self {
        backlog.claim();
        Self { ring: Ring::new(), behind: Behind::default(), backlog, known_thefts: Cell::new(0) }
    }

    /// Adds a task that has yielded, or is new and local: behind all runnable tasks, including the
    /// deferred ones.
    #[inline]
    pub(crate) fn push(&self, task: NonNull<Control>) {
        if self.defers() {
            self.behind.push(task);
        } else {
            self.ring.push(task);
        }
    }

    /// Adds a task that was woken, or could not start: behind all tasks that have a place in the
    /// ring, but before the deferred ones.
    #[inline]
    pub(crate) fn push_woken(&self, task: NonNull<Control>) {
        self.ring.push(task);
    }

    /// Adds a new task that any worker may start.
    ///
    /// # Safety
    ///
    /// The task has not started and waits nowhere else, and its closure and result are `Send`.
    #[inline]
    pub(crate) unsafe fn push_new(&self, task: NonNull<Control>) {
        // SAFETY: the backlog's only owner is this; the rest is passed on to the caller.
        match unsafe { self.backlog.push(task) } {
            Queued::Front => self.ring.push_marker(),
            Queued::Deferred => self.behind.note_deferred(),
        }
    }

    /// Takes the task whose turn it is. Calls `note_theft` for each theft that becomes known: the
    /// stack that was reserved for the task can be given back.
    #[inline(always)]
    pub(crate) fn next(&self, note_theft: impl FnMut()) -> Option<NonNull<Control>> {
        match self.ring.pop()? {
            Entry::Task(task) => Some(task),
            Entry::Marker => self.next_unstarted(note_theft),
        }
    }

    /// Whether tasks are deferred.
    #[inline(always)]
    pub(crate) fn defers(&self) -> bool {
        self.behind.is_needed()
    }

    /// Does [`push`](Self::push) and [`next`](Self::next) in one step, while nothing is deferred.
    /// Does nothing if the queue is empty.
    #[inline(always)]
    pub(crate) fn exchange(
        &self,
        task: NonNull<Control>,
        note_theft: impl FnMut(),
    ) -> Option<NonNull<Control>> {
        debug_assert!(!self.defers(), "the task comes after deferred ones");
        match self.ring.exchange(task)? {
            Entry::Task(next) => Some(next),
            Entry::Marker => self.next_unstarted(note_theft),
        }
    }

    /// A marker was just taken out of the ring: takes the task for which it stands, or the next one
    /// if a thief was faster. Not inlined, so that the turns of started tasks need few registers.
    #[inline(never)]
    fn next_unstarted(&self, mut note_theft: impl FnMut()) -> Option<NonNull<Control>> {
        let task = self.pop_front(&mut note_theft);
        if task.is_some() { task } else { self.next_after_theft(note_theft) }
    }

    #[cold]
    #[inline(never)]
    fn next_after_theft(&self, mut note_theft: impl FnMut()) -> Option<NonNull<Control>> {
        loop {
            self.count_theft(&mut note_theft);
            match self.ring.pop()? {
                Entry::Task(task) => return Some(task),
                Entry::Marker => {
                    let task = self.pop_front(&mut note_theft);
                    if task.is_some() {
                        return task;
                    }
                }
            }
        }
    }

    /// Takes the oldest task in front of the backlog, and fills the front again if it was the last.
    #[inline(always)]
    fn pop_front(&self, note_theft: &mut impl FnMut()) -> Option<NonNull<Control>> {
        let task = self.backlog.pop();
        if self.backlog.wants_refill() {
            self.refill_front(note_theft);
        }
        task
    }

    /// Gives a batch of deferred tasks a place in the ring, now that the front is empty, then
    /// queues the yielded and local tasks whose count has run down.
    #[cold]
    #[inline(never)]
    fn refill_front(&self, note_theft: &mut impl FnMut()) {
        let most = self.behind.distance().unwrap_or(usize::MAX);
        // SAFETY: the backlog's only owner is this, and its front was seen to be empty.
        let Refill { moved, stolen } = unsafe { self.backlog.refill(self.ring.len(), most) };
        for _ in 0..moved {
            self.ring.push_marker();
        }
        for _ in 0..stolen {
            self.count_theft(note_theft);
        }
        self.behind.note_placed(moved + stolen);
        while let Some(task) = self.behind.pop() {
            self.ring.push(task);
        }
    }

    fn count_theft(&self, note_theft: &mut impl FnMut()) {
        self.known_thefts.set(self.known_thefts.get() + 1);
        note_theft();
    }

    /// Calls `visit` with each task that has not started. It must not change the queue.
    ///
    /// Those in front of the backlog a thief may take and start at any moment, so they are taken
    /// out for that and put back, in their order.
    #[cold]
    pub(crate) fn for_each_new(&self, mut visit: impl FnMut(&Control)) {
        let mut look = |task: NonNull<Control>| {
            // SAFETY: what is in the queue of its owner has not finished.
            let task = unsafe { task.as_ref() };
            if task.context() == Context::NONE {
                visit(task);
            }
        };
        (0..self.ring.len()).filter_map(|place| self.ring.peek(place)).for_each(&mut look);
        self.behind.for_each(&mut look);
        // SAFETY: the backlog's only owner is this.
        unsafe { self.backlog.for_each(look) };
    }

    /// The task that is `ahead` turns away, or `None` if it has not started or there is none.
    #[inline(always)]
    pub(crate) fn peek(&self, ahead: usize) -> Option<NonNull<Control>> {
        self.ring.peek(ahead)
    }

    /// Gives the task that is `ahead` turns away the next turn.
    pub(crate) fn bring_to_head(&self, ahead: usize) {
        self.ring.bring_to_head(ahead);
    }

    /// Grows with each task that becomes runnable or is spawned here.
    pub(crate) fn pushes(&self) -> usize {
        self.ring.pushes()
    }

    /// How many tasks wait in the backlog.
    pub(crate) fn backlog_len(&self) -> usize {
        self.backlog.len()
    }

    /// Ring length, counting the markers of stolen tasks; not the deferred tasks.
    #[inline(always)]
    pub(crate) fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether nothing is runnable.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// Whether the backlog has tasks, which other workers may take.
    #[inline]
    pub(crate) fn has_backlog(&self) -> bool {
        !self.backlog.is_empty()
    }

    /// The runnable tasks, without those that were stolen.
    pub(crate) fn counts(&self) -> Counts {
        self.check();
        // A thief counts what it has taken a little later, and the owner may have noticed before.
        let unknown_thefts = self.backlog.thefts().saturating_sub(self.known_thefts.get()) as usize;
        let places = if self.defers() {
            self.ring.len() + self.behind.len() + self.behind.ahead()
        } else {
            self.ring.len()
        };
        Counts { runnable: places - unknown_thefts, unknown_thefts }
    }

    /// Checks the invariants of [`RunQueue`] in a debug build, as far as lengths show them.
    fn check(&self) {
        let deferred = self.backlog.deferred_len();
        debug_assert!(self.ring.len() >= self.backlog.front_len(), "a task in front has no marker");
        debug_assert_eq!(self.behind.ahead(), deferred, "deferred tasks are miscounted");
        debug_assert!(!self.ring.is_empty() || deferred == 0, "no marker for deferred tasks");
        debug_assert!(self.behind.len() == 0 || deferred > 0, "tasks wait behind none");
    }
}

impl Drop for RunQueue {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a worker ends with an empty queue");
    }
}

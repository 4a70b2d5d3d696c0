//! The backlog of a worker: its tasks that have not started. The owner adds to it; the owner and
//! thieves take from it.
//!
//! The first tasks wait in a ring, the *front* ([`front`]). When it is full, new tasks are
//! *deferred* ([`deferred`](super::deferred)), until the owner finds the front empty and moves a
//! batch of them there. The [rules of the order](super) say which come first.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64};

use lisle_runtime::internal::primitive::atomic::{AtomicUsize, Ordering};
use lisle_runtime::internal::primitive::{Arc, BriefMutex};

use super::deferred::Deferred;
use super::front::{self, Front};
use crate::task::Control;

/// How many tasks can wait to start while the order is exactly that of arrival. A power of two.
///
/// Documentation for users says "very many". A smaller front saves memory in a large tree of tasks;
/// with a larger one more programs keep the exact order.
pub(super) const FRONT_CAPACITY: usize = if cfg!(lisle_loom) { 2 } else { 4096 };

/// How many deferred tasks move to the front at a time, at least. The fewer there are, the fewer
/// subtrees are open at once.
pub(super) const BATCH: usize = if cfg!(lisle_loom) { 1 } else { 16 };

/// A batch is at least the ring's length divided by this.
const RING_SHARE: usize = 4;

/// One refill in this many takes the oldest generation instead of the youngest.
pub(super) const ELDERS_TURN: usize = 256;

/// How many tasks a thief takes at once, at most.
const MOST_LOOT: usize = 64;

/// A thief takes as many as these all together: they may be a pair that talks.
const PAIR: usize = 2;

/// The half of a run queue that other threads may touch.
pub(crate) struct Backlog {
    front: Front<FRONT_CAPACITY>,
    deferred: BriefMutex<Deferred>,
    /// Deferred tasks, and those that thieves have taken of them since the owner last looked. Only
    /// the owner writes it.
    deferred_count: AtomicUsize,
    /// Tasks that thieves have taken, for what is published of the owner's counts. Nothing is
    /// decided by it, nor by `claimed`, so they are std's even in a model.
    thefts: AtomicU64,
    /// Whether there is, or was, an owner.
    claimed: AtomicBool,
}

/// Where a new task was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queued {
    Front,
    Deferred,
}

/// What the owner learns when it moves deferred tasks to the front.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refill {
    pub(super) moved: usize,
    /// Deferred tasks that thieves have taken since the last time.
    pub(super) stolen: usize,
}

/// How far a backlog has come, to be compared later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    front: front::Mark,
    defers: bool,
}

impl Backlog {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            front: Front::new(),
            deferred: BriefMutex::new(Deferred::default()),
            deferred_count: AtomicUsize::new(0),
            thefts: AtomicU64::new(0),
            claimed: AtomicBool::new(false),
        })
    }

    /// Notes that there is an owner.
    ///
    /// # Panics
    ///
    /// If there is, or was, another.
    pub(super) fn claim(&self) {
        let claimed = self.claimed.swap(true, Ordering::Relaxed);
        assert!(!claimed, "a backlog has one owner");
    }

    /// Adds the newest task.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and the task has not started and waits nowhere else.
    #[inline]
    pub(super) unsafe fn push(&self, task: NonNull<Control>) -> Queued {
        // SAFETY: the caller is the owner.
        if !self.defers() && unsafe { self.front.push(task) } {
            return Queued::Front;
        }
        // SAFETY: passed on to the caller.
        unsafe { self.defer(task) };
        Queued::Deferred
    }

    /// # Safety
    ///
    /// As for [`push`](Self::push).
    #[cold]
    unsafe fn defer(&self, task: NonNull<Control>) {
        let count = self.deferred_count.load(Ordering::Relaxed);
        self.deferred_count.store(count + 1, Ordering::Relaxed);
        // SAFETY: passed on to the caller.
        unsafe { self.deferred.lock().push(task) };
    }

    /// Takes the oldest task of the front.
    #[inline]
    pub(super) fn pop(&self) -> Option<NonNull<Control>> {
        self.front.pop()
    }

    /// Whether the front is empty but deferred tasks remain, so that the owner has to
    /// [`refill`](Self::refill).
    #[inline]
    pub(super) fn wants_refill(&self) -> bool {
        self.defers() && self.front.is_empty()
    }

    /// Moves a batch of deferred tasks to the front, at most `most`. They come behind `others`, the
    /// number of places in the ring.
    ///
    /// # Safety
    ///
    /// The caller is the owner, and the front is empty.
    #[cold]
    pub(super) unsafe fn refill(&self, others: usize, most: usize) -> Refill {
        let mut deferred = self.deferred.lock();
        let moved = deferred.move_batch(batch(others).min(most), |task| {
            // SAFETY: the caller is the owner.
            let fits = unsafe { self.front.push(task) };
            debug_assert!(fits, "an empty front has room for a batch");
        });
        let stolen = deferred.forget_stolen();
        drop(deferred);
        let count = self.deferred_count.load(Ordering::Relaxed);
        self.deferred_count.store(count - moved - stolen, Ordering::Relaxed);
        Refill { moved, stolen }
    }

    /// Calls `visit` with each task, which nobody else has meanwhile.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    pub(super) unsafe fn for_each(&self, mut visit: impl FnMut(NonNull<Control>)) {
        let in_front: Vec<_> = (0..self.front.len()).map_while(|_| self.front.pop()).collect();
        for task in in_front {
            visit(task);
            // SAFETY: the caller is the owner.
            let fits = unsafe { self.front.push(task) };
            debug_assert!(fits, "it has room for what was there");
        }
        self.deferred.lock().for_each(visit);
    }

    /// How many tasks a thief may take at once: a pair, or at most half of them.
    pub(crate) fn loot(&self) -> usize {
        let len = self.len();
        if len <= PAIR { len } else { len.div_ceil(2).min(MOST_LOOT) }
    }

    /// Takes a task for another worker: the one that has been deferred longest, which may have a
    /// large tree to unfold, or else the oldest in front.
    pub(crate) fn steal(&self) -> Option<NonNull<Control>> {
        let deferred = if self.defers() { self.deferred.lock().steal() } else { None };
        let task = deferred.or_else(|| self.front.pop())?;
        self.thefts.fetch_add(1, Ordering::Relaxed);
        Some(task)
    }

    /// How many tasks thieves have taken. One that was taken just now may be missing.
    pub(super) fn thefts(&self) -> u64 {
        self.thefts.load(Ordering::Relaxed)
    }

    /// How many tasks wait. Deferred tasks that were stolen are counted until the owner's next
    /// refill.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.front.len() + self.deferred_len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        !self.defers() && self.front.is_empty()
    }

    /// The part of [`len`](Self::len) that is in front.
    pub(super) fn front_len(&self) -> usize {
        self.front.len()
    }

    /// The part of [`len`](Self::len) that is not in front.
    #[inline]
    pub(super) fn deferred_len(&self) -> usize {
        self.deferred_count.load(Ordering::Relaxed)
    }

    #[inline]
    fn defers(&self) -> bool {
        self.deferred_len() != 0
    }

    /// Marks the newest task, to ask later whether its turn has come.
    pub(crate) fn mark(&self) -> Mark {
        Mark { front: self.front.mark(), defers: self.defers() }
    }

    /// Whether a task that was there at `mark` is still there, or tasks are deferred as they were
    /// then.
    pub(crate) fn has_lasted_since(&self, mark: Mark) -> bool {
        self.front.has_lasted_since(mark.front) || mark.defers && self.defers()
    }
}

/// How many deferred tasks move behind `others`: enough for a fifth of the turns.
fn batch(others: usize) -> usize {
    (others / RING_SHARE).clamp(BATCH, FRONT_CAPACITY)
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use crate::run_queue::RunQueue;
    use crate::task::Slab;
    use crate::task::testing::task_numbered;
    use std::cell::RefCell;
    use std::collections::HashMap;

    /// A backlog of numbered tasks, as its owner uses it.
    struct Owned {
        backlog: Arc<Backlog>,
        slab: Slab,
        numbers: RefCell<HashMap<NonNull<Control>, u64>>,
    }

    impl Owned {
        fn new() -> Self {
            Self { backlog: Backlog::new(), slab: Slab::default(), numbers: RefCell::default() }
        }

        fn push(&self, number: u64) -> Queued {
            let task = task_numbered(&self.slab, number).0;
            self.numbers.borrow_mut().insert(task, number);
            // SAFETY: this thread owns the backlog, and the task is new.
            unsafe { self.backlog.push(task) }
        }

        fn push_all(&self, numbers: impl IntoIterator<Item = u64>) {
            for number in numbers {
                self.push(number);
            }
        }

        /// As a worker takes a task.
        fn pop(&self) -> Option<u64> {
            let task = self.backlog.pop();
            if self.backlog.wants_refill() {
                // SAFETY: this thread owns the backlog.
                unsafe { self.backlog.refill(0, usize::MAX) };
            }
            task.map(|task| self.numbers.borrow()[&task])
        }

        fn pop_some(&self, count: usize) -> Vec<u64> {
            (0..count).map_while(|_| self.pop()).collect()
        }

        fn steal(&self) -> Option<u64> {
            self.backlog.steal().map(|task| self.numbers.borrow()[&task])
        }
    }

    const FULL: u64 = FRONT_CAPACITY as u64;

    #[test]
    fn what_is_pushed_in_a_row_keeps_its_order_whatever_its_number() {
        let owned = Owned::new();
        owned.push_all(0..3 * FULL);
        assert_eq!(owned.backlog.len(), 3 * FRONT_CAPACITY);
        assert_eq!(owned.pop_some(4 * FRONT_CAPACITY), (0..3 * FULL).collect::<Vec<_>>());
        assert!(owned.backlog.is_empty());
        assert_eq!(owned.push(0), Queued::Front);
        assert_eq!(owned.pop(), Some(0));
    }

    #[test]
    fn the_order_is_that_of_arrival_until_the_front_is_full() {
        let owned = Owned::new();
        owned.push_all(0..FULL);
        assert_eq!(owned.pop_some(2), [0, 1]);
        assert_eq!([owned.push(FULL), owned.push(FULL + 1)], [Queued::Front; 2]);
        assert_eq!(owned.push(FULL + 2), Queued::Deferred);
        assert_eq!(owned.pop(), Some(2));
        // There is room in front, but another task has waited for it longer.
        assert_eq!(owned.push(FULL + 3), Queued::Deferred);
        assert_eq!(owned.pop_some(FRONT_CAPACITY + 3), (3..FULL + 4).collect::<Vec<_>>());
    }

    #[test]
    fn those_deferred_later_come_before_those_left_behind() {
        let owned = Owned::new();
        owned.push_all(0..FULL + 2 * BATCH as u64);
        owned.pop_some(FRONT_CAPACITY);
        // A batch has moved. One of them has children, more than fit into a batch.
        let first = owned.pop_some(1);
        let children = 10_000..10_001 + BATCH as u64;
        owned.push_all(children.clone());
        let rest = owned.pop_some(2 * FRONT_CAPACITY);
        let expected: Vec<_> = (FULL..FULL + BATCH as u64)
            .chain(children)
            .chain(FULL + BATCH as u64..FULL + 2 * BATCH as u64)
            .collect();
        assert_eq!([first, rest].concat(), expected);
    }

    #[test]
    fn the_oldest_come_to_the_front_however_many_descendants_the_others_have() {
        let owned = Owned::new();
        owned.push_all(0..FULL + BATCH as u64);
        let oldest = 1_000_000;
        owned.push(oldest);
        let mut child = 2_000_000;
        let bound = FRONT_CAPACITY + ELDERS_TURN * BATCH;
        let started = (0..=bound).find(|_| {
            let task = owned.pop().unwrap();
            // Everybody has two children, so there are more and more.
            owned.push_all([child, child + 1]);
            child += 2;
            task == oldest
        });
        assert!(started.is_some(), "{bound} came before it");
        while !owned.backlog.is_empty() {
            owned.pop();
        }
    }

    #[test]
    #[should_panic(expected = "a backlog has one owner")]
    fn it_has_one_owner() {
        let backlog = Backlog::new();
        let _owner = RunQueue::new(backlog.clone());
        RunQueue::new(backlog);
    }

    #[test]
    fn thieves_take_those_that_were_deferred_longest_first() {
        let owned = Owned::new();
        owned.push_all(0..FULL + 2);
        assert_eq!(owned.steal(), Some(FULL));
        assert_eq!(owned.steal(), Some(FULL + 1));
        assert_eq!(owned.steal(), Some(0));
        assert_eq!(owned.backlog.len(), FRONT_CAPACITY - 1 + 2, "the owner has not looked yet");
        assert_eq!(owned.pop_some(FRONT_CAPACITY - 2), (1..FULL - 1).collect::<Vec<_>>());
        assert!(owned.backlog.pop().is_some() && owned.backlog.wants_refill());
        // SAFETY: this thread owns the backlog.
        assert_eq!(unsafe { owned.backlog.refill(0, usize::MAX) }, Refill { moved: 0, stolen: 2 });
        assert!(owned.backlog.is_empty());
    }

    #[test]
    fn a_thief_takes_a_pair_or_half_but_no_more_than_many() {
        let owned = Owned::new();
        for (len, loot) in [(0, 0), (1, 1), (2, 2), (3, 2), (4, 2), (5, 3), (100, 50), (1000, 64)] {
            owned.push_all(owned.backlog.len() as u64..len);
            assert_eq!(owned.backlog.loot(), loot, "of {len}");
        }
    }

    #[test]
    fn deferred_tasks_have_lasted_if_there_were_some_before() {
        let owned = Owned::new();
        let empty = owned.backlog.mark();
        owned.push_all(0..FULL + 1);
        assert!(!owned.backlog.has_lasted_since(empty));
        let full = owned.backlog.mark();
        while owned.backlog.pop().is_some() {}
        assert!(owned.backlog.has_lasted_since(full));
        assert_eq!((owned.pop(), owned.pop()), (None, Some(FULL)), "the first comes to the front");
        assert!(!owned.backlog.has_lasted_since(full));
    }
}

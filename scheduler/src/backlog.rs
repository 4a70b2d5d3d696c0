//! The backlog of a worker: tasks that have not started, oldest first. The owner adds to it, and the
//! owner and thieves take from it.
//!
//! A growing ring with one writer and many takers:
//!
//! - Only the owner moves `tail`, by a release store after it has filled the slot.
//! - Everybody, the owner too, takes from `head`, by a compare-exchange. Both counters only grow, so
//!   a comparison that succeeds proves that the slots were not reused since they were read.
//! - When the ring is full the owner copies it into one of twice the size and publishes that. The old
//!   ring stays as it was, for thieves that still read from it, until the backlog goes away. All old
//!   rings together are smaller than the present one.
//!
//! The queue follows the ideas of Chase and Lev's deque (2005), but both sides take the oldest, which
//! keeps a worker's order of arrival.

use std::cell::UnsafeCell;
use std::ptr::NonNull;

use lisle_runtime::primitive::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::task::Control;

const FIRST_CAPACITY: usize = if cfg!(lisle_loom) { 2 } else { 64 };

pub(crate) struct Backlog {
    head: AtomicUsize,
    tail: AtomicUsize,
    ring: AtomicPtr<Ring>,
    /// Rings that were outgrown. Owner only.
    outgrown: UnsafeCell<Vec<NonNull<Ring>>>,
}

// SAFETY: `outgrown` is touched by the owner alone, see `push`; the rest is atomic. Tasks that have
// not started are `Send`.
unsafe impl Send for Backlog {}
// SAFETY: as above.
unsafe impl Sync for Backlog {}

struct Ring {
    slots: Box<[AtomicPtr<Control>]>,
}

impl Ring {
    fn allocate(capacity: usize) -> NonNull<Ring> {
        let slots = (0..capacity).map(|_| AtomicPtr::new(std::ptr::null_mut())).collect();
        NonNull::from(Box::leak(Box::new(Ring { slots })))
    }

    /// A slot is read and written without ordering of its own: `tail` publishes it, and the
    /// comparison of `head` tells whether what was read still counts.
    fn slot(&self, position: usize) -> &AtomicPtr<Control> {
        &self.slots[position & (self.slots.len() - 1)]
    }
}

/// How far a backlog has come, to be compared later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    tail: usize,
}

impl Backlog {
    pub(crate) fn new() -> Self {
        Self {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            ring: AtomicPtr::new(Ring::allocate(FIRST_CAPACITY).as_ptr()),
            outgrown: UnsafeCell::new(Vec::new()),
        }
    }

    /// Adds the newest task.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    pub(crate) unsafe fn push(&self, task: NonNull<Control>) {
        let tail = self.tail.load(Ordering::Relaxed);
        let mut ring = self.ring();
        // Acquire: a slot is filled anew after its taker has read it. A head that is read too old only
        // makes the ring grow too early.
        if tail.wrapping_sub(self.head.load(Ordering::Acquire)) >= ring.slots.len() {
            // SAFETY: the caller is the owner.
            ring = unsafe { self.grow(ring, tail) };
        }
        ring.slot(tail).store(task.as_ptr(), Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
    }

    /// Takes the oldest task.
    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<Control>> {
        // Acquire, here and after a failure: the tail that is read next is not behind this head.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // Acquire pairs with the release in `push`: the slot, the ring and the task are seen.
            if head == self.tail.load(Ordering::Acquire) {
                return None;
            }
            let task = self.ring().slot(head).load(Ordering::Relaxed);
            match self.head.compare_exchange_weak(
                head,
                head.wrapping_add(1),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return NonNull::new(task),
                Err(now) => head = now,
            }
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        // As in `pop`, the head first.
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).wrapping_sub(head)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks the newest task, to ask later whether its turn has come.
    pub(crate) fn mark(&self) -> Mark {
        Mark { tail: self.tail.load(Ordering::Acquire) }
    }

    /// Whether a task that was there at `mark` is still there.
    pub(crate) fn has_lasted_since(&self, mark: Mark) -> bool {
        let head = self.head.load(Ordering::Acquire);
        mark.tail.wrapping_sub(head) as isize > 0
    }

    fn ring(&self) -> &Ring {
        // SAFETY: rings live as long as the backlog. Acquire pairs with the release in `grow`.
        unsafe { &*self.ring.load(Ordering::Acquire) }
    }

    /// # Safety
    ///
    /// The caller is the owner.
    #[cold]
    unsafe fn grow(&self, old: &Ring, tail: usize) -> &Ring {
        let larger = Ring::allocate(old.slots.len() * 2);
        // SAFETY: just allocated; freed with the backlog.
        let ring = unsafe { larger.as_ref() };
        for back in 1..=old.slots.len() {
            let position = tail.wrapping_sub(back);
            ring.slot(position)
                .store(old.slot(position).load(Ordering::Relaxed), Ordering::Relaxed);
        }
        // SAFETY: owner only.
        unsafe { (*self.outgrown.get()).push(NonNull::from(old)) };
        self.ring.store(larger.as_ptr(), Ordering::Release);
        ring
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        debug_assert!(self.is_empty(), "a worker ends with an empty backlog");
        let current = NonNull::from(self.ring());
        for ring in self.outgrown.get_mut().drain(..).chain([current]) {
            // SAFETY: rings come from `allocate`, each is in the list or the current one, and nobody
            // reads any more.
            drop(unsafe { Box::from_raw(ring.as_ptr()) });
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    fn task(n: usize) -> NonNull<Control> {
        NonNull::new(std::ptr::without_provenance_mut(n * align_of::<Control>())).unwrap()
    }

    #[test]
    fn keeps_the_order_while_it_wraps_and_grows() {
        let backlog = Backlog::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..600 {
            for _ in 0..round % 7 + 1 {
                pushed += 1;
                // SAFETY: this thread owns the backlog.
                unsafe { backlog.push(task(pushed)) };
            }
            for _ in 0..round % 5 + 1 {
                popped += 1;
                assert_eq!(backlog.pop(), Some(task(popped)));
            }
            assert_eq!(backlog.len(), pushed - popped);
        }
        assert!(pushed - popped > 4 * FIRST_CAPACITY, "the test must make the ring grow");
        while let Some(oldest) = backlog.pop() {
            popped += 1;
            assert_eq!(oldest, task(popped));
        }
        assert_eq!(popped, pushed);
    }

    #[test]
    fn a_mark_tells_whether_the_backlog_has_lasted() {
        let backlog = Backlog::new();
        let empty = backlog.mark();
        // SAFETY: this thread owns the backlog.
        unsafe {
            backlog.push(task(1));
            backlog.push(task(2));
        }
        assert!(!backlog.has_lasted_since(empty));
        let mark = backlog.mark();
        assert!(backlog.has_lasted_since(mark));
        backlog.pop();
        assert!(backlog.has_lasted_since(mark));
        backlog.pop();
        assert!(!backlog.has_lasted_since(mark));
        // SAFETY: as above.
        unsafe { backlog.push(task(3)) };
        assert!(!backlog.has_lasted_since(mark));
        backlog.pop();
    }
}

#[cfg(all(test, lisle_loom))]
mod models {
    use super::*;
    use crate::task::Slab;
    use crate::task::testing::{Sample, task_numbered};
    use lisle_runtime::primitive::Arc;
    use loom::thread;

    /// The owner pushes and pops while a thief takes; the ring grows meanwhile. Every task is taken
    /// once, and each party takes in order.
    ///
    /// Seen to fail: with `tail` stored Relaxed, a thief takes a slot that it sees as empty; with the
    /// slot read after the comparison, one task is taken twice and another never.
    #[test]
    fn every_task_is_taken_once() {
        loom::model(|| {
            let slab = Slab::default();
            let tasks: Vec<_> = (0..4).map(|n| task_numbered(&slab, n)).collect();
            let backlog = Arc::new(Backlog::new());
            let thief = thread::spawn({
                let backlog = backlog.clone();
                move || {
                    [backlog.pop(), backlog.pop()]
                        .into_iter()
                        .flatten()
                        .map(Sample)
                        .collect::<Vec<_>>()
                }
            });
            let mut mine = Vec::new();
            for task in &tasks[..3] {
                // SAFETY: this thread owns the backlog.
                unsafe { backlog.push(task.0) };
            }
            mine.extend(backlog.pop().map(Sample));
            // SAFETY: as above.
            unsafe { backlog.push(tasks[3].0) };
            let stolen = thief.join().unwrap();
            while let Some(task) = backlog.pop() {
                mine.push(Sample(task));
            }
            let number = |task: &Sample| tasks.iter().position(|known| known.0 == task.0).unwrap();
            let mine: Vec<_> = mine.iter().map(number).collect();
            let stolen: Vec<_> = stolen.iter().map(number).collect();
            assert!(mine.is_sorted() && stolen.is_sorted());
            let mut all = [mine, stolen].concat();
            all.sort();
            assert_eq!(all, [0, 1, 2, 3]);
        });
    }
}

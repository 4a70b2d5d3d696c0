//! The front of a backlog: a ring of fixed size to which the owner adds tasks, and from which the
//! owner and thieves take the oldest.
//!
//! - Only the owner moves `tail`, by a release store after it has filled the slot.
//! - The owner and thieves take from `head`, by a compare-exchange. Both counters only grow, so a
//!   comparison that succeeds proves that the slot was not reused since it was read.
//!
//! The queue follows the ideas of Chase and Lev's deque (2005), but both sides take the oldest
//! task, which keeps a worker's order of arrival, and the ring never grows: the backlog defers a
//! task that does not fit.

use std::ptr::{self, NonNull};

use lisle_runtime::internal::primitive::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::task::Control;

/// `CAPACITY` is a power of two.
pub(super) struct Front<const CAPACITY: usize> {
    head: AtomicUsize,
    tail: AtomicUsize,
    slots: Box<[AtomicPtr<Control>; CAPACITY]>,
}

/// How far the front has come, to be compared later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    tail: usize,
}

impl<const CAPACITY: usize> Front<CAPACITY> {
    pub(super) fn new() -> Self {
        const { assert!(CAPACITY.is_power_of_two()) }
        let slots: Box<[_]> = (0..CAPACITY).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        Self {
            head: AtomicUsize::new(0),
            tail: AtomicUsize::new(0),
            slots: slots.try_into().expect("there are as many slots"),
        }
    }

    /// Adds the newest task. False if there is no room.
    ///
    /// # Safety
    ///
    /// The caller is the owner.
    #[inline]
    #[must_use]
    pub(super) unsafe fn push(&self, task: NonNull<Control>) -> bool {
        let tail = self.tail.load(Ordering::Relaxed);
        // Acquire: a slot is filled anew after its taker has read it. A head that is read too old
        // only makes the ring look full too early.
        if tail.wrapping_sub(self.head.load(Ordering::Acquire)) >= CAPACITY {
            return false;
        }
        self.slot(tail).store(task.as_ptr(), Ordering::Relaxed);
        self.tail.store(tail.wrapping_add(1), Ordering::Release);
        true
    }

    /// Takes the oldest task.
    #[inline]
    pub(super) fn pop(&self) -> Option<NonNull<Control>> {
        // Acquire, here and after a failure: the tail that is read next is not behind this head.
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            // Acquire pairs with the release in `push`: the slot and the task are seen.
            if head == self.tail.load(Ordering::Acquire) {
                return None;
            }
            let task = self.slot(head).load(Ordering::Relaxed);
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
    pub(super) fn len(&self) -> usize {
        // As in `pop`, the head first.
        let head = self.head.load(Ordering::Acquire);
        self.tail.load(Ordering::Acquire).wrapping_sub(head)
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks the newest task, to ask later whether its turn has come.
    pub(super) fn mark(&self) -> Mark {
        Mark { tail: self.tail.load(Ordering::Acquire) }
    }

    /// Whether a task that was there at `mark` is still there.
    pub(super) fn has_lasted_since(&self, mark: Mark) -> bool {
        let head = self.head.load(Ordering::Acquire);
        mark.tail.wrapping_sub(head) as isize > 0
    }

    /// A slot is read and written without ordering of its own: `tail` publishes it, and the
    /// comparison of `head` tells whether what was read still counts.
    fn slot(&self, position: usize) -> &AtomicPtr<Control> {
        &self.slots[position % CAPACITY]
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    fn task(n: usize) -> NonNull<Control> {
        NonNull::new(std::ptr::without_provenance_mut(n * align_of::<Control>())).unwrap()
    }

    #[test]
    fn keeps_the_order_while_it_wraps() {
        let front = Front::<8>::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..600 {
            for _ in 0..round % 7 + 1 {
                // SAFETY: this thread owns the front.
                if unsafe { front.push(task(pushed + 1)) } {
                    pushed += 1;
                } else {
                    assert_eq!(front.len(), 8);
                }
            }
            for _ in 0..round % 5 + 1 {
                if let Some(oldest) = front.pop() {
                    popped += 1;
                    assert_eq!(oldest, task(popped));
                } else {
                    assert!(front.is_empty());
                }
            }
            assert_eq!(front.len(), pushed - popped);
        }
        assert!(pushed > 8 * 8, "the test must make the ring wrap");
    }

    #[test]
    fn takes_no_more_than_fit() {
        let front = Front::<2>::new();
        // SAFETY: this thread owns the front.
        let push = |n| unsafe { front.push(task(n)) };
        assert!(push(1) && push(2));
        assert!(!push(3));
        assert_eq!(front.pop(), Some(task(1)));
        assert!(push(3));
        assert_eq!([front.pop(), front.pop(), front.pop()], [Some(task(2)), Some(task(3)), None]);
    }

    #[test]
    fn a_mark_tells_whether_the_front_has_lasted() {
        let front = Front::<8>::new();
        // SAFETY: this thread owns the front.
        let push = |n| assert!(unsafe { front.push(task(n)) });
        let empty = front.mark();
        push(1);
        push(2);
        assert!(!front.has_lasted_since(empty));
        let mark = front.mark();
        assert!(front.has_lasted_since(mark));
        front.pop();
        assert!(front.has_lasted_since(mark));
        front.pop();
        assert!(!front.has_lasted_since(mark));
        push(3);
        assert!(!front.has_lasted_since(mark));
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

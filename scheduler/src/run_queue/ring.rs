//! The ready ring: the runnable tasks of a worker in the order of their turns. Only its owner
//! touches it, and it grows.
//!
//! A ring instead of a linked list, so that the worker can look ahead and prefetch what it will
//! run soon.

use std::cell::Cell;
use std::ptr::{self, NonNull};

use crate::task::Control;

/// A first-in first-out queue of control blocks.
///
/// An entry is either a task, or a *marker* that stands for the oldest task in front of the
/// backlog. Markers keep one order of arrival over the tasks that stay here and those that wait
/// where thieves may take them.
pub(super) struct Ring {
    /// An owned array of `mask + 1` slots, a power of two; null is a marker.
    slots: Cell<NonNull<Slot>>,
    mask: Cell<usize>,
    /// Both only count up; the slot of a position is the position modulo the capacity.
    head: Cell<usize>,
    tail: Cell<usize>,
}

type Slot = Cell<*mut Control>;

/// What [`Ring::pop`] found at the head.
pub(super) enum Entry {
    Task(NonNull<Control>),
    Marker,
}

const FIRST_CAPACITY: usize = 64;

impl Ring {
    pub(super) fn new() -> Self {
        Self {
            slots: Cell::new(allocate(FIRST_CAPACITY)),
            mask: Cell::new(FIRST_CAPACITY - 1),
            head: Cell::new(0),
            tail: Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.tail.get().wrapping_sub(self.head.get())
    }

    /// Counts what is pushed, as long as the ring does not grow.
    pub(super) fn pushes(&self) -> usize {
        self.tail.get()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.head.get() == self.tail.get()
    }

    #[inline]
    pub(super) fn push(&self, task: NonNull<Control>) {
        self.push_slot(task.as_ptr());
    }

    #[inline]
    pub(super) fn push_marker(&self) {
        self.push_slot(ptr::null_mut());
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let entry = self.slot(self.head.get()).get();
        self.head.set(self.head.get().wrapping_add(1));
        Some(NonNull::new(entry).map_or(Entry::Marker, Entry::Task))
    }

    /// Puts `task` at the tail and takes the entry at the head, which is another one. Does nothing
    /// if the ring is empty.
    #[inline]
    pub(super) fn exchange(&self, task: NonNull<Control>) -> Option<Entry> {
        let (head, tail) = (self.head.get(), self.tail.get());
        if head == tail {
            return None;
        }
        let (first, last) = (self.slot(head), self.slot(tail));
        // In a full ring they are one slot.
        let entry = first.get();
        last.set(task.as_ptr());
        self.head.set(head.wrapping_add(1));
        self.tail.set(tail.wrapping_add(1));
        Some(NonNull::new(entry).map_or(Entry::Marker, Entry::Task))
    }

    /// Moves the entry `ahead` places behind the head to the head. The others keep their order.
    ///
    /// # Panics
    ///
    /// In a debug build, if there is none.
    pub(super) fn bring_to_head(&self, ahead: usize) {
        debug_assert!(ahead < self.len());
        let head = self.head.get();
        for place in (0..ahead).rev() {
            self.slot(head.wrapping_add(place)).swap(self.slot(head.wrapping_add(place + 1)));
        }
    }

    /// The task `ahead` places behind the head, if there is one.
    #[inline]
    pub(super) fn peek(&self, ahead: usize) -> Option<NonNull<Control>> {
        if ahead >= self.len() {
            return None;
        }
        NonNull::new(self.slot(self.head.get().wrapping_add(ahead)).get())
    }

    #[inline]
    fn slot(&self, position: usize) -> &Slot {
        // SAFETY: `slots` owns `mask + 1` slots until `grow` or `drop` replaces them, and the
        // reference never leaves a method, none of which grows while it uses one.
        unsafe { self.slots.get().add(position & self.mask.get()).as_ref() }
    }

    #[inline]
    fn push_slot(&self, entry: *mut Control) {
        if self.len() > self.mask.get() {
            self.grow();
        }
        self.slot(self.tail.get()).set(entry);
        self.tail.set(self.tail.get().wrapping_add(1));
    }

    #[cold]
    fn grow(&self) {
        let (old, old_capacity) = (self.slots.get(), self.mask.get() + 1);
        let entries: Vec<_> =
            (0..self.len()).map(|n| self.slot(self.head.get().wrapping_add(n)).get()).collect();
        self.slots.set(allocate(old_capacity * 2));
        self.mask.set(old_capacity * 2 - 1);
        self.head.set(0);
        self.tail.set(entries.len());
        for (position, entry) in entries.into_iter().enumerate() {
            self.slot(position).set(entry);
        }
        // SAFETY: the old array is no longer reachable from `self`.
        unsafe { release(old, old_capacity) };
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: `self` goes away, and with it the only path to the array.
        unsafe { release(self.slots.get(), self.mask.get() + 1) };
    }
}

fn allocate(capacity: usize) -> NonNull<Slot> {
    let slots: Box<[Slot]> = vec![Cell::new(ptr::null_mut()); capacity].into();
    NonNull::from(Box::leak(slots)).cast()
}

/// # Safety
///
/// `slots` came from `allocate(capacity)` and is not used again.
unsafe fn release(slots: NonNull<Slot>, capacity: usize) {
    // SAFETY: this rebuilds the box that `allocate` leaked.
    drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(slots.as_ptr(), capacity)) });
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    fn address(n: usize) -> NonNull<Control> {
        NonNull::new(ptr::without_provenance_mut(n * align_of::<Control>())).unwrap()
    }

    #[test]
    fn keeps_the_order_while_it_wraps_and_grows() {
        let ring = Ring::new();
        let (mut pushed, mut popped) = (0, 0);
        for round in 0..500 {
            for _ in 0..round % 7 + 1 {
                pushed += 1;
                ring.push(address(pushed));
            }
            for _ in 0..round % 5 + 1 {
                popped += 1;
                assert!(matches!(ring.pop(), Some(Entry::Task(task)) if task == address(popped)));
            }
            assert_eq!(ring.len(), pushed - popped);
        }
        assert!(pushed - popped > FIRST_CAPACITY, "the test must make the ring grow");
    }

    #[test]
    fn an_exchange_is_a_push_and_a_pop() {
        let ring = Ring::new();
        assert!(ring.exchange(address(1)).is_none());
        assert!(ring.is_empty(), "there was nothing to exchange");
        let mut number = 0;
        for len in 1..=FIRST_CAPACITY {
            ring.push(address(number + 1));
            number += 1;
            // All the way round, and in the end in a full ring.
            for _ in 0..2 * FIRST_CAPACITY {
                number += 1;
                let entry = ring.exchange(address(number));
                let oldest = address(number - len);
                assert!(matches!(entry, Some(Entry::Task(task)) if task == oldest));
                assert_eq!(ring.len(), len);
            }
        }
        ring.push_marker();
        for _ in 0..FIRST_CAPACITY {
            ring.pop();
        }
        assert!(matches!(ring.exchange(address(1)), Some(Entry::Marker)));
    }

    #[test]
    fn peek_sees_tasks_and_skips_markers() {
        let ring = Ring::new();
        ring.push(address(1));
        ring.push_marker();
        ring.push(address(2));
        assert_eq!(ring.peek(0), Some(address(1)));
        assert_eq!(ring.peek(1), None);
        assert_eq!(ring.peek(2), Some(address(2)));
        assert_eq!(ring.peek(3), None);
        ring.pop();
        assert!(matches!(ring.pop(), Some(Entry::Marker)));
        assert_eq!(ring.peek(0), Some(address(2)));
    }
}

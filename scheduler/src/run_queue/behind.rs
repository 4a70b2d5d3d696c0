//! Tasks that come after deferred ones.
//!
//! Deferred tasks have no place in the ring yet, but a task that yields lets them go first
//! nevertheless, and so does a new local task. Such a task waits here until as many deferred tasks
//! have been given a place, on this worker or on a thief's, as there were when it came. These may
//! be younger ones, which overtake those that were there: otherwise a task that yields would wait
//! until whole trees are finished.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr::NonNull;

use crate::task::Control;

#[derive(Default)]
pub(super) struct Behind {
    /// Tasks that were ever deferred.
    deferred: Cell<u64>,
    /// Of those, the ones that have not been given a place.
    ahead: Cell<u64>,
    /// The tasks that wait, each with the number of deferred tasks to be placed before it. They are
    /// in the order of arrival, hence also of the numbers.
    queue: RefCell<VecDeque<(u64, NonNull<Control>)>>,
}

impl Behind {
    /// Whether tasks are deferred.
    #[inline]
    pub(super) fn is_needed(&self) -> bool {
        self.ahead.get() != 0
    }

    /// How many tasks are deferred.
    pub(super) fn ahead(&self) -> usize {
        self.ahead.get() as usize
    }

    /// How many tasks wait behind those.
    pub(super) fn len(&self) -> usize {
        self.queue.borrow().len()
    }

    fn placed(&self) -> u64 {
        self.deferred.get() - self.ahead.get()
    }

    pub(super) fn note_deferred(&self) {
        self.deferred.set(self.deferred.get() + 1);
        self.ahead.set(self.ahead.get() + 1);
    }

    pub(super) fn note_placed(&self, count: usize) {
        self.ahead.set(self.ahead.get() - count as u64);
    }

    /// Adds a task that comes after all that are deferred now.
    #[cold]
    pub(super) fn push(&self, task: NonNull<Control>) {
        self.queue.borrow_mut().push_back((self.deferred.get(), task));
    }

    /// Calls `visit` with each task that waits here.
    pub(super) fn for_each(&self, mut visit: impl FnMut(NonNull<Control>)) {
        self.queue.borrow().iter().for_each(|&(_, task)| visit(task));
    }

    /// Takes a task that has let enough others go first.
    pub(super) fn pop(&self) -> Option<NonNull<Control>> {
        let mut queue = self.queue.borrow_mut();
        let due = queue.front().is_some_and(|&(number, _)| number <= self.placed());
        if due { queue.pop_front().map(|(_, task)| task) } else { None }
    }

    /// How many more deferred tasks have to be placed before the first task here.
    pub(super) fn distance(&self) -> Option<usize> {
        let &(number, _) = self.queue.borrow().front()?;
        Some((number - self.placed()) as usize)
    }
}

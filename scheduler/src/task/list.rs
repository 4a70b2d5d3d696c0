//! The started tasks of one worker, to report and to cancel them. Owner only.

use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Control, Shown};

/// The place of a task in its home's list.
#[derive(Default)]
pub(super) struct Links {
    previous: Cell<Option<NonNull<Control>>>,
    next: Shown<Control>,
}

/// A doubly linked list through the control blocks, newest first. At each instruction of the owner
/// a signal handler on its thread finds all tasks by way of `first` and `next`, but for one that is
/// just inserted or removed.
#[derive(Default)]
pub(crate) struct TaskList {
    first: Shown<Control>,
    /// How many tasks were inserted, and removed, since the beginning. Atomic for signal handlers
    /// of the owner's thread and for other threads, which may read them.
    inserted: AtomicUsize,
    removed: AtomicUsize,
}

impl TaskList {
    /// May be called in a signal handler of the owner's thread.
    pub(crate) fn len(&self) -> usize {
        self.inserted().wrapping_sub(self.removed.load(Ordering::Relaxed))
    }

    /// How many tasks have been inserted until now. As long as the number stays the same, no task
    /// has the address of one that has ended.
    pub(crate) fn inserted(&self) -> usize {
        self.inserted.load(Ordering::Relaxed)
    }

    /// The task that was inserted last of those that are here.
    pub(crate) fn newest(&self) -> Option<&Control> {
        // SAFETY: a task is removed from the list before it is freed, and only the owner does so,
        // which runs no task while it looks.
        self.first.get().map(|task| unsafe { task.as_ref() })
    }

    /// # Safety
    ///
    /// The task is in no list and stays alive until it is removed from this one.
    pub(crate) unsafe fn insert(&self, task: NonNull<Control>) {
        self.inserted.store(self.inserted().wrapping_add(1), Ordering::Relaxed);
        let second = self.first.get();
        // SAFETY: the caller's task is alive, and so is every task that is in the list.
        unsafe {
            task.as_ref().links.next.replace(second);
            task.as_ref().links.previous.set(None);
            if let Some(second) = second {
                second.as_ref().links.previous.set(Some(task));
            }
        }
        self.first.set(task);
    }

    /// # Safety
    ///
    /// The task is in this list.
    pub(crate) unsafe fn remove(&self, task: NonNull<Control>) {
        let removed = self.removed.load(Ordering::Relaxed);
        self.removed.store(removed.wrapping_add(1), Ordering::Relaxed);
        // SAFETY: the task and its neighbours are in the list and hence alive.
        unsafe {
            let (previous, next) =
                (task.as_ref().links.previous.get(), task.as_ref().links.next.get());
            match previous {
                Some(previous) => previous.as_ref().links.next.replace(next),
                None => self.first.replace(next),
            }
            if let Some(next) = next {
                next.as_ref().links.previous.set(previous);
            }
        }
    }

    /// Calls `visit` with every task. It must not change the list.
    pub(crate) fn for_each(&self, visit: impl FnMut(&Control)) {
        self.for_each_of_newest(usize::MAX, visit);
    }

    /// Calls `visit` with every task, but with `most` at most. It must not change the list.
    pub(crate) fn for_each_of_newest(&self, most: usize, mut visit: impl FnMut(&Control)) {
        let mut next = self.first.get();
        for _ in 0..most {
            let Some(task) = next else { return };
            // SAFETY: a task is removed from the list before it is freed.
            let task = unsafe { task.as_ref() };
            visit(task);
            next = task.links.next.get();
        }
    }

    /// Calls `visit` with each task, the newest first, until it returns false.
    ///
    /// # Safety
    ///
    /// The caller is a signal handler on the owner's thread, and `visit` changes nothing.
    pub(crate) unsafe fn visit_from_handler(&self, mut visit: impl FnMut(&Control) -> bool) {
        let mut next = self.first.get_from_outside();
        while let Some(task) = next {
            // SAFETY: a task is removed from the list before it is freed, by this thread, which
            // does nothing else meanwhile.
            let task = unsafe { task.as_ref() };
            if !visit(task) {
                return;
            }
            next = task.links.next.get_from_outside();
        }
    }
}

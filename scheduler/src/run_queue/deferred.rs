//! Deferred tasks, for which there is no room in front: a stack of generations, each a queue.
//!
//! They are linked by the field that the inbox uses for tasks that have started, so any number of
//! them costs no memory of its own. The lock around this guards the links.

use std::collections::VecDeque;
use std::ptr::{self, NonNull};

use super::backlog::ELDERS_TURN;
use crate::task::Control;

#[derive(Default)]
pub(super) struct Deferred {
    /// Oldest first. No generation is empty while the lock is free.
    generations: VecDeque<Generation>,
    /// Whether nothing was moved since the youngest generation began, so that it grows.
    growing: bool,
    /// How many batches were moved.
    moves: usize,
    /// Thefts that the owner has not noticed yet.
    stolen: usize,
}

/// Tasks in the order of their arrival, linked from the first to the last.
struct Generation {
    first: Option<NonNull<Control>>,
    last: NonNull<Control>,
}

// SAFETY: the tasks of a generation are reached through it alone, and those that have not started
// are `Send`.
unsafe impl Send for Generation {}

impl Deferred {
    /// Adds the newest task.
    ///
    /// # Safety
    ///
    /// The task has not started and waits nowhere else.
    pub(super) unsafe fn push(&mut self, task: NonNull<Control>) {
        let growing = std::mem::replace(&mut self.growing, true);
        match self.generations.back_mut() {
            // SAFETY: passed on to the caller.
            Some(youngest) if growing => unsafe { youngest.push(task) },
            // SAFETY: as above.
            _ => self.generations.push_back(unsafe { Generation::begin(task) }),
        }
    }

    /// Hands the first tasks of one generation to `place`, at most `most`, and says how many. It is
    /// the youngest generation, or now and then the oldest. The next push begins a new one.
    pub(super) fn move_batch(
        &mut self,
        most: usize,
        mut place: impl FnMut(NonNull<Control>),
    ) -> usize {
        self.growing = false;
        self.moves = self.moves.wrapping_add(1);
        let youngest = self.generations.len().saturating_sub(1);
        let index = if self.moves.is_multiple_of(ELDERS_TURN) { 0 } else { youngest };
        let Some(generation) = self.generations.get_mut(index) else { return 0 };
        let mut moved = 0;
        while moved < most
            && let Some(task) = generation.pop()
        {
            place(task);
            moved += 1;
        }
        self.discard_if_empty(index);
        moved
    }

    /// Takes the oldest task of the oldest generation for a thief. The owner learns of it by
    /// [`forget_stolen`](Self::forget_stolen).
    pub(super) fn steal(&mut self) -> Option<NonNull<Control>> {
        let task = self.generations.front_mut()?.pop()?;
        self.discard_if_empty(0);
        self.stolen += 1;
        Some(task)
    }

    /// Calls `visit` with each task, those of the oldest generation first.
    pub(super) fn for_each(&self, mut visit: impl FnMut(NonNull<Control>)) {
        for generation in &self.generations {
            let mut next = generation.first;
            while let Some(task) = next {
                visit(task);
                // SAFETY: the generation has its tasks for itself, and they have not started.
                next = NonNull::new(
                    unsafe { task.as_ref() }.inbox_next.with(|next| unsafe { next.read() }),
                );
            }
        }
    }

    /// How many tasks were stolen since the last call.
    pub(super) fn forget_stolen(&mut self) -> usize {
        std::mem::take(&mut self.stolen)
    }

    fn discard_if_empty(&mut self, index: usize) {
        if self.generations[index].first.is_none() {
            self.generations.remove(index);
        }
    }
}

impl Generation {
    /// # Safety
    ///
    /// `task` waits nowhere else. The same goes for `push`.
    unsafe fn begin(task: NonNull<Control>) -> Self {
        // SAFETY: the caller has the task for itself.
        unsafe { set_next(task, ptr::null_mut()) };
        Self { first: Some(task), last: task }
    }

    unsafe fn push(&mut self, task: NonNull<Control>) {
        // SAFETY: the caller has the new task for itself, and this generation, which is not empty,
        // its last one.
        unsafe {
            set_next(task, ptr::null_mut());
            set_next(self.last, task.as_ptr());
        }
        self.last = task;
    }

    fn pop(&mut self) -> Option<NonNull<Control>> {
        let task = self.first?;
        // SAFETY: the generation has its tasks for itself, and they have not started.
        let next = unsafe { task.as_ref() }.inbox_next.with(|next| unsafe { next.read() });
        self.first = NonNull::new(next);
        Some(task)
    }
}

/// # Safety
///
/// The task waits nowhere else, or in the generation of the caller.
unsafe fn set_next(task: NonNull<Control>, next: *mut Control) {
    // SAFETY: the caller has the task for itself, and its link while it has not started.
    unsafe { task.as_ref().inbox_next.with_mut(|link| link.write(next)) }
}

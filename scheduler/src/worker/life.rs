//! How a task starts on its worker and how it ends there, and what becomes of its stack and its
//! result.

use std::any::Any;
use std::io;
use std::ptr::{self, NonNull};
use std::time::Duration;

use lisle_runtime::internal::{last_words, staggered_top};
use lisle_runtime::stack::Stack;
use lisle_runtime::switch::{Context, prepare};

use super::{Worker, current};
use crate::scope::{Bond, Bonds};
use crate::task::{Control, Runnable, join};

impl Worker {
    /// Starts `task`: gives it a stack, makes it the current one and returns its first context.
    /// `None` if it does not start here now: there is no stack for it, and it is back in the queue,
    /// or it was given to another worker.
    #[cold]
    pub(super) fn outfit(&self, task: Runnable) -> Option<Context> {
        self.occasions.pass();
        if self.crowd.may_grow(self.started.len()) && self.deals(&task) {
            return None;
        }
        let stack = match task.take_stack() {
            Some(stack) => {
                self.cancel_reservation();
                stack
            }
            None => match self.stacks.borrow_mut().take() {
                Ok(stack) => stack,
                Err(error) => {
                    self.postpone(task, &error);
                    return None;
                }
            },
        };
        let top = staggered_top(&stack);
        self.begin(&task, stack);
        self.current.set(task.into_raw());
        // SAFETY: the stack is unused and stays allocated until `retire` takes it from the task.
        Some(unsafe { prepare(top, task_main, ptr::null_mut()) })
    }

    /// Puts off the start of a task: its stack was promised when it was spawned, but the kernel has
    /// no memory left for the guard. The promise stands, and is tried again in its next turn.
    fn postpone(&self, task: Runnable, error: &io::Error) {
        self.complain(error);
        self.queue.push_woken(task.into_raw());
    }

    /// Says once that a task cannot start for want of memory, and waits a little if there is
    /// nothing else to do.
    pub(super) fn complain(&self, error: &io::Error) {
        const PAUSE: Duration = Duration::from_millis(10);
        if !self.starved.replace(true) {
            last_words::complain(format_args!("a task cannot start yet: {error}"));
        }
        if self.queue.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }

    /// Ties a task to this worker and to a stack, for which the caller has used up or cancelled its
    /// reservation.
    #[inline(always)]
    fn begin(&self, task: &Control, stack: Stack) {
        if self.shutting_down.get() || task.is_cancel_requested() {
            self.cancel_at_start(task);
        }
        task.start(&*self.post, stack);
        // SAFETY: a task starts once, so it is in no list; `retire` removes it before it is freed.
        unsafe { self.started.insert(NonNull::from(task)) };
        self.share_backlog();
    }

    /// Ends the current task, whose closure has run, and returns its stack.
    #[inline(always)]
    fn retire(&self) -> Stack {
        let task = self.current_task();
        let bond = task.bond();
        let stack = task.take_stack().expect("a started task has a stack");
        let task = NonNull::from(task);
        // SAFETY: the task is in the list since `begin`. It is alive until it is finished, which is
        // done once, here, on its home, and it is in no list then.
        unsafe {
            self.started.remove(task);
            // Before the block may be gone.
            self.current.clear();
            match bond {
                Some(bond) => self.finish_in_scope(task, bond),
                None if join::finish(task) => self.drop_result(task, None),
                None => {}
            }
        }
        stack
    }

    /// Finishes a task of a scope.
    ///
    /// # Safety
    ///
    /// The task has run here and is in no list but its scope's, where it has this bond.
    #[inline(never)]
    unsafe fn finish_in_scope(&self, task: NonNull<Control>, bond: NonNull<Bond>) {
        let here = Some(self.id());
        // SAFETY: the bond is the task's, and each step is done once, in this order. Until `end`
        // the scope waits.
        unsafe {
            let bonds = Bonds::let_go(bond, here);
            if join::finish_in_scope(task) {
                self.drop_result(task, Some(bonds.as_ref()));
            }
            if Bonds::end(bonds, here) {
                self.tell_later(bonds);
            } else if self.untold.get() == Some(bonds) {
                self.untold.set(None);
            }
        }
    }

    /// Tasks of a scope whose home this is have ended, and its balance is to be told: those of one
    /// scope at a time.
    #[inline]
    fn tell_later(&self, bonds: NonNull<Bonds>) {
        if self.untold.get() != Some(bonds) {
            self.tell_of_ends();
            self.untold.set(Some(bonds));
        }
    }

    /// Tells a scope whose home this is of its tasks that have ended here, before the worker rests.
    /// True if there are some, so that the party which awaits them may go on.
    #[inline]
    pub(super) fn tell_of_ends(&self) -> bool {
        let Some(bonds) = self.untold.get() else { return false };
        self.untold.set(None);
        // SAFETY: the scope waits for what it was not told.
        unsafe { Bonds::tell(bonds) };
        true
    }

    /// Gets rid of the result of a task that nobody joins, and of the task.
    ///
    /// # Safety
    ///
    /// `join::finish` has said that the block is ours to free, and the task is in no list.
    #[inline(always)]
    unsafe fn drop_result(&self, task: NonNull<Control>, bonds: Option<&Bonds>) {
        // SAFETY: the caller's promise.
        unsafe {
            if !task.as_ref().has_plain_result() {
                return self.drop_result_as_task(task, None, bonds);
            }
            match join::drop_result(task) {
                None => join::free_into(Some(&self.slab), task),
                panic => self.drop_result_as_task(task, panic, bonds),
            }
        }
    }

    /// Drops the result, or the payload of a panic, whose destructors may wait. Until they are done
    /// the task counts as a started one, which the worker awaits, reports and cancels.
    ///
    /// # Safety
    ///
    /// As for [`drop_result`](Self::drop_result); a panic is that of the task, whose result is
    /// gone.
    #[inline(never)]
    unsafe fn drop_result_as_task(
        &self,
        task: NonNull<Control>,
        panic: Option<Box<dyn Any + Send>>,
        bonds: Option<&Bonds>,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            self.started.insert(task);
            self.post.add(|counters| &counters.restarted, 1);
            self.current.set(task);
            if let Some(panic) = panic.or_else(|| join::drop_result(task)) {
                match bonds {
                    Some(bonds) => bonds.take_panic(panic),
                    None => self.discard_panic(panic),
                }
            }
            self.current.clear();
            self.started.remove(task);
            join::free_into(Some(&self.slab), task);
        }
    }

    /// Keeps the stack of a finished task for another, although the caller still runs on it: nobody
    /// takes it before the caller has left it for good.
    #[inline(always)]
    fn recycle(&self, stack: Stack) {
        let mut stacks = self.stacks.borrow_mut();
        if stack.size() == stacks.size() {
            stacks.put(stack);
        } else {
            // The stack retired before this one is not in use any more.
            drop(stacks);
            drop(self.retired.replace(Some(stack)));
        }
    }

    /// Whether `next` can start on a stack of the default size that has just become free.
    fn can_take_over(&self, next: &Control, stack: &Stack) -> bool {
        next.context() == Context::NONE
            && !next.brings_stack()
            && stack.size() == self.stacks.borrow().size()
    }
}

/// The bottom of every task's stack. Runs the task, and then every unstarted task whose turn comes
/// at the very moment when this stack becomes free: that needs neither a switch nor another stack.
unsafe extern "C" fn task_main(_: *mut ()) -> ! {
    // SAFETY: this function does not return, and the worker stays until its last task has finished.
    let worker = unsafe { current() }.expect("tasks run on workers");
    loop {
        // SAFETY: this is the stack of the current task, which has just begun.
        unsafe { worker.current_task().run() };
        let stack = worker.retire();
        match worker.pick() {
            Some(next) if worker.can_take_over(&next, &stack) => {
                worker.stacks.borrow_mut().cancel_reservation();
                worker.begin(&next, stack);
                worker.current.set(next.into_raw());
            }
            next => {
                worker.recycle(stack);
                worker.leave_for_good(next);
            }
        }
    }
}

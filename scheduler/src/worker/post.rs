//! The part of a worker that other threads may touch: its inbox and the bell that wakes it.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use lisle_runtime::primitive::thread::{self, Thread};

use crate::inbox::{Inbox, Pushed};
use crate::task::Control;

pub(crate) struct Post {
    pub(super) inbox: Inbox,
    /// What a worker blocks in when it has nothing to do, and how it is called back.
    thread: Thread,
}

impl Post {
    pub(super) fn for_this_thread() -> Self {
        Self { inbox: Inbox::new(), thread: thread::current() }
    }

    /// Hands a started task to its home worker from another thread.
    ///
    /// # Safety
    ///
    /// `post` is the home of `task`, alive until the task is handed over. The caller has the only
    /// right to wake the task.
    #[cold]
    pub(crate) unsafe fn post(post: *const Post, task: NonNull<Control>) {
        // SAFETY: the caller's promise. The handle is cloned before the task is handed over, because
        // afterwards the worker may finish the task, and itself.
        let thread = unsafe { (*post).thread.clone() };
        // SAFETY: the caller's promise again; nothing touches the post after the push.
        let pushed = unsafe { (*post).inbox.push(task) };
        if pushed == Pushed::OwnerAsleep {
            thread.unpark();
        }
    }

    /// Blocks the owner until a task is posted or `timeout` has passed.
    pub(super) fn sleep(&self, timeout: Option<Duration>) {
        if !self.inbox.prepare_sleep() {
            return;
        }
        let start = Instant::now();
        while self.inbox.is_asleep() {
            match timeout {
                None => thread::park(),
                Some(timeout) => match timeout.checked_sub(start.elapsed()) {
                    Some(left) if !left.is_zero() => thread::park_timeout(left),
                    _ => break,
                },
            }
        }
        self.inbox.cancel_sleep();
    }
}

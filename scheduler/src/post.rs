//! The part of a worker that other threads may touch: its inbox, its backlog, and the bell.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use lisle_runtime::primitive::Mutex;
use lisle_runtime::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::primitive::thread::{self, Thread};

use crate::backlog::Backlog;
use crate::inbox::{Inbox, Pushed};
use crate::task::Control;

pub(crate) struct Post {
    pub(crate) inbox: Inbox,
    pub(crate) backlog: Backlog,
    /// What the worker blocks in when it has nothing to do, and how it is called back. Set when the
    /// worker gets its thread, before it can sleep.
    thread: Mutex<Option<Thread>>,
    /// Whether the worker, which was asleep, has been made the watcher.
    appointed: AtomicBool,
    /// Whether a task of the worker, which sleeps, goes on by itself some time.
    has_timer: AtomicBool,
}

impl Post {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            backlog: Backlog::new(),
            thread: Mutex::new(None),
            appointed: AtomicBool::new(false),
            has_timer: AtomicBool::new(false),
        }
    }

    /// Makes the post the calling thread's.
    pub(crate) fn occupy(&self) {
        *self.thread.lock() = Some(thread::current());
    }

    /// Calls the owner, who has been found asleep.
    fn owner(&self) -> Thread {
        self.thread.lock().clone().expect("only an owner can sleep")
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
        let owner = unsafe { (*post).owner() };
        // SAFETY: the caller's promise again; nothing touches the post after the push.
        let pushed = unsafe { (*post).inbox.push(task) };
        if pushed == Pushed::OwnerAsleep {
            owner.unpark();
        }
    }

    /// Hands a new task to the worker from another thread. The worker may not have its thread yet.
    ///
    /// # Safety
    ///
    /// The caller has the only right to start the task.
    pub(crate) unsafe fn hand_in(&self, task: NonNull<Control>) {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.inbox.push(task) };
        if pushed == Pushed::OwnerAsleep {
            // Asked only now: whoever sleeps has come, and before the push it might not have.
            self.owner().unpark();
        }
    }

    /// Wakes the owner if it sleeps. False if it does not.
    pub(crate) fn wake(&self) -> bool {
        let slept = self.inbox.end_sleep();
        if slept {
            self.owner().unpark();
        }
        slept
    }

    /// Makes sure that the owner looks around once more, awake or not.
    pub(crate) fn knock(&self) {
        if self.inbox.knock() == Pushed::OwnerAsleep {
            self.owner().unpark();
        }
    }

    /// Makes the future owner the watcher: its thread is being started.
    pub(crate) fn appoint_first(&self) {
        self.appointed.store(true, Ordering::Release);
    }

    /// Makes the owner the watcher if it sleeps.
    pub(crate) fn appoint(&self) -> bool {
        if !self.inbox.is_asleep() {
            return false;
        }
        self.appointed.store(true, Ordering::Relaxed);
        // If it is awake already, either it has seen the appointment, or that is taken back.
        self.wake() || !self.appointed.swap(false, Ordering::AcqRel)
    }

    /// Whether the owner was made the watcher. Owner only; it is told once.
    pub(crate) fn was_appointed(&self) -> bool {
        self.appointed.swap(false, Ordering::AcqRel)
    }

    /// Whether nothing but another worker or a foreign thread can make a task of the owner's go on. It
    /// may be about to look around.
    pub(crate) fn sleeps_for_good(&self) -> bool {
        self.inbox.is_asleep() && !self.has_timer.load(Ordering::Acquire)
    }

    /// Blocks the owner until a task is posted, somebody wakes it, its next timer is due, in `timer`
    /// from now, or `pause` has passed.
    pub(crate) fn sleep(&self, timer: Option<Duration>, pause: Option<Duration>) {
        self.has_timer.store(timer.is_some(), Ordering::Release);
        if !self.inbox.prepare_sleep() {
            return;
        }
        let timeout = timer.into_iter().chain(pause).min();
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
        self.inbox.end_sleep();
    }
}

//! The part of a worker that other threads may touch: its inbox, its backlog, and the bell.

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;
use lisle_runtime::primitive::Mutex;
use lisle_runtime::primitive::atomic::{AtomicBool, Ordering};

use crate::driver::{Bell, Driver};
use crate::inbox::{Inbox, Pushed};
use crate::metrics::Counters;
use crate::run_queue::backlog::Backlog;
use crate::task::Control;

/// After so long a sleep nothing is likely to come soon, and what is kept at hand for tasks to come
/// may go.
const LONG_SLEEP: Duration = Duration::from_millis(100);

pub(crate) struct Post {
    pub(crate) inbox: Inbox,
    pub(crate) backlog: Backlog,
    /// Set when the worker gets its thread, before it can sleep.
    bell: Mutex<Option<Bell>>,
    /// Whether the worker, which was asleep, has been made the watcher.
    appointed: AtomicBool,
    /// Whether a timer or a descriptor may wake a task of the worker, which sleeps, some time.
    has_wake_source: AtomicBool,
    /// Whether the worker has finished all its tasks, for good.
    ended: AtomicBool,
    pub(crate) counters: CachePadded<Counters>,
}

impl Post {
    pub(crate) fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            backlog: Backlog::new(),
            bell: Mutex::new(None),
            appointed: AtomicBool::new(false),
            has_wake_source: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            counters: CachePadded::default(),
        }
    }

    /// Makes the post that of the worker with this bell.
    pub(crate) fn occupy(&self, bell: Bell) {
        *self.bell.lock() = Some(bell);
    }

    /// The bell of a worker that has its thread.
    fn bell(&self) -> Bell {
        self.bell.lock().clone().expect("only a worker that has come is called")
    }

    /// Hands a started task to its home worker from a thread that does not keep the post alive.
    ///
    /// # Safety
    ///
    /// `post` is the home of `task`, alive until the task is handed over. The caller has the only
    /// right to wake the task.
    #[cold]
    pub(crate) unsafe fn post(post: *const Post, task: NonNull<Control>) {
        // SAFETY: the caller's promise. The bell is taken before the task is handed over, because
        // afterwards the worker may finish the task, and itself.
        let bell = unsafe { (*post).bell() };
        // SAFETY: the caller's promise again; nothing touches the post after the push.
        let pushed = unsafe { (*post).inbox.push(task) };
        if pushed == Pushed::OwnerAsleep {
            bell.ring();
        }
    }

    /// Hands a task to the worker from a thread that keeps the post alive: a new one, for which the
    /// worker may not have its thread yet, or a started one whose home it is.
    ///
    /// # Safety
    ///
    /// The caller has the only right to start, or to wake, the task.
    pub(crate) unsafe fn hand_in(&self, task: NonNull<Control>) {
        // SAFETY: the caller's promise.
        let pushed = unsafe { self.inbox.push(task) };
        if pushed == Pushed::OwnerAsleep {
            // Asked only now: whoever sleeps has come, and before the push it might not have.
            self.bell().ring();
        }
    }

    /// Wakes the owner if it sleeps. False if it does not.
    pub(crate) fn wake(&self) -> bool {
        let slept = self.inbox.end_sleep();
        if slept {
            self.bell().ring();
        }
        slept
    }

    /// Makes sure that the owner looks around once more, awake or not.
    pub(crate) fn knock(&self) {
        if self.inbox.knock() == Pushed::OwnerAsleep {
            self.bell().ring();
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

    /// Whether nothing but another worker or a foreign thread can make a task of the owner's go on.
    /// It may be about to look around.
    pub(crate) fn sleeps_for_good(&self) -> bool {
        self.has_ended() || self.inbox.is_asleep() && !self.has_wake_source.load(Ordering::Acquire)
    }

    /// The owner wakes nobody any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Blocks the owner, whose driver is given, until a task is posted, somebody wakes it, a
    /// descriptor has woken a task, its next timer is due, in `timer` from now, or `pause` has
    /// passed. Calls `rest` if that takes long; the owner counts as asleep then.
    pub(crate) fn sleep(
        &self,
        driver: &Driver,
        timer: Option<Duration>,
        pause: Option<Duration>,
        rest: impl FnOnce(),
    ) {
        self.has_wake_source.store(timer.is_some() || driver.has_waits(), Ordering::Release);
        if !self.inbox.prepare_sleep() {
            return;
        }
        self.counters.sleeps.add(1);
        let timeout = timer.into_iter().chain(pause).min();
        let start = Instant::now();
        // A model has no clock.
        let mut rest = Some(rest).filter(|_| !cfg!(lisle_loom));
        while self.inbox.is_asleep() {
            let slept = start.elapsed();
            let left = timeout.map(|timeout| timeout.saturating_sub(slept));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            if slept >= LONG_SLEEP
                && let Some(rest) = rest.take()
            {
                rest();
                continue;
            }
            let until_rest = rest.as_ref().map(|_| LONG_SLEEP.saturating_sub(slept));
            if driver.block(left.into_iter().chain(until_rest).min()) {
                break;
            }
        }
        self.inbox.end_sleep();
    }
}

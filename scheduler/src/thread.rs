//! Parking of plain OS threads, so that they can stand in the same wait lists as tasks.

use std::ptr::NonNull;
use std::time::Instant;

use crossbeam_utils::Backoff;
use lisle_runtime::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::primitive::thread::{self, Thread};

use crate::park::{Party, Unparker, Wake, abort_on_unwind};

/// One wait of a plain thread, on that thread's stack.
#[derive(Debug)]
pub(crate) struct ThreadWait {
    /// Set by the waker. Whoever sets it may not touch this struct afterwards.
    woken: AtomicBool,
    thread: Thread,
}

impl ThreadWait {
    pub(crate) fn park(
        deadline: Option<Instant>,
        commit: impl FnOnce(Unparker),
        retract: impl FnOnce() -> Option<Unparker>,
    ) -> Wake {
        let wait = ThreadWait { woken: AtomicBool::new(false), thread: thread::current() };
        let party = || Party::Thread(NonNull::from(&wait));
        abort_on_unwind("commit", || commit(Unparker::new(party())));
        if wait.sleep(deadline) {
            return Wake::Unparked;
        }
        if Unparker::new(party()).take_back(retract).is_some() {
            return Wake::TimedOut;
        }
        wait.sleep(None);
        Wake::Unparked
    }

    /// Blocks until woken (true) or until `deadline` has passed (false).
    fn sleep(&self, deadline: Option<Instant>) -> bool {
        let backoff = Backoff::new();
        loop {
            // Acquire pairs with the release in `unpark`: what the waker wrote before is seen.
            if self.woken.load(Ordering::Acquire) {
                return true;
            }
            if !backoff.is_completed() && !cfg!(lisle_loom) {
                backoff.snooze();
                continue;
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None => return false,
                    Some(left) if left.is_zero() => return false,
                    Some(left) => thread::park_timeout(left),
                },
            }
        }
    }

    /// # Safety
    ///
    /// `wait` is in its `sleep` and nobody else has woken it or will.
    pub(crate) unsafe fn unpark(wait: NonNull<Self>) {
        // SAFETY: the sleeper cannot leave before `woken` is set, so the struct is alive here.
        let wait = unsafe { wait.as_ref() };
        // The handle is cloned first: once `woken` is set the sleeper's frame may be gone.
        let thread = wait.thread.clone();
        wait.woken.store(true, Ordering::Release);
        thread.unpark();
    }
}

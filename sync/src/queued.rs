//! [`Queued`]: the place of a future in a queue, among those of tasks and threads.
//!
//! A future that waits is a waiter like any other: first come, first served. What is its own is
//! that it may be dropped at any moment, also when it was taken out of the queue and not yet woken.
//! The destructor then waits until the other party has used the unparker, by
//! [`FutureWait::settle`]. Therefore no party may call a waker, which is user code, while it holds
//! the unparker of another future: the waker could drop that one, and the destructor would wait for
//! its own caller. So queues with futures are emptied one by one, not by a
//! [`Chain`](lisle_scheduler::internal::Chain).

use std::sync::Arc;
use std::task::{Poll, Waker};

use lisle_scheduler::internal::{FutureWait, WaitQueue, Waiter};
use lisle_scheduler::park::Unparker;

/// The place. It is shared with nobody; it is no `Box` because others have pointers into it while
/// the future is moved.
pub(crate) struct Queued<P>(Arc<Place<P>>);

struct Place<P> {
    waiter: Waiter<P>,
    wait: FutureWait,
}

// SAFETY: what others touch of it they touch under the lock of the queue or with the unparker.
unsafe impl<P: Send> Send for Queued<P> {}
// SAFETY: as above; a shared reference offers nothing but `poll`, which is synchronised itself.
unsafe impl<P: Send> Sync for Queued<P> {}

impl<P> Queued<P> {
    /// A place that is in no queue.
    pub(crate) fn new(payload: P) -> Self {
        Self(Arc::new(Place { waiter: Waiter::new(payload), wait: FutureWait::new() }))
    }

    /// Joins a queue, at its end. Then `waker` is called when the wait is over.
    ///
    /// # Safety
    ///
    /// It has joined no queue before, and the caller holds the lock that guards this one. Before
    /// the place ends it [leaves](Self::leave) this queue, or its wait was over.
    pub(crate) unsafe fn join(&self, queue: &mut WaitQueue<P>, waker: Waker) {
        // SAFETY: no unparker of a new wait is out. Neither the wait nor the waiter moves, and they
        // end when the wait is over.
        unsafe { queue.push(&self.0.waiter, self.0.wait.arm(waker)) };
    }

    /// Ready when the place was taken out of its queue and the party there is done with it. Before
    /// that, `waker` is the one that will be called.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<()> {
        self.0.wait.poll(waker)
    }

    /// Leaves the queue. `None` if it was taken out before, or `poll` has been ready.
    ///
    /// # Safety
    ///
    /// It has joined that queue, whose lock the caller holds.
    pub(crate) unsafe fn leave(&self, queue: &mut WaitQueue<P>) -> Option<Unparker> {
        // SAFETY: passed on to the caller.
        unsafe { queue.remove(&self.0.waiter) }
    }

    /// Waits until the party is done with it that has taken it out, and calls `f` with what that
    /// has left there.
    ///
    /// # Safety
    ///
    /// It was taken out of its queue.
    pub(crate) unsafe fn outcome<R>(&self, f: impl FnOnce(&P) -> R) -> R {
        self.0.wait.settle();
        // SAFETY: it is in no queue, and its wait is over.
        unsafe { self.0.waiter.look(f) }
    }
}

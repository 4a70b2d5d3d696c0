//! [`WaitGroup`]: waiting until others are done.

#[cfg(all(test, lisle_loom))]
mod models;

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::atomic::{AtomicUsize, Ordering};
use lisle_runtime::internal::primitive::{Arc, BriefMutex};
use lisle_scheduler::internal::{WaitQueue, shield_unwinding};
use lisle_scheduler::park::{Awaited, Handles, Object, Place, Reason, Wait, Wake};

use crate::waiting::{cannot_wait, deadline_in, pass_aside, wait_in};

/// Waits until a group of parties are done with something: each has a clone, and drops it.
///
/// The interface is crossbeam's. A party that panics or is cancelled drops its clone as well, so
/// nobody waits in vain.
///
/// **Cancellation.** A wait is a cancellation point, but not in a destructor that unwinds.
///
/// # Examples
///
/// ```
/// use lisle::sync::WaitGroup;
///
/// lisle::run(|| {
///     let group = WaitGroup::new();
///     for part in 0..3 {
///         let done = group.clone();
///         lisle::spawn(move || {
///             println!("part {part}");
///             drop(done);
///         });
///     }
///     group.wait(); // until all three have dropped theirs
/// });
/// ```
pub struct WaitGroup(Arc<Group>);

struct Group {
    /// Handles that are alive. From 0 on it does not change.
    members: AtomicUsize,
    queue: BriefMutex<WaitQueue>,
}

impl WaitGroup {
    /// A group with one handle, this one.
    pub fn new() -> Self {
        let queue = BriefMutex::new(WaitQueue::new());
        Self(Arc::new(Group { members: AtomicUsize::new(1), queue }))
    }

    /// Drops this handle, and waits until no other one is left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. Panics if it has to wait inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[track_caller]
    pub fn wait(self) {
        if self.wait_at(None, Location::caller()).is_err() {
            cannot_wait("a WaitGroup");
        }
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// A new handle, if others are left then.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::WaitGroup;
    /// use std::time::Duration;
    ///
    /// let group = WaitGroup::new();
    /// let other = group.clone();
    /// let group = group.wait_timeout(Duration::from_millis(1)).unwrap_err();
    /// drop(other);
    /// group.wait();
    /// ```
    #[track_caller]
    pub fn wait_timeout(self, timeout: Duration) -> Result<(), WaitGroup> {
        self.wait_at(deadline_in(timeout), Location::caller())
    }

    /// As [`wait_timeout`](Self::wait_timeout), but not beyond `deadline`.
    ///
    /// # Errors
    ///
    /// A new handle, if others are left then.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until(self, deadline: Instant) -> Result<(), WaitGroup> {
        self.wait_at(Some(deadline), Location::caller())
    }

    fn wait_at(self, deadline: Option<Instant>, place: Place) -> Result<(), WaitGroup> {
        let group = self.0.clone();
        drop(self);
        let wake = shield_unwinding(|| {
            if group.is_over() {
                return Wake::Unparked;
            }
            let wait = Wait::on(&*group).at(place);
            // SAFETY: the queue is all that the lock guards, and is never replaced.
            unsafe { wait_in(&group.queue, |queue| queue, |_| group.is_over(), wait, deadline) }
        });
        if wake != Wake::Unparked && group.join() { Err(Self(group)) } else { Ok(()) }
    }
}

impl Group {
    fn is_over(&self) -> bool {
        // Acquire pairs with the release in `leave`: what the members did before is seen.
        self.members.load(Ordering::Acquire) == 0
    }

    /// Adds a member, unless the group is over.
    fn join(&self) -> bool {
        let join = |members| if members == 0 { None } else { Some(members + 1) };
        self.members.fetch_update(Ordering::Relaxed, Ordering::Acquire, join).is_ok()
    }

    fn leave(&self) {
        pass_aside("leaves the group", None);
        if self.members.fetch_sub(1, Ordering::AcqRel) == 1 {
            let all = self.queue.lock().take_all();
            all.wake();
        }
    }
}

unwind_safe!(WaitGroup);

impl Clone for WaitGroup {
    fn clone(&self) -> Self {
        self.0.members.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

impl Drop for WaitGroup {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members = self.0.members.load(Ordering::Relaxed);
        f.debug_struct("WaitGroup").field("members", &members).finish()
    }
}

impl Object for Group {
    fn reason(&self) -> Reason {
        Reason::new("waiting for a group")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        let address = std::ptr::from_ref(self).addr();
        let members = self.members.load(Ordering::Relaxed);
        say(Awaited::Handles(Handles::new(address, "waiter of the group", "member", members)));
    }
}

//! [`Condvar`]: waiting until something guarded by a mutex has changed.

#[cfg(all(test, lisle_loom))]
mod models;

use std::cell::Cell;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::BriefMutex;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_scheduler::internal::{Chain, WaitQueue, Waiter, shield_unwinding};
use lisle_scheduler::park::{Object, Place, Reason, Wait, Wake, park};

use crate::mutex::{MutexGuard, RawMutex};
use crate::waiting::{cannot_wait, deadline_in, pass, pass_at};

/// A place to wait for a change of what a [`Mutex`](crate::Mutex) guards.
///
/// The interface is that of `std::sync::nonpoison::Condvar`. No wake-up is spurious, but what was
/// true when a waiter was notified may be false when it has the lock again: another party may have
/// come before it. So waits stand in a loop, or use [`wait_while`](Self::wait_while).
///
/// Waiters are notified in the order in which they came.
///
/// **Cancellation.** A wait is a cancellation point. A task that is unwound from it, or whose time
/// is over, has the lock again before it goes on; it waits for that as in a
/// [`shield`](lisle_scheduler::shield). A notification is not lost by it: a waiter that was
/// notified first returns, and its cancellation strikes at the next point; one that leaves first
/// was not notified, and another one is. In a destructor that unwinds the wait is not cut short.
///
/// # Examples
///
/// ```
/// use lisle::sync::{Condvar, Mutex};
///
/// static ITEMS: Mutex<Vec<u32>> = Mutex::new(Vec::new());
/// static ADDED: Condvar = Condvar::new();
///
/// lisle::run(|| {
///     let taker = lisle::spawn(|| {
///         let mut items = ITEMS.lock();
///         ADDED.wait_while(&mut items, |items| items.is_empty());
///         items.pop()
///     });
///     lisle::yield_now();
///     ITEMS.lock().push(7);
///     ADDED.notify_one();
///     assert_eq!(taker.join().unwrap(), Some(7));
/// });
/// ```
#[derive(Debug)]
pub struct Condvar {
    queue: BriefMutex<WaitQueue>,
    /// Whether the queue has somebody. Changed under its lock; read without, by notifiers, which
    /// have changed something under the mutex that the waiter has let go after it was queued.
    has_waiters: AtomicBool,
}

/// Whether a timed wait has ended by its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether nobody has notified the waiter in time.
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_fn! {
        /// A condition variable at which nobody waits.
        pub fn new() -> Self {
            Self { queue: BriefMutex::new(WaitQueue::new()), has_waiters: AtomicBool::new(false) }
        }
    }

    /// Unlocks the mutex, waits for a notification, and locks again.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled, with the mutex locked. Panics inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[track_caller]
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) {
        if self.wait_at(guard.raw(), None, Location::caller()) == Wake::Failed {
            cannot_wait("a condition");
        }
    }

    /// Waits as long as `condition` is true.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait), and with the panics of `condition`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Condvar, Mutex};
    ///
    /// lisle::run(|| {
    ///     let (queue, more) = (Mutex::new(Vec::new()), Condvar::new());
    ///     lisle::scope(|s| {
    ///         s.spawn(|| {
    ///             queue.lock().push(7);
    ///             more.notify_one();
    ///         });
    ///         let mut queue = queue.lock();
    ///         more.wait_while(&mut queue, |queue| queue.is_empty());
    ///         assert_eq!(queue.pop(), Some(7));
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) {
        while condition(guard) {
            self.wait(guard);
        }
    }

    /// Waits for a notification, but no longer than `timeout`. The mutex is locked afterwards,
    /// which may take longer.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use lisle::sync::{Condvar, Mutex};
    ///
    /// let (lock, condvar) = (Mutex::new(1), Condvar::new());
    /// let mut guard = lock.lock();
    /// assert!(condvar.wait_timeout(&mut guard, Duration::from_millis(1)).timed_out());
    /// assert_eq!(*guard, 1); // it is locked again
    /// ```
    #[track_caller]
    pub fn wait_timeout<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
    ) -> WaitTimeoutResult {
        let wake = self.wait_at(guard.raw(), deadline_in(timeout), Location::caller());
        WaitTimeoutResult(wake != Wake::Unparked)
    }

    /// Waits for a notification, but not beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
    ) -> WaitTimeoutResult {
        let wake = self.wait_at(guard.raw(), Some(deadline), Location::caller());
        WaitTimeoutResult(wake != Wake::Unparked)
    }

    /// Waits as long as `condition` is true, but no longer than `timeout`. The result says whether
    /// it still was at the end.
    ///
    /// # Panics
    ///
    /// As [`wait_while`](Self::wait_while).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (mutex, condvar) = (Mutex::new(false), Condvar::new());
    /// let mut done = mutex.lock();
    /// let time = Duration::from_millis(1);
    /// let result = condvar.wait_timeout_while(&mut done, time, |done| !*done);
    /// assert!(result.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        timeout: Duration,
        condition: impl FnMut(&mut T) -> bool,
    ) -> WaitTimeoutResult {
        self.wait_while_at(guard, deadline_in(timeout), condition, Location::caller())
    }

    /// As [`wait_timeout_while`](Self::wait_timeout_while), but does not wait beyond `deadline`.
    ///
    /// # Panics
    ///
    /// As [`wait_while`](Self::wait_while).
    #[track_caller]
    pub fn wait_until_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Instant,
        condition: impl FnMut(&mut T) -> bool,
    ) -> WaitTimeoutResult {
        self.wait_while_at(guard, Some(deadline), condition, Location::caller())
    }

    /// Lets the party continue that has waited longest, if there is one. Never waits.
    #[inline]
    #[track_caller]
    pub fn notify_one(&self) {
        pass();
        if self.has_waiters.load(Ordering::Relaxed) {
            self.take(1).wake();
        }
    }

    /// Lets all waiting parties continue. Never waits.
    #[inline]
    #[track_caller]
    pub fn notify_all(&self) {
        pass();
        if self.has_waiters.load(Ordering::Relaxed) {
            self.take(usize::MAX).wake();
        }
    }

    fn take(&self, count: usize) -> Chain {
        let mut queue = self.queue.lock();
        let taken = queue.take(count);
        self.has_waiters.store(!queue.is_empty(), Ordering::Relaxed);
        taken
    }

    fn wait_while_at<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Option<Instant>,
        mut condition: impl FnMut(&mut T) -> bool,
        place: Place,
    ) -> WaitTimeoutResult {
        while condition(guard) {
            if self.wait_at(guard.raw(), deadline, place) != Wake::Unparked {
                return WaitTimeoutResult(condition(guard));
            }
        }
        WaitTimeoutResult(false)
    }

    /// Releases the mutex, waits and locks it again, whatever ends the wait.
    fn wait_at(&self, mutex: &RawMutex, deadline: Option<Instant>, place: Place) -> Wake {
        pass_at(place);
        let waiter = Waiter::new(());
        let relock = Relock { mutex, place, released: Cell::new(false) };
        shield_unwinding(|| {
            park(
                Wait::on(self).at(place),
                deadline,
                |unparker| {
                    let mut queue = self.queue.lock();
                    // SAFETY: the waiter stays until `park` has returned, after which the unparker
                    // is used up or was taken back.
                    unsafe { queue.push(&waiter, unparker) };
                    self.has_waiters.store(true, Ordering::Relaxed);
                    drop(queue);
                    // SAFETY: the caller of the wait has the lock, and gets it back.
                    unsafe { mutex.unlock_at_once() };
                    relock.released.set(true);
                },
                || {
                    let mut queue = self.queue.lock();
                    // SAFETY: it was pushed into this queue.
                    let unparker = unsafe { queue.remove(&waiter) };
                    self.has_waiters.store(!queue.is_empty(), Ordering::Relaxed);
                    unparker
                },
            )
        })
    }
}

/// Locks the mutex at the end of a wait, also one that unwinds.
struct Relock<'a> {
    mutex: &'a RawMutex,
    place: Place,
    released: Cell<bool>,
}

impl Drop for Relock<'_> {
    fn drop(&mut self) {
        if self.released.get() {
            self.mutex.lock_again(self.place);
        }
    }
}

unwind_safe!(Condvar);

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl Object for Condvar {
    fn reason(&self) -> Reason {
        Reason::new("waiting at a condition variable")
    }
}

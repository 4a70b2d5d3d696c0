//! [`Notify`]: wake-ups without a value.

mod future;
#[cfg(all(test, lisle_loom))]
mod models;

use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::BriefMutex;
use lisle_scheduler::internal::{WaitQueue, Waiter, shield_unwinding};
use lisle_scheduler::park::{Object, Place, Reason, Wait, Wake, park};

pub use self::future::NotifiedFuture;
use crate::waiting::{cannot_wait, deadline_in, pass, spend_at};

/// Lets one party tell others that something has happened.
///
/// The interface is tokio's. [`notify_one`](Self::notify_one) lets one party continue, or the next
/// one that comes: a notification is kept, but never more than one.
/// [`notify_waiters`](Self::notify_waiters) lets all continue that wait by then, and keeps nothing.
///
/// **Cancellation.** A wait is a cancellation point, but not in a destructor that unwinds. A party
/// that leaves early was not notified, and the notification goes to another one.
///
/// **In `async` code**, on any executor, `notify.notified().await` waits: see [`NotifiedFuture`].
///
/// # Examples
///
/// ```
/// use lisle::sync::Notify;
///
/// static CHANGED: Notify = Notify::new();
///
/// lisle::run(|| {
///     let watcher = lisle::spawn(|| CHANGED.wait());
///     CHANGED.notify_one(); // kept if the watcher has not begun to wait
///     watcher.join().unwrap();
/// });
/// ```
#[derive(Debug)]
pub struct Notify {
    state: BriefMutex<State>,
}

#[derive(Debug)]
struct State {
    /// A notification that found nobody. Then nobody waits.
    kept: bool,
    /// How often all that waited were notified.
    rounds: u64,
    /// Those that are of an earlier round stand in front, and are about to be taken out.
    queue: WaitQueue<Waiting>,
}

/// A party that waits.
#[derive(Debug)]
struct Waiting {
    /// How many rounds there had been when it came.
    rounds: u64,
    /// Whether it was notified by a notification for one, when its wait is over.
    took_one: bool,
}

/// A party that is about to wait at a [`Notify`], and that a
/// [`notify_waiters`](Notify::notify_waiters) reaches from now on.
#[must_use = "it does not wait by itself"]
#[derive(Debug)]
pub struct Notified<'a> {
    notify: &'a Notify,
    rounds: u64,
}

impl Notify {
    const_fn! {
        /// One that keeps no notification.
        pub fn new() -> Self {
            let state = State { kept: false, rounds: 0, queue: WaitQueue::new() };
            Self { state: BriefMutex::new(state) }
        }
    }

    /// Lets the party continue that has waited longest, or the next one that comes. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Notify;
    ///
    /// lisle::run(|| {
    ///     let wanted = Notify::new();
    ///     wanted.notify_one();
    ///     wanted.notify_one(); // no more than one is kept
    ///     wanted.wait(); // at once
    ///     lisle::scope(|s| {
    ///         s.spawn(|| wanted.wait());
    ///         wanted.notify_one();
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn notify_one(&self) {
        pass();
        let next = || {
            let State { kept, rounds, queue } = &mut *self.state.lock();
            let first = queue.pop_if(|_, waiting| {
                waiting.took_one = waiting.rounds == *rounds;
                true
            });
            *kept |= first.is_none();
            first
        };
        while let Some(mut party) = next() {
            let took_one = party.with(|waiting| waiting.took_one);
            party.wake();
            // Others belong to a round that another thread is just about to notify.
            if took_one {
                break;
            }
        }
    }

    /// Lets all parties continue that wait, or that have said by [`notified`](Self::notified) that
    /// they are about to. Never waits.
    #[track_caller]
    pub fn notify_waiters(&self) {
        pass();
        let mut state = self.state.lock();
        state.rounds += 1;
        let rounds = state.rounds;
        drop(state);
        // One by one, as there may be futures among them: see `queued.rs`. Those that come from now
        // on stand behind.
        let next = || self.state.lock().queue.pop_if(|_, waiting| waiting.rounds < rounds);
        while let Some(party) = next() {
            party.wake();
        }
    }

    /// Says that the caller is about to wait. It can then look at what it waits for, and no
    /// notification is lost that comes after the look.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Notify;
    /// use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
    ///
    /// static OPEN: AtomicBool = AtomicBool::new(false);
    /// static OPENED: Notify = Notify::new();
    ///
    /// fn pass() {
    ///     let opened = OPENED.notified();
    ///     if !OPEN.load(SeqCst) {
    ///         opened.wait();
    ///     }
    /// }
    ///
    /// lisle::run(|| {
    ///     let tasks = [(); 3].map(|()| lisle::spawn(pass));
    ///     OPEN.store(true, SeqCst);
    ///     OPENED.notify_waiters();
    ///     tasks.into_iter().for_each(|task| task.join().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        pass();
        Notified { notify: self, rounds: self.state.lock().rounds }
    }

    /// Waits for a notification, or takes the one that was kept.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. Panics if it has to wait inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[track_caller]
    pub fn wait(&self) {
        self.notified().wait();
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`. Whether there was a notification.
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
    /// use lisle::sync::Notify;
    ///
    /// let wanted = Notify::new();
    /// assert!(!wanted.wait_timeout(Duration::from_millis(1)));
    /// wanted.notify_one();
    /// assert!(wanted.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.notified().wait_timeout(timeout)
    }

    /// As [`wait`](Self::wait), but not beyond `deadline`. Whether there was a notification.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        self.notified().wait_until(deadline)
    }
}

impl State {
    /// Whether a party that came when there had been this many rounds was notified. If so by the
    /// notification that is kept, it takes that.
    fn take(&mut self, rounds: u64) -> bool {
        self.rounds != rounds || std::mem::take(&mut self.kept)
    }
}

impl Notified<'_> {
    /// Waits for a notification, or takes the one that was kept.
    ///
    /// # Panics
    ///
    /// As [`Notify::wait`].
    #[track_caller]
    pub fn wait(self) {
        if self.wait_at(|| None, Location::caller()) != Wake::Unparked {
            cannot_wait("a notification");
        }
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`. Whether there was a notification.
    ///
    /// # Panics
    ///
    /// As [`Notify::wait`].
    #[track_caller]
    pub fn wait_timeout(self, timeout: Duration) -> bool {
        self.wait_at(|| deadline_in(timeout), Location::caller()) == Wake::Unparked
    }

    /// As [`wait`](Self::wait), but not beyond `deadline`. Whether there was a notification.
    ///
    /// # Panics
    ///
    /// As [`Notify::wait`].
    #[track_caller]
    pub fn wait_until(self, deadline: Instant) -> bool {
        self.wait_at(|| Some(deadline), Location::caller()) == Wake::Unparked
    }

    fn wait_at(self, deadline: impl FnOnce() -> Option<Instant>, place: Place) -> Wake {
        spend_at(place);
        if self.notify.state.lock().take(self.rounds) {
            return Wake::Unparked;
        }
        let Self { notify, rounds } = self;
        let waiter = Waiter::new(Waiting { rounds, took_one: false });
        shield_unwinding(|| {
            park(
                Wait::on(notify).at(place),
                deadline(),
                |unparker| {
                    let mut state = notify.state.lock();
                    if state.take(rounds) {
                        drop(state);
                        return unparker.unpark();
                    }
                    // SAFETY: the waiter is in no queue. It stays until `park` has returned, after
                    // which the unparker is used up or was taken back.
                    unsafe { state.queue.push(&waiter, unparker) };
                },
                // SAFETY: the waiter is in this queue or was never in one.
                || unsafe { notify.state.lock().queue.remove(&waiter) },
            )
        })
    }
}

unwind_safe!(Notify);

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Object for Notify {
    fn reason(&self) -> Reason {
        Reason::new("waiting for a notification")
    }
}

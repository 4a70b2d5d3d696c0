//! [`Semaphore`]: a number of permits that parties share.

mod error;
mod future;
#[cfg(all(test, lisle_loom))]
mod models;
mod owned;
mod permit;

use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::{BriefMutex, BriefMutexGuard};
use lisle_scheduler::internal::{WaitQueue, Waiter, shield_unwinding};
use lisle_scheduler::park::{Object, Place, Reason, Wait, Wake, park};
use lisle_scheduler::turn;

pub use self::error::{AcquireError, AcquireTimeoutError, TryAcquireError};
pub use self::future::{AcquireFuture, AcquireOwnedFuture};
pub use self::owned::OwnedSemaphorePermit;
pub use self::permit::SemaphorePermit;
use crate::waiting::{deadline_in, pass, pass_aside, spend_at};

/// A number of permits. A party that wants one when none is left waits for it.
///
/// The interface is tokio's. Parties are served in the order in which they came, whatever they
/// want: as long as one waits for many permits, those behind it wait too, though there may be
/// enough for them. Permits may be kept over any wait and go to other threads; dropped, they go
/// back.
///
/// **Cancellation.** A wait is a cancellation point, but not in a destructor that unwinds. A
/// party that leaves the queue lets those behind it have what is there.
///
/// **In `async` code**, on any executor, [`acquire_async`](Self::acquire_async) waits.
///
/// # Examples
///
/// ```
/// use lisle::sync::Semaphore;
/// use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
///
/// static SLOTS: Semaphore = Semaphore::new(2);
/// static RUNNING: AtomicUsize = AtomicUsize::new(0);
///
/// lisle::run(|| {
///     let tasks = [(); 5].map(|()| {
///         lisle::spawn(|| {
///             let _slot = SLOTS.acquire().unwrap();
///             assert!(RUNNING.fetch_add(1, SeqCst) < 2);
///             lisle::yield_now();
///             RUNNING.fetch_sub(1, SeqCst);
///         })
///     });
///     tasks.into_iter().for_each(|task| task.join().unwrap());
/// });
/// ```
#[derive(Debug)]
pub struct Semaphore {
    state: BriefMutex<State>,
}

#[derive(Debug)]
struct State {
    /// While somebody waits, these are too few for the first of them.
    permits: usize,
    is_closed: bool,
    queue: WaitQueue<Wanted>,
}

/// What a party wants that waits.
#[derive(Debug)]
struct Wanted {
    permits: usize,
    /// Whether it has got them, when its wait is over.
    given: bool,
}

impl Semaphore {
    /// The largest number of permits that there can be.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    const_fn! {
        /// A semaphore with this many permits.
        ///
        /// # Panics
        ///
        /// If there are more than [`MAX_PERMITS`](Self::MAX_PERMITS).
        pub fn new(permits: usize) -> Self {
            assert!(permits <= Self::MAX_PERMITS, "too many permits for a semaphore");
            let state = State { permits, is_closed: false, queue: WaitQueue::new() };
            Self { state: BriefMutex::new(state) }
        }
    }

    /// How many permits are left.
    #[track_caller]
    pub fn available_permits(&self) -> usize {
        pass();
        self.state.lock().permits
    }

    /// Waits for a permit.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, now or during the wait.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled. Panics if it has to wait inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[track_caller]
    pub fn acquire(&self) -> Result<SemaphorePermit<'_>, AcquireError> {
        self.acquire_many(1)
    }

    /// Waits for several permits, all at once: for ever, if there will never be as many. To acquire
    /// 0 permits it never waits.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// let semaphore = lisle::sync::Semaphore::new(5);
    /// let four = semaphore.acquire_many(4).unwrap();
    /// assert_eq!(semaphore.available_permits(), 1);
    /// drop(four);
    /// assert_eq!(semaphore.available_permits(), 5);
    /// ```
    #[track_caller]
    pub fn acquire_many(&self, permits: usize) -> Result<SemaphorePermit<'_>, AcquireError> {
        match self.wait(permits, || None, Location::caller()) {
            Ok(()) => Ok(self.permit(permits)),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// Takes a permit if there is one and nobody waits. Never waits.
    ///
    /// # Errors
    ///
    /// If there is none, or the semaphore is closed.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Semaphore, TryAcquireError};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert_eq!(semaphore.try_acquire().unwrap_err(), TryAcquireError::NoPermits);
    /// # drop(permit);
    /// ```
    #[track_caller]
    pub fn try_acquire(&self) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_acquire_many(1)
    }

    /// Takes several permits if there are as many and nobody waits. Never waits.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{Semaphore, TryAcquireError};
    ///
    /// let places = Semaphore::new(3);
    /// let two = places.try_acquire_many(2).unwrap();
    /// assert_eq!(places.try_acquire_many(2).unwrap_err(), TryAcquireError::NoPermits);
    /// drop(two);
    /// assert_eq!(places.available_permits(), 3);
    /// ```
    #[track_caller]
    pub fn try_acquire_many(&self, permits: usize) -> Result<SemaphorePermit<'_>, TryAcquireError> {
        self.try_take(permits)?;
        Ok(self.permit(permits))
    }

    /// As [`acquire`](Self::acquire), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If there was no permit in time, or the semaphore is closed.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::{AcquireTimeoutError, Semaphore};
    /// use std::time::Duration;
    ///
    /// let semaphore = Semaphore::new(0);
    /// let error = semaphore.acquire_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error, AcquireTimeoutError::Timeout);
    /// ```
    #[track_caller]
    pub fn acquire_timeout(
        &self,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.acquire_many_timeout(1, timeout)
    }

    /// As [`acquire`](Self::acquire), but does not wait beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_until(
        &self,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.acquire_many_until(1, deadline)
    }

    /// As [`acquire_many`](Self::acquire_many), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_timeout(
        &self,
        permits: usize,
        timeout: Duration,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.wait(permits, || deadline_in(timeout), Location::caller())?;
        Ok(self.permit(permits))
    }

    /// As [`acquire_many`](Self::acquire_many), but does not wait beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_until(
        &self,
        permits: usize,
        deadline: Instant,
    ) -> Result<SemaphorePermit<'_>, AcquireTimeoutError> {
        self.wait(permits, || Some(deadline), Location::caller())?;
        Ok(self.permit(permits))
    }

    /// Adds permits. Never waits.
    ///
    /// # Panics
    ///
    /// If there would be more than [`MAX_PERMITS`](Self::MAX_PERMITS).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    ///
    /// lisle::run(|| {
    ///     let tokens = Semaphore::new(0);
    ///     lisle::scope(|s| {
    ///         s.spawn(|| tokens.acquire().unwrap().forget()); // uses one up
    ///         tokens.add_permits(2);
    ///     });
    ///     assert_eq!(tokens.available_permits(), 1);
    /// });
    /// ```
    #[track_caller]
    pub fn add_permits(&self, permits: usize) {
        pass();
        let state = self.state.lock();
        let sum = state.permits.saturating_add(permits);
        if sum > Self::MAX_PERMITS {
            drop(state);
            panic!("too many permits for a semaphore");
        }
        self.set_permits(state, sum);
    }

    /// Takes up to this many permits away for ever, and returns how many. Never waits.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    ///
    /// let places = Semaphore::new(3);
    /// assert_eq!(places.forget_permits(2), 2);
    /// assert_eq!(places.forget_permits(2), 1); // there were no more
    /// ```
    #[track_caller]
    pub fn forget_permits(&self, permits: usize) -> usize {
        pass();
        let mut state = self.state.lock();
        let forgotten = permits.min(state.permits);
        state.permits -= forgotten;
        forgotten
    }

    /// Makes all waits fail, the present ones and later ones. Permits that are out stay valid.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    ///
    /// static SEMAPHORE: Semaphore = Semaphore::new(0);
    ///
    /// lisle::run(|| {
    ///     let task = lisle::spawn(|| SEMAPHORE.acquire().is_err());
    ///     lisle::yield_now();
    ///     SEMAPHORE.close();
    ///     assert!(task.join().unwrap());
    /// });
    /// ```
    #[track_caller]
    pub fn close(&self) {
        pass();
        self.state.lock().is_closed = true;
        // One by one, as there may be futures among them: see `queued.rs`. Nobody joins them now.
        let next = || self.state.lock().queue.pop();
        while let Some(party) = next() {
            party.wake();
        }
    }

    /// Whether it was closed.
    #[track_caller]
    pub fn is_closed(&self) -> bool {
        pass();
        self.state.lock().is_closed
    }

    /// Permits that are dropped come back. No destructor panics: if others have taken their places,
    /// those that are too many are gone.
    fn give_back(&self, permits: usize) {
        pass_aside("gives permits back", None);
        let state = self.state.lock();
        let sum = state.permits.saturating_add(permits).min(Self::MAX_PERMITS);
        self.set_permits(state, sum);
    }

    fn set_permits(&self, mut state: BriefMutexGuard<'_, State>, permits: usize) {
        state.permits = permits;
        let has_waiters = !state.queue.is_empty();
        drop(state);
        if has_waiters {
            self.serve();
        }
    }

    #[track_caller]
    fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        pass();
        let taken = self.state.lock().take(permits);
        if taken.is_err() {
            turn::fail();
        }
        taken
    }

    /// Takes permits, and waits for them until a deadline, which is asked for if it is needed.
    fn wait(
        &self,
        permits: usize,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> Result<(), AcquireTimeoutError> {
        spend_at(place);
        let taken = self.state.lock().take(permits);
        match taken {
            Ok(()) => Ok(()),
            Err(TryAcquireError::Closed) => Err(AcquireTimeoutError::Closed),
            Err(TryAcquireError::NoPermits) => self.wait_in_queue(permits, deadline(), place),
        }
    }

    #[cold]
    fn wait_in_queue(
        &self,
        permits: usize,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<(), AcquireTimeoutError> {
        let mut waiter = Waiter::new(Wanted { permits, given: false });
        let wake = shield_unwinding(|| {
            park(
                Wait::on(self).at(place),
                deadline,
                |unparker| {
                    let mut state = self.state.lock();
                    let given = match state.take(permits) {
                        // SAFETY: the waiter stays until `park` has returned, after which the
                        // unparker is used up or was taken back.
                        Err(TryAcquireError::NoPermits) => unsafe {
                            return state.queue.push(&waiter, unparker);
                        },
                        taken => taken.is_ok(),
                    };
                    drop(state);
                    // SAFETY: the waiter is in no queue, and stays until the unparker is used.
                    let mut taken = unsafe { waiter.surrender(unparker) };
                    taken.with(|wanted| wanted.given = given);
                    taken.wake();
                },
                || {
                    let mut state = self.state.lock();
                    // SAFETY: the waiter is in this queue or was never in one.
                    let unparker = unsafe { state.queue.remove(&waiter) }?;
                    drop(state);
                    // It may have stood in front of others that want less.
                    self.serve();
                    Some(unparker)
                },
            )
        });
        match wake {
            Wake::Unparked if waiter.payload().given => Ok(()),
            Wake::TimedOut => Err(AcquireTimeoutError::Timeout),
            _ => Err(AcquireTimeoutError::Closed),
        }
    }

    /// Gives permits to those that wait, in their order, as long as there are enough.
    #[cold]
    fn serve(&self) {
        let next = || {
            let State { permits, queue, .. } = &mut *self.state.lock();
            queue.pop_if(|_, wanted| {
                wanted.given = wanted.permits <= *permits;
                *permits -= if wanted.given { wanted.permits } else { 0 };
                wanted.given
            })
        };
        while let Some(party) = next() {
            party.wake();
        }
    }
}

unwind_safe!(Semaphore);

impl State {
    fn take(&mut self, permits: usize) -> Result<(), TryAcquireError> {
        if self.is_closed {
            return Err(TryAcquireError::Closed);
        }
        if permits > 0 && (permits > self.permits || !self.queue.is_empty()) {
            return Err(TryAcquireError::NoPermits);
        }
        self.permits -= permits;
        Ok(())
    }
}

impl Object for Semaphore {
    fn reason(&self) -> Reason {
        Reason::new("acquiring permits of a semaphore")
    }
}

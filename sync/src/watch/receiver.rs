//! [`Receiver`]: an end that looks at the value.

use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::Arc;
use lisle_scheduler::park::Place;

use super::{RecvError, RecvTimeoutError, Ref, Shared};
use crate::waiting::{deadline_in, pass, pass_aside};

/// The end of a [watched value](super) that looks at it. Each receiver knows what it has seen
/// itself; a clone has seen the same.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: Arc<Shared<T>>, seen: u64) -> Self {
        shared.ends.lock().add_receiver();
        Self { shared, seen }
    }

    /// The latest value, which does not count as seen by this. It cannot be changed before the
    /// result is dropped.
    ///
    /// # Panics
    ///
    /// As [`RwLock::read`](crate::RwLock::read).
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        let (value, version) = self.shared.read();
        Ref { value, has_changed: version != self.seen }
    }

    /// The latest value, which counts as seen from now on.
    ///
    /// # Panics
    ///
    /// As [`borrow`](Self::borrow).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::watch;
    ///
    /// let (level, mut watched) = watch::channel(1);
    /// level.send(2).unwrap();
    /// assert_eq!(*watched.borrow(), 2);
    /// assert_eq!(watched.has_changed(), Ok(true)); // a look alone is not noted
    /// assert_eq!(*watched.borrow_and_update(), 2);
    /// assert_eq!(watched.has_changed(), Ok(false));
    /// ```
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let (value, version) = self.shared.read();
        let has_changed = version != self.seen;
        self.seen = version;
        Ref { value, has_changed }
    }

    /// Waits until there is a value that this receiver has not seen. It counts as seen afterwards.
    ///
    /// # Errors
    ///
    /// If no sender is left, and the last value was seen.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    #[track_caller]
    pub fn changed(&mut self) -> Result<(), RecvError> {
        self.changed_at(None, Location::caller()).map_err(|_| RecvError)
    }

    /// As [`changed`](Self::changed), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If there was no change in time, or no sender is left.
    ///
    /// # Panics
    ///
    /// As [`changed`](Self::changed).
    #[track_caller]
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<(), RecvTimeoutError> {
        self.changed_at(deadline_in(timeout), Location::caller())
    }

    /// As [`changed`](Self::changed), but does not wait beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`changed_timeout`](Self::changed_timeout).
    ///
    /// # Panics
    ///
    /// As [`changed`](Self::changed).
    #[track_caller]
    pub fn changed_until(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        self.changed_at(Some(deadline), Location::caller())
    }

    /// Waits until the value is `wanted`: the present one, or a later one. It counts as seen.
    ///
    /// # Errors
    ///
    /// If no sender is left, and the last value is not wanted.
    ///
    /// # Panics
    ///
    /// As [`changed`](Self::changed), and with the panic of `wanted`.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::watch;
    ///
    /// lisle::run(|| {
    ///     let (count, mut watched) = watch::channel(0);
    ///     let waiter = lisle::spawn(move || *watched.wait_for(|count| *count > 2).unwrap());
    ///     for n in 1..=3 {
    ///         count.send(n).unwrap();
    ///     }
    ///     assert_eq!(waiter.join().unwrap(), 3);
    /// });
    /// ```
    #[track_caller]
    pub fn wait_for(&mut self, wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, RecvError> {
        self.wait_for_at(wanted, None, Location::caller()).map_err(|_| RecvError)
    }

    /// As [`wait_for`](Self::wait_for), but waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// If there was no such value in time, or no sender is left.
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    #[track_caller]
    pub fn wait_for_timeout(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        timeout: Duration,
    ) -> Result<Ref<'_, T>, RecvTimeoutError> {
        self.wait_for_at(wanted, deadline_in(timeout), Location::caller())
    }

    /// As [`wait_for`](Self::wait_for), but does not wait beyond `deadline`.
    ///
    /// # Errors
    ///
    /// As [`wait_for_timeout`](Self::wait_for_timeout).
    ///
    /// # Panics
    ///
    /// As [`wait_for`](Self::wait_for).
    #[track_caller]
    pub fn wait_for_until(
        &mut self,
        wanted: impl FnMut(&T) -> bool,
        deadline: Instant,
    ) -> Result<Ref<'_, T>, RecvTimeoutError> {
        self.wait_for_at(wanted, Some(deadline), Location::caller())
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    ///
    /// If no sender is left.
    #[track_caller]
    pub fn has_changed(&self) -> Result<bool, RecvError> {
        pass();
        if self.shared.ends.lock().senders() == 0 {
            return Err(RecvError);
        }
        Ok(self.shared.version() != self.seen)
    }

    /// Counts the present value as not seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::watch;
    ///
    /// lisle::run(|| {
    ///     let (level, mut watched) = watch::channel(1);
    ///     watched.mark_changed(); // so that the loop begins with the value that is there
    ///     drop(level);
    ///     let mut seen = Vec::new();
    ///     while watched.changed().is_ok() {
    ///         seen.push(*watched.borrow_and_update());
    ///     }
    ///     assert_eq!(seen, [1]);
    /// });
    /// ```
    #[track_caller]
    pub fn mark_changed(&mut self) {
        pass();
        self.seen = self.shared.version().wrapping_sub(1);
    }

    /// Counts the present value as seen.
    #[track_caller]
    pub fn mark_unchanged(&mut self) {
        pass();
        self.seen = self.shared.version();
    }

    /// Whether both look at the same value.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn changed_at(
        &mut self,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<(), RecvTimeoutError> {
        self.seen = self.shared.changed(self.seen, deadline, place)?;
        Ok(())
    }

    #[track_caller]
    fn wait_for_at(
        &mut self,
        mut wanted: impl FnMut(&T) -> bool,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<Ref<'_, T>, RecvTimeoutError> {
        let before = self.seen;
        loop {
            let (value, version) = self.shared.read();
            self.seen = version;
            if wanted(&value) {
                return Ok(Ref { value, has_changed: version != before });
            }
            drop(value);
            self.shared.changed(version, deadline, place)?;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone(), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        pass_aside("drops a receiver", None);
        let closing = self.shared.ends.lock().remove_receiver();
        if let Some(closing) = closing {
            closing.wake();
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("value", &self.shared.value).finish_non_exhaustive()
    }
}

//! Permits that keep their semaphore alive.

use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AcquireError, AcquireTimeoutError, Semaphore, TryAcquireError};
use crate::waiting::deadline_in;

/// Permits of a [`Semaphore`] in an [`Arc`], which get them back when this is dropped.
#[must_use = "the permits go back at once if this is dropped"]
#[derive(Debug)]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    permits: usize,
}

impl Semaphore {
    /// As [`acquire`](Self::acquire), with a permit that borrows nothing.
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
    /// use lisle::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let slots = Arc::new(Semaphore::new(2));
    /// lisle::run(|| {
    ///     for job in 0..10 {
    ///         let slot = slots.clone().acquire_owned().unwrap();
    ///         lisle::spawn(move || {
    ///             println!("{job}");
    ///             drop(slot); // the next one may begin
    ///         });
    ///     }
    ///     slots.acquire_many(2).unwrap(); // all have ended
    /// });
    /// ```
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, AcquireError> {
        self.acquire_many_owned(1)
    }

    /// As [`acquire_many`](Self::acquire_many), with permits that borrow nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphorePermit, AcquireError> {
        match self.wait(permits, || None, Location::caller()) {
            Ok(()) => Ok(self.permit_owned(permits)),
            Err(_) => Err(AcquireError(())),
        }
    }

    /// As [`try_acquire`](Self::try_acquire), with a permit that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[track_caller]
    pub fn try_acquire_owned(self: Arc<Self>) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Self::try_acquire_many), with permits that borrow nothing.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    #[track_caller]
    pub fn try_acquire_many_owned(
        self: Arc<Self>,
        permits: usize,
    ) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        self.try_take(permits)?;
        Ok(self.permit_owned(permits))
    }

    /// As [`acquire_timeout`](Self::acquire_timeout), with a permit that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned_timeout(
        self: Arc<Self>,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        self.acquire_many_owned_timeout(1, timeout)
    }

    /// As [`acquire_until`](Self::acquire_until), with a permit that borrows nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_owned_until(
        self: Arc<Self>,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        self.acquire_many_owned_until(1, deadline)
    }

    /// As [`acquire_many_timeout`](Self::acquire_many_timeout), with permits that borrow nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_owned_timeout(
        self: Arc<Self>,
        permits: usize,
        timeout: Duration,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        self.wait(permits, || deadline_in(timeout), Location::caller())?;
        Ok(self.permit_owned(permits))
    }

    /// As [`acquire_many_until`](Self::acquire_many_until), with permits that borrow nothing.
    ///
    /// # Errors
    ///
    /// As [`acquire_timeout`](Self::acquire_timeout).
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire).
    #[track_caller]
    pub fn acquire_many_owned_until(
        self: Arc<Self>,
        permits: usize,
        deadline: Instant,
    ) -> Result<OwnedSemaphorePermit, AcquireTimeoutError> {
        self.wait(permits, || Some(deadline), Location::caller())?;
        Ok(self.permit_owned(permits))
    }

    pub(super) fn permit_owned(self: Arc<Self>, permits: usize) -> OwnedSemaphorePermit {
        OwnedSemaphorePermit { semaphore: self, permits }
    }
}

impl OwnedSemaphorePermit {
    /// How many permits it stands for.
    pub fn num_permits(&self) -> usize {
        self.permits
    }

    /// Whose permits these are.
    pub fn semaphore(&self) -> &Arc<Semaphore> {
        &self.semaphore
    }

    /// Lets the permits be gone for ever.
    pub fn forget(mut self) {
        self.permits = 0;
    }

    /// Adds those of another one to these.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "permits of different semaphores cannot be merged"
        );
        self.permits = self.permits.saturating_add(mem::take(&mut other.permits));
    }

    /// Takes `permits` out of these, if there are as many.
    pub fn split(&mut self, permits: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(permits)?;
        Some(Self { semaphore: self.semaphore.clone(), permits })
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.give_back(self.permits);
        }
    }
}

//! Permits that borrow their semaphore.

use std::mem;

use super::Semaphore;

/// Permits of a [`Semaphore`], which get them back when this is dropped.
#[must_use = "the permits go back at once if this is dropped"]
#[derive(Debug)]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

impl Semaphore {
    /// The permits have been taken from the semaphore.
    pub(super) fn permit(&self, permits: usize) -> SemaphorePermit<'_> {
        SemaphorePermit { semaphore: self, permits }
    }
}

impl<'a> SemaphorePermit<'a> {
    /// How many permits it stands for.
    pub fn num_permits(&self) -> usize {
        self.permits
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
            std::ptr::eq(self.semaphore, other.semaphore),
            "permits of different semaphores cannot be merged"
        );
        self.permits = self.permits.saturating_add(mem::take(&mut other.permits));
    }

    /// Takes `permits` out of these, if there are as many.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    ///
    /// let places = Semaphore::new(3);
    /// let mut mine = places.acquire_many(3).unwrap();
    /// let theirs = mine.split(2).unwrap();
    /// assert_eq!((mine.num_permits(), theirs.num_permits()), (1, 2));
    /// assert!(mine.split(2).is_none()); // there are not as many
    /// drop(theirs);
    /// assert_eq!(places.available_permits(), 2);
    /// ```
    pub fn split(&mut self, permits: usize) -> Option<Self> {
        self.permits = self.permits.checked_sub(permits)?;
        Some(self.semaphore.permit(permits))
    }
}

impl Drop for SemaphorePermit<'_> {
    fn drop(&mut self) {
        if self.permits > 0 {
            self.semaphore.give_back(self.permits);
        }
    }
}

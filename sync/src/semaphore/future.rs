//! Acquiring permits by `.await`.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{
    AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit, TryAcquireError, Wanted,
};
use crate::queued::Queued;

/// A future that acquires permits: see [`Semaphore::acquire_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct AcquireFuture<'a>(Acquiring<&'a Semaphore>);

/// A future that acquires permits which borrow nothing: see [`Semaphore::acquire_owned_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct AcquireOwnedFuture(Acquiring<Arc<Semaphore>>);

/// A party that acquires permits of `S` without blocking.
struct Acquiring<S: Deref<Target = Semaphore>> {
    semaphore: S,
    permits: usize,
    progress: Progress,
}

enum Progress {
    New,
    Waiting(Queued<Wanted>),
    Over,
}

impl Semaphore {
    /// As [`acquire`](Self::acquire), in `async` code.
    ///
    /// Any executor may poll the future, on any thread; tasks, threads and futures may use the same
    /// semaphore, and are served in the order in which they came, futures from their first poll on.
    ///
    /// **If it is dropped** before it is ready, it has acquired nothing: permits that it was given
    /// go to the next party, or back.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    ///
    /// static SLOTS: Semaphore = Semaphore::new(1);
    ///
    /// lisle::run(|| {
    ///     let slot = SLOTS.acquire().unwrap();
    ///     let task = lisle::spawn(|| {
    ///         lisle::block_on(async {
    ///             let _slot = SLOTS.acquire_async().await.unwrap();
    ///         })
    ///     });
    ///     drop(slot);
    ///     task.join().unwrap();
    /// });
    /// ```
    pub fn acquire_async(&self) -> AcquireFuture<'_> {
        self.acquire_many_async(1)
    }

    /// As [`acquire_many`](Self::acquire_many), in `async` code: see
    /// [`acquire_async`](Self::acquire_async).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many_async(&self, permits: usize) -> AcquireFuture<'_> {
        AcquireFuture(Acquiring { semaphore: self, permits, progress: Progress::New })
    }

    /// As [`acquire_owned`](Self::acquire_owned), in `async` code: see
    /// [`acquire_async`](Self::acquire_async).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::sync::Semaphore;
    /// use std::sync::Arc;
    ///
    /// let slots = Arc::new(Semaphore::new(1));
    /// let slot = lisle::block_on(slots.clone().acquire_owned_async()).unwrap();
    /// assert_eq!(slots.available_permits(), 0);
    /// # drop(slot);
    /// ```
    pub fn acquire_owned_async(self: Arc<Self>) -> AcquireOwnedFuture {
        self.acquire_many_owned_async(1)
    }

    /// As [`acquire_many_owned`](Self::acquire_many_owned), in `async` code: see
    /// [`acquire_async`](Self::acquire_async).
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_many_owned_async(self: Arc<Self>, permits: usize) -> AcquireOwnedFuture {
        AcquireOwnedFuture(Acquiring { semaphore: self, permits, progress: Progress::New })
    }

    /// Lets a future join the queue, unless it has its permits or fails.
    fn enqueue(
        &self,
        permits: usize,
        context: &Context<'_>,
    ) -> Result<Queued<Wanted>, Result<(), AcquireError>> {
        let settled = |taken| match taken {
            Ok(()) => Some(Ok(())),
            Err(TryAcquireError::Closed) => Some(Err(AcquireError(()))),
            Err(TryAcquireError::NoPermits) => None,
        };
        let taken = self.state.lock().take(permits);
        if let Some(result) = settled(taken) {
            return Err(result);
        }
        // What may be user code, or takes time, comes before the lock.
        let waker = context.waker().clone();
        let queued = Queued::new(Wanted { permits, given: false });
        let mut state = self.state.lock();
        if let Some(result) = settled(state.take(permits)) {
            drop(state);
            return Err(result);
        }
        // SAFETY: it is new, we hold the lock, and `Drop` of the future lets it leave.
        unsafe { queued.join(&mut state.queue, waker) };
        Ok(queued)
    }
}

impl<S: Deref<Target = Semaphore>> Acquiring<S> {
    fn poll(&mut self, context: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        match &self.progress {
            Progress::New => match self.semaphore.enqueue(self.permits, context) {
                Ok(queued) => {
                    self.progress = Progress::Waiting(queued);
                    return Poll::Pending;
                }
                Err(result) => {
                    self.progress = Progress::Over;
                    return Poll::Ready(result);
                }
            },
            Progress::Waiting(queued) => {
                if queued.poll(context.waker()).is_pending() {
                    return Poll::Pending;
                }
            }
            Progress::Over => panic!("a future was polled after it was ready"),
        }
        let Progress::Waiting(queued) = mem::replace(&mut self.progress, Progress::Over) else {
            unreachable!("it waits");
        };
        // SAFETY: its wait is over, so it was taken out.
        let given = unsafe { queued.outcome(|wanted| wanted.given) };
        Poll::Ready(if given { Ok(()) } else { Err(AcquireError(())) })
    }
}

impl<S: Deref<Target = Semaphore>> Drop for Acquiring<S> {
    fn drop(&mut self) {
        let Progress::Waiting(queued) = &self.progress else { return };
        let semaphore = &*self.semaphore;
        // SAFETY: it has joined this queue, and we hold the lock.
        let left = unsafe { queued.leave(&mut semaphore.state.lock().queue) };
        if left.is_some() {
            drop(left);
            // It may have stood in front of others that want less.
            return semaphore.serve();
        }
        // SAFETY: it has not left, so it was taken out.
        if unsafe { queued.outcome(|wanted| wanted.given) } {
            semaphore.give_back(self.permits);
        }
    }
}

impl<'a> Future for AcquireFuture<'a> {
    type Output = Result<SemaphorePermit<'a>, AcquireError>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Acquiring { semaphore, permits, .. } = self.0;
        self.0.poll(context).map_ok(|()| semaphore.permit(permits))
    }
}

impl Future for AcquireOwnedFuture {
    type Output = Result<OwnedSemaphorePermit, AcquireError>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut self.0;
        let poll = this.poll(context);
        poll.map_ok(|()| this.semaphore.clone().permit_owned(this.permits))
    }
}

impl fmt::Debug for AcquireFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("AcquireFuture { .. }")
    }
}

impl fmt::Debug for AcquireOwnedFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("AcquireOwnedFuture { .. }")
    }
}

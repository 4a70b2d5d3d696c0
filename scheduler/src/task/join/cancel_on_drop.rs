//! [`CancelOnDrop`]: a handle whose task ends with it.

use std::fmt;
use std::mem;
use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use super::JoinHandle;
use crate::clock::now;
use crate::task::Detached;
use crate::task::share::CancelHandle;

/// A [`JoinHandle`] that cancels its task when it is dropped:
/// [`JoinHandle::cancel_on_drop`] makes it. It does not wait for the task's end.
#[must_use = "dropping it cancels the task"]
pub struct CancelOnDrop<T>(pub(super) Option<JoinHandle<T>>);

impl<T> CancelOnDrop<T> {
    /// See [`JoinHandle::join`]. A caller that is unwound meanwhile cancels the task.
    #[track_caller]
    pub fn join(mut self) -> thread::Result<T> {
        let result = self.wait(None);
        result.unwrap_or_else(|| Err(Box::new(Detached)))
    }

    /// See [`JoinHandle::join_timeout`].
    ///
    /// # Errors
    ///
    /// This handle, if the task has not ended in time.
    #[track_caller]
    pub fn join_timeout(mut self, timeout: Duration) -> Result<thread::Result<T>, Self> {
        let deadline = now().checked_add(timeout);
        self.wait(deadline).ok_or(self)
    }

    #[track_caller]
    fn wait(&mut self, deadline: Option<Instant>) -> Option<thread::Result<T>> {
        let stop = CancelOnUnwind(self.cancel_handle());
        let joined = self.0.take().expect("it is there until the end").join_until(deadline);
        mem::forget(stop);
        joined.map_err(|handle| self.0 = Some(handle)).ok()
    }

    /// The handle as it was: dropping that lets the task go on.
    ///
    /// # Examples
    ///
    /// ```
    /// lisle::run(|| {
    ///     let (done, is_done) = lisle::channel::bounded(1);
    ///     let task = lisle::spawn(move || done.send(()).unwrap()).cancel_on_drop();
    ///     drop(task.into_inner());
    ///     is_done.recv().unwrap();
    /// });
    /// ```
    pub fn into_inner(mut self) -> JoinHandle<T> {
        self.0.take().expect("it is there until the end")
    }
}

struct CancelOnUnwind(CancelHandle);

impl Drop for CancelOnUnwind {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        self.0.as_ref().expect("it is there until the end")
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            handle.cancel_aside();
        }
    }
}

impl<T> fmt::Debug for CancelOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelOnDrop").field("task", &self.task()).finish_non_exhaustive()
    }
}

//! Joining by `.await`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;

use super::FutureWait;
use crate::JoinHandle;

/// The future of a [`JoinHandle`], ready when its task has ended.
///
/// Any executor may poll it, on any thread. Dropping it lets the task go on, as dropping the handle
/// does.
#[must_use = "a future does nothing until it is polled"]
pub struct JoinFuture<T> {
    /// There until it is ready.
    handle: Option<JoinHandle<T>>,
    /// Where the unparker belongs that was put into the task's cell.
    wait: Option<Arc<FutureWait>>,
}

impl<T> IntoFuture for JoinHandle<T> {
    type Output = thread::Result<T>;
    type IntoFuture = JoinFuture<T>;

    fn into_future(self) -> JoinFuture<T> {
        JoinFuture { handle: Some(self), wait: None }
    }
}

// The result is moved out, and never pinned.
impl<T> Unpin for JoinFuture<T> {}

impl<T> Future for JoinFuture<T> {
    type Output = thread::Result<T>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<thread::Result<T>> {
        let this = &mut *self;
        let handle = this.handle.as_ref().expect("a future was polled after it was ready");
        let wait = this.wait.get_or_insert_with(|| {
            let wait = Arc::new(FutureWait::new());
            if handle.cell().event().is_none() {
                // SAFETY: no unparker of a new wait is out, and `Drop` takes it back.
                handle.cell().announce(unsafe { wait.arm(context.waker().clone()) });
            }
            wait
        });
        if wait.poll(context.waker()).is_pending() {
            return Poll::Pending;
        }
        let handle = this.handle.take().expect("looked at above");
        // SAFETY: the event has come: either it was there, or it has ended the wait.
        Poll::Ready(unsafe { handle.into_result() })
    }
}

impl<T> Drop for JoinFuture<T> {
    fn drop(&mut self) {
        let (Some(handle), Some(wait)) = (&self.handle, &self.wait) else { return };
        if wait.is_over() {
            return;
        }
        match handle.cell().retract() {
            Some(unparker) => drop(unparker),
            // The task has taken it, and the handle may free the cell only when it was used.
            None => wait.settle(),
        }
    }
}

impl<T> fmt::Debug for JoinFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinFuture").field("handle", &self.handle).finish_non_exhaustive()
    }
}

//! Waiting for a notification by `.await`.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Notified, Notify, Waiting};
use crate::queued::Queued;

/// The future of a [`Notified`], ready when there was a notification.
///
/// Any executor may poll it, on any thread; tasks, threads and futures may wait at the same
/// [`Notify`], and are notified in the order in which they came. It begins to wait in its first
/// poll. Until then a [`notify_waiters`](Notify::notify_waiters) reaches it as it does any
/// [`Notified`], and a [`notify_one`](Notify::notify_one) that finds nobody is kept for it, or for
/// another party that comes first.
///
/// **If it is dropped** after it was notified and before it was ready, a notification for one goes
/// to the next party.
///
/// # Examples
///
/// ```
/// use lisle::sync::Notify;
///
/// static CHANGED: Notify = Notify::new();
///
/// lisle::run(|| {
///     let watcher = lisle::spawn(|| lisle::block_on(async { CHANGED.notified().await }));
///     CHANGED.notify_one();
///     watcher.join().unwrap();
/// });
/// ```
#[must_use = "a future does nothing until it is polled"]
pub struct NotifiedFuture<'a> {
    notify: &'a Notify,
    progress: Progress,
}

enum Progress {
    /// It came when there had been this many rounds.
    New(u64),
    Waiting(Queued<Waiting>),
    Over,
}

impl<'a> IntoFuture for Notified<'a> {
    type Output = ();
    type IntoFuture = NotifiedFuture<'a>;

    fn into_future(self) -> NotifiedFuture<'a> {
        NotifiedFuture { notify: self.notify, progress: Progress::New(self.rounds) }
    }
}

impl Future for NotifiedFuture<'_> {
    type Output = ();

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let poll = match &self.progress {
            &Progress::New(rounds) => match self.notify.enqueue(rounds, context) {
                Some(queued) => {
                    self.progress = Progress::Waiting(queued);
                    Poll::Pending
                }
                None => Poll::Ready(()),
            },
            Progress::Waiting(queued) => queued.poll(context.waker()),
            Progress::Over => panic!("a future was polled after it was ready"),
        };
        if poll.is_ready() {
            self.progress = Progress::Over;
        }
        poll
    }
}

impl Notify {
    /// Lets a future join the queue, unless it was notified.
    fn enqueue(&self, rounds: u64, context: &Context<'_>) -> Option<Queued<Waiting>> {
        if self.state.lock().take(rounds) {
            return None;
        }
        // What may be user code, or takes time, comes before the lock.
        let waker = context.waker().clone();
        let queued = Queued::new(Waiting { rounds, took_one: false });
        let mut state = self.state.lock();
        if state.take(rounds) {
            drop(state);
            return None;
        }
        // SAFETY: it is new, we hold the lock, and `Drop` of the future lets it leave.
        unsafe { queued.join(&mut state.queue, waker) };
        Some(queued)
    }
}

impl Drop for NotifiedFuture<'_> {
    fn drop(&mut self) {
        let Progress::Waiting(queued) = &self.progress else { return };
        // SAFETY: it has joined this queue, and we hold the lock.
        let left = unsafe { queued.leave(&mut self.notify.state.lock().queue) };
        // SAFETY: it has not left, so it was taken out.
        if left.is_none() && unsafe { queued.outcome(|waiting| waiting.took_one) } {
            self.notify.notify_one();
        }
    }
}

impl fmt::Debug for NotifiedFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("NotifiedFuture { .. }")
    }
}

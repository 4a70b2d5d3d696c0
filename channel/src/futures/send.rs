//! Sending by `.await`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lisle_scheduler::internal::FutureWait;

use crate::channel::{Channel, Opening};
use crate::error::{SendError, TrySendError};
use crate::sender::Sender;
use crate::waiter::{Parked, Slot, Verdict, Waiter};

/// A future that sends a message: see [`Sender::send_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct SendFuture<'a, T> {
    sender: &'a Sender<T>,
    progress: Progress<T>,
}

enum Progress<T> {
    New(T),
    Waiting(Arc<Offer<T>>),
    Over,
}

/// The message of a sender that waits, and its place in the wait list. It is shared with nobody; it
/// is no `Box` because others have pointers into it while the future is moved.
struct Offer<T> {
    slot: Slot<T>,
    waiter: Waiter,
    wait: FutureWait,
}

// SAFETY: the message, which may change threads, is all that another party takes out of it. That
// party finds it in the wait list, whose lock and whose unparkers say which of them may touch what.
unsafe impl<T: Send> Send for Offer<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Offer<T> {}

// The message is moved about, and never pinned.
impl<T> Unpin for SendFuture<'_, T> {}

impl<T> Sender<T> {
    /// Sends a message in `async` code: the future waits where [`send`](Self::send) would block.
    ///
    /// Any executor may poll it, on any thread, and tasks, threads and futures may use the same
    /// channel. It never blocks, and does not count as an operation of a
    /// [turn](index.html#others-have-their-turn).
    ///
    /// **If it is dropped** before it is ready, the message was either received all the same, or is
    /// dropped with it. Nothing else is lost.
    ///
    /// # Errors
    ///
    /// If no receiver is left. The error has the message.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::bounded;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(0);
    ///     let task = lisle::spawn(move || receiver.iter().sum::<u32>());
    ///     lisle::block_on(async move {
    ///         sender.send_async(40).await.unwrap();
    ///         sender.send_async(2).await.unwrap();
    ///     });
    ///     assert_eq!(task.join().unwrap(), 42);
    /// });
    /// ```
    pub fn send_async(&self, message: T) -> SendFuture<'_, T> {
        SendFuture { sender: self, progress: Progress::New(message) }
    }
}

impl<T> Future for SendFuture<'_, T> {
    type Output = Result<(), SendError<T>>;

    /// # Panics
    ///
    /// If it was ready before.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let channel = &*self.sender.channel;
        let message = match std::mem::replace(&mut self.progress, Progress::Over) {
            Progress::New(message) => message,
            Progress::Waiting(offer) => {
                if offer.wait.poll(context.waker()).is_pending() {
                    self.progress = Progress::Waiting(offer);
                    return Poll::Pending;
                }
                // SAFETY: the wait is over.
                match unsafe { offer.end() } {
                    (_, None) => return Poll::Ready(Ok(())),
                    (Some(Verdict::Released), Some(message)) => message,
                    (_, Some(message)) => return Poll::Ready(Err(SendError(message))),
                }
            }
            Progress::Over => panic!("a future was polled after it was ready"),
        };
        match channel.try_send(message) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(TrySendError::Disconnected(message)) => Poll::Ready(Err(SendError(message))),
            Err(TrySendError::Full(message)) => match channel.offer(message, context) {
                Ok(None) => Poll::Ready(Ok(())),
                Ok(Some(offer)) => {
                    self.progress = Progress::Waiting(offer);
                    Poll::Pending
                }
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl<T> Offer<T> {
    /// How the other end has ended the wait, if it has, and the message unless it was taken.
    ///
    /// # Safety
    ///
    /// The offer was enqueued, and its wait is over. This is called once.
    unsafe fn end(&self) -> (Option<Verdict>, Option<T>) {
        // SAFETY: the wait is over, so nobody else has access.
        let verdict = unsafe { self.waiter.look(Parked::verdict) };
        let is_sent = verdict == Some(Verdict::Transferred);
        // SAFETY: as above. The slot was full from the start, and only a receiver empties it, with
        // that verdict.
        (verdict, (!is_sent).then(|| unsafe { self.slot.read() }))
    }
}

impl<T> Channel<T> {
    /// Sends, or leaves the message where a receiver finds it.
    fn offer(
        &self,
        message: T,
        context: &Context<'_>,
    ) -> Result<Option<Arc<Offer<T>>>, SendError<T>> {
        // To clone a waker may be user code, for which the lock is not held.
        let waker = context.waker().clone();
        let mut offer = Arc::new(Offer {
            slot: Slot::empty(),
            waiter: Waiter::new(Parked::selecting()),
            wait: FutureWait::new(),
        });
        match self.open_send() {
            Opening::Partner(receiver) => {
                // SAFETY: `open_send` wins receivers of this channel.
                unsafe { receiver.send(message) };
                Ok(None)
            }
            Opening::Buffer(state) => {
                self.push_and_wake(state, message);
                Ok(None)
            }
            Opening::Disconnected => Err(SendError(message)),
            Opening::Blocked(mut state) => {
                let new = Arc::get_mut(&mut offer).expect("it is shared with nobody");
                new.slot = Slot::full(message);
                *new.waiter.payload() = Parked::at(&new.slot);
                self.change();
                // SAFETY: the offer stays where it is until its wait is over, which `Drop` of the
                // future sees to; it is new, and we hold the lock.
                unsafe {
                    let unparker = offer.wait.arm(waker);
                    state.senders.parked.enqueue(&offer.waiter, unparker);
                }
                let future = state.next_future();
                drop(state);
                future.wake();
                Ok(Some(offer))
            }
        }
    }
}

impl<T> Drop for SendFuture<'_, T> {
    fn drop(&mut self) {
        let Progress::Waiting(offer) = &self.progress else { return };
        let mut state = self.sender.channel.state.lock();
        // SAFETY: the waiter was enqueued here.
        let unparker = unsafe { state.senders.parked.remove(&offer.waiter) };
        drop(state);
        drop(unparker);
        offer.wait.settle();
        // SAFETY: the wait is over.
        drop(unsafe { offer.end() });
    }
}

impl<T> fmt::Debug for SendFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("SendFuture { .. }")
    }
}

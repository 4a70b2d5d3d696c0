//! Receiving by `.await`.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use lisle_scheduler::internal::{FutureWait, Waiter};
use lisle_scheduler::park::Place;

use super::clock::Alarm;
use crate::channel::{Channel, End, Opening};
use crate::error::{RecvError, TryRecvError};
use crate::receiver::{Receiver, Source};
use crate::waiter::Won;

/// A future that receives a message: see [`Receiver::recv_async`].
#[must_use = "a future does nothing until it is polled"]
pub struct RecvFuture<'a, T> {
    receiver: &'a Receiver<T>,
    waiting: Waiting,
    place: Place,
}

/// How a receiver waits that is a future.
#[derive(Default)]
pub(super) enum Waiting {
    /// It does not.
    #[default]
    Idle,
    /// In the list of a channel, or woken there and not polled since.
    Listed(Arc<Listed>),
    /// For a clock.
    Timed(Alarm),
}

/// An entry of the list. It is shared with nobody; it is no `Box` because others have pointers into
/// it while the future is moved.
pub(super) struct Listed {
    waiter: Waiter,
    wait: FutureWait,
}

// SAFETY: what others touch of it they touch under the lock of the list or with the unparker.
unsafe impl Send for Listed {}
// SAFETY: as above.
unsafe impl Sync for Listed {}

impl<T> Receiver<T> {
    /// Receives in `async` code: the future waits where [`recv`](Self::recv) would block.
    ///
    /// Any executor may poll it, on any thread, and tasks, threads and futures may use the same
    /// channel. Its polls do not block but in one case: where the partner is a
    /// [`select!`](crate::select!) whose send arm was selected, until the arm's expression has made
    /// the message. They do not count as operations of a
    /// [turn](index.html#others-have-their-turn).
    ///
    /// A message goes to a task or a thread that waits in `recv` rather than to a future. Among
    /// futures the one that has waited longest is woken. In a rendezvous a
    /// [`try_send`](crate::Sender::try_send) does not find a future that waits.
    ///
    /// **If it is dropped** before it is ready, it has received nothing, and nothing is lost. If it
    /// was woken for a message, another future is woken instead.
    ///
    /// # Errors
    ///
    /// If the channel is empty and no sender is left.
    ///
    /// # Panics
    ///
    /// A poll of a receiver of [`after`](crate::after), [`at`](crate::at) or [`tick`](crate::tick)
    /// panics as [`spawn`](fn@lisle_scheduler::spawn): a task waits for the time.
    ///
    /// # Examples
    ///
    /// ```
    /// use lisle::channel::{RecvError, bounded};
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = bounded(1);
    ///     lisle::spawn(move || sender.send(5).unwrap());
    ///     lisle::block_on(async move {
    ///         assert_eq!(receiver.recv_async().await, Ok(5));
    ///         assert_eq!(receiver.recv_async().await, Err(RecvError));
    ///     });
    /// });
    /// ```
    #[track_caller]
    pub fn recv_async(&self) -> RecvFuture<'_, T> {
        RecvFuture { receiver: self, waiting: Waiting::Idle, place: Location::caller() }
    }
}

impl<T> Future for RecvFuture<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.waiting.poll(this.receiver, context, this.place)
    }
}

impl<T> Drop for RecvFuture<'_, T> {
    fn drop(&mut self) {
        self.waiting.leave(self.receiver);
    }
}

impl<T> fmt::Debug for RecvFuture<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvFuture { .. }")
    }
}

impl Waiting {
    pub(super) fn poll<T>(
        &mut self,
        receiver: &Receiver<T>,
        context: &Context<'_>,
        place: Place,
    ) -> Poll<Result<T, RecvError>> {
        match &receiver.source {
            Source::Channel(channel) => self.poll_channel(channel, context, place),
            source => match (source.try_recv(place), source) {
                (Ok(message), _) => Poll::Ready(Ok(message)),
                (Err(_), Source::Timer(timer, _)) => {
                    self.wait_for_clock(timer.due(), context);
                    Poll::Pending
                }
                (Err(_), _) => Poll::Pending,
            },
        }
    }

    fn poll_channel<T>(
        &mut self,
        channel: &Channel<T>,
        context: &Context<'_>,
        place: Place,
    ) -> Poll<Result<T, RecvError>> {
        let woken = match std::mem::take(self) {
            Self::Listed(listed) => {
                if listed.wait.poll(context.waker()).is_pending() {
                    *self = Self::Listed(listed);
                    return Poll::Pending;
                }
                Some(listed)
            }
            Self::Idle | Self::Timed(_) => None,
        };
        match channel.try_recv(place) {
            Ok(message) => return Poll::Ready(Ok(message)),
            Err(TryRecvError::Disconnected) => return Poll::Ready(Err(RecvError)),
            Err(TryRecvError::Empty) => {}
        }
        // What may be user code, or takes time, comes before the lock.
        let waker = context.waker().clone();
        let was_woken = woken.is_some();
        let listed = woken.unwrap_or_else(|| {
            Arc::new(Listed { waiter: Waiter::new(()), wait: FutureWait::new() })
        });
        let mut state = match channel.open_recv() {
            Opening::Blocked(state) => state,
            Opening::Buffer(state) => return Poll::Ready(Ok(channel.take_buffered(state))),
            Opening::Partner(Won::Sole(sender)) => {
                // SAFETY: `open_recv` wins senders of this channel, whose slots are full.
                let message = unsafe { sender.receive() };
                return Poll::Ready(Ok(message));
            }
            Opening::Partner(Won::Selecting(sender)) => {
                return match channel.try_recv_selected(sender, place) {
                    Ok(message) => Poll::Ready(Ok(message)),
                    Err(TryRecvError::Disconnected) => Poll::Ready(Err(RecvError)),
                    // The select has gone its way. What came meanwhile has woken nobody.
                    Err(TryRecvError::Empty) => {
                        waker.wake();
                        Poll::Pending
                    }
                };
            }
            Opening::Disconnected => return Poll::Ready(Err(RecvError)),
        };
        let (futures, parked) = state.waiting_futures();
        // SAFETY: the entry stays where it is until its wait is over, which `leave` sees to. It is
        // in no list, and we hold the lock.
        unsafe {
            let unparker = listed.wait.arm(waker);
            futures.add(parked, &listed.waiter, unparker, was_woken);
        }
        *self = Self::Listed(listed);
        Poll::Pending
    }

    /// Ends the wait of a future that is not polled any more. One that was woken wakes the next.
    pub(super) fn leave<T>(&mut self, receiver: &Receiver<T>) {
        let (Self::Listed(listed), Source::Channel(channel)) =
            (std::mem::take(self), &receiver.source)
        else {
            return;
        };
        let mut state = channel.state.lock();
        let (futures, parked) = state.waiting_futures();
        // SAFETY: the waiter was added to this list.
        if let Some(unparker) = unsafe { futures.remove(parked, &listed.waiter) } {
            drop(state);
            return drop(unparker);
        }
        // It was woken for a message that may still be there.
        let next = state.is_ready(End::Receiving, None).then(|| state.next_future());
        drop(state);
        listed.wait.settle();
        if let Some(next) = next {
            next.wake();
        }
    }
}

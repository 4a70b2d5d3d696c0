//! A stream of the messages.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use lisle_scheduler::park::Place;

use super::receive::Waiting;
use crate::receiver::Receiver;

/// A stream that receives messages: see [`Receiver::stream`].
#[must_use = "a stream does nothing until it is polled"]
pub struct RecvStream<'a, T> {
    receiver: &'a Receiver<T>,
    waiting: Waiting,
    is_over: bool,
    place: Place,
}

impl<T> Receiver<T> {
    /// A stream of the messages for `async` code, which ends when the channel is empty and no
    /// sender is left. Each message is received as by [`recv_async`](Self::recv_async).
    ///
    /// With the feature `futures-core`.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures_core::Stream;
    /// use std::future::poll_fn;
    /// use std::pin::pin;
    ///
    /// lisle::run(|| {
    ///     let (sender, receiver) = lisle::channel::unbounded();
    ///     lisle::spawn(move || (1..=3).for_each(|n| sender.send(n).unwrap()));
    ///     let sum = lisle::block_on(async {
    ///         let mut stream = pin!(receiver.stream());
    ///         let mut sum = 0;
    ///         while let Some(n) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
    ///             sum += n;
    ///         }
    ///         sum
    ///     });
    ///     assert_eq!(sum, 6);
    /// });
    /// ```
    #[track_caller]
    pub fn stream(&self) -> RecvStream<'_, T> {
        let (waiting, place) = (Waiting::Idle, Location::caller());
        RecvStream { receiver: self, waiting, is_over: false, place }
    }
}

impl<T> Stream for RecvStream<'_, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        this.waiting.poll(this.receiver, context, this.place).map(|received| {
            this.is_over = received.is_err();
            received.ok()
        })
    }
}

impl<T> FusedStream for RecvStream<'_, T> {
    fn is_terminated(&self) -> bool {
        self.is_over
    }
}

impl<T> Drop for RecvStream<'_, T> {
    fn drop(&mut self) {
        self.waiting.leave(self.receiver);
    }
}

impl<T> fmt::Debug for RecvStream<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("RecvStream { .. }")
    }
}

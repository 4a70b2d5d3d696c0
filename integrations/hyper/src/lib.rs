//! hyper in tasks: the traits of `hyper::rt` for Lisle.
//!
//! [`Stream`] is a connection, [`Tasks`] an executor, [`Clock`] a timer. A connection of hyper's is
//! a future, which a task drives by [`lisle::block_on`]; the handler of a request may call
//! [`lisle::block_on`] and all else that waits in a task of its own, or simply be `async`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt;
use lisle::future::JoinFuture;
use lisle::io::Async;
use lisle::task::CancelHandle;

/// A connection for hyper.
#[derive(Debug)]
pub struct Stream<T: lisle::io::Stream>(Async<T>);

impl<T: lisle::io::Stream> Stream<T> {
    /// Takes over a socket of Lisle's.
    pub fn new(socket: T) -> Self {
        Self(Async::new(socket))
    }
}

impl<T: lisle::io::Stream> rt::Read for Stream<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: rt::ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        // On the stack: hyper's buffer is not initialised, and a slice has to be.
        let mut bytes = [0; 8 * 1024];
        let room = buffer.remaining().min(bytes.len());
        let read = Pin::new(&mut self.0).poll_read(context, &mut bytes[..room]);
        read.map_ok(|count| buffer.put_slice(&bytes[..count]))
    }
}

impl<T: lisle::io::Stream> rt::Write for Stream<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_close(context)
    }
}

/// An executor: a task for each future.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tasks;

impl<F> rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        lisle::spawn(|| {
            lisle::block_on(future);
        });
    }
}

/// A timer, by tasks that sleep.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock;

impl rt::Timer for Clock {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        // A time that no clock will reach is a century here.
        let due = Instant::now().checked_add(duration);
        self.sleep_until(due.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_000_000_000)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn rt::Sleep>> {
        let sleeper = lisle::spawn(move || lisle::sleep_until(deadline));
        let (cancel, end) = (sleeper.cancel_handle(), sleeper.into_future());
        Box::pin(Sleep { cancel, end })
    }
}

/// A wait for a time.
struct Sleep {
    cancel: CancelHandle,
    end: JoinFuture<()>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.end).poll(context).map(drop)
    }
}

impl rt::Sleep for Sleep {}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

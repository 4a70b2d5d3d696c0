//! [`Async`]: the traits of the crate `futures-io` for what tasks read and write.
//!
//! A future must not wait in its poll, where a task would. So the descriptor's operations fail with
//! `WouldBlock`, and then somebody has to look out for it: a task, the *watcher*, which waits by
//! `readable` or `writable` as any task does and calls the future's waker. There is at most one for
//! each direction. It needs no executor to have a reactor: on a thread that is no worker's it is a
//! task of the default runtime.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures_io::{AsyncRead, AsyncWrite};
use lisle_runtime::internal::primitive::BriefMutex;
use lisle_scheduler::internal::Direction;
use lisle_scheduler::park::in_task;
use lisle_scheduler::{spawn, spawn_local};

use super::Io;
use crate::{TcpStream, UnixStream};

/// A socket or another descriptor for `async` code: it has the traits [`AsyncRead`] and
/// [`AsyncWrite`] of the crate `futures-io`.
///
/// Any executor may poll it, on any thread: [`block_on`](lisle_scheduler::block_on) in a task, or
/// that of another runtime. While the future waits, a task of Lisle's looks out for the descriptor:
/// a task of the caller's worker, or of the default runtime if the caller is no task. This costs
/// a short task for each wait; what is ready at once costs nothing of the kind. Plain reads and
/// writes in a task are faster, and are to be preferred where a crate lets you choose.
///
/// Reading and writing work on an `Async<T>` and on an `&Async<T>`. For each direction the waker of
/// the last poll is called, so one future at a time may read, and one may write.
///
/// `poll_close` ends the direction of writing, as [`shutdown`](TcpStream::shutdown) does, and does
/// nothing if the descriptor is no socket. When the object is dropped while a task looks out for
/// it, the descriptor is closed when that task has had a turn.
///
/// With the feature `futures-io`.
///
/// # Examples
///
/// ```
/// use futures_io::{AsyncRead, AsyncWrite};
/// use lisle::io::Async;
/// use lisle::net::UnixStream;
/// use std::future::poll_fn;
/// use std::pin::Pin;
///
/// lisle::run(|| {
///     let (near, far) = UnixStream::pair()?;
///     let (mut near, mut far) = (Async::new(near), Async::new(far));
///     lisle::spawn(move || {
///         lisle::block_on(poll_fn(|context| Pin::new(&mut far).poll_write(context, b"hello")))
///     });
///     let mut buffer = [0; 5];
///     let read = poll_fn(|context| Pin::new(&mut near).poll_read(context, &mut buffer));
///     assert_eq!(lisle::block_on(read)?, 5);
///     assert_eq!(&buffer, b"hello");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct Async<T: Stream> {
    shared: Arc<Shared<T>>,
}

/// What [`Async`] makes usable for `async` code: a [`TcpStream`], a [`UnixStream`], any [`Io`].
pub trait Stream: operations::Operations {}

impl<S: operations::Operations> Stream for S {}

/// What the future and its watchers share.
struct Shared<T> {
    stream: T,
    reading: BriefMutex<Side>,
    writing: BriefMutex<Side>,
}

/// The wait for one direction.
#[derive(Default)]
struct Side {
    /// Whether there is a watcher, which is about to call the waker.
    is_watched: bool,
    waker: Option<Waker>,
    /// Why the watcher could not wait.
    error: Option<io::Error>,
}

impl<T: Stream> Async<T> {
    /// Takes over a stream. Its operations do not wait from now on.
    pub fn new(stream: T) -> Self {
        stream.never_wait();
        let (reading, writing) = Default::default();
        let shared =
            Shared { stream, reading: BriefMutex::new(reading), writing: BriefMutex::new(writing) };
        Self { shared: Arc::new(shared) }
    }

    /// What the object was made of. Its operations do not wait, but fail with `WouldBlock`.
    pub fn get_ref(&self) -> &T {
        &self.shared.stream
    }

    fn poll_read_with<R>(
        &self,
        context: &Context<'_>,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with(Direction::Read, context, operation)
    }

    fn poll_write_with<R>(
        &self,
        context: &Context<'_>,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_with(Direction::Write, context, operation)
    }

    fn poll_with<R>(
        &self,
        direction: Direction,
        context: &Context<'_>,
        operation: impl FnOnce(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        match operation(&self.shared.stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
        match self.shared.watch(direction, context.waker()) {
            None => Poll::Pending,
            Some(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<T: Stream> Shared<T> {
    fn side(&self, direction: Direction) -> &BriefMutex<Side> {
        match direction {
            Direction::Read => &self.reading,
            Direction::Write => &self.writing,
        }
    }

    /// Lets the waker be called when an operation may succeed, unless the last wait has failed:
    /// then it returns the error.
    fn watch(self: &Arc<Self>, direction: Direction, waker: &Waker) -> Option<io::Error> {
        // To clone a waker and to drop one may be user code, for which the lock is not held.
        let waker = waker.clone();
        let mut side = self.side(direction).lock();
        if let Some(error) = side.error.take() {
            return Some(error);
        }
        let old = side.waker.replace(waker);
        let is_watched = mem::replace(&mut side.is_watched, true);
        drop(side);
        drop(old);
        if !is_watched {
            let watcher = Watcher { shared: self.clone(), direction, error: None };
            // On the worker of the future, if it has one: that needs no other thread.
            match in_task() {
                true => drop(spawn_local(|| watcher.run())),
                false => drop(spawn(|| watcher.run())),
            }
        }
        None
    }
}

/// Looks out for one direction. At its end it calls the waker: also if its task was cancelled or
/// never began, whereupon the poll that follows makes another one.
struct Watcher<T: Stream> {
    shared: Arc<Shared<T>>,
    direction: Direction,
    error: Option<io::Error>,
}

impl<T: Stream> Watcher<T> {
    fn run(mut self) {
        let stream = &self.shared.stream;
        let waited = match self.direction {
            Direction::Read => stream.readable(),
            Direction::Write => stream.writable(),
        };
        self.error = waited.err();
    }
}

impl<T: Stream> Drop for Watcher<T> {
    fn drop(&mut self) {
        let mut side = self.shared.side(self.direction).lock();
        side.is_watched = false;
        side.error = self.error.take();
        let waker = side.waker.take();
        drop(side);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<T: Stream> Drop for Async<T> {
    /// Ends the watchers, with whom the stream goes.
    fn drop(&mut self) {
        self.shared.stream.close();
    }
}

impl<T: Stream> AsyncRead for &Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(context, |stream| stream.read(buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(context, |stream| stream.read_vectored(buffers))
    }
}

impl<T: Stream> AsyncWrite for &Async<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |stream| stream.write(buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_with(context, |stream| stream.write_vectored(buffers))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(match self.shared.stream.end_writing() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            result => result,
        })
    }
}

impl<T: Stream> AsyncRead for Async<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(context, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(context, buffers)
    }
}

impl<T: Stream> AsyncWrite for Async<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(context, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(context, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(context)
    }
}

impl<T: Stream + AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: Stream + AsRawFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.get_ref().as_raw_fd()
    }
}

impl<T: Stream + fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.get_ref()).finish()
    }
}

mod operations {
    //! What a stream must be able to do. Nobody else implements it.

    use super::*;

    pub trait Operations: Send + Sync + 'static {
        fn never_wait(&self);
        fn readable(&self) -> io::Result<()>;
        fn writable(&self) -> io::Result<()>;
        fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
        fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
        fn write(&self, buffer: &[u8]) -> io::Result<usize>;
        fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize>;
        fn end_writing(&self) -> io::Result<()>;
        fn close(&self);
    }

    macro_rules! operations {
        ($stream:ty $(where [$($param:tt)*])?, $never_wait:expr, $end_writing:expr) => {
            impl$(<$($param)*>)? Operations for $stream {
                fn never_wait(&self) {
                    // It is a flag of the object. For sockets it has std's signature.
                    let _ = $never_wait(self);
                }

                fn readable(&self) -> io::Result<()> {
                    self.readable(None)
                }

                fn writable(&self) -> io::Result<()> {
                    self.writable(None)
                }

                fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                    Read::read(&mut &*self, buffer)
                }

                fn read_vectored(&self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                    Read::read_vectored(&mut &*self, buffers)
                }

                fn write(&self, buffer: &[u8]) -> io::Result<usize> {
                    Write::write(&mut &*self, buffer)
                }

                fn write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
                    Write::write_vectored(&mut &*self, buffers)
                }

                fn end_writing(&self) -> io::Result<()> {
                    $end_writing(self)
                }

                fn close(&self) {
                    self.close();
                }
            }
        };
    }

    operations!(
        TcpStream,
        |socket: &TcpStream| socket.set_nonblocking(true),
        |socket: &TcpStream| socket.shutdown(Shutdown::Write)
    );
    operations!(
        UnixStream,
        |socket: &UnixStream| socket.set_nonblocking(true),
        |socket: &UnixStream| socket.shutdown(Shutdown::Write)
    );
    operations!(
        Io<T> where [T: AsFd + Send + Sync + 'static],
        |io: &Io<T>| io.set_nonblocking(true),
        |_: &Io<T>| Ok(())
    );
}

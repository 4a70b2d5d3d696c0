//! Sockets for `async` code: polls that do not wait, and the wakers of those that would.

use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use futures_io::{AsyncRead, AsyncWrite};
use lisle::channel::{Receiver, Sender, bounded, unbounded};
use lisle::io::{Async, Io, Stream};
use lisle::net::UnixStream;
use lisle::{Runtime, block_on, metrics};

use crate::support::everywhere;

/// Wakes the thread that made it, and counts.
struct Calls(AtomicUsize, thread::Thread);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        self.1.unpark();
    }
}

impl Calls {
    fn new() -> (Arc<Self>, Waker) {
        let calls = Arc::new(Self(AtomicUsize::new(0), thread::current()));
        (calls.clone(), calls.into())
    }

    fn wait(&self) {
        while self.0.load(SeqCst) == 0 {
            thread::park();
        }
    }
}

fn poll_read<S: Stream>(
    stream: &Async<S>,
    waker: &Waker,
    buffer: &mut [u8],
) -> Poll<io::Result<usize>> {
    Pin::new(&mut &*stream).poll_read(&mut Context::from_waker(waker), buffer)
}

async fn read_all<S: Stream>(stream: &Async<S>) -> io::Result<usize> {
    let (mut buffer, mut sum) = ([0; 4096], 0);
    loop {
        let read = poll_fn(|context| Pin::new(&mut &*stream).poll_read(context, &mut buffer));
        match read.await? {
            0 => return Ok(sum),
            count => sum += count,
        }
    }
}

async fn write_all<S: Stream>(stream: &Async<S>, mut count: usize) -> io::Result<()> {
    let bytes = [7; 4096];
    while count > 0 {
        let slices = [IoSlice::new(&bytes[..count.min(bytes.len())])];
        let write =
            poll_fn(|context| Pin::new(&mut &*stream).poll_write_vectored(context, &slices));
        count -= write.await?;
    }
    poll_fn(|context| Pin::new(&mut &*stream).poll_flush(context)).await?;
    poll_fn(|context| Pin::new(&mut &*stream).poll_close(context)).await
}

/// Both at once, in one task or thread.
async fn exchange(stream: &Async<UnixStream>, count: usize) -> io::Result<usize> {
    let (mut reading, mut writing) = (pin!(read_all(stream)), pin!(write_all(stream, count)));
    let (mut read, mut written) = (None, None);
    poll_fn(|context| {
        if read.is_none()
            && let Poll::Ready(result) = reading.as_mut().poll(context)
        {
            read = Some(result);
        }
        if written.is_none()
            && let Poll::Ready(result) = writing.as_mut().poll(context)
        {
            written = Some(result);
        }
        if read.is_some() && written.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    written.expect("it was ready")?;
    read.expect("it was ready")
}

#[test]
fn a_future_reads_and_writes_at_once_in_tasks_and_threads() {
    const COUNT: usize = 400_000;
    let ends =
        || UnixStream::pair().map(|(near, far)| (Async::new(near), Async::new(far))).unwrap();
    for workers in [1, 2, 4] {
        let (near, far) = ends();
        let both = Runtime::builder().workers(workers).run(|| {
            let other = lisle::spawn(move || block_on(exchange(&far, COUNT)).unwrap());
            (block_on(exchange(&near, COUNT)).unwrap(), other.join().unwrap())
        });
        assert_eq!(both.unwrap(), (COUNT, COUNT));
    }
    let (near, far) = ends();
    let other = thread::spawn(move || block_on(exchange(&far, COUNT)).unwrap());
    assert_eq!(block_on(exchange(&near, COUNT)).unwrap(), COUNT);
    assert_eq!(other.join().unwrap(), COUNT);
}

#[test]
fn the_waker_of_the_last_poll_is_called_once_something_comes() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near);
    let ((early, first), (late, second)) = (Calls::new(), Calls::new());
    let mut buffer = [0; 8];
    assert!(poll_read(&near, &first, &mut buffer).is_pending());
    assert!(poll_read(&near, &second, &mut buffer).is_pending());
    assert_eq!((early.0.load(SeqCst), late.0.load(SeqCst)), (0, 0));
    far.write_all(b"now").unwrap();
    late.wait();
    assert_eq!(early.0.load(SeqCst), 0);
    assert!(matches!(poll_read(&near, &first, &mut buffer), Poll::Ready(Ok(3))));
    assert!(poll_read(&near, &first, &mut buffer).is_pending(), "it looks out anew");
    far.write_all(b"!").unwrap();
    early.wait();
}

#[test]
fn a_socket_that_is_dropped_while_it_waits_is_closed() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near);
    assert!(poll_read(&near, Waker::noop(), &mut [0; 8]).is_pending());
    drop(near);
    assert_eq!(far.read(&mut [0; 8]).unwrap(), 0, "its end is seen");
}

#[test]
fn a_socket_that_was_closed_here_fails_and_says_so() {
    let (near, _far) = UnixStream::pair().unwrap();
    let near = Async::new(near);
    let (calls, waker) = Calls::new();
    assert!(poll_read(&near, &waker, &mut [0; 8]).is_pending());
    near.get_ref().close();
    calls.wait();
    let Poll::Ready(Err(error)) = poll_read(&near, &waker, &mut [0; 8]) else { panic!() };
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
}

/// A descriptor that tells when it is dropped.
struct Tells(UnixStream, Sender<()>);

impl AsFd for Tells {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Drop for Tells {
    fn drop(&mut self) {
        self.1.send(()).unwrap();
    }
}

/// A stream that nobody writes to and whose own room is used up; its other end; and what is told
/// when it is gone.
fn stuck() -> (Arc<Async<Io<Tells>>>, UnixStream, Receiver<()>) {
    let (near, far) = UnixStream::pair().unwrap();
    let (tell, gone) = bounded(1);
    let near = Async::new(Io::new(Tells(near, tell)).unwrap());
    let fill = |context: &mut Context<'_>| Pin::new(&mut &near).poll_write(context, &[0; 4096]);
    while fill(&mut Context::from_waker(Waker::noop())).is_ready() {}
    (Arc::new(near), far, gone)
}

/// A future that waits for both directions, and ends when both have failed or the stream is gone.
fn both_directions(
    stream: Weak<Async<Io<Tells>>>,
    polls: Sender<()>,
) -> impl Future<Output = Option<[ErrorKind; 2]>> {
    let (mut reading, mut writing) = (None, None);
    poll_fn(move |context| {
        let Some(stream) = stream.upgrade() else { return Poll::Ready(None) };
        if reading.is_none()
            && let Poll::Ready(result) = Pin::new(&mut &*stream).poll_read(context, &mut [0])
        {
            reading = Some(result.unwrap_err().kind());
        }
        if writing.is_none()
            && let Poll::Ready(result) = Pin::new(&mut &*stream).poll_write(context, &[0])
        {
            writing = Some(result.unwrap_err().kind());
        }
        drop(stream);
        polls.send(()).unwrap();
        match (reading, writing) {
            (Some(reading), Some(writing)) => Poll::Ready(Some([reading, writing])),
            _ => Poll::Pending,
        }
    })
}

/// A future waits, in a task or on a thread, when its stream is closed or loses its last owner.
#[test]
fn an_end_while_futures_wait_reaches_them_and_leaves_nothing_behind() {
    everywhere(|parties| {
        for closes in [true, false] {
            let (stream, mut far, gone) = stuck();
            let (polls, polled) = unbounded();
            let waits = both_directions(Arc::downgrade(&stream), polls);
            let waiting = parties.spawn(|| block_on(waits));
            polled.recv().unwrap();
            if closes {
                stream.get_ref().close();
                let aborted = [ErrorKind::ConnectionAborted; 2];
                assert_eq!(waiting.join(), Some(aborted));
                drop(stream);
            } else {
                drop(stream);
                assert_eq!(waiting.join(), None);
            }
            // Neither watcher holds it any more.
            gone.recv().unwrap();
            assert!(io::copy(&mut far, &mut io::sink())? > 0, "its end is seen");
        }
        Ok(())
    });
}

/// The watchers are told of the end before they have had their first turn.
#[test]
fn an_end_before_its_watchers_begin() {
    let on_one_worker = Runtime::builder().workers(1).run(|| {
        for closes in [true, false] {
            let (stream, _far, gone) = stuck();
            let (calls, waker) = Calls::new();
            assert!(poll_read(&stream, &waker, &mut [0]).is_pending());
            if closes {
                stream.get_ref().close();
            }
            drop(stream);
            assert_eq!(calls.0.load(SeqCst), 0);
            gone.recv().unwrap();
            assert_eq!(calls.0.load(SeqCst), 1);
        }
        // The task of a watcher ends after what it has let go of.
        lisle::yield_now();
        assert_eq!(metrics().unwrap().total().live_tasks, 1, "main alone");
    });
    on_one_worker.unwrap();
}

/// The watcher is a task of a runtime that ends while it waits.
#[test]
fn a_wait_goes_on_when_the_runtime_of_its_watcher_ends() {
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near);
    let (calls, waker) = Calls::new();
    lisle::run(|| assert!(poll_read(&near, &waker, &mut [0; 8]).is_pending()));
    calls.wait();
    let reading = thread::spawn(move || block_on(read_all(&near)).unwrap());
    far.write_all(b"later").unwrap();
    drop(far);
    assert_eq!(reading.join().unwrap(), 5);
}

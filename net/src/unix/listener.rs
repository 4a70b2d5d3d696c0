//! [`UnixListener`].

use std::io;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use lisle_scheduler::internal::{Direction, note_accept};
use lisle_scheduler::park::Reason;

use super::UnixStream;
use crate::io::Io;
use crate::socket::socket;

const ACCEPTING: Reason = Reason::new("accepting from a Unix socket");

/// A Unix socket that waits for connections by parking its task.
///
/// It has the methods of [`std::os::unix::net::UnixListener`], which makes the system calls.
/// Several tasks, and plain threads, may accept from one listener; a plain thread that waits is
/// blocked.
///
/// # Examples
///
/// ```
/// use lisle::net::{UnixListener, UnixStream};
/// use std::io::{self, Write};
/// use std::os::linux::net::SocketAddrExt;
/// use std::os::unix::net::SocketAddr;
///
/// lisle::run(|| {
///     // A name that is in no file system, as a path would be.
///     let address = SocketAddr::from_abstract_name(format!("greeter of {}", std::process::id()))?;
///     let listener = UnixListener::bind_addr(&address)?;
///     lisle::spawn(move || {
///         for stream in listener.incoming() {
///             let mut stream = stream?;
///             lisle::spawn(move || stream.write_all(b"hello"));
///         }
///         Ok::<_, io::Error>(())
///     });
///     assert_eq!(io::read_to_string(UnixStream::connect_addr(&address)?)?, "hello");
///     Ok::<_, io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct UnixListener {
    io: Io<net::UnixListener>,
}

socket!(UnixListener, net::UnixListener, SocketAddr);

impl UnixListener {
    /// Makes a socket file with that path and listens there. The file stays when the listener is
    /// dropped; another bind fails as long as it is there.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if there is a file; `InvalidInput` if the path is too long or has a zero byte.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::of(net::UnixListener::bind(path)?)
    }

    /// Listens at an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::of(net::UnixListener::bind_addr(address)?)
    }

    /// Accepts a connection: the stream and the address of its other end. Waits until there is one.
    ///
    /// # Errors
    ///
    /// Those of the system, such as that the process has no descriptors left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let accepted = self.io.attempt(Direction::Read, ACCEPTING, net::UnixListener::accept);
        let (stream, address) = accepted?;
        note_accept(); // a task that is spawned for it goes where there are the fewest
        Ok((UnixStream::of(stream)?, address))
    }

    /// The connections, one after the other, for ever. Each is as [`accept`](Self::accept) has it.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }
}

/// The connections of a [`UnixListener`], by [`incoming`](UnixListener::incoming).
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a UnixListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<UnixStream>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl<'a> IntoIterator for &'a UnixListener {
    type Item = io::Result<UnixStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

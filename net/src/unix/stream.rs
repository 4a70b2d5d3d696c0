//! [`UnixStream`].

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use lisle_scheduler::internal::{Direction, Patience};
use lisle_scheduler::park::Reason;
use socket2::{Domain, SockAddr, Socket, Type};

use super::repeat;
use crate::io::{Io, Settings};
use crate::socket::{peer, socket, stream, timeouts};

const CONNECTING: Reason = Reason::new("connecting to a Unix socket");
const READING: Reason = Reason::new("reading from a Unix socket");
const WRITING: Reason = Reason::new("writing to a Unix socket");

/// A connection to a Unix socket, whose operations wait by parking their task.
///
/// It has the methods of [`std::os::unix::net::UnixStream`], which makes the system calls. Reading
/// and writing work on a `UnixStream` and on a `&UnixStream`, so that one task reads while another
/// one writes. A plain thread that waits is blocked.
///
/// # Examples
///
/// ```
/// use lisle::net::UnixStream;
/// use std::io::{Read, Write};
///
/// lisle::run(|| {
///     let (mut near, mut far) = UnixStream::pair()?;
///     let heard = lisle::spawn(move || {
///         let mut text = String::new();
///         far.read_to_string(&mut text).map(|_| text) // other tasks run meanwhile
///     });
///     near.write_all(b"hello")?;
///     drop(near);
///     assert_eq!(heard.join().unwrap()?, "hello");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct UnixStream {
    io: Io<net::UnixStream>,
}

socket!(UnixStream, net::UnixStream, SocketAddr);
peer!(UnixStream, SocketAddr);
timeouts!(UnixStream);
stream!(UnixStream);

impl UnixStream {
    /// Connects to the socket with that path. Waits while the listener has as many connections to
    /// accept as fit into its queue.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such socket, `ConnectionRefused` if nobody listens there;
    /// `InvalidInput` if the path is too long or has a zero byte.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::connect_addr(&SocketAddr::from_pathname(path)?)
    }

    /// As [`connect`](Self::connect), to an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    #[track_caller]
    pub fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        let address = sock_addr(address)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        repeat(CONNECTING, || Patience::Endless, || socket.connect(&address))?;
        Ok(Self::of_nonblocking(net::UnixStream::from(std::os::fd::OwnedFd::from(socket))))
    }

    /// Two sockets that are connected to each other and have no names.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = Socket::pair(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        let [one, other] = [one, other].map(std::os::fd::OwnedFd::from).map(net::UnixStream::from);
        Ok((Self::of_nonblocking(one), Self::of_nonblocking(other)))
    }

    fn of_nonblocking(socket: net::UnixStream) -> Self {
        Self { io: Io::of(socket, Settings::default()) }
    }
}

impl UnixStream {
    #[inline]
    #[track_caller]
    fn read_by(
        &self,
        _room: usize,
        read: impl FnMut(&net::UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.io.attempt(Direction::Read, READING, read)
    }

    #[inline]
    #[track_caller]
    fn write_by(
        &self,
        write: impl FnMut(&net::UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.io.attempt(Direction::Write, WRITING, write)
    }
}

fn sock_addr(address: &SocketAddr) -> io::Result<SockAddr> {
    match (address.as_pathname(), address.as_abstract_name()) {
        (Some(path), _) => SockAddr::unix(path),
        (None, Some(name)) => {
            let path = [b"\0", name].concat();
            SockAddr::unix(std::ffi::OsStr::from_bytes(&path))
        }
        (None, None) => SockAddr::unix(""),
    }
}

//! [`TcpStream`].

use std::io;
use std::net::{self, SocketAddr};
use std::os::linux::net::TcpStreamExt;
use std::time::Duration;

use lisle_scheduler::internal::{Direction, Patience};
use lisle_scheduler::now;
use lisle_scheduler::park::Reason;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::io::{Io, Settings};
use crate::names::{ToSocketAddrs, first_that_works};
use crate::socket::{options, peer, socket, stream, timeouts};

const CONNECTING: Reason = Reason::new("connecting to a TCP server");
const READING: Reason = Reason::new("reading from a TCP connection");
const WRITING: Reason = Reason::new("writing to a TCP connection");

/// A TCP connection, whose operations wait by parking their task.
///
/// It has the methods of [`std::net::TcpStream`]. Reading and writing work on a `TcpStream` and on
/// a `&TcpStream`, so that one task reads while another one writes. A plain thread that waits is
/// blocked. The crate socket2 has more options, which `socket2::SockRef::from(&stream)` sets.
///
/// # Examples
///
/// ```
/// use lisle::net::{TcpListener, TcpStream};
/// use std::io::{Read, Write};
///
/// lisle::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     lisle::spawn(move || {
///         let (mut stream, _) = listener.accept()?; // other tasks run meanwhile
///         stream.write_all(b"hello")
///     });
///
///     let mut greeting = String::new();
///     TcpStream::connect(address)?.read_to_string(&mut greeting)?;
///     assert_eq!(greeting, "hello");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct TcpStream {
    io: Io<net::TcpStream>,
}

socket!(TcpStream, net::TcpStream, SocketAddr);
peer!(TcpStream, SocketAddr);
timeouts!(TcpStream);
stream!(TcpStream);
options! { TcpStream:
    "whether small writes are sent at once (`TCP_NODELAY`)" nodelay set_nodelay bool,
    "over how many routers a packet may go (`IP_TTL`)" ttl set_ttl u32,
    "whether what arrives is acknowledged at once (`TCP_QUICKACK`)"
        quickack set_quickack bool,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers. Waits for each as long as the system
    /// does.
    ///
    /// # Errors
    ///
    /// The last address's, such as `ConnectionRefused`; those of [`ToSocketAddrs`]; `InvalidInput`
    /// if there is no address.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn connect(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        first_that_works(addresses, |address| Self::connect_to(address, Patience::Endless))
    }

    /// Connects to one address, and waits no longer than `timeout`.
    ///
    /// # Errors
    ///
    /// `TimedOut`; `InvalidInput` if the time is zero; otherwise as [`connect`](Self::connect).
    #[track_caller]
    pub fn connect_timeout(address: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        if timeout.is_zero() {
            let message = "a connection cannot be made in no time";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let deadline = now().checked_add(timeout);
        Self::connect_to(*address, deadline.map_or(Patience::Endless, Patience::Until))
    }

    #[track_caller]
    fn connect_to(address: SocketAddr, patience: Patience) -> io::Result<Self> {
        let (domain, kind) = (Domain::for_address(address), Type::STREAM.nonblocking());
        let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
        let stream = Self::of_nonblocking(socket.into());
        let mut has_begun = false;
        // The first attempt begins. So the socket is not registered before that: until then the
        // system would report it as hung up.
        stream.io.attempt_for(Direction::Write, CONNECTING, patience, |socket| {
            if std::mem::replace(&mut has_begun, true) {
                outcome(socket)
            } else {
                begin(socket, address)
            }
        })?;
        Ok(stream)
    }

    pub(super) fn of_nonblocking(socket: net::TcpStream) -> Self {
        Self { io: Io::of(socket, Settings::default()) }
    }

    /// Reads without taking anything away: the next read has it again. Waits until there is
    /// something.
    ///
    /// # Errors
    ///
    /// As reading has them.
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io.attempt(Direction::Read, READING, |socket| socket.peek(buffer))
    }

    /// Reads by `read`, which fills its buffers, of the size `room`, if there is enough for that.
    #[inline]
    #[track_caller]
    fn read_by(
        &self,
        room: usize,
        read: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.io.attempt_to_drain(READING, room, read)
    }

    #[inline]
    #[track_caller]
    fn write_by(
        &self,
        write: impl FnMut(&net::TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.io.attempt(Direction::Write, WRITING, write)
    }
}

fn begin(socket: &net::TcpStream, address: SocketAddr) -> io::Result<()> {
    match SockRef::from(socket).connect(&address.into()) {
        Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        begun => begun,
    }
}

/// What has become of a connection that was begun.
fn outcome(socket: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        address => address.map(drop),
    }
}

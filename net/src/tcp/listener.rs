//! [`TcpListener`].

use std::io;
use std::iter::FusedIterator;
use std::net::{self, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd};

use lisle_scheduler::internal::{Direction, note_accept};
use lisle_scheduler::park::Reason;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{Server, TcpStream};
use crate::io::{Io, Settings};
use crate::names::{ToSocketAddrs, first_that_works};
use crate::socket::{options, socket};

const ACCEPTING: Reason = Reason::new("accepting a TCP connection");

/// How many connections may wait to be accepted. The system has a limit of its own, `somaxconn`.
const BACKLOG: i32 = 4096;

/// A TCP socket that waits for connections by parking its task.
///
/// It has the methods of [`std::net::TcpListener`]. Several tasks, and plain threads, may accept
/// from one listener; a plain thread that waits is blocked.
///
/// A task that is spawned for a connection may run on any worker of the runtime: a loop that
/// accepts and spawns is all that a server needs. [`Server`] is one that also goes on
/// when the process has no descriptors left, and that can be told to end.
///
/// # Examples
///
/// ```
/// use lisle::net::{TcpListener, TcpStream};
/// use std::io::{self, Write};
///
/// lisle::run(|| {
///     let listener = TcpListener::bind("127.0.0.1:0")?;
///     let address = listener.local_addr()?;
///     lisle::spawn(move || {
///         for stream in listener.incoming() {
///             let mut stream = stream?;
///             lisle::spawn(move || stream.write_all(b"hello"));
///         }
///         Ok::<_, io::Error>(())
///     });
///     assert_eq!(io::read_to_string(TcpStream::connect(address)?)?, "hello");
///     Ok::<_, io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct TcpListener {
    io: Io<net::TcpListener>,
}

socket!(TcpListener, net::TcpListener, SocketAddr);
options! { TcpListener:
    "over how many routers a packet of its connections may go (`IP_TTL`)" ttl set_ttl u32,
}

impl TcpListener {
    /// Listens at the first of the addresses that can be used. With port 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// The last address's, such as `AddrInUse`; those of [`ToSocketAddrs`]; `InvalidInput` if there
    /// is no address.
    #[track_caller]
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        let socket = first_that_works(addresses, |address| {
            let (domain, kind) = (Domain::for_address(address), Type::STREAM.nonblocking());
            let socket = Socket::new(domain, kind, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?; // as std does: a server can be restarted at once
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            Ok(socket)
        })?;
        Ok(Self { io: Io::of(socket.into(), Settings::default()) })
    }

    /// Accepts a connection: the stream and the address of its other end. Waits until there is one.
    ///
    /// A connection that was given up before it was accepted is passed over.
    ///
    /// # Errors
    ///
    /// Those of the system, such as that the process has no descriptors left.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, address) = self.io.attempt(Direction::Read, ACCEPTING, accept)?;
        note_accept(); // a task that is spawned for it goes where there are the fewest
        Ok((TcpStream::of_nonblocking(stream), address))
    }

    /// The connections, one after the other, for ever. Each is as [`accept`](Self::accept) has it.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// Accepts connections and has `handler` called for each, in a task of its own: what
    /// [`Server`] does when nobody tells it to end.
    ///
    /// # Errors
    ///
    /// Those of [`Server::serve`].
    #[track_caller]
    pub fn serve(
        self,
        handler: impl Fn(TcpStream, SocketAddr) + Send + Sync + 'static,
    ) -> io::Result<()> {
        Server::new(self).serve(handler)
    }
}

/// Accepts a connection that is in non-blocking mode from the start.
fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    loop {
        // SAFETY: the call fills in the address and its length, unless it fails.
        let accepted = unsafe {
            SockAddr::try_init(|address, length| {
                match libc::accept4(listener.as_raw_fd(), address.cast(), length, flags) {
                    -1 => Err(io::Error::last_os_error()),
                    fd => Ok(fd),
                }
            })
        };
        match accepted {
            Ok((fd, address)) => {
                // SAFETY: the call has made the descriptor, which nobody else owns.
                let stream = unsafe { net::TcpStream::from_raw_fd(fd) };
                let address = address.as_socket().expect("a peer by TCP has an address of IP");
                return Ok((stream, address));
            }
            Err(error) if is_of_connection(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether an error is that of the connection that was to be accepted. There may be others.
fn is_of_connection(error: &io::Error) -> bool {
    const ERRORS: [i32; 8] = [
        libc::ECONNABORTED,
        libc::EPROTO,
        libc::ENOPROTOOPT,
        libc::ENETDOWN,
        libc::ENETUNREACH,
        libc::EHOSTDOWN,
        libc::EHOSTUNREACH,
        libc::ENONET,
    ];
    error.raw_os_error().is_some_and(|error| ERRORS.contains(&error))
}

/// The connections of a [`TcpListener`], by [`incoming`](TcpListener::incoming).
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(stream, _)| stream))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedIterator for Incoming<'_> {}

impl<'a> IntoIterator for &'a TcpListener {
    type Item = io::Result<TcpStream>;
    type IntoIter = Incoming<'a>;

    fn into_iter(self) -> Incoming<'a> {
        self.incoming()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_one_connection_is_told_from_what_is_wrong_with_all() {
        let is_of_connection = |code| is_of_connection(&io::Error::from_raw_os_error(code));
        assert!(
            [libc::ECONNABORTED, libc::EPROTO, libc::EHOSTUNREACH].map(is_of_connection)
                == [true; 3]
        );
        let others = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::EINVAL, libc::EBADF];
        assert!(others.map(is_of_connection) == [false; 5]);
    }
}

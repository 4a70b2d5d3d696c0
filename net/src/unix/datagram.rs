//! [`UnixDatagram`].

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;

use lisle_scheduler::internal::{Direction, Patience};
use lisle_scheduler::park::Reason;

use super::repeat;
use crate::io::Io;
use crate::socket::{peer, socket, timeouts};

const RECEIVING: Reason = Reason::new("receiving from a Unix socket");
const SENDING: Reason = Reason::new("sending to a Unix socket");

/// A Unix socket for datagrams, whose operations wait by parking their task.
///
/// It has the methods of [`std::os::unix::net::UnixDatagram`], which makes the system calls.
/// Several tasks, and plain threads, may use one socket at the same time; a plain thread that waits
/// is blocked. Unlike those of UDP, datagrams arrive, and in order: a sender waits while the queue
/// of its receiver is full.
///
/// # Examples
///
/// ```
/// use lisle::net::UnixDatagram;
///
/// lisle::run(|| {
///     let (near, far) = UnixDatagram::pair()?;
///     let heard = lisle::spawn(move || {
///         let mut buffer = [0; 100];
///         let length = far.recv(&mut buffer)?; // other tasks run meanwhile
///         Ok::<_, std::io::Error>(buffer[..length].to_vec())
///     });
///     near.send(b"hello")?;
///     assert_eq!(heard.join().unwrap()?, b"hello");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct UnixDatagram {
    io: Io<net::UnixDatagram>,
}

socket!(UnixDatagram, net::UnixDatagram, SocketAddr);
peer!(UnixDatagram, SocketAddr);
timeouts!(UnixDatagram);

impl UnixDatagram {
    /// Makes a socket and a socket file with that path, which stays when the socket is dropped.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if there is a file; `InvalidInput` if the path is too long or has a zero byte.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::of(net::UnixDatagram::bind(path)?)
    }

    /// Makes a socket with that address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        Self::of(net::UnixDatagram::bind_addr(address)?)
    }

    /// Makes a socket without an address. It can send, and nobody can answer.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn unbound() -> io::Result<Self> {
        Self::of(net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other and have no names.
    ///
    /// # Errors
    ///
    /// If the process has no descriptors left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        Ok((Self::of(one)?, Self::of(other)?))
    }

    /// Binds the socket to the peer with that path: [`send`](Self::send) sends there, and only what
    /// comes from there is received.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such socket, `ConnectionRefused` if it is closed.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.io.get_ref().connect(path)
    }

    /// Binds the socket to the peer with that address.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        self.io.get_ref().connect_addr(address)
    }

    /// Receives a datagram: its length, and from where it comes. Waits until there is one. What
    /// does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the [time](Self::set_read_timeout) is over.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.recv_from(buffer))
    }

    /// Receives a datagram: its length. Waits until there is one. What does not fit into the buffer
    /// is lost.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(|socket| socket.recv(buffer))
    }

    /// Sends a datagram to the socket with that path. Waits while the peer's queue is full: it asks
    /// again after a pause, since the system does not tell those that are not
    /// [connected](Self::connect).
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the [time](Self::set_write_timeout) is over; that of a datagram that is
    /// too long; `NotFound` if there is no such socket, `ConnectionRefused` if it is closed.
    #[track_caller]
    pub fn send_to(&self, buffer: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        self.send_to_addr(buffer, &SocketAddr::from_pathname(path)?)
    }

    /// As [`send_to`](Self::send_to), to an address, which may be an abstract one.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    #[track_caller]
    pub fn send_to_addr(&self, buffer: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let patience = || self.io.settings.patience(Direction::Write);
        repeat(SENDING, patience, || {
            self.io.attempt_for(Direction::Write, SENDING, Patience::None, |socket| {
                socket.send_to_addr(buffer, address)
            })
        })
    }

    /// Sends a datagram to the peer to which the socket is connected. Waits while the peer's queue
    /// is full.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the [time](Self::set_write_timeout) is over; if the socket is not
    /// connected; `ConnectionRefused` or `ConnectionReset` if its peer is closed.
    #[track_caller]
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.io.attempt(Direction::Write, SENDING, |socket| socket.send(buffer))
    }

    /// Ends one direction, or both. Tasks that wait for that are woken.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    #[track_caller]
    fn receive<R>(&self, call: impl FnMut(&net::UnixDatagram) -> io::Result<R>) -> io::Result<R> {
        self.io.attempt(Direction::Read, RECEIVING, call)
    }
}

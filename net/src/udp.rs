//! [`UdpSocket`].

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};

use lisle_scheduler::internal::Direction;
use lisle_scheduler::park::Reason;

use crate::io::Io;
use crate::names::{ToSocketAddrs, first_that_works};
use crate::socket::{options, peer, socket, timeouts};

const RECEIVING: Reason = Reason::new("receiving from a UDP socket");
const SENDING: Reason = Reason::new("sending to a UDP socket");

/// A UDP socket, whose operations wait by parking their task.
///
/// It has the methods of [`std::net::UdpSocket`], which makes the system calls. Several tasks, and
/// plain threads, may use one socket at the same time; a plain thread that waits is blocked. A
/// datagram goes to one of those that receive.
///
/// # Examples
///
/// ```
/// use lisle::net::UdpSocket;
///
/// lisle::run(|| {
///     let server = UdpSocket::bind("127.0.0.1:0")?;
///     let address = server.local_addr()?;
///     lisle::spawn(move || {
///         let mut buffer = [0; 1500];
///         let (length, client) = server.recv_from(&mut buffer)?; // other tasks run meanwhile
///         buffer[..length].reverse();
///         server.send_to(&buffer[..length], client)
///     });
///
///     let client = UdpSocket::bind("127.0.0.1:0")?;
///     client.connect(address)?;
///     client.send(b"stressed")?;
///     let mut buffer = [0; 1500];
///     let length = client.recv(&mut buffer)?;
///     assert_eq!(&buffer[..length], b"desserts");
///     Ok::<_, std::io::Error>(())
/// })
/// # .unwrap();
/// ```
pub struct UdpSocket {
    io: Io<net::UdpSocket>,
}

socket!(UdpSocket, net::UdpSocket, SocketAddr);
peer!(UdpSocket, SocketAddr);
timeouts!(UdpSocket);

impl UdpSocket {
    /// Makes a socket and binds it to the first of the addresses that can be used. With port 0 the
    /// system chooses one.
    ///
    /// # Errors
    ///
    /// The last address's, such as `AddrInUse`; those of [`ToSocketAddrs`]; `InvalidInput` if there
    /// is no address.
    pub fn bind(addresses: impl ToSocketAddrs) -> io::Result<Self> {
        first_that_works(addresses, |address| Self::of(net::UdpSocket::bind(address)?))
    }

    /// Binds the socket to one peer: [`send`](Self::send) sends there, and only what comes from
    /// there is received. The first of the addresses is taken to which the system has a route; it
    /// does not ask whether there is a socket.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn connect(&self, addresses: impl ToSocketAddrs) -> io::Result<()> {
        first_that_works(addresses, |address| self.io.get_ref().connect(address))
    }

    /// Receives a datagram: its length, and from where it comes. Waits until there is one. What
    /// does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the [time](Self::set_read_timeout) is over; `ConnectionRefused` if an
    /// earlier datagram has reached a host where nobody listens.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[track_caller]
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.recv_from(buffer))
    }

    /// As [`recv_from`](Self::recv_from), but the datagram stays to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.receive(|socket| socket.peek_from(buffer))
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

    /// As [`recv`](Self::recv), but the datagram stays to be received again.
    ///
    /// # Errors
    ///
    /// As [`recv_from`](Self::recv_from).
    #[track_caller]
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.receive(|socket| socket.peek(buffer))
    }

    /// Sends a datagram to the first of the addresses, and waits for room in the socket's buffer.
    /// That it arrives nobody promises.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the [time](Self::set_write_timeout) is over; that of a datagram that is
    /// too long; `InvalidInput` if there is no address.
    #[track_caller]
    pub fn send_to(&self, buffer: &[u8], addresses: impl ToSocketAddrs) -> io::Result<usize> {
        let none = || io::Error::new(io::ErrorKind::InvalidInput, "there is no address to send to");
        let address = addresses.to_socket_addrs()?.next().ok_or_else(none)?;
        self.transmit(|socket| socket.send_to(buffer, address))
    }

    /// Sends a datagram to the peer to which the socket is connected.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to); if the socket is not connected; `ConnectionRefused` if an
    /// earlier datagram has reached a host where nobody listens.
    #[track_caller]
    pub fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.transmit(|socket| socket.send(buffer))
    }

    #[track_caller]
    fn receive<R>(&self, call: impl FnMut(&net::UdpSocket) -> io::Result<R>) -> io::Result<R> {
        self.io.attempt(Direction::Read, RECEIVING, call)
    }

    #[track_caller]
    fn transmit<R>(&self, call: impl FnMut(&net::UdpSocket) -> io::Result<R>) -> io::Result<R> {
        self.io.attempt(Direction::Write, SENDING, call)
    }
}

options! { UdpSocket:
    "whether datagrams may be sent to a broadcast address (`SO_BROADCAST`)"
        broadcast set_broadcast bool,
    "over how many routers a datagram may go (`IP_TTL`)"
        ttl set_ttl u32,
    "whether datagrams to a group come back to this host (`IP_MULTICAST_LOOP`)"
        multicast_loop_v4 set_multicast_loop_v4 bool,
    "over how many routers a datagram to a group may go (`IP_MULTICAST_TTL`)"
        multicast_ttl_v4 set_multicast_ttl_v4 u32,
    "whether datagrams to a group come back to this host (`IPV6_MULTICAST_LOOP`)"
        multicast_loop_v6 set_multicast_loop_v6 bool,
}

impl UdpSocket {
    /// Joins a group, on the interface with that address; with the unspecified address the system
    /// chooses one.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn join_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().join_multicast_v4(group, interface)
    }

    /// Joins a group, on the interface with that number; with 0 the system chooses one.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub fn join_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().join_multicast_v6(group, interface)
    }

    /// Leaves a group that was joined by [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// If the system refuses, as for a group that was not joined.
    pub fn leave_multicast_v4(&self, group: &Ipv4Addr, interface: &Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v4(group, interface)
    }

    /// Leaves a group that was joined by [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// If the system refuses, as for a group that was not joined.
    pub fn leave_multicast_v6(&self, group: &Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v6(group, interface)
    }
}

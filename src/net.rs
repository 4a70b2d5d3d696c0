//! Sockets: the names and methods of `std::net`, and an operation that would block lets other tasks
//! run.

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

#[doc(inline)]
pub use lisle_net::{
    Incoming, Server, ServerHandle, TcpListener, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram,
    UnixIncoming, UnixListener, UnixStream, lookup_timeout,
};

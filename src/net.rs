//! Sockets: the names and methods of `std::net`, and an operation that would block lets other tasks
//! run.

#[doc(inline)]
pub use lisle_net::{
    ToSocketAddrs, UdpSocket, UnixDatagram, UnixIncoming, UnixListener, UnixStream, lookup_timeout,
};

//! Sockets and other descriptors: an operation that would block parks its task and lets others run.
//!
//! Users come by `lisle::net` and `lisle::io`, whose pages explain them. Everything stands on
//! [`Io`](io::Io), a descriptor whose operations wait.

#![warn(unreachable_pub)]
// Models have no descriptors: what they model is in the scheduler.
#![cfg(not(lisle_loom))]

pub mod fs;
pub mod io;
mod names;
pub mod process;
pub mod signal;
mod socket;
mod tcp;
mod udp;
mod unix;

pub use names::{ToSocketAddrs, lookup_timeout};
pub use tcp::{Incoming, Server, ServerHandle, TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{Incoming as UnixIncoming, UnixDatagram, UnixListener, UnixStream};

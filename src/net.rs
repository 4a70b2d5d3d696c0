//! Sockets: the names and methods of `std::net`, and an operation that would block lets other tasks
//! run.
//!
//! A server is a plain loop that spawns a task for each connection, and a task reads and writes as
//! if it were alone in the world:
//!
//! ```
//! use lisle::net::{TcpListener, TcpStream};
//! use std::io::{self, BufRead, BufReader, Write};
//!
//! lisle::run(|| {
//!     let listener = TcpListener::bind("127.0.0.1:0")?;
//!     let address = listener.local_addr()?;
//!     lisle::spawn(move || {
//!         for stream in listener.incoming() {
//!             let stream = stream?;
//!             lisle::spawn(move || {
//!                 for line in BufReader::new(&stream).lines() {
//!                     writeln!(&stream, "you said {}", line?)?;
//!                 }
//!                 Ok::<_, io::Error>(())
//!             });
//!         }
//!         Ok::<_, io::Error>(())
//!     });
//!
//!     let stream = TcpStream::connect(address)?;
//!     writeln!(&stream, "hello")?;
//!     let mut answer = String::new();
//!     BufReader::new(&stream).read_line(&mut answer)?;
//!     assert_eq!(answer, "you said hello\n");
//!     Ok::<_, io::Error>(())
//! })
//! # .unwrap();
//! ```
//!
//! | Type | For | Like |
//! |---|---|---|
//! | [`TcpListener`], [`TcpStream`] | connections | `std::net` |
//! | [`Server`], [`ServerHandle`] | a listener that survives a lack of descriptors, and ends | |
//! | [`UdpSocket`] | datagrams | `std::net` |
//! | [`UnixListener`], [`UnixStream`] | connections within a host | `std::os::unix::net` |
//! | [`UnixDatagram`] | datagrams within a host, which are not lost | `std::os::unix::net` |
//! | [`ToSocketAddrs`], [`lookup_timeout`] | names, resolved on a thread of the pool | `std::net` |
//! | [`Io`](crate::io::Io) | anything else that has a descriptor | |
//!
//! [The guide](crate::guide::servers) builds servers with them.
//!
//! # What all sockets have
//!
//! **Blocking.** Whatever reads, writes, accepts, connects, receives or sends waits until it is
//! possible. Meanwhile other tasks of the worker run. A plain thread that waits is blocked. Tasks
//! and threads may use one socket at the same time, through references: first come, first served.
//!
//! **Errors.** They are the system's, as std has them. Beside those:
//!
//! - `WouldBlock`: a read or write is out of time (`set_read_timeout`, `set_write_timeout`), or
//!   would wait and must not (`set_nonblocking`).
//! - `TimedOut`: `connect_timeout`, `readable` or `writable` is out of time; or a
//!   [`timeout`](crate::timeout) around the call is over and cannot unwind it, in a destructor or
//!   with `panic = "abort"`.
//! - `ConnectionAborted`: another party has called `close` on this object.
//! - `InvalidInput`: a time-out of zero, or no address at all.
//! - `Other`: the task is being cancelled otherwise, and cannot wait there.
//!
//! **Panics.** A wait unwinds a task that is cancelled, and what is in a
//! [`timeout`](crate::timeout) that is over. Nothing that was read is lost by that: the value of a
//! call that has succeeded is returned, and the next wait unwinds. Inside
//! [`no_suspend`](crate::no_suspend) a task that would have to wait panics.
//!
//! **Forks.** A child of the process can wait for the sockets that it has inherited, in tasks of
//! runtimes of its own and on threads. What both read goes to one of the two.

pub use std::net::{
    AddrParseError, IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, SocketAddrV4, SocketAddrV6,
};

#[doc(inline)]
pub use lisle_net::{
    Incoming, Server, ServerHandle, TcpListener, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram,
    UnixIncoming, UnixListener, UnixStream, lookup_timeout,
};

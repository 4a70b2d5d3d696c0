//! The methods and traits of the sockets are std's: what is written for one compiles for the other.

use std::fmt::Debug;
use std::io::{Error, Read, Result, Write};
use std::iter::FusedIterator;
use std::net::{Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::linux::net::TcpStreamExt;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::Path;
use std::time::Duration;

/// What all sockets are.
fn is_socket<T>()
where
    T: Debug + Send + Sync + UnwindSafe + RefUnwindSafe,
    T: AsFd + AsRawFd + FromRawFd + IntoRawFd + From<OwnedFd> + Into<OwnedFd>,
{
}

fn is_stream<T: Read + Write>()
where
    for<'a> &'a T: Read + Write,
{
}

fn is_endless<'a, T: 'a, S>(_: fn(&'a T) -> S)
where
    S: Iterator<Item: Debug> + Debug,
{
}

fn is_fused<'a, T: 'a, S: FusedIterator>(_: fn(&'a T) -> S) {}

fn is_iterable<T>()
where
    for<'a> &'a T: IntoIterator<Item: Debug>,
{
}

/// Methods whose types are those that are given.
macro_rules! has {
    ($socket:ident: $($method:ident($($argument:ty),*) -> $result:ty;)+) => {
        is_socket::<$socket>();
        $(let _: fn(&$socket, $($argument),*) -> Result<$result> = $socket::$method;)+
    };
}

/// Makes a test of one of the two libraries.
macro_rules! surface {
    ($test:ident: $($ip:ident)::+, $($unix:ident)::+) => {
        #[test]
        fn $test() {
            use $($ip)::+::{TcpListener, TcpStream, UdpSocket};
            use $($unix)::+::{UnixDatagram, UnixListener, UnixStream};

            type Time = Option<Duration>;

            has! { TcpListener:
                accept() -> (TcpStream, SocketAddr);
                local_addr() -> SocketAddr;
                set_nonblocking(bool) -> ();
                set_ttl(u32) -> ();
                take_error() -> Option<Error>;
                try_clone() -> TcpListener;
                ttl() -> u32;
            }
            let _: fn(SocketAddr) -> Result<TcpListener> = |address| TcpListener::bind(address);
            is_endless(TcpListener::incoming);
            is_fused(TcpListener::incoming);

            has! { TcpStream:
                local_addr() -> SocketAddr;
                nodelay() -> bool;
                peek(&mut [u8]) -> usize;
                peer_addr() -> SocketAddr;
                quickack() -> bool;
                read_timeout() -> Time;
                set_nodelay(bool) -> ();
                set_nonblocking(bool) -> ();
                set_quickack(bool) -> ();
                set_read_timeout(Time) -> ();
                set_ttl(u32) -> ();
                set_write_timeout(Time) -> ();
                shutdown(Shutdown) -> ();
                take_error() -> Option<Error>;
                try_clone() -> TcpStream;
                ttl() -> u32;
                write_timeout() -> Time;
            }
            let _: fn(SocketAddr) -> Result<TcpStream> = |address| TcpStream::connect(address);
            let _: fn(&SocketAddr, Duration) -> Result<TcpStream> = TcpStream::connect_timeout;
            is_stream::<TcpStream>();

            has! { UdpSocket:
                broadcast() -> bool;
                join_multicast_v4(&Ipv4Addr, &Ipv4Addr) -> ();
                join_multicast_v6(&Ipv6Addr, u32) -> ();
                leave_multicast_v4(&Ipv4Addr, &Ipv4Addr) -> ();
                leave_multicast_v6(&Ipv6Addr, u32) -> ();
                local_addr() -> SocketAddr;
                multicast_loop_v4() -> bool;
                multicast_loop_v6() -> bool;
                multicast_ttl_v4() -> u32;
                peek(&mut [u8]) -> usize;
                peek_from(&mut [u8]) -> (usize, SocketAddr);
                peer_addr() -> SocketAddr;
                read_timeout() -> Time;
                recv(&mut [u8]) -> usize;
                recv_from(&mut [u8]) -> (usize, SocketAddr);
                send(&[u8]) -> usize;
                set_broadcast(bool) -> ();
                set_multicast_loop_v4(bool) -> ();
                set_multicast_loop_v6(bool) -> ();
                set_multicast_ttl_v4(u32) -> ();
                set_nonblocking(bool) -> ();
                set_read_timeout(Time) -> ();
                set_ttl(u32) -> ();
                set_write_timeout(Time) -> ();
                take_error() -> Option<Error>;
                try_clone() -> UdpSocket;
                ttl() -> u32;
                write_timeout() -> Time;
            }
            let _: fn(SocketAddr) -> Result<UdpSocket> = |address| UdpSocket::bind(address);
            let _: fn(&UdpSocket, SocketAddr) -> Result<()> = |socket, to| socket.connect(to);
            let _: fn(&UdpSocket, SocketAddr) -> Result<usize> =
                |socket, to| socket.send_to(b"", to);

            has! { UnixListener:
                accept() -> (UnixStream, UnixAddress);
                local_addr() -> UnixAddress;
                set_nonblocking(bool) -> ();
                take_error() -> Option<Error>;
                try_clone() -> UnixListener;
            }
            let _: fn(&Path) -> Result<UnixListener> = |path| UnixListener::bind(path);
            let _: fn(&UnixAddress) -> Result<UnixListener> = UnixListener::bind_addr;
            is_endless(UnixListener::incoming);
            is_iterable::<UnixListener>();

            has! { UnixStream:
                local_addr() -> UnixAddress;
                peer_addr() -> UnixAddress;
                read_timeout() -> Time;
                set_nonblocking(bool) -> ();
                set_read_timeout(Time) -> ();
                set_write_timeout(Time) -> ();
                shutdown(Shutdown) -> ();
                take_error() -> Option<Error>;
                try_clone() -> UnixStream;
                write_timeout() -> Time;
            }
            let _: fn(&Path) -> Result<UnixStream> = |path| UnixStream::connect(path);
            let _: fn(&UnixAddress) -> Result<UnixStream> = UnixStream::connect_addr;
            let _: fn() -> Result<(UnixStream, UnixStream)> = UnixStream::pair;
            is_stream::<UnixStream>();

            has! { UnixDatagram:
                connect_addr(&UnixAddress) -> ();
                local_addr() -> UnixAddress;
                peer_addr() -> UnixAddress;
                read_timeout() -> Time;
                recv(&mut [u8]) -> usize;
                recv_from(&mut [u8]) -> (usize, UnixAddress);
                send(&[u8]) -> usize;
                send_to_addr(&[u8], &UnixAddress) -> usize;
                set_nonblocking(bool) -> ();
                set_read_timeout(Time) -> ();
                set_write_timeout(Time) -> ();
                shutdown(Shutdown) -> ();
                take_error() -> Option<Error>;
                try_clone() -> UnixDatagram;
                write_timeout() -> Time;
            }
            let _: fn(&Path) -> Result<UnixDatagram> = |path| UnixDatagram::bind(path);
            let _: fn(&UnixAddress) -> Result<UnixDatagram> = UnixDatagram::bind_addr;
            let _: fn(&UnixDatagram, &Path) -> Result<()> = |socket, path| socket.connect(path);
            let _: fn(&UnixDatagram, &Path) -> Result<usize> =
                |socket, path| socket.send_to(b"", path);
            let _: fn() -> Result<(UnixDatagram, UnixDatagram)> = UnixDatagram::pair;
            let _: fn() -> Result<UnixDatagram> = UnixDatagram::unbound;
        }
    };
}

surface!(the_surface_of_std: std::net, std::os::unix::net);
surface!(the_surface_of_lisle: lisle::net, lisle::net);

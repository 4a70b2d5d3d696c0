//! TCP connections and listeners, for tasks and for threads: what std's types do, these do.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lisle::net::{TcpListener, TcpStream};

use crate::support::{everywhere, is_nonblocking};

const SOON: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(100);

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Both ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let near = TcpStream::connect(address).unwrap();
    (near, listener.accept().unwrap().0)
}

fn read_all(mut stream: impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[track_caller]
fn assert_kind<T: std::fmt::Debug>(result: io::Result<T>, kind: ErrorKind) {
    assert_eq!(result.unwrap_err().kind(), kind);
}

#[test]
fn a_connection_carries_bytes_both_ways() {
    everywhere(|parties| {
        let (listener, address) = listener();
        let server = parties.spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            let mut word = [0; 5];
            stream.read_exact(&mut word).unwrap();
            stream.write_all(b"hello to you").unwrap();
            (word, peer)
        });
        let mut stream = TcpStream::connect(address).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        let us = stream.local_addr().unwrap();
        stream.write_all(b"hello").unwrap();
        assert_eq!(read_all(stream), b"hello to you");
        assert_eq!(server.join(), (*b"hello", us));
        Ok(())
    });
}

#[test]
fn every_address_is_tried() {
    everywhere(|_| {
        // Nobody listens there, and nobody else gets the port.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        let dead = socket.local_addr().unwrap().as_socket().unwrap();
        let (_listener, alive) = listener();
        let stream = TcpStream::connect(&[dead, alive][..]).unwrap();
        assert_eq!(stream.peer_addr().unwrap(), alive);
        assert_kind(TcpStream::connect(&[alive, dead][..0]), ErrorKind::InvalidInput);
        assert_kind(TcpStream::connect(&[dead, dead][..]), ErrorKind::ConnectionRefused);
        assert_kind(TcpStream::connect_timeout(&dead, LONG), ErrorKind::ConnectionRefused);
        assert_kind(TcpListener::bind(&[alive, alive][..]), ErrorKind::AddrInUse);
        let elsewhere = SocketAddr::new(alive.ip(), 0);
        assert!(TcpListener::bind(&[alive, elsewhere][..]).is_ok());
        Ok(())
    });
}

#[test]
fn names_and_the_two_families() {
    everywhere(|_| {
        for host in ["localhost", "127.0.0.1", "::1"] {
            let Ok(listener) = TcpListener::bind((host, 0)) else { continue };
            let port = listener.local_addr().unwrap().port();
            let near = TcpStream::connect((host, port)).unwrap();
            let (far, peer) = listener.accept().unwrap();
            assert_eq!(peer, near.local_addr().unwrap());
            assert_eq!(far.local_addr().unwrap(), near.peer_addr().unwrap());
        }
        Ok(())
    });
}

#[test]
fn a_connection_that_is_not_made_in_time() {
    everywhere(|_| {
        // A queue of one, which is full: the system drops later connections.
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let _in_the_way = net::TcpStream::connect(address).unwrap();
        let start = Instant::now();
        assert_kind(TcpStream::connect_timeout(&address, SOON), ErrorKind::TimedOut);
        assert!(start.elapsed() >= SOON);
        assert_kind(TcpStream::connect_timeout(&address, Duration::ZERO), ErrorKind::InvalidInput);
        let (_listener, alive) = listener();
        assert!(TcpStream::connect_timeout(&alive, LONG).is_ok());
        assert!(TcpStream::connect_timeout(&alive, Duration::MAX).is_ok());
        Ok(())
    });
}

#[test]
fn a_peer_that_is_gone() {
    everywhere(|_| {
        let (mut near, far) = pair();
        drop(far);
        for _ in 0..2 {
            assert_eq!(near.read(&mut [0]).unwrap(), 0, "the end stays");
        }
        // The first write is answered by a reset, of which a later one hears.
        let error = loop {
            if let Err(error) = near.write(b"x") {
                break error.kind();
            }
        };
        assert!(matches!(error, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
        Ok(())
    });
}

#[test]
fn many_connections_at_once() {
    everywhere(|parties| {
        const CLIENTS: u8 = 30;
        let (listener, address) = listener();
        let server = parties.spawn(move || {
            let served: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (mut stream, _) = listener.accept().unwrap();
                    parties.spawn(move || {
                        let mut number = [0];
                        stream.read_exact(&mut number).unwrap();
                        stream.write_all(&[number[0] + 1]).unwrap();
                    })
                })
                .collect();
            served.into_iter().for_each(|party| party.join());
        });
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                parties.spawn(move || {
                    let mut stream = TcpStream::connect(address).unwrap();
                    stream.write_all(&[number]).unwrap();
                    assert_eq!(read_all(stream), [number + 1]);
                })
            })
            .collect();
        clients.into_iter().for_each(|party| party.join());
        server.join();
        Ok(())
    });
}

#[test]
fn vectored_reads_and_writes() {
    everywhere(|_| {
        let (mut near, mut far) = pair();
        let slices = [b"ab".as_slice(), b"", b"cde"].map(IoSlice::new);
        assert_eq!(near.write_vectored(&slices).unwrap(), 5);
        let (mut one, mut two) = ([0; 3], [0; 4]);
        let mut slices = [IoSliceMut::new(&mut one), IoSliceMut::new(&mut two)];
        assert_eq!(far.read_vectored(&mut slices).unwrap(), 5);
        assert_eq!((one, two), (*b"abc", *b"de\0\0"));
        near.write_all(b"f").unwrap();
        assert_eq!(far.read(&mut [0; 9]).unwrap(), 1, "also after a read that was short");
        Ok(())
    });
}

#[test]
fn a_large_transfer() {
    everywhere(|parties| {
        const BYTES: usize = 3 << 20;
        let (near, mut far) = pair();
        let writer = parties.spawn(move || (&near).write_all(&vec![7; BYTES]).unwrap());
        let mut sum = 0;
        let mut chunk = vec![0; 50_000];
        loop {
            let count = far.read(&mut chunk).unwrap();
            if count == 0 {
                break;
            }
            sum += chunk[..count].iter().map(|&byte| usize::from(byte)).sum::<usize>();
        }
        assert_eq!(sum, 7 * BYTES);
        writer.join();
        Ok(())
    });
}

#[test]
fn both_directions_in_different_parties() {
    everywhere(|parties| {
        const BYTES: usize = 1 << 20;
        let (near, far) = pair();
        let parties: Vec<_> = [near, far]
            .into_iter()
            .map(Arc::new)
            .flat_map(|stream| {
                let reader = stream.clone();
                [
                    parties.spawn(move || {
                        (&*stream).write_all(&vec![1; BYTES]).unwrap();
                        stream.shutdown(Shutdown::Write).unwrap();
                    }),
                    parties.spawn(move || assert_eq!(read_all(&*reader).len(), BYTES)),
                ]
            })
            .collect();
        parties.into_iter().for_each(|party| party.join());
        Ok(())
    });
}

#[test]
fn shutdown_ends_one_direction() {
    everywhere(|_| {
        let (mut near, mut far) = pair();
        near.shutdown(Shutdown::Write).unwrap();
        assert_kind(near.write(b"x"), ErrorKind::BrokenPipe);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        far.write_all(b"still").unwrap();
        near.read_exact(&mut [0; 5]).unwrap();
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(near.read(&mut [0]).unwrap(), 0);
        Ok(())
    });
}

#[test]
fn shutdown_wakes_a_reader() {
    everywhere(|parties| {
        let (near, _far) = pair();
        let near = Arc::new(near);
        let reader = parties.spawn({
            let near = near.clone();
            move || (&*near).read(&mut [0]).unwrap()
        });
        near.shutdown(Shutdown::Read).unwrap();
        assert_eq!(reader.join(), 0);
        Ok(())
    });
}

#[test]
fn clones_share_a_connection_and_not_its_settings() {
    everywhere(|parties| {
        let (near, mut far) = pair();
        near.set_read_timeout(Some(SOON)).unwrap();
        let mut clone = near.try_clone().unwrap();
        assert_eq!(clone.read_timeout().unwrap(), Some(SOON));
        clone.set_read_timeout(None).unwrap();
        assert_eq!(near.read_timeout().unwrap(), Some(SOON));
        let reader = parties.spawn(move || {
            let mut byte = [0];
            clone.read_exact(&mut byte).unwrap();
            byte
        });
        drop(near);
        far.write_all(&[5]).unwrap();
        assert_eq!(reader.join(), [5]);
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "the last clone is gone");
        Ok(())
    });
}

#[test]
fn a_clone_of_a_listener_accepts() {
    everywhere(|parties| {
        let (listener, address) = listener();
        let clone = listener.try_clone().unwrap();
        let acceptors = [listener, clone].map(|listener| {
            parties.spawn(move || listener.accept().unwrap().0.write_all(b"x").unwrap())
        });
        let streams = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        for mut stream in streams {
            stream.read_exact(&mut [0]).unwrap();
        }
        acceptors.into_iter().for_each(|party| party.join());
        Ok(())
    });
}

#[test]
fn timeouts_fail_as_std_has_it() {
    everywhere(|_| {
        let (mut near, mut far) = pair();
        assert_eq!((near.read_timeout().unwrap(), near.write_timeout().unwrap()), (None, None));
        assert_kind(near.set_read_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);
        assert_kind(near.set_write_timeout(Some(Duration::ZERO)), ErrorKind::InvalidInput);

        near.set_read_timeout(Some(SOON)).unwrap();
        let start = Instant::now();
        assert_kind(near.read(&mut [0]), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= SOON);
        assert_kind(near.peek(&mut [0]), ErrorKind::WouldBlock);
        far.write_all(b"abc").unwrap();
        near.set_read_timeout(Some(LONG)).unwrap();
        assert_eq!(near.read(&mut [0; 9]).unwrap(), 3);
        // The read was short, so that the next one begins with a wait.
        near.set_read_timeout(Some(SOON)).unwrap();
        assert_kind(near.read(&mut [0]), ErrorKind::WouldBlock);

        near.set_write_timeout(Some(SOON)).unwrap();
        let error = loop {
            if let Err(error) = near.write(&[0; 100_000]) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        near.set_write_timeout(Some(Duration::MAX)).unwrap();
        assert!(near.write_timeout().unwrap() > Some(LONG));
        Ok(())
    });
}

#[test]
fn peeking_takes_nothing() {
    everywhere(|_| {
        let (near, mut far) = pair();
        let mut buffer = [0; 8];
        far.write_all(b"abc").unwrap();
        for _ in 0..2 {
            assert_eq!(near.peek(&mut buffer).unwrap(), 3);
        }
        assert_eq!((&near).read(&mut buffer).unwrap(), 3);
        near.set_nonblocking(true).unwrap();
        assert_kind(near.peek(&mut buffer), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn what_would_wait_fails_if_it_must_not() {
    everywhere(|_| {
        let (listener, address) = listener();
        listener.set_nonblocking(true).unwrap();
        assert_kind(listener.accept(), ErrorKind::WouldBlock);
        let mut near = TcpStream::connect(address).unwrap();
        listener.readable(Some(Instant::now() + LONG)).unwrap();
        let (mut far, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        assert_kind(near.read(&mut [0]), ErrorKind::WouldBlock);
        // Also after a read that was short, and a poller that was not asked since.
        for byte in 0..3 {
            far.write_all(&[byte]).unwrap();
            near.readable(Some(Instant::now() + LONG)).unwrap();
            assert_eq!(near.read(&mut [0; 9]).unwrap(), 1);
            assert_kind(near.read(&mut [0]), ErrorKind::WouldBlock);
        }
        near.set_nonblocking(false).unwrap();
        far.write_all(b"x").unwrap();
        near.read_exact(&mut [0]).unwrap();
        Ok(())
    });
}

#[test]
fn waiting_without_reading_or_writing() {
    everywhere(|_| {
        let (near, mut far) = pair();
        let soon = || Some(Instant::now() + SOON);
        near.writable(None).unwrap();
        assert_kind(near.readable(soon()), ErrorKind::TimedOut);
        far.write_all(b"ab").unwrap();
        for _ in 0..2 {
            near.readable(None).unwrap();
        }
        assert_eq!((&near).read(&mut [0; 9]).unwrap(), 2);
        assert_kind(near.readable(soon()), ErrorKind::TimedOut);
        drop(far);
        near.readable(None).unwrap();
        Ok(())
    });
}

#[test]
fn options_are_the_sockets() {
    let (near, _far) = pair();
    assert!(!near.nodelay().unwrap());
    near.set_nodelay(true).unwrap();
    assert!(near.nodelay().unwrap() && near.try_clone().unwrap().nodelay().unwrap());
    near.set_ttl(42).unwrap();
    assert_eq!(near.ttl().unwrap(), 42);
    near.set_quickack(false).unwrap();
    assert!(!near.quickack().unwrap());
    assert!(near.take_error().unwrap().is_none());
    let (listener, _) = listener();
    listener.set_ttl(43).unwrap();
    assert_eq!(listener.ttl().unwrap(), 43);
    assert!(listener.take_error().unwrap().is_none());
    assert_eq!(listener.local_addr().unwrap().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
}

#[test]
fn a_socket_says_what_it_is() {
    let ((near, _far), (listener, address)) = (pair(), listener());
    let text = format!("{near:?} {listener:?}");
    assert!(text.contains("TcpStream") && text.contains(&address.to_string()), "{text}");
}

#[test]
fn from_stds_types_and_back() {
    everywhere(|_| {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let near = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (listener, near) = (TcpListener::from(listener), TcpStream::from(near));
        let (mut far, _) = listener.accept().unwrap();
        assert!(is_nonblocking(&listener) && is_nonblocking(&near) && is_nonblocking(&far));
        far.write_all(b"ab").unwrap();
        let mut near = net::TcpStream::from(near);
        assert!(!is_nonblocking(&near) && !is_nonblocking(&net::TcpListener::from(listener)));
        near.read_exact(&mut [0; 2]).unwrap();

        let fd = TcpStream::from(OwnedFd::from(near)).into_raw_fd();
        // SAFETY: the call before has given the descriptor away.
        let near = unsafe { TcpStream::from_raw_fd(fd) };
        assert_eq!(near.as_raw_fd(), fd);
        assert!(!is_nonblocking(&OwnedFd::from(far)));
        assert_eq!(read_all(near), b"");
        Ok(())
    });
}

#[test]
fn a_close_ends_all_waits() {
    everywhere(|parties| {
        let ((listener, _), (near, far)) = (listener(), pair());
        let (listener, near) = (Arc::new(listener), Arc::new(near));
        let waiting = [
            parties.spawn({
                let listener = listener.clone();
                move || listener.accept().map(drop)
            }),
            parties.spawn({
                let near = near.clone();
                move || (&*near).read(&mut [0]).map(drop)
            }),
            parties.spawn({
                let near = near.clone();
                move || (&*near).write_all(&vec![0; 32 << 20])
            }),
        ];
        listener.close();
        near.close();
        for party in waiting {
            assert_kind(party.join(), ErrorKind::ConnectionAborted);
        }
        assert_kind((&*near).write(b"x"), ErrorKind::ConnectionAborted);
        assert_kind(near.readable(None), ErrorKind::ConnectionAborted);
        // The descriptor is there until the end, and nobody has told the other side.
        assert!(near.peer_addr().is_ok() && listener.local_addr().is_ok());
        far.set_nonblocking(true).unwrap();
        while (&far).read(&mut [0; 100_000]).is_ok_and(|count| count > 0) {}
        assert_kind((&far).read(&mut [0]), ErrorKind::WouldBlock);
        far.set_nonblocking(false).unwrap();
        drop(near);
        let end = (&far).read(&mut [0]).map_err(|error| error.kind());
        assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        Ok(())
    });
}

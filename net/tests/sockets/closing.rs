//! The end of a socket: by `close` in whatever state it is, by drops in every order, and of waits
//! that have a deadline.

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lisle::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};

use crate::support::everywhere;

fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Every operation says that this program has closed it.
#[track_caller]
fn assert_closed(stream: &TcpStream) {
    let mut stream = stream;
    let ends = [
        stream.read(&mut [0]).map(drop),
        stream.write(&[0]).map(drop),
        stream.peek(&mut [0]).map(drop),
        stream.readable(None),
        stream.writable(None),
        stream.readable(Some(Instant::now())),
    ];
    for end in ends {
        assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionAborted);
    }
}

#[test]
fn a_close_in_every_state() {
    everywhere(|_| {
        // Fresh; with something to read; at the end; after a time-out; in non-blocking mode; twice.
        let states: [fn(&TcpStream, &mut Option<TcpStream>); 6] = [
            |_, _| (),
            |near, far| {
                far.as_mut().unwrap().write_all(b"unread").unwrap();
                near.readable(None).unwrap();
            },
            |near, far| {
                drop(far.take());
                near.readable(None).unwrap();
            },
            |near, _| {
                near.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                (&*near).read(&mut [0]).unwrap_err();
            },
            |near, _| near.set_nonblocking(true).unwrap(),
            |near, _| near.close(),
        ];
        for state in states {
            let (near, far) = pair();
            let mut far = Some(far);
            state(&near, &mut far);
            near.close();
            assert_closed(&near);
            // What asks nobody and waits for nothing still works.
            assert!(near.local_addr().is_ok() && near.take_error().is_ok());
            near.set_nonblocking(false).unwrap();
            drop(near);
        }
        let (near, mut far) = pair();
        near.shutdown(Shutdown::Write).unwrap();
        near.close();
        assert_closed(&near);
        assert_eq!(far.read(&mut [0]).unwrap(), 0);
        Ok(())
    });
}

#[test]
fn a_close_is_one_objects() {
    everywhere(|parties| {
        let (near, mut far) = pair();
        let clone = near.try_clone()?;
        near.close();
        let reader = parties.spawn(move || {
            let mut byte = [0];
            (&clone).read_exact(&mut byte).map(|()| (byte, clone))
        });
        far.write_all(&[7])?;
        let (byte, clone) = reader.join()?;
        assert_eq!(byte, [7]);
        assert_closed(&near);
        // A clone is a new object, and so is what a descriptor becomes once more.
        let mut second = near.try_clone()?;
        far.write_all(&[8])?;
        second.read_exact(&mut [0])?;
        drop((clone, second));
        let mut again = TcpStream::from(OwnedFd::from(near));
        far.write_all(&[9])?;
        again.read_exact(&mut [0])
    });
}

/// All kinds of waits, of which two are at the same direction.
#[test]
fn a_close_reaches_every_waiter() {
    everywhere(|parties| {
        for _ in 0..2 {
            let (near, _far) = pair();
            let near = Arc::new(near);
            let kinds: [fn(&TcpStream) -> std::io::Result<()>; 5] = [
                |mut near| near.read(&mut [0]).map(drop),
                |near| near.readable(None),
                |near| near.readable(Some(Instant::now() + Duration::from_secs(1000))),
                |near| near.peek(&mut [0]).map(drop),
                |mut near| near.write_all(&vec![0; 8 << 20]),
            ];
            let waiters = kinds.map(|wait| {
                let near = near.clone();
                parties.spawn(move || wait(&near))
            });
            lisle::yield_now();
            near.close();
            for waiter in waiters {
                assert_eq!(waiter.join().unwrap_err().kind(), ErrorKind::ConnectionAborted);
            }
        }
        Ok(())
    });
}

#[test]
fn a_close_of_sockets_without_connections() {
    everywhere(|parties| {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0")?);
        let udp = Arc::new(UdpSocket::bind("127.0.0.1:0")?);
        let (unix, _peer) = UnixDatagram::pair()?;
        let unix = Arc::new(unix);
        let (its_listener, its_udp, its_unix) = (listener.clone(), udp.clone(), unix.clone());
        let waiters = [
            parties.spawn(move || its_listener.incoming().next().unwrap().map(drop)),
            parties.spawn(move || its_udp.recv_from(&mut [0]).map(drop)),
            parties.spawn(move || its_unix.recv(&mut [0]).map(drop)),
        ];
        lisle::yield_now();
        listener.close();
        udp.close();
        unix.close();
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap_err().kind(), ErrorKind::ConnectionAborted);
        }
        let address = udp.local_addr()?;
        assert_eq!(udp.send_to(&[1], address).unwrap_err().kind(), ErrorKind::ConnectionAborted);
        assert_eq!(unix.send(&[1]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
        // Its place is free once it is gone.
        let address = listener.local_addr()?;
        drop(listener);
        assert!(TcpListener::bind(address).is_ok());
        Ok(())
    });
}

/// Sockets go in another order than they came, and elsewhere.
#[test]
fn drops_in_every_order() {
    everywhere(|parties| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let mut near = TcpStream::connect(listener.local_addr()?)?;
        let (far, _) = listener.accept()?;
        drop(listener);
        let clones = [far.try_clone()?, far.try_clone()?, far];
        // Each is registered where its party runs, and ends there.
        let parties: Vec<_> = clones
            .into_iter()
            .map(|clone| {
                parties.spawn(move || {
                    clone.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
                    assert_eq!((&clone).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
                    clone
                })
            })
            .collect();
        let mut clones: Vec<_> = parties.into_iter().map(|party| party.join()).collect();
        drop(clones.remove(1));
        near.write_all(b"ab")?;
        for clone in clones.into_iter().rev() {
            (&clone).read_exact(&mut [0])?;
        }
        assert_eq!(near.read(&mut [0])?, 0, "the last one was dropped");
        Ok(())
    });
}

/// A socket is taken out of a poller, and put into it again with the same number.
#[test]
fn a_socket_comes_back_as_another_object() {
    everywhere(|_| {
        let (mut near, mut far) = pair();
        for byte in 0..4 {
            near.set_read_timeout(Some(Duration::from_millis(1)))?;
            assert_eq!(near.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            near = match byte % 2 {
                0 => net::TcpStream::from(near).into(),
                _ => OwnedFd::from(near).into(),
            };
            near.set_read_timeout(Some(Duration::from_secs(1000)))?;
            let read = |near: &mut TcpStream| near.read_exact(&mut [0]);
            far.write_all(&[byte])?;
            read(&mut near)?;
        }
        Ok(())
    });
}

#[test]
fn deadlines_that_have_passed_and_that_never_come() {
    everywhere(|parties| {
        let (near, mut far) = pair();
        let long_ago = Instant::now() - Duration::from_millis(1);
        for deadline in [long_ago, Instant::now()] {
            assert_eq!(near.readable(Some(deadline)).unwrap_err().kind(), ErrorKind::TimedOut);
            near.writable(Some(deadline))?; // what is possible needs no time
        }
        far.write_all(&[1])?;
        near.readable(None)?;
        near.readable(Some(long_ago))?;
        near.set_read_timeout(Some(Duration::from_nanos(1)))?;
        (&near).read_exact(&mut [0])?;
        assert_eq!((&near).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);

        near.set_read_timeout(Some(Duration::MAX))?;
        let near = Arc::new(near);
        let reader = parties.spawn({
            let near = near.clone();
            move || (&*near).read(&mut [0])
        });
        far.write_all(&[2])?;
        assert_eq!(reader.join()?, 1);
        assert!(lisle::timeout(Duration::ZERO, || near.readable(None)).is_err());
        assert!(lisle::timeout(Duration::MAX, || near.writable(None)).unwrap().is_ok());
        Ok(())
    });
}

/// A plain thread that waits in the system hears of it, too.
#[test]
fn a_wait_in_a_region_that_is_cancelled() {
    everywhere(|parties| {
        let (near, _far) = pair();
        let (tell, token) = lisle::channel::bounded(1);
        let waiter = parties.spawn(move || {
            lisle::task::cancellable(|token| {
                tell.send(token.clone()).unwrap();
                (&near).read(&mut [0]).map(drop)
            })
            .is_err()
        });
        let token: lisle::task::CancelToken = token.recv().unwrap();
        lisle::yield_now();
        token.cancel();
        assert!(waiter.join());
        Ok(())
    });
}

/// A region's time ends a wait, and the socket is as it was.
#[test]
fn a_wait_in_a_region_whose_time_is_over() {
    everywhere(|_| {
        let (mut near, mut far) = UnixStream::pair()?;
        for byte in 0..3 {
            let read = lisle::timeout(Duration::from_millis(1), || near.read(&mut [0]));
            assert!(read.is_err());
            far.write_all(&[byte])?;
            let mut buffer = [0xff];
            let read = lisle::timeout(Duration::from_secs(1000), || near.read(&mut buffer));
            assert_eq!((read.unwrap()?, buffer), (1, [byte]));
        }
        Ok(())
    });
}

/// A read in a destructor fails instead, and says why it did not wait.
#[test]
fn a_wait_that_is_over_and_cannot_be_unwound() {
    /// Reads when it is dropped.
    struct LastRead<'a>(&'a TcpStream, &'a Cell<Option<ErrorKind>>);

    impl Drop for LastRead<'_> {
        fn drop(&mut self) {
            let mut stream = self.0;
            self.1.set(stream.read(&mut [0]).err().map(|error| error.kind()));
        }
    }

    everywhere(|_| {
        let (near, _far) = pair();
        let kind = Cell::new(None);
        let read = || {
            let last = LastRead(&near, &kind);
            near.readable(None).map(|()| drop(last))
        };
        assert!(lisle::timeout(Duration::from_millis(1), read).is_err());
        assert_eq!(kind.take(), Some(ErrorKind::TimedOut));
        assert!(lisle::timeout(Duration::ZERO, read).is_err());
        assert_eq!(kind.take(), Some(ErrorKind::TimedOut));
        let outcome = lisle::task::cancellable(|token| {
            token.cancel();
            read()
        });
        assert!(outcome.is_err());
        assert_eq!(kind.take(), Some(ErrorKind::Other));
        Ok(())
    });
}

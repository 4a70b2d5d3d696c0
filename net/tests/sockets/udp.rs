//! UDP.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, net};

use lisle::net::UdpSocket;

use crate::support::{everywhere, is_nonblocking};

const LOCAL: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn socket() -> UdpSocket {
    UdpSocket::bind(LOCAL).unwrap()
}

fn connected() -> (UdpSocket, UdpSocket) {
    let (one, other) = (socket(), socket());
    one.connect(other.local_addr().unwrap()).unwrap();
    other.connect(one.local_addr().unwrap()).unwrap();
    (one, other)
}

#[test]
fn a_datagram_comes_with_the_address_of_its_sender() {
    everywhere(|parties| {
        let locals: [SocketAddr; 2] = [LOCAL.into(), (Ipv6Addr::LOCALHOST, 0).into()];
        for local in locals {
            let Ok(server) = UdpSocket::bind(local) else { continue }; // a host without IPv6
            let client = UdpSocket::bind(local)?;
            let (to, from) = (server.local_addr()?, client.local_addr()?);
            let received = parties.spawn(move || {
                let mut buffer = [0; 10];
                let (length, sender) = server.recv_from(&mut buffer)?;
                Ok::<_, io::Error>((buffer[..length].to_vec(), sender))
            });
            assert_eq!(client.send_to(b"one", to)?, 3);
            assert_eq!(received.join()?, (b"one".to_vec(), from));
        }
        Ok(())
    });
}

#[test]
fn a_connected_socket_has_a_peer_and_hears_nobody_else() {
    everywhere(|_| {
        let (one, other, stranger) = (socket(), socket(), socket());
        assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        one.connect(other.local_addr()?)?;
        assert_eq!(one.peer_addr()?, other.local_addr()?);
        stranger.send_to(b"no", one.local_addr()?)?;
        other.send_to(b"yes", one.local_addr()?)?;
        let mut buffer = [0; 10];
        assert_eq!(one.recv(&mut buffer)?, 3);
        assert_eq!(&buffer[..3], b"yes");
        Ok(())
    });
}

#[test]
fn those_that_wait_at_one_socket_get_a_datagram_each() {
    everywhere(|parties| {
        let (one, other) = connected();
        let one = Arc::new(one);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let one = one.clone();
                parties.spawn(move || {
                    let mut buffer = [0];
                    one.recv(&mut buffer).map(|_| buffer[0])
                })
            })
            .collect();
        for number in 0..4 {
            other.send(&[number])?;
        }
        let mut numbers = Vec::new();
        for receiver in receivers {
            numbers.push(receiver.join()?);
        }
        numbers.sort();
        assert_eq!(numbers, [0, 1, 2, 3]);
        Ok(())
    });
}

#[test]
fn a_clone_is_the_same_socket() {
    everywhere(|parties| {
        let (one, other) = connected();
        let clone = one.try_clone()?;
        assert_ne!(one.as_raw_fd(), clone.as_raw_fd());
        assert_eq!(one.local_addr()?, clone.local_addr()?);
        let receivers = [one, clone].map(|socket| {
            parties.spawn(move || {
                let mut buffer = [0];
                socket.recv(&mut buffer).map(|_| buffer[0])
            })
        });
        other.send(&[1])?;
        other.send(&[2])?;
        let mut numbers = Vec::new();
        for receiver in receivers {
            numbers.push(receiver.join()?);
        }
        numbers.sort();
        assert_eq!(numbers, [1, 2]);
        Ok(())
    });
}

#[test]
fn a_clone_ends_and_the_other_goes_on_waiting() {
    everywhere(|parties| {
        let (one, other) = connected();
        let clone = one.try_clone()?;
        let receiver = parties.spawn(move || clone.recv(&mut [0]));
        // Registers the other descriptor of the same socket, which reports to it too.
        one.set_read_timeout(Some(Duration::from_millis(1)))?;
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(one);
        other.send(&[1])?;
        assert_eq!(receiver.join()?, 1);
        Ok(())
    });
}

#[test]
fn peeking_leaves_the_datagram() {
    everywhere(|_| {
        let (one, other) = connected();
        other.send(b"hello")?;
        let mut buffer = [0; 10];
        for _ in 0..2 {
            assert_eq!(one.peek(&mut buffer)?, 5);
            assert_eq!(one.peek_from(&mut buffer)?, (5, other.local_addr()?));
        }
        assert_eq!(one.recv(&mut buffer)?, 5);
        one.set_nonblocking(true)?;
        assert_eq!(one.peek(&mut buffer).unwrap_err().kind(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn datagrams_may_be_empty_or_longer_than_the_buffer_or_too_long() {
    everywhere(|_| {
        let (one, other) = connected();
        assert_eq!(other.send(b"")?, 0);
        assert_eq!(other.send(b"too long for it")?, 15);
        assert_eq!(other.send(&[7; 65_507])?, 65_507);
        let error = other.send(&[7; 65_508]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(one.recv(&mut [0; 3])?, 0);
        let mut buffer = [0; 3];
        assert_eq!(one.recv(&mut buffer)?, 3);
        assert_eq!(&buffer, b"too");
        assert_eq!(one.recv(&mut vec![0; 70_000])?, 65_507);
        Ok(())
    });
}

#[test]
fn a_refusal_wakes_the_receiver() {
    everywhere(|parties| {
        let (one, other) = connected();
        let one = Arc::new(one);
        drop(other);
        let receiver = {
            let one = one.clone();
            parties.spawn(move || one.recv(&mut [0]))
        };
        // The system answers to each datagram. The first to ask is told: the receiver or a sender.
        let told = loop {
            match one.send(b"anybody there?") {
                Ok(_) => lisle::sleep(Duration::from_micros(100)),
                Err(error) => break error.kind(),
            }
            if receiver.is_finished() {
                break ErrorKind::ConnectionRefused;
            }
        };
        assert_eq!(told, ErrorKind::ConnectionRefused);
        while !receiver.is_finished() {
            let _ = one.send(b"anybody there?");
            lisle::sleep(Duration::from_micros(100));
        }
        assert_eq!(receiver.join().unwrap_err().kind(), ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn binding_tries_every_address() {
    everywhere(|_| {
        let taken = socket();
        let error = UdpSocket::bind(taken.local_addr()?).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let addresses = [taken.local_addr()?, SocketAddr::from(LOCAL)];
        let bound = UdpSocket::bind(&addresses[..])?;
        assert_ne!(bound.local_addr()?, taken.local_addr()?);
        let none: &[SocketAddr] = &[];
        assert_eq!(UdpSocket::bind(none).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(bound.connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(bound.send_to(b"", none).unwrap_err().kind(), ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn timeouts_are_kept_and_end_a_wait() {
    everywhere(|_| {
        let (one, other) = connected();
        let long = Some(Duration::from_secs(15_410));
        assert_eq!((one.read_timeout()?, one.write_timeout()?), (None, None));
        one.set_write_timeout(long)?;
        one.set_read_timeout(Some(Duration::from_millis(2)))?;
        assert_eq!(one.write_timeout()?, long);
        assert_eq!(one.read_timeout()?, Some(Duration::from_millis(2)));
        for set in [UdpSocket::set_read_timeout, UdpSocket::set_write_timeout] {
            let error = set(&one, Some(Duration::ZERO)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(one.write_timeout()?, long);

        let start = Instant::now();
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= Duration::from_millis(2));
        assert_eq!(one.recv_from(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        one.set_read_timeout(None)?;
        other.send(&[1])?;
        assert_eq!(one.recv(&mut [0])?, 1);
        Ok(())
    });
}

#[test]
fn a_clone_takes_over_the_settings_and_then_has_its_own() {
    let one = socket();
    one.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    one.set_nonblocking(true).unwrap();
    let clone = one.try_clone().unwrap();
    one.set_nonblocking(false).unwrap();
    one.set_read_timeout(None).unwrap();
    assert_eq!(clone.read_timeout().unwrap(), Some(Duration::from_secs(1)));
    assert_eq!(clone.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(is_nonblocking(&clone));
}

#[test]
fn nothing_is_waited_for_in_non_blocking_mode() {
    everywhere(|_| {
        let (one, other) = connected();
        one.set_nonblocking(true)?;
        assert_eq!(one.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        other.send(&[1])?;
        one.readable(None)?;
        assert_eq!(one.recv(&mut [0])?, 1);
        one.set_nonblocking(false)?;
        other.send(&[2])?;
        assert_eq!(one.recv(&mut [0])?, 1);
        Ok(())
    });
}

#[test]
fn readiness_is_told_and_nothing_is_taken() {
    everywhere(|_| {
        let (one, other) = connected();
        one.writable(None)?;
        let soon = Some(Instant::now() + Duration::from_millis(1));
        assert_eq!(one.readable(soon).unwrap_err().kind(), ErrorKind::TimedOut);
        other.send(&[1])?;
        one.readable(None)?;
        one.readable(soon)?; // what is ready is found, although the time is over
        assert_eq!(one.recv(&mut [0])?, 1);
        Ok(())
    });
}

#[test]
fn options_are_those_of_the_system() {
    let ours = socket();
    let theirs = net::UdpSocket::bind(LOCAL).unwrap();
    let all = |socket: &UdpSocket| {
        (
            socket.broadcast().unwrap(),
            socket.ttl().unwrap(),
            socket.multicast_loop_v4().unwrap(),
            socket.multicast_ttl_v4().unwrap(),
        )
    };
    let expected = (
        theirs.broadcast().unwrap(),
        theirs.ttl().unwrap(),
        theirs.multicast_loop_v4().unwrap(),
        theirs.multicast_ttl_v4().unwrap(),
    );
    assert_eq!(all(&ours), expected);
    ours.set_broadcast(true).unwrap();
    ours.set_ttl(100).unwrap();
    ours.set_multicast_loop_v4(false).unwrap();
    ours.set_multicast_ttl_v4(7).unwrap();
    assert_eq!(all(&ours), (true, 100, false, 7));
    assert!(ours.set_ttl(0).is_err());
    if let Ok(ours) = UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        ours.set_multicast_loop_v6(false).unwrap();
        assert!(!ours.multicast_loop_v6().unwrap());
        let group = Ipv6Addr::new(0xff01, 0, 0, 0, 0, 0, 0, 0x101);
        assert!(ours.leave_multicast_v6(&group, 0).is_err());
    }
}

#[test]
fn a_group_is_joined_and_left() {
    everywhere(|_| {
        let group = Ipv4Addr::new(224, 0, 0, 142);
        let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        let here = Ipv4Addr::LOCALHOST;
        assert!(member.leave_multicast_v4(&group, &here).is_err());
        member.join_multicast_v4(&group, &here)?;
        let again = member.join_multicast_v4(&group, &here).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::AddrInUse);
        member.leave_multicast_v4(&group, &here)
    });
}

#[test]
fn an_object_shows_itself_as_the_one_of_std_does() {
    let ours = socket();
    let theirs = net::UdpSocket::from(ours.as_fd().try_clone_to_owned().unwrap());
    let number = |fd: i32| format!("fd: {fd}");
    let expected =
        format!("{theirs:?}").replace(&number(theirs.as_raw_fd()), &number(ours.as_raw_fd()));
    assert_eq!(format!("{ours:?}"), expected);
    assert!(ours.take_error().unwrap().is_none());
}

#[test]
fn conversions_change_the_mode_and_keep_the_descriptor() {
    let theirs = net::UdpSocket::bind(LOCAL).unwrap();
    let number = theirs.as_raw_fd();
    assert!(!is_nonblocking(&theirs));
    let ours = UdpSocket::from(theirs);
    assert!(is_nonblocking(&ours));
    let fd = OwnedFd::from(ours);
    assert!(!is_nonblocking(&fd));
    let ours = UdpSocket::from(fd);
    let number_again = ours.into_raw_fd();
    assert_eq!(number_again, number);
    // SAFETY: the number was just given out.
    let ours = unsafe { UdpSocket::from_raw_fd(number_again) };
    assert!(is_nonblocking(&ours));
    let theirs = net::UdpSocket::from(ours);
    assert!(!is_nonblocking(&theirs));

    theirs.set_nonblocking(true).unwrap();
    let theirs = net::UdpSocket::from(UdpSocket::from(theirs));
    assert!(is_nonblocking(&theirs), "the mode in which it was taken over");
    assert!(!is_nonblocking(&net::UdpSocket::from(socket())));
}

#[test]
fn a_socket_outlives_runtimes() {
    let (one, other) = connected();
    let other = Arc::new(other);
    for _ in 0..3 {
        let sender = other.clone();
        lisle::run(|| {
            let sent = lisle::spawn(move || sender.send(&[1]));
            assert_eq!(one.recv(&mut [0]).unwrap(), 1);
            sent.join().unwrap().unwrap();
        });
    }
    other.send(&[1]).unwrap();
    assert_eq!(one.recv(&mut [0]).unwrap(), 1);
}

#[test]
fn a_task_that_receives_is_unwound_at_the_end() {
    let (one, _other) = connected();
    let one = Arc::new(one);
    let waiting = one.clone();
    lisle::run(|| {
        lisle::spawn(move || waiting.recv(&mut [0]));
        lisle::yield_now();
    });
    assert_eq!(Arc::strong_count(&one), 1);
}

#[test]
fn others_have_their_turn_beside_one_that_never_waits() {
    let one_worker = lisle::Runtime::builder().workers(1);
    let done = one_worker.run(|| {
        let (one, other) = connected();
        let stop = Rc::new(Cell::new(false));
        let theirs = stop.clone();
        lisle::spawn_local(move || theirs.set(true));
        while !stop.get() {
            // There is something to receive each time.
            other.send(&[1]).unwrap();
            one.recv(&mut [0]).unwrap();
        }
    });
    done.unwrap();
}

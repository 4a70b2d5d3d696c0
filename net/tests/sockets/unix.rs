//! Unix sockets.

use std::io::{ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{io, process, thread};

use lisle::net::{UnixDatagram, UnixListener, UnixStream};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::support::{Folder, everywhere, is_nonblocking};

fn abstract_address(name: &str) -> SocketAddr {
    let name = format!("lisle {} {name} {:?}", process::id(), Instant::now());
    SocketAddr::from_abstract_name(name).unwrap()
}

#[test]
fn a_stream_connects_by_a_path() {
    everywhere(|parties| {
        let folder = Folder::new();
        let path = folder.path("socket");
        let listener = UnixListener::bind(&path)?;
        assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
        let server = parties.spawn(move || {
            let (mut stream, peer) = listener.accept()?;
            assert!(peer.is_unnamed());
            let mut question = [0; 5];
            stream.read_exact(&mut question)?;
            assert_eq!(&question, b"hello");
            stream.write_all(b"world")
        });
        let mut stream = UnixStream::connect(&path)?;
        assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
        assert!(stream.local_addr()?.is_unnamed());
        stream.write_all(b"hello")?;
        assert_eq!(io::read_to_string(&stream)?, "world");
        server.join()
    });
}

#[test]
fn a_stream_connects_by_an_abstract_address() {
    everywhere(|parties| {
        let address = abstract_address("stream");
        let listener = UnixListener::bind_addr(&address)?;
        let error = UnixListener::bind_addr(&address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        let name = |address: SocketAddr| address.as_abstract_name().map(<[u8]>::to_vec);
        assert_eq!(name(listener.local_addr()?), name(address.clone()));
        let greeting = parties.spawn(move || listener.accept()?.0.write_all(b"hello"));
        let stream = UnixStream::connect_addr(&address)?;
        assert_eq!(name(stream.peer_addr()?), name(address));
        assert_eq!(io::read_to_string(stream)?, "hello");
        greeting.join()
    });
}

#[test]
fn a_connection_that_cannot_be_made_is_an_error() {
    everywhere(|_| {
        let folder = Folder::new();
        let error = UnixStream::connect(folder.path("nothing")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let left_over = folder.path("socket");
        drop(UnixListener::bind(&left_over)?);
        let error = UnixStream::connect(&left_over).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(UnixListener::bind(&left_over).unwrap_err().kind(), ErrorKind::AddrInUse);
        let datagrams = folder.path("datagrams");
        let _bound = UnixDatagram::bind(&datagrams)?;
        assert!(UnixStream::connect(&datagrams).is_err());

        let unnamed = UnixStream::pair()?.0.local_addr()?;
        let ours = UnixStream::connect_addr(&unnamed).unwrap_err();
        let theirs = net::UnixStream::connect_addr(&unnamed).unwrap_err();
        assert_eq!(ours.raw_os_error(), theirs.raw_os_error());

        let long = folder.path(&"a".repeat(200));
        let zero = folder.path("a\0b");
        for path in [long, zero] {
            let errors = [
                UnixStream::connect(&path).unwrap_err(),
                UnixListener::bind(&path).unwrap_err(),
                UnixDatagram::bind(&path).unwrap_err(),
                UnixDatagram::unbound()?.connect(&path).unwrap_err(),
                UnixDatagram::unbound()?.send_to(b"", &path).unwrap_err(),
            ];
            assert!(errors.iter().all(|error| error.kind() == ErrorKind::InvalidInput));
        }
        Ok(())
    });
}

/// A listener whose queue is full, and how many are in it.
fn full_listener(address: &SocketAddr) -> io::Result<(UnixListener, usize)> {
    let name = [b"\0", address.as_abstract_name().unwrap()].concat();
    // SAFETY: any bytes but zero may be in a path.
    let theirs = SockAddr::unix(unsafe { std::ffi::OsStr::from_encoded_bytes_unchecked(&name) })?;
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    listener.bind(&theirs)?;
    listener.listen(1)?;
    let mut waiting = 0;
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
        match socket.connect(&theirs) {
            Ok(()) => waiting += 1,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok((UnixListener::from(OwnedFd::from(listener)), waiting))
}

/// Waits that ask again after a pause hold a virtual clock, too: it does not move while they last.
#[test]
fn a_full_queue_holds_a_virtual_clock() {
    const LATER: Duration = Duration::from_secs(3600);
    for workers in [1, 2] {
        let runtime = lisle::Runtime::builder().workers(workers).virtual_time(true);
        let took = runtime.run(|| {
            let sleeper = lisle::spawn(|| lisle::sleep(LATER));
            lisle::yield_now();
            let start = lisle::time::now();

            let address = abstract_address("held");
            let (listener, waiting) = full_listener(&address).unwrap();
            let accepting = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                listener.incoming().take(waiting + 1).for_each(|stream| drop(stream.unwrap()));
            });
            UnixStream::connect_addr(&address).unwrap();
            accepting.join().unwrap();

            let address = abstract_address("held too");
            let receiver = UnixDatagram::bind_addr(&address).unwrap();
            let sender = UnixDatagram::unbound().unwrap();
            sender.set_nonblocking(true).unwrap();
            while sender.send_to_addr(b"one more", &address).is_ok() {}
            sender.set_nonblocking(false).unwrap();
            let receiving = thread::spawn(move || {
                thread::sleep(Duration::from_millis(20));
                receiver.recv(&mut [0; 8]).unwrap();
                receiver
            });
            sender.send_to_addr(b"the last", &address).unwrap();
            receiving.join().unwrap();

            let took = lisle::time::now() - start;
            sleeper.join().unwrap();
            took
        });
        assert_eq!(took.unwrap(), Duration::ZERO);
    }
}

#[test]
fn connecting_waits_for_room_in_the_queue_of_the_listener() {
    everywhere(|parties| {
        let address = abstract_address("queue");
        let (listener, waiting) = full_listener(&address)?;
        let clients: Vec<_> = (0..5)
            .map(|_| {
                let address = address.clone();
                parties.spawn(move || UnixStream::connect_addr(&address))
            })
            .collect();
        for stream in listener.incoming().take(waiting + clients.len()) {
            stream?;
        }
        clients.into_iter().try_for_each(|client| client.join().map(drop))
    });
}

#[test]
fn connections_come_one_after_the_other() {
    everywhere(|parties| {
        let address = abstract_address("incoming");
        let listener = UnixListener::bind_addr(&address)?;
        assert_eq!(listener.incoming().size_hint().0, usize::MAX);
        let server = parties.spawn(move || {
            let mut sum = 0;
            for stream in (&listener).into_iter().take(4) {
                let mut number = [0];
                stream?.read_exact(&mut number)?;
                sum += number[0];
            }
            Ok::<_, io::Error>(sum)
        });
        for number in 1..=4 {
            UnixStream::connect_addr(&address)?.write_all(&[number])?;
        }
        assert_eq!(server.join()?, 10);
        Ok(())
    });
}

#[test]
fn those_that_accept_at_one_listener_get_a_connection_each() {
    everywhere(|parties| {
        let address = abstract_address("acceptors");
        let listener = UnixListener::bind_addr(&address)?;
        let acceptors: Vec<_> = (0..4)
            .map(|_| {
                let listener = listener.try_clone().unwrap();
                parties.spawn(move || listener.accept().map(drop))
            })
            .collect();
        let _clients: Vec<_> =
            (0..4).map(|_| UnixStream::connect_addr(&address)).collect::<Result<_, _>>()?;
        acceptors.into_iter().try_for_each(|acceptor| acceptor.join())
    });
}

#[test]
fn a_listener_may_wait_for_nothing() {
    everywhere(|_| {
        let address = abstract_address("nonblocking");
        let listener = UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let _client = UnixStream::connect_addr(&address)?;
        listener.readable(None)?;
        let (stream, _) = listener.accept()?;
        assert!(is_nonblocking(&stream));
        assert!(!is_nonblocking(&net::UnixStream::from(stream)));
        assert!(listener.take_error()?.is_none());
        Ok(())
    });
}

#[test]
fn slices_are_read_and_written_together() {
    everywhere(|_| {
        let (mut near, far) = UnixStream::pair()?;
        let parts = ["hello", " ", "world!"].map(|part| IoSlice::new(part.as_bytes()));
        assert_eq!(near.write_vectored(&parts)?, 12);
        let (mut first, mut second) = ([0; 6], [0; 7]);
        let mut buffers = [&mut first[..], &mut second].map(IoSliceMut::new);
        assert_eq!((&far).read_vectored(&mut buffers)?, 12);
        assert_eq!((&first, &second), (b"hello ", b"world!\0"));
        Ok(())
    });
}

#[test]
fn a_full_stream_waits_for_its_reader() {
    everywhere(|parties| {
        let (mut near, far) = UnixStream::pair()?;
        let bytes: Vec<_> = (0..1_000_000_u32).map(|place| (place % 251) as u8).collect();
        let expected = bytes.clone();
        let writer = parties.spawn(move || near.write_all(&bytes));
        let mut read = Vec::new();
        (&far).read_to_end(&mut read)?;
        assert!(read == expected);
        writer.join()
    });
}

#[test]
fn both_directions_of_a_stream_are_used_at_once() {
    everywhere(|parties| {
        let (near, far) = UnixStream::pair()?;
        let ends = [near, far].map(Arc::new);
        let parties: Vec<_> = ends
            .iter()
            .flat_map(|end| {
                let (reader, writer) = (end.clone(), end.clone());
                [
                    parties.spawn(move || {
                        (&*writer).write_all(&[7; 500_000])?;
                        writer.shutdown(Shutdown::Write)
                    }),
                    parties.spawn(move || {
                        let mut read = Vec::new();
                        (&*reader).read_to_end(&mut read)?;
                        assert_eq!(read.len(), 500_000);
                        Ok(())
                    }),
                ]
            })
            .collect();
        parties.into_iter().try_for_each(|party| party.join())
    });
}

#[test]
fn a_reader_is_woken_by_the_end_of_its_peer() {
    everywhere(|parties| {
        let (near, mut far) = UnixStream::pair()?;
        let reader = parties.spawn(move || far.read(&mut [0]));
        drop(near);
        assert_eq!(reader.join()?, 0);

        let (near, far) = UnixStream::pair()?;
        let far = Arc::new(far);
        let its = far.clone();
        let reader = parties.spawn(move || (&*its).read(&mut [0]));
        far.shutdown(Shutdown::Both)?;
        assert_eq!(reader.join()?, 0);
        assert_eq!((&near).write(&[1]).unwrap_err().kind(), ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn stream_timeouts_end_a_wait() {
    everywhere(|_| {
        let (near, far) = UnixStream::pair()?;
        let short = Some(Duration::from_millis(1));
        assert_eq!((near.read_timeout()?, near.write_timeout()?), (None, None));
        near.set_read_timeout(short)?;
        near.set_write_timeout(short)?;
        assert_eq!((near.read_timeout()?, near.write_timeout()?), (short, short));
        assert_eq!(
            near.set_read_timeout(Some(Duration::ZERO)).unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert_eq!((&near).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let error = (&near).write_all(&vec![0; 10_000_000]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        (&far).write_all(b"late")?;
        assert_eq!((&near).read(&mut [0; 9])?, 4);
        Ok(())
    });
}

#[test]
fn a_clone_of_a_stream_is_the_same_connection() {
    everywhere(|parties| {
        let (near, far) = UnixStream::pair()?;
        let clone = near.try_clone()?;
        let writer = parties.spawn(move || (&clone).write_all(b"from the clone"));
        let mut text = [0; 14];
        (&far).read_exact(&mut text)?;
        assert_eq!(&text, b"from the clone");
        writer.join()?;
        drop(near);
        assert_eq!((&far).read(&mut text)?, 0, "no descriptor is left open");
        Ok(())
    });
}

#[test]
fn datagrams_know_their_sender() {
    everywhere(|parties| {
        let folder = Folder::new();
        let paths = [folder.path("one"), folder.path("two")];
        let [one, two] = [UnixDatagram::bind(&paths[0])?, UnixDatagram::bind(&paths[1])?];
        let received = parties.spawn(move || {
            let mut buffer = [0; 10];
            let (length, sender) = one.recv_from(&mut buffer)?;
            one.send_to_addr(b"back", &sender)?;
            Ok::<_, io::Error>((buffer[..length].to_vec(), sender))
        });
        assert_eq!(two.send_to(b"hello", &paths[0])?, 5);
        let (text, sender) = received.join()?;
        assert_eq!((&*text, sender.as_pathname()), (&b"hello"[..], Some(&*paths[1])));
        let mut buffer = [0; 10];
        assert_eq!(two.recv(&mut buffer)?, 4);

        let unbound = UnixDatagram::unbound()?;
        assert!(unbound.local_addr()?.is_unnamed());
        unbound.connect(&paths[1])?;
        assert_eq!(unbound.peer_addr()?.as_pathname(), Some(&*paths[1]));
        unbound.send(b"again")?;
        let (length, sender) = two.recv_from(&mut buffer)?;
        assert_eq!((length, sender.is_unnamed()), (5, true));
        Ok(())
    });
}

#[test]
fn datagrams_have_abstract_addresses() {
    everywhere(|_| {
        let address = abstract_address("datagrams");
        let (receiver, sender) = (UnixDatagram::bind_addr(&address)?, UnixDatagram::unbound()?);
        sender.send_to_addr(b"one", &address)?;
        sender.connect_addr(&address)?;
        sender.send(b"three")?;
        let mut buffer = [0; 4];
        assert_eq!(receiver.recv(&mut buffer)?, 3);
        assert_eq!(receiver.recv(&mut buffer)?, 4, "what does not fit is lost");
        assert!(sender.send(&vec![0; 10_000_000]).is_err());
        drop(receiver);
        let error = sender.send_to_addr(b"", &address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn a_sender_waits_while_the_queue_of_its_receiver_is_full() {
    const COUNT: u32 = 2_000;
    everywhere(|parties| {
        for is_connected in [true, false] {
            let address = abstract_address("full");
            let receiver = UnixDatagram::bind_addr(&address)?;
            let sender = UnixDatagram::unbound()?;
            if is_connected {
                sender.connect_addr(&address)?;
            }
            let send = move |number: u32| {
                let datagram = number.to_ne_bytes();
                match is_connected {
                    true => sender.send(&datagram),
                    false => sender.send_to_addr(&datagram, &address),
                }
            };
            let sending = parties.spawn(move || (0..COUNT).try_for_each(|n| send(n).map(drop)));
            for number in 0..COUNT {
                let mut datagram = [0; 4];
                receiver.recv(&mut datagram)?;
                assert_eq!(u32::from_ne_bytes(datagram), number);
            }
            sending.join()?;
        }
        Ok(())
    });
}

#[test]
fn a_sender_to_a_full_queue_gives_up_as_it_was_told() {
    everywhere(|_| {
        let address = abstract_address("time");
        let _receiver = UnixDatagram::bind_addr(&address)?;
        let sender = UnixDatagram::unbound()?;
        sender.set_nonblocking(true)?;
        let full = loop {
            if let Err(error) = sender.send_to_addr(b"one more", &address) {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
        sender.set_nonblocking(false)?;
        sender.set_write_timeout(Some(Duration::from_millis(2)))?;
        let start = Instant::now();
        let error = sender.send_to_addr(b"too much", &address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        assert!(start.elapsed() >= Duration::from_millis(2));
        sender.connect_addr(&address)?;
        assert_eq!(sender.send(b"too much").unwrap_err().kind(), ErrorKind::WouldBlock);
        Ok(())
    });
}

#[test]
fn closing_ends_the_waits_of_an_object() {
    everywhere(|parties| {
        let address = abstract_address("closing");
        let full = UnixDatagram::bind_addr(&address)?;
        let sender = Arc::new(UnixDatagram::unbound()?);
        let (its, address) = (sender.clone(), address.clone());
        let sending = parties.spawn(move || {
            loop {
                if let Err(error) = its.send_to_addr(b"more", &address) {
                    break error.kind();
                }
            }
        });
        let receiver = Arc::new(UnixDatagram::unbound()?);
        let its = receiver.clone();
        let receiving = parties.spawn(move || its.recv(&mut [0]).unwrap_err().kind());
        let (stream, _peer) = UnixStream::pair()?;
        let stream = Arc::new(stream);
        let its = stream.clone();
        let reading = parties.spawn(move || (&*its).read(&mut [0]).unwrap_err().kind());
        lisle::sleep(Duration::from_millis(1));
        sender.close();
        receiver.close();
        stream.close();
        for party in [sending, receiving, reading] {
            assert_eq!(party.join(), ErrorKind::ConnectionAborted);
        }
        assert_eq!((&*stream).write(&[1]).unwrap_err().kind(), ErrorKind::ConnectionAborted);
        drop(full);
        Ok(())
    });
}

#[test]
fn a_task_that_asks_again_and_again_is_unwound_at_the_end() {
    let address = abstract_address("cancel");
    let _receiver = UnixDatagram::bind_addr(&address).unwrap();
    let sender = Arc::new(UnixDatagram::unbound().unwrap());
    let sending = sender.clone();
    lisle::run(|| {
        lisle::spawn(move || while sending.send_to_addr(b"more", &address).is_ok() {});
        lisle::sleep(Duration::from_millis(1));
    });
    assert_eq!(Arc::strong_count(&sender), 1);
}

#[test]
fn a_pair_of_datagrams_is_connected() {
    everywhere(|parties| {
        let (near, far) = UnixDatagram::pair()?;
        let (clone, waits) = (near.try_clone()?, far.try_clone()?);
        let heard = parties.spawn(move || waits.recv(&mut [0; 9]));
        clone.send(b"hello")?;
        assert_eq!(heard.join()?, 5);
        far.set_read_timeout(Some(Duration::from_millis(1)))?;
        assert_eq!(far.recv(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        far.shutdown(Shutdown::Read)?;
        assert_eq!(near.send(b"no").unwrap_err().kind(), ErrorKind::BrokenPipe);
        Ok(())
    });
}

#[test]
fn objects_show_themselves_as_those_of_std_do() {
    let listener = UnixListener::bind_addr(&abstract_address("debug")).unwrap();
    let (stream, _other) = UnixStream::pair().unwrap();
    let datagram = UnixDatagram::unbound().unwrap();
    let shown = [format!("{listener:?}"), format!("{stream:?}"), format!("{datagram:?}")];
    let fds = [listener.as_raw_fd(), stream.as_raw_fd(), datagram.as_raw_fd()];
    let names = ["UnixListener", "UnixStream", "UnixDatagram"];
    for ((shown, fd), name) in shown.iter().zip(fds).zip(names) {
        assert!(shown.starts_with(&format!("{name} {{ fd: ")), "{shown}");
        assert!(shown.contains(&fd.to_string()), "{shown}");
    }
    let theirs = net::UnixDatagram::from(datagram);
    assert_eq!(shown[2], format!("{theirs:?}"));
}

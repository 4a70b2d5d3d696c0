//! What others have fallen into: each of these once lost bytes, stranded a reader, or span.

use std::io::{BufWriter, ErrorKind, Read, Write};
use std::net::{self, Shutdown};
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle::io::Io;
use lisle::net::{TcpListener, TcpStream, UnixStream};
use lisle::{Runtime, metrics, spawn, yield_now};
use socket2::SockRef;

use crate::support::{child, everywhere, in_child, take_all_descriptors};

/// A connection to a socket of std's, which acts when it is told to and never waits for tasks.
fn pair() -> (TcpStream, net::TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (listener.accept().unwrap().0, far)
}

fn on_one_worker(main: impl FnOnce()) {
    Runtime::builder().workers(1).run(main).unwrap();
}

#[test]
fn data_and_the_end_in_one_edge() {
    on_one_worker(|| {
        for length in 1..50 {
            let (mut near, mut far) = pair();
            let reader = spawn(move || {
                let mut buffer = [0; 30];
                let mut counts = Vec::new();
                while counts.last() != Some(&0) {
                    counts.push(near.read(&mut buffer).unwrap());
                }
                counts.iter().sum::<usize>()
            });
            yield_now(); // the reader waits, and its worker does not look before both have come
            far.write_all(&[1; 50][..length]).unwrap();
            drop(far);
            assert_eq!(reader.join().unwrap(), length);
        }
    });
}

/// A read ends at the mark of an urgent byte, although more is there.
#[test]
fn an_urgent_byte_splits_what_is_read() {
    on_one_worker(|| {
        for waits_first in [true, false] {
            let (mut near, mut far) = pair();
            let send = move || {
                far.write_all(b"ab").unwrap();
                SockRef::from(&far).send_out_of_band(b"!").unwrap();
                far.write_all(b"cd").unwrap();
                far
            };
            let read = move || {
                let mut text = [0; 4];
                let mut length = 0;
                while length < text.len() {
                    // A buffer that is larger than what comes.
                    let mut buffer = [0; 9];
                    let count = near.read(&mut buffer).unwrap();
                    text[length..length + count].copy_from_slice(&buffer[..count]);
                    length += count;
                }
                text
            };
            let text = if waits_first {
                let reader = spawn(read);
                yield_now();
                let _far = send();
                reader.join().unwrap()
            } else {
                let _far = send();
                spawn(read).join().unwrap()
            };
            assert_eq!(&text, b"abcd");
        }
    });
}

/// A plain thread that waits is not called back again and again by an urgent byte that it does not
/// read.
#[test]
fn an_urgent_byte_is_nothing_to_read() {
    let (near, far) = pair();
    SockRef::from(&far).send_out_of_band(b"!").unwrap();
    let near = Io::new(net::TcpStream::from(near)).unwrap();
    near.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    let mut attempts = 0;
    // A read would pass over the byte, and there would be nothing more to tell of.
    let read = near.read_with(|_| {
        attempts += 1;
        Err::<(), _>(ErrorKind::WouldBlock.into())
    });
    assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(attempts < 5, "{attempts} attempts");
}

#[test]
fn a_file_that_never_waits_is_refused() {
    everywhere(|_| {
        for path in ["/proc/self/exe", "/proc"] {
            let error = Io::new(std::fs::File::open(path)?).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("use blocking"), "{error}");
        }
        Ok(())
    });
}

/// A read of a Unix socket ends where descriptors come with the data.
#[test]
fn descriptors_split_what_is_read() {
    on_one_worker(|| {
        let (mut near, far) = UnixStream::pair().unwrap();
        let reader = spawn(move || {
            let (mut sum, mut buffer) = (0, [0; 9]);
            while sum < 6 {
                sum += near.read(&mut buffer).unwrap();
            }
            sum
        });
        yield_now();
        (&far).write_all(b"ab").unwrap();
        send_with_descriptor(&far, b"cd");
        (&far).write_all(b"ef").unwrap();
        assert_eq!(reader.join().unwrap(), 6);
    });
}

fn send_with_descriptor(stream: &UnixStream, bytes: &[u8]) {
    let mut slice =
        libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut room = [0_u64; 4];
    // SAFETY: the structures are filled in as the call wants them, and lie in locals that are large
    // enough.
    unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut slice;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut room).cast();
        message.msg_controllen = libc::CMSG_SPACE(4) as _;
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        (*header).cmsg_level = libc::SOL_SOCKET;
        (*header).cmsg_type = libc::SCM_RIGHTS;
        (*header).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(header).cast::<i32>().write_unaligned(stream.as_raw_fd());
        let sent = libc::sendmsg(stream.as_raw_fd(), &raw const message, 0);
        assert_eq!(sent, bytes.len() as isize);
    }
}

#[test]
fn two_readers_and_one_edge() {
    everywhere(|parties| {
        for _ in 0..20 {
            let (near, mut far) = pair();
            let near = Arc::new(near);
            let readers = [near.clone(), near].map(|near| {
                parties.spawn(move || {
                    let mut byte = [0];
                    (&*near).read_exact(&mut byte).map(|()| byte[0])
                })
            });
            (0..3).for_each(|_| yield_now()); // tasks wait by now
            far.write_all(&[1, 2])?;
            let [one, other] = readers.map(|reader| reader.join());
            assert_eq!(one? + other?, 3);
        }
        Ok(())
    });
}

/// The system goes on reporting a socket that was closed while another descriptor for it is open.
/// The next socket, which has the number and the memory of the first, hears nothing of that.
#[test]
fn a_descriptor_that_lives_on_elsewhere() {
    on_one_worker(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let connect = || net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        for _ in 0..50 {
            let mut far = connect();
            let near = listener.accept().unwrap().0;
            near.readable(Some(Instant::now())).unwrap_err(); // it is registered
            let copy = near.get_copy();
            let mut next_far = connect();
            drop(near);
            let next = Io::new(net::TcpStream::from(listener.accept().unwrap().0)).unwrap();
            let attempts = Arc::new(AtomicUsize::new(0));
            let its = attempts.clone();
            let reader = spawn(move || {
                next.read_with(|mut stream| {
                    its.fetch_add(1, Ordering::Relaxed);
                    let mut byte = [0];
                    stream.read_exact(&mut byte).map(|()| byte)
                })
            });
            // Meanwhile the worker waits in its poller.
            let look = || lisle::sleep(Duration::from_micros(100));
            look();
            far.write_all(b"b").unwrap();
            look();
            next_far.write_all(b"c").unwrap();
            assert_eq!(reader.join().unwrap().unwrap(), *b"c");
            assert!(attempts.load(Ordering::Relaxed) <= 2, "it was woken by the edge of another");
            drop(copy);
        }
    });
}

trait GetCopy {
    fn get_copy(&self) -> std::os::fd::OwnedFd;
}

impl GetCopy for TcpStream {
    fn get_copy(&self) -> std::os::fd::OwnedFd {
        std::os::fd::AsFd::as_fd(self).try_clone_to_owned().unwrap()
    }
}

/// What is known of a socket is forgotten with it: the next one has its number and its memory.
#[test]
fn numbers_are_used_again() {
    on_one_worker(|| {
        for round in 0..100_u8 {
            let (mut near, mut far) = pair();
            near.set_nonblocking(true).unwrap();
            near.read(&mut [0]).unwrap_err();
            near.set_nonblocking(false).unwrap();
            let reader = spawn(move || near.read(&mut [0; 2]).map(|count| (count, near)));
            yield_now();
            far.write_all(&[round]).unwrap();
            let (count, near) = reader.join().unwrap().unwrap();
            assert_eq!(count, 1);
            far.write_all(&[round]).unwrap(); // an edge that nobody waits for
            if round % 2 == 0 {
                near.close();
            }
            drop(near);
        }
    });
}

/// The peer's end is one edge for a writer that waits for room, and no reason to try for ever.
#[test]
fn a_writer_does_not_spin_when_its_peer_has_no_more_to_say() {
    on_one_worker(|| {
        let (near, far) = pair();
        let near = Io::new(net::TcpStream::from(near)).unwrap();
        let attempts = Arc::new(AtomicUsize::new(0));
        let its = attempts.clone();
        let writer = spawn(move || {
            loop {
                let written = near.write_with(|mut stream| {
                    its.fetch_add(1, Ordering::Relaxed);
                    stream.write(&[0; 100_000])
                });
                if let Err(error) = written {
                    return error.kind();
                }
            }
        });
        while metrics().unwrap().total().parked_tasks == 0 {
            yield_now();
        }
        far.shutdown(Shutdown::Write).unwrap();
        let look = || lisle::sleep(Duration::from_micros(100)); // the worker waits in its poller
        (0..10).for_each(|_| look());
        let before = attempts.load(Ordering::Relaxed);
        (0..30).for_each(|_| look());
        let more = attempts.load(Ordering::Relaxed) - before;
        assert!(more < 3, "{more} attempts");
        drop(far);
        let end = writer.join().unwrap();
        assert!(matches!(end, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{end}");
    });
}

/// The system reports the end again and again to a thread that waits for something else.
#[test]
fn a_plain_thread_does_not_spin_at_an_end_that_it_does_not_see() {
    let (reader, writer) = std::io::pipe().unwrap();
    let writer = Io::new(writer).unwrap();
    writer.set_nonblocking(true);
    while (&writer).write(&[0; 4096]).is_ok() {}
    writer.set_nonblocking(false);
    drop(reader);
    writer.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut attempts = 0;
    // As a full terminal whose other side is gone has it.
    let written = writer.write_with(|_| {
        attempts += 1;
        Err::<(), _>(ErrorKind::WouldBlock.into())
    });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!((2..50).contains(&attempts), "{attempts} attempts");
}

/// The system reports a socket that was not connected yet as hung up. What comes later is waited
/// for all the same.
#[test]
fn a_fresh_socket_seems_to_be_at_its_end() {
    everywhere(|_| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
        let fresh = Io::new(net::TcpStream::from(socket))?;
        fresh.readable(None)?;
        fresh.writable(None)?;
        let address = listener.local_addr()?.into();
        let begun = SockRef::from(&fresh).connect(&address);
        assert!(begun.is_ok() || begun.unwrap_err().raw_os_error() == Some(libc::EINPROGRESS));
        let (mut far, _) = listener.accept()?;
        fresh.set_read_timeout(Some(Duration::from_millis(1)))?;
        assert_eq!((&fresh).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        fresh.set_read_timeout(None)?;
        for bytes in [&b"a"[..], b"bc"] {
            far.write_all(bytes)?;
            assert_eq!((&fresh).read(&mut [0; 9])?, bytes.len());
        }
        Ok(())
    });
}

/// The process has no descriptors left. That comes back from `accept`, as std has it, and nothing
/// is wrong with the listener.
#[test]
fn a_connection_for_which_there_is_no_descriptor() {
    in_child("traps::a_connection_for_which_there_is_no_descriptor", || {
        on_one_worker(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut taken = take_all_descriptors();
            taken.pop(); // for the client
            let far = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            for _ in 0..2 {
                let error = listener.accept().map(drop).unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            }
            // A worker that has no poller yet cannot wait either.
            let mut near = net::TcpStream::connect(listener.local_addr().unwrap()).map(drop);
            assert_eq!(near.unwrap_err().raw_os_error(), Some(libc::EMFILE));
            taken.pop();
            near = listener.accept().map(drop);
            assert!(near.is_ok());
            taken.push(std::fs::File::open("/dev/null").unwrap().into());
            let error = listener.accept().map(drop).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            drop(taken);
            let soon = Some(Instant::now() + Duration::from_millis(1));
            assert_eq!(listener.readable(soon).unwrap_err().kind(), ErrorKind::TimedOut);
            drop(far);
        });
    });
}

#[test]
fn an_operation_that_was_interrupted_is_tried_again() {
    everywhere(|_| {
        let near = Io::new(pair().0)?;
        let mut results = [Err(ErrorKind::Interrupted), Err(ErrorKind::Interrupted), Ok(7)].iter();
        let result = near.read_with(|_| results.next().unwrap().map_err(std::io::Error::from));
        assert_eq!(result?, 7);
        Ok(())
    });
}

#[test]
fn an_operation_that_never_agrees_with_the_system_gives_up_in_time() {
    everywhere(|_| {
        let (near, _far) = pair();
        let near = Io::new(near)?;
        near.set_write_timeout(Some(Duration::from_millis(2)))?;
        let error = near.write_with(|_| Err::<(), _>(ErrorKind::WouldBlock.into())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        Ok(())
    });
}

/// One socket is used in one runtime after the other, on a thread, and in two runtimes at once.
#[test]
fn a_socket_belongs_to_no_runtime() {
    let (near, mut far) = pair();
    let near = Arc::new(near);
    let read = |near: &TcpStream| {
        let (mut near, mut byte) = (near, [0]);
        near.read_exact(&mut byte).unwrap();
        byte[0]
    };
    for round in 0..3 {
        on_one_worker(|| {
            let reader = spawn({
                let near = near.clone();
                move || read(&near)
            });
            yield_now();
            far.write_all(&[round]).unwrap();
            assert_eq!(reader.join().unwrap(), round);
        });
        far.write_all(&[round]).unwrap();
        assert_eq!(read(&near), round);
    }
    let runtimes = [(); 2].map(|()| Runtime::builder().workers(1).start().unwrap());
    for round in 0..100_u8 {
        let readers = runtimes.each_ref().map(|runtime| {
            let near = near.clone();
            runtime.spawn(move || read(&near))
        });
        far.write_all(&[round, round]).unwrap();
        assert_eq!(readers.map(|reader| reader.join().unwrap()), [round, round]);
    }
}

/// A socket is read by a task of one worker and written by one of another.
#[test]
fn each_direction_has_a_worker_of_its_own() {
    const BYTES: usize = 2 << 20;
    let (near, mut far) = pair();
    let near = Arc::new(near);
    let runtimes = [(); 2].map(|()| Runtime::builder().workers(1).start().unwrap());
    let writer = runtimes[0].spawn({
        let near = near.clone();
        move || (&*near).write_all(&vec![1; BYTES]).unwrap()
    });
    let reader = runtimes[1].spawn(move || {
        let (mut count, mut buffer) = (0, vec![0; 10_000]);
        while count < BYTES {
            count += (&*near).read(&mut buffer).unwrap();
        }
    });
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; 10_000];
        loop {
            match far.read(&mut buffer).unwrap() {
                0 => return,
                count => far.write_all(&buffer[..count]).unwrap(),
            }
        }
    });
    writer.join().unwrap();
    reader.join().unwrap();
    echo.join().unwrap();
}

/// The destructor of a task that is cancelled writes to a peer that never reads: it fails instead
/// of waiting.
#[test]
fn a_flush_to_a_peer_that_never_reads_does_not_hold_up_the_end() {
    on_one_worker(|| {
        let (near, far) = pair();
        near.set_nonblocking(true).unwrap();
        while (&near).write(&[0; 100_000]).is_ok() {}
        near.set_nonblocking(false).unwrap();
        drop(spawn(move || {
            let mut out = BufWriter::with_capacity(1000, &near);
            out.write_all(&[0; 500]).unwrap();
            (&near).read_exact(&mut [0]).unwrap();
            unreachable!("nobody writes, and `out` is flushed when this unwinds");
        }));
        yield_now();
        // The end of main: the task is cancelled, and `far` is there until it has ended.
        std::mem::forget(far);
    });
}

/// One that can always go on lets the others have their turns.
#[test]
fn a_flood_on_one_socket_starves_nobody() {
    on_one_worker(|| {
        let (mut near, mut far) = pair();
        far.write_all(&[0; 10_000]).unwrap();
        let turns = Arc::new(AtomicUsize::new(0));
        let other = turns.clone();
        drop(spawn(move || {
            loop {
                other.fetch_add(1, Ordering::Relaxed);
                yield_now();
            }
        }));
        for round in 0..10 {
            let before = turns.load(Ordering::Relaxed);
            assert!(before >= round, "{before} turns after {round} times 65 reads");
            (0..65).for_each(|_| near.read_exact(&mut [0]).unwrap());
        }
    });
}

/// The end of a process is the end of its connections.
#[test]
fn peers_that_are_killed() {
    // A shell is a peer that needs no program of ours.
    if !Command::new("bash").arg("-c").arg("true").status().is_ok_and(|status| status.success()) {
        return;
    }
    on_one_worker(|| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo here >&3; read -r line <&3");
        let mut peers: Vec<_> = (0..3)
            .map(|_| {
                let mut bash = Command::new("bash");
                bash.args(["-c", &connect]).stdin(Stdio::null()).stderr(Stdio::null());
                bash.spawn().unwrap()
            })
            .collect();
        let streams: Vec<_> = peers.iter().map(|_| listener.accept().unwrap().0).collect();
        let readers: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                stream.read_exact(&mut [0; 5]).unwrap();
                spawn(move || stream.read(&mut [0]).map_err(|error| error.kind()))
            })
            .collect();
        yield_now();
        peers.iter_mut().for_each(|peer| peer.kill().unwrap());
        for reader in readers {
            let end = reader.join().unwrap();
            assert!(matches!(end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{end:?}");
        }
        peers.iter_mut().for_each(|peer| drop(peer.wait()));
    });
}

/// The clients are in a process of their own, so that each has 10,000 descriptors.
#[test]
fn many_connections() {
    const ADDRESS: &str = "LISLE_TEST_ADDRESS";
    let connections = most_connections().min(descriptors().saturating_sub(200));
    let name = "traps::many_connections";
    if let Ok(address) = std::env::var(ADDRESS) {
        return in_child(name, || {
            Runtime::builder().workers(1).run(|| be_clients(&address, connections)).unwrap();
        });
    }
    Runtime::builder()
        .workers(2)
        .run(|| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let mut clients = lisle::process::Command::from(child(name));
            clients.env(ADDRESS, address).stdout(Stdio::piped()).stderr(Stdio::piped());
            let clients = clients.kill_on_drop(true).spawn().unwrap();
            for stream in listener.incoming().take(connections) {
                let mut stream = stream.unwrap();
                drop(spawn(move || {
                    let mut byte = [0];
                    while stream.read(&mut byte).unwrap() == 1 {
                        stream.write_all(&byte).unwrap();
                    }
                }));
            }
            let output = clients.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        })
        .unwrap();
}

fn be_clients(address: &str, connections: usize) {
    let mut streams: Vec<_> =
        (0..connections).map(|_| TcpStream::connect(address).unwrap()).collect();
    for round in 0..2 {
        streams.iter_mut().for_each(|stream| stream.write_all(&[round]).unwrap());
        for stream in &mut streams {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            assert_eq!(byte, [round]);
        }
    }
}

/// Fewer where each takes long.
fn most_connections() -> usize {
    let is_slow =
        cfg!(lisle_sanitize = "address") || std::env::var_os("LISLE_TEST_RUNNER").is_some();
    match is_slow {
        true => 200,
        false if cfg!(debug_assertions) => 2_000,
        false => 10_000,
    }
}

/// How many descriptors the process may have, once it has asked for all that it can get.
fn descriptors() -> usize {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is written by the first call and read by the second.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
    }
    limit.rlim_cur as usize
}

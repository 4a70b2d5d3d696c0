//! The clients of `echo`, in a process of their own: the same for all servers.
//!
//! `load PORT CONNECTIONS REQUESTS` sends 64 bytes on each connection, and again whenever they have
//! come back, until there were that many answers on all connections together. A tenth of them come
//! before that, to warm up. It prints the nanoseconds an answer.
//!
//! One thread asks epoll, level-triggered, which connections have an answer. That is the cheapest
//! client there is, so that the server is what is measured.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Instant;

const MESSAGE: [u8; 64] = [b'x'; 64];

fn main() -> io::Result<()> {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .map(|arg| arg.parse().expect("usage: load PORT CONNECTIONS REQUESTS"))
        .collect();
    let [port, connections, requests] =
        numbers[..].try_into().expect("usage: load PORT CONNECTIONS REQUESTS");
    raise_limit();
    let mut clients = Clients::connect(port as u16, connections as usize)?;
    clients.answers(requests / 10)?;
    let start = Instant::now();
    clients.answers(requests)?;
    println!("{:.3}", start.elapsed().as_nanos() as f64 / requests as f64);
    Ok(())
}

struct Clients {
    epoll: OwnedFd,
    streams: Vec<Client>,
    events: Vec<libc::epoll_event>,
}

struct Client {
    stream: TcpStream,
    /// How much of the answer is there.
    received: usize,
}

impl Clients {
    /// Each has sent its first message.
    fn connect(port: u16, count: usize) -> io::Result<Self> {
        // SAFETY: the call makes a descriptor, which nobody else owns, or fails, which `checked`
        // sees.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(0))?) };
        let mut streams = Vec::new();
        for index in 0..count {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            let (epoll, fd) = (epoll.as_raw_fd(), stream.as_raw_fd());
            // SAFETY: the event is read during the call.
            checked(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
            stream.write_all(&MESSAGE)?;
            streams.push(Client { stream, received: 0 });
        }
        Ok(Self { epoll, streams, events: vec![libc::epoll_event { events: 0, u64: 0 }; 512] })
    }

    /// Waits for this many answers, and asks again after each.
    fn answers(&mut self, count: u64) -> io::Result<()> {
        let mut answers = 0;
        while answers < count {
            let (epoll, room) = (self.epoll.as_raw_fd(), self.events.len() as i32);
            // SAFETY: the buffer has that much room.
            let ready =
                checked(unsafe { libc::epoll_wait(epoll, self.events.as_mut_ptr(), room, -1) })?;
            for event in &self.events[..ready as usize] {
                answers += u64::from(self.streams[event.u64 as usize].receive()?);
            }
        }
        Ok(())
    }
}

impl Client {
    /// Whether the answer is complete, and the next message sent.
    fn receive(&mut self) -> io::Result<bool> {
        let mut buffer = [0; MESSAGE.len()];
        let count = self.stream.read(&mut buffer[self.received..])?;
        assert!(count > 0, "the server has hung up");
        self.received += count;
        let is_complete = self.received == MESSAGE.len();
        if is_complete {
            self.received = 0;
            self.stream.write_all(&MESSAGE)?;
        }
        Ok(is_complete)
    }
}

fn checked(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Has the process have as many descriptors as it may. What this cannot do shows later.
fn raise_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is written by the first call and read by the second.
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}

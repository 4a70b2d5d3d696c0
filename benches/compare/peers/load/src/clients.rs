//! Connections, and what is under way on each.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const MESSAGE: [u8; 64] = [b'x'; 64];

pub struct Clients {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    events: Vec<libc::epoll_event>,
}

struct Connection {
    stream: TcpStream,
    /// How much of the next answer is there.
    received: usize,
    /// What each message that is under way is known by, the oldest first.
    sent: VecDeque<u64>,
}

impl Clients {
    pub fn connect(port: u16, count: usize) -> io::Result<Self> {
        raise_limit();
        // SAFETY: the call makes a descriptor, which nobody else owns, or fails, which `checked`
        // sees.
        let epoll = unsafe { OwnedFd::from_raw_fd(checked(libc::epoll_create1(0))?) };
        let mut connections = Vec::new();
        for index in 0..count {
            let stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_nodelay(true)?;
            let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: index as u64 };
            let (epoll, fd) = (epoll.as_raw_fd(), stream.as_raw_fd());
            // SAFETY: the event is read during the call.
            checked(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
            connections.push(Connection { stream, received: 0, sent: VecDeque::new() });
        }
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; 512];
        Ok(Self { epoll, connections, events })
    }

    pub fn count(&self) -> usize {
        self.connections.len()
    }

    /// Waits for this many answers, and keeps one message under way on each connection.
    pub fn answers(&mut self, count: u64) -> io::Result<()> {
        for connection in &mut self.connections {
            if connection.sent.is_empty() {
                connection.send(0)?;
            }
        }
        let mut answers = 0;
        while answers < count {
            self.receive(Wait::Endless, |connection, _| {
                answers += 1;
                connection.send(0)
            })?;
        }
        Ok(())
    }

    /// Waits for all that is under way.
    pub fn fall_silent(&mut self) -> io::Result<()> {
        let mut left: usize = self.connections.iter().map(|one| one.sent.len()).sum();
        while left > 0 {
            self.receive(Wait::Endless, |_, _| {
                left -= 1;
                Ok(())
            })?;
        }
        Ok(())
    }

    pub fn send(&mut self, connection: usize, known_by: u64) -> io::Result<()> {
        self.connections[connection].send(known_by)
    }

    /// Takes the answers that are there without waiting, and says which they are.
    pub fn poll(&mut self, mut answered: impl FnMut(u64)) -> io::Result<()> {
        self.receive(Wait::None, |_, known_by| {
            answered(known_by);
            Ok(())
        })
    }

    fn receive(
        &mut self,
        wait: Wait,
        mut answered: impl FnMut(&mut Connection, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let (epoll, room) = (self.epoll.as_raw_fd(), self.events.len() as i32);
        let events = self.events.as_mut_ptr();
        // SAFETY: the buffer has that much room.
        let ready = checked(unsafe { libc::epoll_wait(epoll, events, room, wait as i32) })?;
        for event in &self.events[..ready as usize] {
            self.connections[event.u64 as usize].receive(&mut answered)?;
        }
        Ok(())
    }
}

/// How long epoll waits.
#[derive(Clone, Copy)]
enum Wait {
    Endless = -1,
    None = 0,
}

impl Connection {
    fn send(&mut self, known_by: u64) -> io::Result<()> {
        self.sent.push_back(known_by);
        self.stream.write_all(&MESSAGE)
    }

    /// Takes what is there, and has `answered` hear of each answer that is complete.
    fn receive(
        &mut self,
        mut answered: impl FnMut(&mut Self, u64) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut buffer = [0; 16 * MESSAGE.len()];
        let count = self.stream.read(&mut buffer)?;
        assert!(count > 0, "the server has hung up");
        self.received += count;
        while self.received >= MESSAGE.len() {
            self.received -= MESSAGE.len();
            let known_by = self.sent.pop_front().expect("answers are to messages");
            answered(self, known_by)?;
        }
        Ok(())
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

//! Random cancellations and time-outs of those that read from one socket and send on by a channel:
//! nothing is lost or comes twice, nobody is forgotten, and no descriptor is left open.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lisle::Runtime;
use lisle::channel::{Sender, bounded};
use lisle::net::{TcpListener, TcpStream, UnixDatagram};
use lisle::task::JoinHandle;

use crate::support::in_child;

/// Each number is sent once.
const NUMBERS: u32 = 3_000;
const READERS: usize = 4;
const CANCELS: usize = 150;

/// Numbers that only look random.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn soon(&mut self) -> Duration {
        Duration::from_micros(self.below(300))
    }
}

/// What is read from.
trait Input: Send + Sync + 'static {
    /// Reads some numbers.
    fn take(&self) -> io::Result<Vec<u32>>;
    fn readable(&self, deadline: Option<Instant>) -> io::Result<()>;
    fn close(&self);
}

impl Input for UnixDatagram {
    fn take(&self) -> io::Result<Vec<u32>> {
        let mut number = [0; 4];
        self.recv(&mut number).map(|_| vec![u32::from_ne_bytes(number)])
    }

    fn readable(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.readable(deadline)
    }

    fn close(&self) {
        self.close();
    }
}

/// The numbers are bytes, and come many times.
impl Input for TcpStream {
    fn take(&self) -> io::Result<Vec<u32>> {
        let (mut stream, mut bytes) = (self, [0; 7]);
        match stream.read(&mut bytes)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            count => Ok(bytes[..count].iter().map(|&byte| u32::from(byte)).collect()),
        }
    }

    fn readable(&self, deadline: Option<Instant>) -> io::Result<()> {
        self.readable(deadline)
    }

    fn close(&self) {
        self.close();
    }
}

/// A number on its way. If its reader ends before it is sent on, it goes to those that are kept.
struct Held<'a> {
    number: Option<u32>,
    kept: &'a Mutex<Vec<u32>>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.kept.lock().unwrap().extend(self.number);
    }
}

/// Reads until the socket is closed.
fn read(input: &impl Input, send: &Sender<u32>, kept: &Mutex<Vec<u32>>, seed: u64) {
    let mut random = Random(seed);
    loop {
        let taken = match random.below(4) {
            0 => match lisle::timeout(random.soon(), || input.take()) {
                Ok(taken) => taken,
                Err(_elapsed) => continue,
            },
            1 => {
                let _ = input.readable(Some(Instant::now() + random.soon()));
                input.take()
            }
            _ => input.take(),
        };
        let numbers = match taken {
            Ok(numbers) => numbers,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => return,
            Err(error) => panic!("{error}"),
        };
        let held: Vec<_> =
            numbers.into_iter().map(|number| Held { number: Some(number), kept }).collect();
        for mut held in held {
            let number = held.number.unwrap();
            let is_sent = match random.below(3) {
                0 => send.send_timeout(number, random.soon()).is_ok(),
                _ => send.send(number).is_ok(),
            };
            if is_sent {
                held.number = None;
            }
        }
    }
}

/// Everything that was read, sorted, after `write` has ended and `total` numbers have come.
fn disturb<I: Input>(
    input: I,
    write: impl FnOnce() -> io::Result<()> + Send + 'static,
    total: usize,
    workers: usize,
) -> Vec<u32> {
    let run = || {
        let (input, kept) = (Arc::new(input), Arc::new(Mutex::new(Vec::new())));
        let (send, receive) = bounded(2);
        let mut seeds = 1..;
        let its = (input.clone(), send, kept.clone());
        let mut reader = move || {
            let (input, send, kept) = its.clone();
            let seed = seeds.next().unwrap() * 0x9e37_79b9;
            move || read(&*input, &send, &kept, seed)
        };
        let mut tasks: Vec<_> = (0..READERS).map(|_| lisle::spawn(reader())).collect();
        let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(reader())).collect();
        let writer = lisle::spawn(write);
        let mut random = Random(42);
        let (mut received, mut cancels) = (Vec::new(), 0);
        while received.len() + kept.lock().unwrap().len() < total {
            received.extend(receive.recv_timeout(random.soon()));
            if cancels < CANCELS && random.below(10) == 0 {
                cancels += 1;
                let place = random.below(READERS as u64) as usize;
                let old: JoinHandle<()> =
                    std::mem::replace(&mut tasks[place], lisle::spawn(reader()));
                old.cancel();
                // Some are awaited, and some end when they will.
                if random.below(2) == 0 {
                    assert!(old.join().is_err());
                }
            }
        }
        input.close();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        drop(reader);
        received.extend(receive.iter());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        writer.join().unwrap().unwrap();
        received.append(&mut kept.lock().unwrap());
        received.sort_unstable();
        received
    };
    Runtime::builder().workers(workers).run(run).unwrap()
}

/// What the descriptors of the process are for.
fn open_descriptors() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

#[test]
fn readers_that_are_cancelled_lose_nothing() {
    in_child("stress::readers_that_are_cancelled_lose_nothing", || {
        drop(connection()); // for which this thread gets what it keeps
        let before = open_descriptors();
        for workers in [1, 2, 4] {
            let (near, far) = UnixDatagram::pair().unwrap();
            let write = move || {
                (0..NUMBERS).try_for_each(|number| far.send(&number.to_ne_bytes()).map(drop))
            };
            let all = disturb(near, write, NUMBERS as usize, workers);
            assert!(all.into_iter().eq(0..NUMBERS), "{workers} workers");

            let (near, far) = connection();
            let far = Arc::new(far);
            let its = far.clone(); // open until the end, of which no reader is to hear
            let mut bytes: Vec<_> = (0..NUMBERS).map(|number| (number * 7) as u8).collect();
            let sent = bytes.clone();
            let write = move || {
                for (round, chunk) in sent.chunks(11).enumerate() {
                    (&*its).write_all(chunk)?;
                    if round % 3 == 0 {
                        lisle::yield_now();
                    }
                }
                Ok(())
            };
            let all = disturb(near, write, bytes.len(), workers);
            drop(far);
            bytes.sort_unstable();
            assert!(all.into_iter().eq(bytes.into_iter().map(u32::from)), "{workers} workers");
        }
        assert_eq!(open_descriptors(), before);
    });
}

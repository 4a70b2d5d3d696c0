//! Connections whose readers and writers are on one worker after the other, at both ends.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use lisle::channel::{Receiver, Sender, bounded, unbounded};
use lisle::net::{TcpListener, TcpStream, UnixStream};
use lisle::{Runtime, metrics, spawn, spawn_local, yield_now};
use socket2::SockRef;

type Job = Box<dyn FnOnce() + Send>;

/// A stream that many share.
trait Shared: Send + Sync + 'static {
    fn read(&self, buffer: &mut [u8]) -> io::Result<usize>;
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn end(&self);
}

macro_rules! shared {
    ($($stream:ty)*) => {$(
        impl Shared for $stream {
            fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
                Read::read(&mut &*self, buffer)
            }

            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                Write::write(&mut &*self, bytes)
            }

            fn end(&self) {
                self.shutdown(std::net::Shutdown::Write).unwrap();
            }
        }
    )*};
}

shared!(TcpStream UnixStream);

type Ends = [Arc<dyn Shared>; 2];

/// Of TCP, and of a pair that holds little, so that writers wait, too.
fn connections() -> [Ends; 2] {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    for stream in [&near, &far] {
        stream.set_nodelay(true).unwrap();
    }
    let (left, right) = UnixStream::pair().unwrap();
    for stream in [&left, &right] {
        SockRef::from(stream).set_send_buffer_size(4_096).unwrap();
    }
    [[Arc::new(near), Arc::new(far)], [Arc::new(left), Arc::new(right)]]
}

/// A task on each worker. It makes tasks there of what it is given.
struct Residents(Vec<Sender<Job>>);

impl Residents {
    fn new(workers: usize) -> Self {
        let barrier = Arc::new(Barrier::new(workers));
        let resident = |_| {
            let (give, jobs): (_, Receiver<Job>) = unbounded();
            let barrier = barrier.clone();
            spawn(move || {
                // It blocks its worker until each has such a task.
                barrier.wait();
                jobs.iter().for_each(|job| drop(spawn_local(job)));
            });
            give
        };
        Self((0..workers).map(resident).collect())
    }

    /// Runs a task on a worker, and that one's other tasks until they wait.
    fn run<T: Send + 'static>(&self, at: usize, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (give, result) = bounded(1);
        self.start(at, move || {
            let result = job();
            give.send(result).unwrap();
        });
        result.recv().unwrap()
    }

    fn start(&self, at: usize, job: impl FnOnce() + Send + 'static) {
        self.0[at % self.0.len()].send(Box::new(job)).unwrap();
    }
}

/// A reader waits at each end, on one worker three times in a row and then on the next one. Every
/// fourth time one of the next worker waits beside it.
#[test]
fn a_source_follows_readers_at_both_ends_from_worker_to_worker() {
    const ROUNDS: usize = 60;
    for workers in [1, 2, 4] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                let residents = Residents::new(workers);
                for ends in connections() {
                    let reports =
                        || metrics().unwrap().workers().iter().map(|w| w.io_reports).collect();
                    let before: Vec<u64> = reports();
                    for round in 0..ROUNDS {
                        let (home, next) = (round / 4, round / 4 + 1);
                        let places = if round % 4 == 3 { vec![home, next] } else { vec![home] };
                        let (give, bytes) = unbounded();
                        for &place in &places {
                            let (ends, give) = (ends.clone(), give.clone());
                            residents.run(place, move || {
                                for (end, stream) in ends.into_iter().enumerate() {
                                    let give = give.clone();
                                    spawn_local(move || {
                                        let mut byte = [0];
                                        assert_eq!(stream.read(&mut byte).unwrap(), 1);
                                        give.send((end, byte[0])).unwrap();
                                    });
                                }
                                yield_now(); // both wait
                            });
                        }
                        for place in 0..places.len() {
                            let (ends, byte) = (ends.clone(), (2 * round + place) as u8);
                            residents.run(round + place, move || {
                                ends.iter()
                                    .for_each(|end| assert_eq!(end.write(&[byte]).unwrap(), 1));
                            });
                        }
                        drop(give);
                        let mut bytes: Vec<_> = bytes.iter().collect();
                        bytes.sort_unstable();
                        let sent =
                            |end| (0..places.len()).map(move |n| (end, (2 * round + n) as u8));
                        assert_eq!(bytes, sent(0).chain(sent(1)).collect::<Vec<_>>());
                    }
                    // The residents have had a turn since the last report of each.
                    (0..workers).for_each(|worker| residents.run(worker, || ()));
                    let heard: Vec<u64> = reports();
                    for worker in 0..workers {
                        assert!(heard[worker] > before[worker], "{before:?}, {heard:?}");
                    }
                }
            })
            .unwrap();
    }
}

/// What all tasks of one direction share.
struct Stream {
    from: Arc<dyn Shared>,
    to: Arc<dyn Shared>,
    /// What is still to be written, and by how many writers.
    left: AtomicUsize,
    writers: AtomicUsize,
    sent: [AtomicU64; 2],
    received: [AtomicU64; 2],
    done: Sender<()>,
}

const CHUNK: usize = 3_000;

impl Stream {
    fn add(counts: &[AtomicU64; 2], bytes: &[u8]) {
        counts[0].fetch_add(bytes.len() as u64, Ordering::Relaxed);
        counts[1].fetch_add(bytes.iter().copied().map(u64::from).sum(), Ordering::Relaxed);
    }

    /// Writes once, and goes on with another task on another worker.
    fn write(self: Arc<Self>, residents: Arc<Residents>, hop: usize) {
        let take = |left: usize| left.checked_sub(1);
        if self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            if self.writers.fetch_sub(1, Ordering::AcqRel) == 1 {
                self.from.end();
            }
            return;
        }
        let bytes: Vec<_> = (0..CHUNK).map(|n| (n * hop) as u8).collect();
        let count = self.from.write(&bytes).unwrap();
        Self::add(&self.sent, &bytes[..count]);
        let others = residents.clone();
        residents.start(hop / 3, move || self.write(others, hop + 1));
    }

    fn read(self: Arc<Self>, residents: Arc<Residents>, hop: usize) {
        let mut bytes = [0; CHUNK];
        let count = self.to.read(&mut bytes).unwrap();
        if count == 0 {
            return self.done.send(()).unwrap();
        }
        Self::add(&self.received, &bytes[..count]);
        let others = residents.clone();
        residents.start(hop / 3, move || self.read(others, hop + 1));
    }
}

/// In both directions, two writers and two readers that move on after each operation.
#[test]
fn nothing_is_lost_while_readers_and_writers_of_both_ends_move() {
    const WRITES: usize = 400;
    for workers in [1, 2, 4] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                let residents = Arc::new(Residents::new(workers));
                for [near, far] in connections() {
                    let (done, readers) = unbounded();
                    let stream = |from: &Arc<dyn Shared>, to: &Arc<dyn Shared>| {
                        Arc::new(Stream {
                            from: from.clone(),
                            to: to.clone(),
                            left: AtomicUsize::new(WRITES),
                            writers: AtomicUsize::new(2),
                            sent: Default::default(),
                            received: Default::default(),
                            done: done.clone(),
                        })
                    };
                    let streams = [stream(&near, &far), stream(&far, &near)];
                    for (start, stream) in streams.iter().enumerate() {
                        for hop in [start, start + 4] {
                            let (writing, reading) = (stream.clone(), stream.clone());
                            let (others, more) = (residents.clone(), residents.clone());
                            residents.start(hop, move || writing.write(others, hop));
                            residents.start(hop + 1, move || reading.read(more, hop));
                        }
                    }
                    assert_eq!(readers.iter().take(4).count(), 4);
                    for stream in streams {
                        let figures = |counts: &[AtomicU64; 2]| {
                            counts.each_ref().map(|n| n.load(Ordering::Acquire))
                        };
                        assert_eq!(figures(&stream.sent), figures(&stream.received));
                    }
                }
            })
            .unwrap();
    }
}

//! Descriptors that wake tasks.
#![cfg(not(lisle_loom))]

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::Reason;
use lisle_scheduler::{ForeignThreads, Runtime, RuntimeBuilder, metrics, sleep, spawn, yield_now};

const READING: Reason = Reason::new("reading from a test's socket");
const WRITING: Reason = Reason::new("writing to a test's socket");

fn pair() -> (Source<UnixStream>, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (Source::new(ours), theirs)
}

fn sources() -> (Source<UnixStream>, Source<UnixStream>) {
    let (ours, theirs) = pair();
    theirs.set_nonblocking(true).unwrap();
    (ours, Source::new(theirs))
}

fn read_by(source: &Source<UnixStream>, deadline: Option<Instant>) -> io::Result<Option<u8>> {
    let patience = || deadline.map_or(Patience::Endless, Patience::Until);
    let mut byte = [0];
    let count =
        source.attempt(Direction::Read, READING, patience, |mut stream| stream.read(&mut byte))?;
    Ok((count == 1).then_some(byte[0]))
}

fn read(source: &Source<UnixStream>) -> Option<u8> {
    read_by(source, None).unwrap()
}

fn write(source: &Source<UnixStream>, bytes: &[u8]) -> usize {
    source
        .attempt(Direction::Write, WRITING, || Patience::Endless, |mut stream| stream.write(bytes))
        .unwrap()
}

fn workers(count: usize) -> RuntimeBuilder {
    Runtime::builder().workers(count)
}

fn on(builder: RuntimeBuilder, main: impl FnOnce()) {
    builder.run(main).unwrap();
}

#[test]
fn two_readers_and_one_edge() {
    let (source, mut theirs) = pair();
    on(workers(1), || {
        let source = Arc::new(source);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let source = source.clone();
                spawn(move || read(&source).unwrap())
            })
            .collect();
        yield_now();
        let total = || metrics().unwrap().total();
        assert_eq!((total().io_waits, total().io_reports), (2, 0));
        theirs.write_all(&[1, 2]).unwrap();
        let bytes: Vec<_> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        assert_eq!(bytes, [1, 2], "first come, first served");
        let total = total();
        assert_eq!(total.io_waits, 0);
        assert!(total.io_reports >= 1 && total.io_looks >= 1, "{total:?}");
    });
}

#[test]
fn all_waiters_hear_of_the_end() {
    let (source, theirs) = pair();
    on(workers(1), || {
        let source = Arc::new(source);
        let readers: Vec<_> = (0..5)
            .map(|_| {
                let source = source.clone();
                spawn(move || read(&source))
            })
            .collect();
        yield_now();
        drop(theirs);
        readers.into_iter().for_each(|reader| assert_eq!(reader.join().unwrap(), None));
    });
}

#[test]
fn data_and_the_end_in_one_edge() {
    let (source, mut theirs) = pair();
    on(workers(1), || {
        let reader = spawn(move || {
            let first = read(&source);
            (first, read(&source))
        });
        yield_now();
        theirs.write_all(&[7]).unwrap();
        drop(theirs);
        assert_eq!(reader.join().unwrap(), (Some(7), None));
    });
}

#[test]
fn a_deadline_ends_the_wait_and_leaves_the_data_to_others() {
    let (source, mut theirs) = pair();
    on(workers(1), || {
        for timeout in [Duration::ZERO, Duration::from_micros(300)] {
            let deadline = Instant::now() + timeout;
            let error = read_by(&source, Some(deadline)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert!(Instant::now() >= deadline);
        }
        theirs.write_all(&[1]).unwrap();
        let passed = Instant::now();
        assert_eq!(read_by(&source, Some(passed)).unwrap(), Some(1), "what is there is had");
    });
}

#[test]
fn both_directions_wait_at_once() {
    let (ours, theirs) = sources();
    on(workers(2), || {
        let (ours, theirs) = (Arc::new(ours), Arc::new(theirs));
        const BYTES: usize = 4 << 20;
        let writer = |source: Arc<Source<UnixStream>>| {
            spawn(move || {
                let (mut left, chunk) = (BYTES, [1; 65_536]);
                while left > 0 {
                    left -= write(&source, &chunk[..left.min(chunk.len())]);
                }
            })
        };
        let reader = |source: Arc<Source<UnixStream>>| {
            spawn(move || {
                let (mut left, mut chunk) = (BYTES, [0; 65_536]);
                while left > 0 {
                    left -= source
                        .attempt(
                            Direction::Read,
                            READING,
                            || Patience::Endless,
                            |mut s| s.read(&mut chunk),
                        )
                        .unwrap();
                }
            })
        };
        let tasks = [
            writer(ours.clone()),
            reader(ours.clone()),
            writer(theirs.clone()),
            reader(theirs.clone()),
        ];
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
}

#[test]
fn a_source_outlives_its_runtime() {
    let (source, mut theirs) = pair();
    for byte in 0..3 {
        on(workers(1), || {
            let soon = Instant::now() + Duration::from_micros(100);
            assert!(read_by(&source, Some(soon)).is_err(), "it is registered here now");
            theirs.write_all(&[byte]).unwrap();
            assert_eq!(read(&source), Some(byte));
        });
    }
}

/// A task of one runtime waits for what is registered with the worker of another, which ends.
#[test]
fn an_owner_that_ends_leaves_no_waiter_behind() {
    let (source, mut theirs) = pair();
    let source = Arc::new(source);
    let other = Runtime::builder().workers(1).start().unwrap();
    let waits = Arc::new(AtomicBool::new(false));
    let mut task = None;
    on(workers(1), || {
        let soon = Instant::now() + Duration::from_micros(100);
        assert!(read_by(&source, Some(soon)).is_err(), "it is registered here now");
        task = Some(other.spawn({
            let (source, waits) = (source.clone(), waits.clone());
            move || {
                waits.store(true, Ordering::Release);
                read(&source)
            }
        }));
        while !waits.load(Ordering::Acquire) {
            yield_now();
        }
    });
    theirs.write_all(&[9]).unwrap();
    assert_eq!(task.unwrap().join().unwrap(), Some(9));
}

/// The reader moves from worker to worker, and the source follows.
#[test]
fn a_source_follows_its_readers() {
    let (source, mut theirs) = pair();
    let source = Arc::new(source);
    let runtimes: Vec<_> = (0..2).map(|_| Runtime::builder().workers(1).start().unwrap()).collect();
    for round in 0..200_u32 {
        let runtime = &runtimes[(round / 3 % 2) as usize];
        let source = source.clone();
        let reader = runtime.spawn(move || read(&source));
        theirs.write_all(&[round as u8]).unwrap();
        assert_eq!(reader.join().unwrap(), Some(round as u8));
    }
}

/// A worker that has waited twice in a row cannot become the owner: the old one keeps the source.
#[test]
fn an_owner_stays_if_it_cannot_be_replaced() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    // A poller takes a descriptor only once.
    let (source, in_the_way) = (Source::new(&ours), Source::new(&ours));
    let times_out = |source: &Source<&UnixStream>| {
        let soon = Instant::now() + Duration::from_micros(100);
        let read = source.attempt(
            Direction::Read,
            READING,
            || Patience::Until(soon),
            |&(mut stream)| stream.read(&mut [0]),
        );
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
    };
    on(workers(1), || {
        times_out(&source);
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                on(workers(1), || _ = [&in_the_way, &source, &source, &source].map(times_out))
            });
            while !other.is_finished() {
                yield_now();
            }
        });
    });
}

#[test]
fn the_end_of_a_run_unwinds_a_task_that_waits_for_a_descriptor() {
    struct Tells(Arc<AtomicBool>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (source, _theirs) = pair();
    let told = Arc::new(AtomicBool::new(false));
    on(workers(1), || {
        let tells = Tells(told.clone());
        drop(spawn(move || {
            let _tells = tells;
            read(&source);
            unreachable!("nobody writes");
        }));
        yield_now();
    });
    assert!(told.load(Ordering::Relaxed));
}

/// Writes a byte some time after the flag is set, which is said when all tasks wait: a detector of
/// deadlocks that is wrong has this time.
fn write_later(mut stream: UnixStream, byte: u8) -> (Arc<AtomicBool>, thread::JoinHandle<()>) {
    let all_wait = Arc::new(AtomicBool::new(false));
    let writer = thread::spawn({
        let all_wait = all_wait.clone();
        move || {
            while !all_wait.load(Ordering::Acquire) {
                thread::yield_now();
            }
            thread::sleep(Duration::from_millis(20));
            stream.write_all(&[byte]).unwrap();
        }
    });
    (all_wait, writer)
}

#[test]
fn a_wait_for_a_descriptor_is_no_deadlock() {
    let (source, theirs) = pair();
    let (all_wait, writer) = write_later(theirs, 3);
    on(workers(1).foreign_threads(ForeignThreads::NeverWake), || {
        let reader = spawn(move || read(&source));
        all_wait.store(true, Ordering::Release);
        assert_eq!(reader.join().unwrap(), Some(3));
    });
    writer.join().unwrap();
}

/// The worker that sleeps last, and looks for a deadlock, is not the one whose task waits.
#[test]
fn a_wait_for_a_descriptor_on_another_worker_is_no_deadlock() {
    let (source, theirs) = pair();
    let (all_wait, writer) = write_later(theirs, 3);
    on(workers(2).foreign_threads(ForeignThreads::NeverWake), || {
        let taken = Arc::new(AtomicBool::new(false));
        let reader = spawn({
            let taken = taken.clone();
            move || {
                taken.store(true, Ordering::Release);
                // The worker of main is idle before this one, and so watches.
                while metrics().unwrap().workers()[0].sleeps == 0 {
                    std::hint::spin_loop();
                }
                all_wait.store(true, Ordering::Release);
                read(&source)
            }
        });
        while !taken.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        assert_eq!(reader.join().unwrap(), Some(3));
    });
    writer.join().unwrap();
}

#[test]
fn a_descriptor_that_never_waits_is_refused() {
    let file = std::fs::File::open("/proc/self/exe").unwrap();
    let source = Source::new(file);
    on(workers(1), || {
        let never = source.attempt(
            Direction::Read,
            READING,
            || Patience::Endless,
            |_| Err::<(), _>(io::ErrorKind::WouldBlock.into()),
        );
        assert_eq!(never.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_plain_thread_waits_beside_tasks() {
    let (source, mut theirs) = pair();
    let source = Arc::new(source);
    let on_thread = thread::spawn({
        let source = source.clone();
        move || read(&source).unwrap()
    });
    theirs.write_all(&[1]).unwrap();
    assert_eq!(on_thread.join().unwrap(), 1);
    theirs.write_all(&[2]).unwrap();
    on(workers(1), || assert_eq!(read(&source), Some(2)));
}

#[test]
fn the_number_of_a_closed_descriptor_may_be_used_again() {
    on(workers(1), || {
        for byte in 0..100 {
            let (source, mut theirs) = pair();
            let soon = Instant::now() + Duration::from_micros(10);
            assert!(read_by(&source, Some(soon)).is_err());
            theirs.write_all(&[byte]).unwrap();
            if byte % 2 == 0 {
                let stream = source.into_inner();
                assert!(stream.as_fd().try_clone_to_owned().is_ok());
            }
        }
        sleep(Duration::from_micros(100));
    });
}

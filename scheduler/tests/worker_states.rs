//! A descriptor wakes a task, whatever the task's worker does at that moment: it is busy, it spins,
//! it sleeps, or it watches the others.
//!
//! The descriptor is an eventfd, to which a plain thread writes. It sees from the metrics what the
//! worker has come to before it writes again.
#![cfg(not(lisle_loom))]

use std::fs::File;
use std::hint;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::Reason;
use lisle_scheduler::{JoinHandle, Runtime, WorkerMetrics, spawn, yield_now};

const READING: Reason = Reason::new("reading from a test's eventfd");

/// So often the task is woken.
const ROUNDS: u64 = 100;

fn eventfd() -> File {
    // SAFETY: the call makes a descriptor, which nobody else owns, or fails.
    unsafe {
        let fd = libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK);
        assert!(fd >= 0, "no eventfd");
        File::from_raw_fd(fd)
    }
}

/// A task that reads, and how often it has.
struct Reader {
    events: File,
    heard: Arc<AtomicU64>,
}

/// What the metrics were when the last event was written, and when it was heard. Zero at first, and
/// not what they are then: the task may have parked already.
#[derive(Default)]
struct Before {
    write: WorkerMetrics,
    heard: WorkerMetrics,
}

impl Reader {
    fn new() -> Self {
        Self { events: eventfd(), heard: Arc::default() }
    }

    /// What the task does.
    fn body(&self) -> impl FnOnce() + Send + 'static {
        let (source, heard) = (Source::new(self.events.try_clone().unwrap()), self.heard.clone());
        move || {
            for _ in 0..ROUNDS {
                let mut count = [0; 8];
                let read = source.attempt(
                    Direction::Read,
                    READING,
                    || Patience::Endless,
                    |mut events| events.read(&mut count),
                );
                assert_eq!(read.unwrap(), 8);
                assert_eq!(u64::from_ne_bytes(count), 1, "each event is heard by itself");
                heard.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Writes an event whenever the task waits and its worker has come to rest.
    fn wake_again_and_again(
        mut self,
        runtime: &Runtime,
        rests: impl Fn(&Before, &WorkerMetrics) -> bool,
    ) {
        let metrics = || runtime.metrics().total();
        let mut before = Before::default();
        for round in 0..ROUNDS {
            while metrics().parked_tasks == 0 || !rests(&before, &metrics()) {
                thread::yield_now();
            }
            before.write = metrics();
            self.events.write_all(&1_u64.to_ne_bytes()).unwrap();
            while self.heard.load(Ordering::Acquire) == round {
                thread::yield_now();
            }
            before.heard = metrics();
        }
    }
}

fn started(workers: usize, spin: Duration) -> Runtime {
    Runtime::builder().workers(workers).spin(spin).start().unwrap()
}

#[test]
fn a_worker_that_sleeps() {
    let runtime = started(1, Duration::ZERO);
    let reader = Reader::new();
    let task = runtime.spawn(reader.body());
    reader.wake_again_and_again(&runtime, |before, now| {
        now.switches > before.write.switches && now.sleeps > before.write.sleeps
    });
    task.join().unwrap();
    assert!(runtime.metrics().total().sleeps >= ROUNDS);
}

#[test]
fn a_worker_that_spins() {
    let runtime = started(1, Duration::from_secs(3600));
    let reader = Reader::new();
    let task = runtime.spawn(reader.body());
    reader.wake_again_and_again(&runtime, |before, now| now.switches > before.write.switches);
    task.join().unwrap();
    assert_eq!(runtime.metrics().total().sleeps, 0, "it has only spun");
}

/// Its tasks yield to each other for ever.
#[test]
fn a_worker_that_is_busy() {
    let runtime = started(1, Duration::from_secs(3600));
    let reader = Reader::new();
    let (done, busy) = until_done(&runtime, |done| {
        while !done.load(Ordering::Relaxed) {
            yield_now();
        }
    });
    let task = runtime.spawn(reader.body());
    reader.wake_again_and_again(&runtime, |before, now| now.switches > before.heard.switches);
    task.join().unwrap();
    done.store(true, Ordering::Relaxed);
    busy.join().unwrap();
    assert_eq!(runtime.metrics().total().sleeps, 0, "it was never idle");
}

/// The other worker has spawned the task and then computes without a switch: this one has taken the
/// task, and looks now and then for more.
#[test]
fn a_worker_that_watches() {
    let runtime = started(2, Duration::ZERO);
    let reader = Reader::new();
    let body = reader.body();
    let (done, computing) = until_done(&runtime, |done| {
        let task = spawn(body);
        while !done.load(Ordering::Relaxed) {
            hint::spin_loop();
        }
        task.join().unwrap();
    });
    reader.wake_again_and_again(&runtime, |before, now| {
        now.switches > before.write.switches && now.sleeps > before.heard.sleeps
    });
    done.store(true, Ordering::Relaxed);
    computing.join().unwrap();
}

/// Spawns a task that goes on until the flag is set.
fn until_done(
    runtime: &Runtime,
    body: impl FnOnce(&AtomicBool) + Send + 'static,
) -> (Arc<AtomicBool>, JoinHandle<()>) {
    let done = Arc::new(AtomicBool::new(false));
    let task = runtime.spawn({
        let done = done.clone();
        move || body(&done)
    });
    (done, task)
}

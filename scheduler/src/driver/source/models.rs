//! Loom models of sources: real tasks on real workers, whose pollers and descriptors are doubles.

use std::io;
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::{Direction, Patience, Source, deliver};
use crate::driver::poller::Readiness;
use crate::driver::poller::double::ModelFd;
use crate::park::{Reason, Wake};
use crate::wait_cell::{Event, WaitCell};
use crate::{run, spawn_local};

const REASON: Reason = Reason::new("reading in a model");

type Pipe = Arc<ModelFd>;
type PipeSource = Source<Pipe>;
type SharedSource = std::sync::Arc<PipeSource>;

fn read(source: &PipeSource) -> io::Result<()> {
    source.attempt(Direction::Read, REASON, || Patience::Endless, |pipe| pipe.read())
}

fn read_until(source: &PipeSource, deadline: Instant) -> io::Result<()> {
    source.attempt(Direction::Read, REASON, || Patience::Until(deadline), |pipe| pipe.read())
}

/// An edge comes at any moment between the attempt that finds nothing and the end of the wait: the
/// task goes on.
///
/// Seen to fail: when a descriptor that is ready already is not reported as it is registered, loom
/// reports a deadlock.
#[test]
fn model_of_an_edge_against_a_wait() {
    loom::model(|| {
        let pipe = Pipe::default();
        let writer = thread::spawn({
            let pipe = pipe.clone();
            move || {
                pipe.write(1);
                pipe.write(1);
            }
        });
        run(|| {
            let source = Source::new(pipe);
            read(&source).unwrap();
            read(&source).unwrap();
        });
        writer.join().unwrap();
    });
}

/// Two tasks wait, and one edge brings something for both: the first to be woken wakes the second.
///
/// Seen to fail: without the baton that `Turn` hands on when it is dropped, loom reports a
/// deadlock.
#[test]
fn model_of_two_waiters_and_one_edge() {
    loom::model(|| {
        let pipe = Pipe::default();
        let writer = thread::spawn({
            let pipe = pipe.clone();
            move || pipe.write(2)
        });
        run(|| {
            let source = SharedSource::new(Source::new(pipe));
            let second = spawn_local({
                let source = source.clone();
                move || read(&source).unwrap()
            });
            read(&source).unwrap();
            second.join().unwrap();
        });
        writer.join().unwrap();
    });
}

/// A worker reports an edge while a task of another worker is about to wait for it, and is then
/// called by that task: neither is missed.
///
/// Seen to fail: when `enqueue` does not compare the edges, and when a ring does not reach a worker
/// that blocks in its poller, loom reports a deadlock.
#[test]
fn model_of_an_edge_and_a_ring_at_another_worker() {
    reported_by_another_worker(|source| read(source).unwrap());
}

/// A task gives up its wait while another worker reports an edge, and then waits anew: one of the
/// two waits has what the edge brings.
///
/// Seen to fail: when `dequeue` does not see that the waiter has been taken out to be woken.
#[test]
fn model_of_an_edge_against_a_timeout() {
    reported_by_another_worker(|source| {
        if read_until(source, Instant::now()).is_err() {
            read(source).unwrap();
        }
    });
}

/// Calls `reader` on a worker, while the source may be registered with another one, which has an
/// edge to report.
fn reported_by_another_worker(reader: fn(&SharedSource)) {
    loom::model(move || {
        let pipe = Pipe::default();
        let source = SharedSource::new(Source::new(pipe.clone()));
        let bell = Arc::new(WaitCell::new());
        let owner = thread::spawn({
            let (source, bell) = (source.clone(), bell.clone());
            move || {
                run(|| {
                    let _ = read_until(&source, Instant::now());
                    // SAFETY: nobody else waits for the bell.
                    assert_eq!(unsafe { bell.wait(REASON, None) }, Wake::Unparked);
                });
            }
        });
        let reader = thread::spawn(move || {
            run(|| reader(&source));
            bell.notify(Event::new(0));
        });
        // The owner may take one.
        pipe.write(2);
        owner.join().unwrap();
        reader.join().unwrap();
    });
}

/// A task waits for what is registered with the worker of another runtime, which ends: the task
/// looks anew, and hears of what comes later.
///
/// Seen to fail: when `disown` wakes nobody, loom reports a deadlock.
#[test]
fn model_of_the_end_of_an_owner_against_a_wait() {
    loom::model(|| {
        let pipe = Pipe::default();
        let source = SharedSource::new(Source::new(pipe.clone()));
        let reader = thread::spawn({
            let source = source.clone();
            move || run(|| read(&source).unwrap())
        });
        run(|| assert!(read_until(&source, Instant::now()).is_err()));
        pipe.write(1);
        reader.join().unwrap();
    });
}

/// A report that comes after its source is gone changes nothing in the one that has its block now.
///
/// Seen to fail: when `note` does not compare the generations.
#[test]
fn model_of_a_late_report() {
    loom::model(|| {
        let first = Source::new(Pipe::default());
        let token = first.token();
        let late = thread::spawn(move || {
            let readiness = Readiness { readable: true, writable: true, ended: true };
            assert!(!deliver(token, readiness), "nobody waits");
        });
        drop(first);
        let second = Source::reusing(token, Pipe::default());
        let before = second.edges(Direction::Read);
        late.join().unwrap();
        assert!(second.edges(Direction::Read) == before);
    });
}

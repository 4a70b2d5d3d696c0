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

/// Takes one unit.
fn read(source: &PipeSource) -> io::Result<()> {
    read_with(source, Patience::Endless)
}

fn read_until(source: &PipeSource, deadline: Instant) -> io::Result<()> {
    read_with(source, Patience::Until(deadline))
}

fn read_with(source: &PipeSource, patience: Patience) -> io::Result<()> {
    source.attempt(Direction::Read, REASON, || patience, |pipe| pipe.read(1)).map(drop)
}

/// Takes all units, if there are no more than two.
fn drain(source: &PipeSource) -> usize {
    source.attempt_to_drain(REASON, || Patience::Endless, 3, |pipe| pipe.read(3)).unwrap()
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
/// Seen to fail: without the baton that `Operation` hands on when it is dropped, loom reports a
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
            let readiness =
                Readiness { readable: true, writable: true, ended: true, irregular: true };
            // SAFETY: the token is the source's.
            assert!(!unsafe { deliver(token, readiness) }, "nobody waits");
        });
        drop(first);
        // SAFETY: the token is the first one's.
        let second = unsafe { Source::reusing(token, Pipe::default()) };
        let before = second.edges(Direction::Read);
        late.join().unwrap();
        assert!(second.edges(Direction::Read) == before);
    });
}

/// A read that does not fill its buffer has found all there was, and the next one waits without an
/// attempt: what comes after the first is reported.
///
/// Seen to fail: when a read notes the edges after it instead of those before, loom reports a
/// deadlock.
#[test]
fn model_of_a_short_read_against_an_edge() {
    beside_reports(&[1, 1], |source| {
        let mut units = 0;
        while units < 2 {
            units += drain(source);
        }
    });
}

/// One of two waiters gives up while the only edge is reported: the other one hears of it.
///
/// Seen to fail: without the baton that `Operation` hands on when it is dropped, loom reports a
/// deadlock.
#[test]
fn model_of_two_waiters_of_which_one_gives_up() {
    beside_reports(&[2], |source| {
        let other = thread::spawn({
            let source = source.clone();
            move || drop(read_until(&source, Instant::now()))
        });
        read(source).unwrap();
        other.join().unwrap();
    });
}

/// Calls `reader` while another thread writes these portions and reports each. There are no workers
/// and no pollers, so that the model is small: plain threads wait as tasks do.
fn beside_reports(portions: &'static [usize], reader: fn(&SharedSource)) {
    loom::model(move || {
        let pipe = Pipe::default();
        let source = SharedSource::new(Source::new(pipe.clone()));
        let token = source.token();
        let writer = thread::spawn(move || {
            for &units in portions {
                pipe.write(units);
                // SAFETY: the token is the source's.
                unsafe { deliver(token, Readiness { readable: true, ..Readiness::default() }) };
            }
        });
        reader(&source);
        writer.join().unwrap();
    });
}

/// The first of two tasks that wait is cancelled while the only edge, which brings something for
/// both, is reported. Whether it is woken or unwound, or both, the second one hears of the edge.
///
/// Seen to fail: without the baton that `Operation` hands on when it is dropped, loom reports a
/// deadlock.
#[test]
fn model_of_a_cancelled_waiter_and_one_edge() {
    loom::model(|| {
        let pipe = Pipe::default();
        // They are not joined: a late ring would end loom's wait for them.
        run(|| {
            let source = SharedSource::new(Source::new(pipe.clone()));
            let [first, second] = [(); 2].map(|()| {
                let source = source.clone();
                spawn_local(move || read(&source).unwrap())
            });
            let canceller = first.cancel_handle();
            thread::spawn(move || pipe.write(2));
            thread::spawn(move || canceller.cancel());
            second.join().unwrap();
            drop(first.join());
        });
    });
}

/// The registration moves to the worker that waits twice in a row while the old one, which lives
/// on, may have an edge to report.
///
/// Seen to fail: when the old worker gives the descriptor up and the new one does not register it,
/// loom reports a deadlock.
#[test]
fn model_of_a_change_of_owners_against_an_edge() {
    reported_by_another_worker(|source| {
        let now = Instant::now();
        if read_until(source, now).is_err() && read_until(source, now).is_err() {
            read(source).unwrap();
        }
    });
}

/// The source is closed at any moment of a wait, which ends.
///
/// Seen to fail: when `close` adds no edge, loom reports a deadlock.
#[test]
fn model_of_a_close_against_a_wait() {
    loom::model(|| {
        let source = SharedSource::new(Source::new(Pipe::default()));
        let closer = thread::spawn({
            let source = source.clone();
            move || source.close()
        });
        run(|| {
            let error = read(&source).unwrap_err();
            assert!(error.kind() == io::ErrorKind::ConnectionAborted);
        });
        closer.join().unwrap();
    });
}

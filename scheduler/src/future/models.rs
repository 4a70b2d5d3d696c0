//! Loom models of `block_on`. The parties are plain threads.

use std::task::{Poll, Waker};

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use loom::thread;

use super::{FutureWait, wait_for};
use crate::wait_cell::{Event, WaitCell};

fn ready_if(condition: bool) -> Poll<()> {
    if condition { Poll::Ready(()) } else { Poll::Pending }
}

/// A waker is used during a poll, between the poll and the park, during the park, and once more
/// afterwards, when the call may be over. What was written before, with the weakest ordering, is
/// seen by the poll that follows.
///
/// Seen to fail: with an `announce` that stores WAITING, and with a swap in `notify` that lacks
/// Release, loom reports a deadlock.
#[test]
fn model_of_a_waker_against_polls_parks_and_the_end() {
    loom::model(|| {
        let later = Arc::new(AtomicBool::new(false));
        let mut waker_thread = None;
        wait_for(|context| {
            // The first poll hands its waker out.
            if waker_thread.is_none() {
                let (later, waker) = (later.clone(), context.waker().clone());
                waker_thread = Some(thread::spawn(move || {
                    later.store(true, Ordering::Relaxed);
                    waker.wake_by_ref();
                    waker.wake();
                }));
            }
            ready_if(later.load(Ordering::Relaxed))
        });
        waker_thread.unwrap().join().unwrap();
    });
}

/// Two threads wake the same party, each after its part of what the party waits for.
///
/// Seen to fail: with a `clear` that stores EMPTY instead of exchanging it, and with one that is
/// Relaxed, loom reports a deadlock.
#[test]
fn model_of_two_wakers() {
    loom::model(|| {
        let parts = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let mut threads = Vec::new();
        wait_for(|context| {
            if threads.is_empty() {
                threads = parts
                    .iter()
                    .map(|part| {
                        let (part, waker) = (part.clone(), context.waker().clone());
                        thread::spawn(move || {
                            part.store(true, Ordering::Relaxed);
                            waker.wake();
                        })
                    })
                    .collect();
            }
            ready_if(parts.iter().all(|part| part.load(Ordering::Relaxed)))
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

/// A future that waits at a cell is dropped while the event comes: the cell is free for others
/// afterwards.
///
/// Seen to fail: without `settle`, and with a `release` that is Relaxed, the accesses to the
/// unparker's place overlap.
#[test]
fn model_of_a_future_that_leaves_a_cell() {
    const DONE: Event = Event::new(0);
    loom::model(|| {
        let cell = Arc::new(WaitCell::new());
        let notifier = thread::spawn({
            let cell = cell.clone();
            move || cell.notify(DONE)
        });
        let wait = FutureWait::new();
        // SAFETY: the wait stays until it is over, below.
        cell.announce(unsafe { wait.arm(Waker::noop().clone()) });
        match cell.retract() {
            Some(unparker) => drop(unparker),
            None => wait.settle(),
        }
        // Stands for the end of the cell, if the event has come.
        if cell.event().is_some() {
            cell.clear();
            // SAFETY: as above.
            cell.announce(unsafe { wait.arm(Waker::noop().clone()) });
            drop(cell.retract());
        }
        notifier.join().unwrap();
    });
}

/// The waker of a wait is replaced while the unparker is used: one of the two is called.
///
/// Seen to fail: with a `poll` that does not look again after it has replaced the waker's place,
/// that is, with a second `seize` whose failure counts as pending, loom reports a deadlock.
#[test]
fn model_of_a_waker_that_is_replaced() {
    loom::model(|| {
        let wait = std::sync::Arc::new(FutureWait::new());
        // SAFETY: the wait stays until it is over.
        let unparker = unsafe { wait.arm(Waker::noop().clone()) };
        let notifier = thread::spawn(move || unparker.unpark());
        wait_for(|context| wait.poll(context.waker()));
        notifier.join().unwrap();
    });
}

//! Loom models of the lock. The parties are plain threads; a time-out stands for a cancellation
//! too, since both leave by `leave_queue`.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use lisle_runtime::internal::primitive::atomic::Ordering;
use lisle_scheduler::internal::Waiter;
use lisle_scheduler::park::{Wait, Wake, park};
use loom::thread;

use super::{Party, RawMutex, WOKEN};
use crate::models::{Number, here, in_a_thread};

/// A number that only the holder of the lock may touch.
struct Guarded {
    mutex: RawMutex,
    number: Number,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self { mutex: RawMutex::new(), number: Number::new(0) })
    }

    fn add(&self) {
        self.mutex.lock(here());
        self.add_and_unlock();
    }

    /// Adds 1 if the lock can be had before a deadline that has passed: at once, or because it is
    /// left to this party while it gives up.
    fn add_or_give_up(&self) -> bool {
        let locked = self.mutex.lock_until(|| Some(Instant::now()), here());
        if locked {
            self.add_and_unlock();
        }
        locked
    }

    fn add_and_unlock(&self) {
        self.number.add(1);
        // SAFETY: the lock is held.
        unsafe { self.mutex.unlock() };
    }

    /// What was added. The lock is free, nobody waits, and nobody is taken for one on its way.
    fn end(&self) -> u32 {
        assert_eq!(self.mutex.state.load(Ordering::Relaxed), 0);
        self.number.get()
    }
}

/// One party at a time has the lock, and all get it. One that is woken and comes too late, because
/// the waker locks again, has it next.
///
/// Seen to fail: with a Relaxed exchange in `take_free`, `unlock` or `update`, accesses to the
/// number overlap; with an `enter_queue` that does not look whether the lock is free by now, loom
/// reports a deadlock; with a `try_when_woken` that leaves WOKEN set, the last state is wrong.
#[test]
fn model_of_a_release_against_an_arrival() {
    loom::model(|| {
        let guarded = Guarded::new();
        let other = in_a_thread(&guarded, Guarded::add);
        guarded.add();
        guarded.add();
        other.join().unwrap();
        assert_eq!(guarded.end(), 3);
    });
}

/// Two parties wait. Each release, of whichever party, leads to the next one.
///
/// Seen to fail: with a Relaxed store in `unlock_contended`, accesses to the number overlap; with
/// an `enter_queue` that queues its party although the lock is free, two have the lock at a time.
#[test]
fn model_of_two_waiters() {
    loom::model(|| {
        let guarded = Guarded::new();
        let others = [(); 2].map(|()| in_a_thread(&guarded, Guarded::add));
        guarded.add();
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(guarded.end(), 3);
    });
}

/// A waiter gives up at any moment, in front of another one or behind it: it has the lock or not,
/// and the other one gets it.
///
/// Seen to fail: with a lock that is left to a party without telling it, or a `leave_queue` that
/// says that nobody waits any more, loom reports a deadlock.
#[test]
fn model_of_a_time_out_against_a_release() {
    loom::model(|| {
        let guarded = Guarded::new();
        let impatient = in_a_thread(&guarded, Guarded::add_or_give_up);
        let patient = in_a_thread(&guarded, Guarded::add);
        guarded.add();
        patient.join().unwrap();
        let added = u32::from(impatient.join().unwrap());
        assert_eq!(guarded.end(), 2 + added);
    });
}

/// A party that was woken comes too late and never comes back: it is cancelled. Another one waits.
///
/// Seen to fail: with an `unlock_contended` that sees in one step that a party is on its way and
/// releases in another, loom reports a deadlock.
#[test]
fn model_of_a_woken_party_that_does_not_come_back() {
    loom::model(|| {
        let guarded = Guarded::new();
        guarded.mutex.lock(here());
        guarded.mutex.state.fetch_or(WOKEN, Ordering::Relaxed);
        let patient = in_a_thread(&guarded, Guarded::add);
        while guarded.mutex.queue.lock().is_empty() {
            thread::yield_now();
        }
        let woken = in_a_thread(&guarded, |guarded| {
            if guarded.mutex.try_when_woken() {
                guarded.add_and_unlock();
            }
        });
        guarded.add_and_unlock();
        patient.join().unwrap();
        woken.join().unwrap();
        assert!(guarded.end() >= 2);
    });
}

/// A party that came too late is queued again while another one is on its way: the next release
/// leaves it the lock.
///
/// Seen to fail: with an `enter_queue` that does not set LATE, or an `unlock_contended` that does
/// not look at it, loom reports a deadlock.
#[test]
fn model_of_a_late_party_while_another_one_is_on_its_way() {
    loom::model(|| {
        let guarded = Guarded::new();
        guarded.mutex.lock(here());
        guarded.mutex.state.fetch_or(WOKEN, Ordering::Relaxed);
        let late = in_a_thread(&guarded, |guarded| {
            let mut waiter = Waiter::new(Party { came_too_late: true, has_lock: false });
            let wake = park(
                Wait::on(&guarded.mutex),
                None,
                |unparker| guarded.mutex.enter_queue(&waiter, unparker),
                || guarded.mutex.leave_queue(&waiter),
            );
            assert!(wake == Wake::Unparked && waiter.payload().has_lock);
            guarded.add_and_unlock();
        });
        guarded.add_and_unlock();
        late.join().unwrap();
        assert!(guarded.mutex.try_when_woken());
        guarded.add_and_unlock();
        assert_eq!(guarded.end(), 3);
    });
}

/// A task is cancelled while it waits for the lock, which another party releases: it gets the lock
/// all the same.
///
/// Seen to fail: with a wait for the lock that is not `uninterrupted`, the task is unwound.
#[test]
fn model_of_a_cancel_against_a_release() {
    loom::model(|| {
        let guarded = Guarded::new();
        let canceller = lisle_scheduler::run(|| {
            guarded.mutex.lock(here());
            let theirs = guarded.clone();
            let waiter = lisle_scheduler::spawn(move || theirs.add());
            lisle_scheduler::yield_now();
            let stop = waiter.cancel_handle();
            let canceller = thread::spawn(move || stop.cancel());
            let other = in_a_thread(&guarded, Guarded::add);
            guarded.add_and_unlock();
            assert!(waiter.join().is_ok());
            other.join().unwrap();
            canceller
        });
        canceller.join().unwrap();
        assert_eq!(guarded.end(), 3);
    });
}

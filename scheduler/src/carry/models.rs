//! Loom models of the protocol. A thread of a model runs an identity by using its cell.

use std::ptr::NonNull;
use std::sync::Arc as StdArc;

use lisle_runtime::internal::primitive::cell::UnsafeCell;
use loom::sync::{Condvar, Mutex};
use loom::thread;

use super::protocol::{Look, Moment, NEVER, Seat, Waiting};

/// What an identity has: the number of times that it was run.
struct Runs(UnsafeCell<usize>);

// SAFETY: that no two threads use it at a time is what the models show.
unsafe impl Sync for Runs {}
// SAFETY: as above.
unsafe impl Send for Runs {}

/// A model has no clock: a wait with an end is over at once, and another that no ring ends is a
/// deadlock.
struct Rings(Mutex<u32>, Condvar);

impl Waiting for Rings {
    fn new() -> Self {
        Self(Mutex::new(0), Condvar::new())
    }

    fn rings(&self) -> u32 {
        *self.0.lock().unwrap()
    }

    fn ring(&self) {
        *self.0.lock().unwrap() += 1;
        self.1.notify_one();
    }

    fn wait(&self, rings: u32, until: Moment) {
        if until != NEVER {
            return thread::yield_now();
        }
        let mut now = self.0.lock().unwrap();
        while *now == rings {
            now = self.1.wait(now).unwrap();
        }
    }
}

type Sample = Seat<Runs, Rings>;

/// Seats that live as long as the model, which no reference outlives.
struct Seats(Vec<NonNull<Sample>>);

// SAFETY: seats are made to be shared.
unsafe impl Sync for Seats {}
// SAFETY: as above.
unsafe impl Send for Seats {}

impl Seats {
    fn new(count: usize) -> StdArc<Self> {
        let seat = |_| Box::new(Seat::new(Runs(UnsafeCell::new(0))));
        StdArc::new(Self((0..count).map(|n| NonNull::from(Box::leak(seat(n)))).collect()))
    }

    fn get(&self, index: usize) -> &'static Sample {
        // SAFETY: it is freed when the last thread of the model drops the seats.
        unsafe { self.0[index].as_ref() }
    }
}

impl Drop for Seats {
    fn drop(&mut self) {
        // SAFETY: they came from boxes, and no thread uses them any more.
        self.0.iter().for_each(|seat| drop(unsafe { Box::from_raw(seat.as_ptr()) }));
    }
}

/// The calling thread, which has claimed the identity or is the first to run it, runs it once.
fn run(seat: &'static Sample) -> usize {
    seat.own.0.with_mut(|runs| {
        // SAFETY: loom finds another thread that does the same.
        unsafe {
            *runs += 1;
            *runs
        }
    })
}

/// The thread of `seat` keeps until it has claimed something.
fn keep(seat: &'static Sample) -> &'static Sample {
    loop {
        let rings = seat.rings();
        let kept = seat.kept();
        if seat.comes_home(kept) {
            return seat;
        }
        let mut until = if seat.is_homeward() { 0 } else { NEVER };
        if let Some(kept) = kept {
            let deadline = kept.deadline();
            if seat.look(kept, deadline != NEVER) == Look::Claimed {
                return kept;
            }
            until = until.min(deadline);
        }
        seat.wait(rings, kept, until);
    }
}

/// A carrier and a ringer meet at an identity that is about to rest: it is run by one of them at a
/// time, and it is run.
///
/// Seen to fail: with `rest` storing the word without keeping the call, loom reports a deadlock;
/// with the claim by Relaxed, a race at the cell.
#[test]
fn model_of_a_claim_against_a_ring_and_a_rest() {
    loom::model(|| {
        let seats = Seats::new(2);
        // The thread of 0 rests its identity and keeps it.
        let home = thread::spawn({
            let seats = seats.clone();
            move || {
                let me = seats.get(0);
                run(me);
                me.set_deadline(NEVER);
                me.rest(me, false);
                let next = keep(me);
                run(next);
            }
        });
        // The thread of 1 carries 0, if that rests, and gives its own identity to be kept.
        let carrier = thread::spawn({
            let seats = seats.clone();
            move || {
                let (me, mate) = (seats.get(1), seats.get(0));
                run(me);
                me.set_deadline(NEVER);
                let Some(keeper) = mate.claim() else { return };
                run(mate);
                me.rest(keeper, false);
                me.ring();
            }
        });
        seats.get(0).ring();
        home.join().unwrap();
        carrier.join().unwrap();
    });
}

/// The carrier leaves an identity with a deadline to a keeper that waits without one: the keeper
/// hears of it.
///
/// Seen to fail: without the fence of the giver, and without that of the keeper, loom reports a
/// deadlock; with the claim by Relaxed, a race at the cell.
#[test]
fn model_of_a_deadline_against_a_wait() {
    loom::model(|| {
        let seats = Seats::new(2);
        let (me, mate) = (seats.get(1), seats.get(0));
        mate.set_deadline(NEVER);
        mate.rest(mate, false);
        let home = thread::spawn({
            let seats = seats.clone();
            move || {
                run(keep(seats.get(0)));
            }
        });
        let keeper = mate.claim().expect("it rests, and is not called");
        run(mate);
        run(me);
        me.set_deadline(1);
        me.rest(keeper, false);
        home.join().unwrap();
    });
}

/// Two identities that were run by each other's thread want to go home: both get there.
///
/// Seen to fail: with the claim by Relaxed, loom reports a race at the cell.
#[test]
fn model_of_two_that_go_home() {
    loom::model(|| {
        let seats = Seats::new(2);
        let threads = [0, 1].map(|index| {
            let seats = seats.clone();
            thread::spawn(move || {
                let (me, away) = (seats.get(index), seats.get(1 - index));
                run(away);
                away.set_deadline(NEVER);
                away.rest(me, true);
                assert!(std::ptr::eq(keep(me), me));
                run(me);
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
}

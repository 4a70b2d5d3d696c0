//! A loom model of a region that the clock ends.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::region::{Limits, run as run_region};
use crate::park::{Reason, Wake};
use crate::run;
use crate::wait_cell::{Event, WaitCell};

const REASON: Reason = Reason::new("taking part in a model");

/// A thread wakes a task while the time of its region ends: the task has what it was woken for, and
/// returns in time, or the region is unwound; and what comes after it is not disturbed.
///
/// Seen to fail: when a region leaves its timer behind, it is struck after it has gone; when
/// `end_early` does not wait for an unparker that is no longer there, the late wake-up meets the
/// next wait; when the timer does not end the wait, the region always returns in time.
#[test]
fn a_timer_meets_the_end_of_its_region() {
    static OUTCOMES: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let waker = run(|| {
            let (first, second) = (Arc::<WaitCell>::default(), Arc::<WaitCell>::default());
            let theirs = (first.clone(), second.clone());
            let waker = thread::spawn(move || {
                let (first, second) = theirs;
                first.notify(Event::new(0));
                second.notify(Event::new(0));
            });
            // It is over at the first look at the clock, and not before.
            let limits = Limits { deadline: Some(Instant::now()), ..Limits::default() };
            // SAFETY: no other party waits at either.
            let outcome = run_region(limits, || unsafe { first.wait(REASON, None) });
            assert!(outcome.is_none_or(|wake| wake == Wake::Unparked));
            OUTCOMES[usize::from(outcome.is_some())].store(true, Relaxed);
            // SAFETY: as above.
            assert_eq!(unsafe { second.wait(REASON, None) }, Wake::Unparked);
            crate::check_cancelled();
            waker
        });
        waker.join().unwrap();
    });
    assert!(OUTCOMES.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

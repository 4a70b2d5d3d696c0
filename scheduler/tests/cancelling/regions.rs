//! Regions: time-outs and tokens.

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::thread;
use std::time::{Duration, Instant};

use lisle_runtime::{Coroutine, CoroutineState};
use lisle_scheduler::internal::uninterrupted;
use lisle_scheduler::park::Wake;
use lisle_scheduler::{
    CancelToken, Cancelled, CancelledBy, Elapsed, cancellable, check_cancelled, is_cancelled, run,
    shield, sleep, spawn, timeout, timeout_at, yield_now,
};

use crate::support::channel::Channel;
use crate::support::{Bell, Log, NoteDrop, OnDrop, block_until, run_in_order, run_on};
use crate::{HOUR, MOMENT, assert_cancelled, wait_for_ever};

/// Runs a test in a task and on a plain thread.
fn in_task_and_on_thread(body: fn()) {
    run_in_order(body);
    body();
}

#[test]
fn a_time_out_unwinds_what_waits_and_nothing_else() {
    in_task_and_on_thread(|| {
        let log = Log::new();
        let start = Instant::now();
        let outcome = timeout(MOMENT, || {
            let _note = NoteDrop(log.clone(), "dropped");
            wait_for_ever();
        });
        assert!(outcome.is_err() && start.elapsed() >= MOMENT);
        log.expect(&["dropped"]);
        assert!(!is_cancelled());
        sleep(MOMENT);
        check_cancelled();
        assert_eq!(Elapsed::to_string(&outcome.unwrap_err()), "the time is over");
    });
}

#[test]
fn a_value_beats_the_deadline() {
    in_task_and_on_thread(|| {
        let late = timeout(MOMENT, || {
            let start = Instant::now();
            block_until(|| start.elapsed() > 2 * MOMENT);
            5
        });
        assert_eq!(late, Ok(5));
        let caught = timeout(MOMENT, || catch_unwind(wait_for_ever).is_err());
        assert_eq!(caught, Ok(true));
        yield_now();
        check_cancelled();
    });
}

/// Of zero, of the past, and without an end.
#[test]
fn times_at_the_edges() {
    in_task_and_on_thread(|| {
        let past = Instant::now() - MOMENT;
        assert_eq!(timeout(Duration::ZERO, || 1), Ok(1));
        assert_eq!(timeout_at(past, || 2), Ok(2));
        assert!(timeout(Duration::ZERO, wait_for_ever).is_err());
        assert!(timeout_at(past, wait_for_ever).is_err());
        assert!(timeout(Duration::ZERO, yield_now).is_err());
        assert!(timeout(Duration::ZERO, check_cancelled).is_err());
        assert_eq!(timeout(Duration::MAX, || timeout(MOMENT, wait_for_ever).is_err()), Ok(true));
        assert!(timeout(MOMENT, || timeout(Duration::MAX, wait_for_ever)).is_err());
    });
}

#[test]
fn a_wait_that_is_longer_than_the_region_ends_with_it() {
    in_task_and_on_thread(|| {
        for (longer, length) in [(HOUR, MOMENT), (MOMENT, HOUR)] {
            let wait = || Bell::new().wait_until(Some(Instant::now() + length));
            assert_eq!(timeout(longer, wait).is_ok(), length == MOMENT);
            assert_eq!(timeout(longer, || sleep(length)).is_ok(), length == MOMENT);
        }
    });
}

/// Which of them is over first, and which is reported: in all orders.
#[test]
fn nested_regions_catch_what_is_theirs() {
    in_task_and_on_thread(|| {
        // The inner one is over first.
        let outcome = timeout(HOUR, || timeout(MOMENT, wait_for_ever));
        assert!(matches!(outcome, Ok(Err(_))));
        // The outer one is.
        let outcome = timeout(MOMENT, || timeout(HOUR, wait_for_ever));
        assert!(outcome.is_err());
        // Both are: the outer one counts.
        let outcome = timeout(Duration::ZERO, || timeout(Duration::ZERO, wait_for_ever));
        assert!(outcome.is_err());
        // A token, inside and outside of a time-out.
        let outcome = cancellable(|token| {
            timeout(HOUR, || {
                token.cancel();
                wait_for_ever();
            })
        });
        assert_eq!(outcome.unwrap_err().by(), CancelledBy::Region);
        let outcome = timeout(HOUR, || {
            cancellable(|token| {
                token.cancel();
                token.cancel();
                assert!(token.is_cancelled() && is_cancelled());
                wait_for_ever();
            })
        });
        assert!(matches!(outcome, Ok(Err(_))));
        // A panic passes through all.
        let panic = catch_unwind(|| timeout(HOUR, || cancellable(|_| panic_any("mine"))));
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
    });
}

/// A payload that was kept is no region's any more.
#[test]
fn an_old_payload_is_caught_by_no_later_region() {
    in_task_and_on_thread(|| {
        let mut kept = None;
        let outcome = timeout(MOMENT, || kept = catch_unwind(wait_for_ever).err());
        assert_eq!(outcome, Ok(()));
        let kept = kept.unwrap();
        let passed = catch_unwind(AssertUnwindSafe(|| timeout(HOUR, || resume_unwind(kept))));
        assert!(Cancelled::of(&passed.unwrap_err()).is_some());
    });
}

/// A token that is used late hits neither the next region nor the task.
#[test]
fn a_token_of_an_old_region_is_void() {
    in_task_and_on_thread(|| {
        let old = cancellable(CancelToken::clone).unwrap();
        let outcome = cancellable(|_| {
            old.cancel();
            sleep(MOMENT);
        });
        assert!(outcome.is_ok() && old.is_cancelled());
        check_cancelled();
    });
}

#[test]
fn a_token_works_from_everywhere() {
    for workers in [1, 2] {
        run_on(workers, || {
            let tokens = Channel::unbounded();
            let theirs = tokens.clone();
            let waiting = spawn(move || {
                for _ in 0..3 {
                    let outcome = cancellable(|token| {
                        theirs.send(token.clone());
                        wait_for_ever();
                    });
                    assert!(outcome.is_err());
                }
            });
            tokens.recv().cancel();
            let token: CancelToken = tokens.recv();
            spawn(move || token.cancel()).join().unwrap();
            let token = tokens.recv();
            thread::spawn(move || token.cancel()).join().unwrap();
            waiting.join().unwrap();
        })
        .unwrap();
    }
    // And a thread in a wait of its own.
    let tokens = Channel::unbounded();
    let theirs = tokens.clone();
    let waiting = thread::spawn(move || {
        cancellable(|token: &CancelToken| {
            theirs.send(token.clone());
            wait_for_ever();
        })
        .is_err()
    });
    tokens.recv().cancel();
    assert!(waiting.join().unwrap());
}

#[test]
fn a_shield_inside_puts_the_end_off_and_one_outside_does_not_matter() {
    in_task_and_on_thread(|| {
        let log = Log::new();
        let outcome = timeout(MOMENT, || {
            shield(|| {
                sleep(2 * MOMENT);
                assert!(is_cancelled());
                yield_now();
                log.add("shielded");
            });
            wait_for_ever();
        });
        assert!(outcome.is_err());
        log.expect(&["shielded"]);
        let outcome = shield(|| timeout(MOMENT, wait_for_ever));
        assert!(outcome.is_err());
        let outcome = timeout(MOMENT, || shield(|| timeout(MOMENT, wait_for_ever)));
        assert!(matches!(outcome, Ok(Err(_))));
    });
}

/// The cancel of the whole task passes through its regions, and those inside a shield still work.
#[test]
fn a_cancelled_task_unwinds_through_its_regions() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _waits = OnDrop(|| {
                shield(|| theirs.add(Bell::new().wait_until(Some(Instant::now() + MOMENT))));
            });
            let _ = timeout(HOUR, || cancellable(|_| wait_for_ever()));
            unreachable!("it is unwound");
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&[Wake::TimedOut]);
    });
    run_in_order(|| {
        let task = spawn(|| {
            shield(|| {
                yield_now();
                assert!(is_cancelled());
                assert!(timeout(MOMENT, wait_for_ever).is_err());
                assert!(timeout(HOUR, || sleep(MOMENT)).is_ok());
            });
            yield_now();
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
    });
}

/// Amid an unwinding nothing can be unwound: the waits fail.
#[test]
fn a_region_in_a_destructor_amid_a_panic_fails_its_waits() {
    run_in_order(|| {
        let log = Log::new();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let _waits = OnDrop(|| {
                let outcome = timeout(MOMENT, || {
                    log.add(Bell::new().wait_until(None));
                    log.add(Bell::new().wait_until(None));
                    yield_now();
                    3
                });
                assert_eq!(outcome, Ok(3));
            });
            panic_any("first");
        }));
        assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"first"));
        log.expect(&[Wake::Failed; 2]);
        assert!(timeout(MOMENT, wait_for_ever).is_err());
    });
}

#[test]
fn a_region_that_swallows_its_end_is_struck_again_and_goes_on() {
    run_in_order(|| {
        let others = spawn(|| (0..300).for_each(|_| yield_now()));
        let outcome = timeout(Duration::ZERO, || {
            (0..250).filter(|_| catch_unwind(wait_for_ever).is_err()).count()
        });
        assert_eq!(outcome, Ok(250));
        others.join().unwrap();
    });
}

#[test]
fn a_coroutine_may_run_in_a_region_but_not_leave_its_own() {
    run_in_order(|| {
        // One that is resumed inside comes to its end by the region's.
        let outcome = timeout(MOMENT, || {
            let coroutine = Coroutine::new(|yielder, ()| {
                yielder.suspend(());
                wait_for_ever();
            });
            assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
            coroutine.resume(())
        });
        assert!(outcome.is_err());
        // One that has opened a region waits in it, and cannot suspend out of it.
        let coroutine = Coroutine::new(|yielder, ()| {
            assert!(timeout(MOMENT, wait_for_ever).is_err());
            timeout(HOUR, || yielder.suspend(()))
        });
        let refused = catch_unwind(AssertUnwindSafe(|| coroutine.resume(())));
        assert!(refused.is_err());
        check_cancelled();
    });
}

/// A region ends while its task computes, and is over before the next wait: nothing is struck.
#[test]
fn a_timer_that_fires_at_the_very_end_strikes_nothing() {
    run_in_order(|| {
        for n in 0..200 {
            let length = Duration::from_micros(n % 20);
            let start = Instant::now();
            let _ = timeout(length, || {
                block_until(|| start.elapsed() >= length);
                yield_now();
            });
            yield_now();
            check_cancelled();
            sleep(Duration::from_nanos(1));
        }
    });
}

#[test]
fn one_that_computes_in_a_region_sees_its_end_where_it_asks() {
    in_task_and_on_thread(|| {
        assert!(
            timeout(MOMENT, || loop {
                check_cancelled()
            })
            .is_err()
        );
    });
    run(|| {
        assert!(
            timeout(MOMENT, || loop {
                yield_now()
            })
            .is_err()
        )
    });
}

/// A wait for a lock is interrupted by nothing but the end of the runtime, whatever comes first.
#[test]
fn a_wait_for_a_lock_ends_with_the_runtime_only() {
    let log = Log::new();
    let task = run_in_order(|| {
        let theirs = log.clone();
        let task = spawn(move || {
            let _ = timeout(MOMENT, || {
                uninterrupted(|| sleep(2 * MOMENT));
                theirs.add("locked");
                sleep(HOUR);
            });
            uninterrupted(|| assert!(timeout(MOMENT, wait_for_ever).is_err()));
            theirs.add("a region inside");
            uninterrupted(wait_for_ever);
        });
        while log.len() < 2 {
            sleep(MOMENT);
        }
        task.cancel();
        sleep(MOMENT);
        assert!(!task.is_finished());
        task
    });
    assert_cancelled(task, CancelledBy::Handle);
    log.expect(&["locked", "a region inside"]);
}

/// A kind of region.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Open,
    TimeIsOver,
    TokenIsUsed,
    Shield,
}

/// Enters regions of these kinds, each in the one before, and waits. Returns which of them has
/// ended early, if one has.
fn nest(kinds: &[Kind], depth: usize) -> Result<(), usize> {
    let Some((kind, inner)) = kinds.split_first() else {
        sleep(Duration::from_nanos(1));
        return Ok(());
    };
    let body = || nest(inner, depth + 1);
    match kind {
        Kind::Open => timeout(HOUR, body).map_err(|_| depth)?,
        Kind::TimeIsOver => timeout(Duration::ZERO, body).map_err(|_| depth)?,
        Kind::TokenIsUsed => cancellable(|token| {
            token.cancel();
            body()
        })
        .map_err(|_| depth)?,
        Kind::Shield => shield(body),
    }
}

/// The outermost region that is over and that no shield keeps from the wait is the one that ends,
/// however they are nested.
#[test]
fn regions_nest_in_any_order() {
    in_task_and_on_thread(|| {
        const KINDS: [Kind; 4] = [Kind::Open, Kind::TimeIsOver, Kind::TokenIsUsed, Kind::Shield];
        for number in 0..4_usize.pow(4) {
            let kinds: Vec<_> = (0..4).map(|place| KINDS[number >> (2 * place) & 3]).collect();
            let outside = kinds.iter().rposition(|kind| *kind == Kind::Shield);
            let over = |kind: &Kind| matches!(kind, Kind::TimeIsOver | Kind::TokenIsUsed);
            let first = outside.map_or(0, |shield| shield + 1);
            let expected = kinds[first..].iter().position(over).map(|place| first + place);
            assert_eq!(nest(&kinds, 0).err(), expected, "{kinds:?}");
            check_cancelled();
        }
    });
}

/// What remains cancelled when a region inside ends strikes as before, and no more than that.
#[test]
fn a_region_inside_changes_nothing_for_those_around_it() {
    run_in_order(|| {
        let task = spawn(|| {
            shield(|| {
                yield_now();
                for length in [Duration::ZERO, HOUR] {
                    let outcome = timeout(length, || sleep(MOMENT));
                    assert_eq!(outcome.is_ok(), length == HOUR);
                    sleep(MOMENT); // in the shield again
                }
            });
            sleep(HOUR);
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
    });
    in_task_and_on_thread(|| {
        let outcome = timeout(MOMENT, || {
            let caught = catch_unwind(|| timeout(HOUR, wait_for_ever));
            assert!(caught.is_err());
            assert_eq!(timeout(HOUR, || 1), Ok(1));
            wait_for_ever();
        });
        assert!(outcome.is_err());
    });
}

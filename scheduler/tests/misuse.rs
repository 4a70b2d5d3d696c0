//! What `park` is given may be wrong. It is safe code all the same, so no unparker may outlive its
//! wait: the mistake is named, and where nothing else helps the process ends.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use lisle_scheduler::park::{Reason, Unparker, Wake, park};
use lisle_scheduler::{spawn, yield_now};
use support::{Bell, Ended, in_child, run_in_order};

const REASON: Reason = Reason::new("being tested");

/// Where the misused unparkers would wait to do harm.
static LEFT: Mutex<Vec<Unparker>> = Mutex::new(Vec::new());

fn leave(unparker: Unparker) {
    LEFT.lock().unwrap().push(unparker);
}

/// The harm: what is left is used when its wait is over and its frame gone.
fn use_left() {
    LEFT.lock().unwrap().drain(..).for_each(Unparker::unpark);
    yield_now();
}

#[track_caller]
fn assert_named(ended: Ended, closure: &str, panic: &str) {
    ended.assert_aborted();
    ended.assert_says(panic);
    ended.assert_says(&format!("lisle: the {closure} closure of a park panicked\n"));
}

fn panics_in_commit() {
    let _ = catch_unwind(|| {
        park(
            REASON,
            None,
            |unparker| {
                leave(unparker);
                panic!("clumsy commit");
            },
            || None,
        )
    });
    use_left();
}

#[test]
fn a_panic_in_commit_of_a_task_aborts() {
    let ended =
        in_child("a_panic_in_commit_of_a_task_aborts", &[], || run_in_order(panics_in_commit));
    assert_named(ended, "commit", "clumsy commit");
}

#[test]
fn a_panic_in_commit_of_a_thread_aborts() {
    let ended = in_child("a_panic_in_commit_of_a_thread_aborts", &[], panics_in_commit);
    assert_named(ended, "commit", "clumsy commit");
}

fn panics_in_retract() {
    let _ = catch_unwind(|| park(REASON, Some(Instant::now()), leave, || panic!("clumsy retract")));
    use_left();
}

#[test]
fn a_panic_in_retract_of_a_task_aborts() {
    let ended =
        in_child("a_panic_in_retract_of_a_task_aborts", &[], || run_in_order(panics_in_retract));
    assert_named(ended, "retract", "clumsy retract");
}

#[test]
fn a_panic_in_retract_of_a_thread_aborts() {
    let ended = in_child("a_panic_in_retract_of_a_thread_aborts", &[], panics_in_retract);
    assert_named(ended, "retract", "clumsy retract");
}

const STRANGE: &str = "retract gave back the unparker of another wait";

#[test]
fn an_unparker_of_another_task_is_not_accepted() {
    let ended = in_child("an_unparker_of_another_task_is_not_accepted", &[], || {
        run_in_order(|| {
            let bell = Bell::new();
            let theirs = bell.clone();
            drop(spawn(move || theirs.wait()));
            yield_now();
            let _ = park(REASON, Some(Instant::now()), leave, || bell.take());
            use_left();
        });
    });
    assert_named(ended, "retract", STRANGE);
}

#[test]
fn an_unparker_of_another_thread_is_not_accepted() {
    let ended = in_child("an_unparker_of_another_thread_is_not_accepted", &[], || {
        let bell = Bell::new();
        let theirs = bell.clone();
        drop(thread::spawn(move || theirs.wait()));
        while !bell.is_awaited() {
            thread::yield_now();
        }
        let _ = park(REASON, Some(Instant::now()), leave, || bell.take());
        use_left();
    });
    assert_named(ended, "retract", STRANGE);
}

const NESTED: &str = "a task cannot park inside the commit or retract closure of a park";

/// A wait inside `commit` could be ended by the outer unparker, with the inner one still out.
#[test]
fn a_task_cannot_park_inside_commit() {
    let ended = in_child("a_task_cannot_park_inside_commit", &[], || {
        run_in_order(|| {
            let _ = park(
                REASON,
                None,
                |outer| {
                    let nested = |inner| {
                        leave(inner);
                        outer.unpark();
                    };
                    let _ = park(REASON, None, nested, || None);
                },
                || None,
            );
            use_left();
        });
    });
    assert_named(ended, "commit", NESTED);
}

#[test]
fn a_task_cannot_park_inside_retract() {
    let ended = in_child("a_task_cannot_park_inside_retract", &[], || {
        run_in_order(|| {
            let outer = RefCell::new(None::<Unparker>);
            let _ = park(
                REASON,
                Some(Instant::now()),
                |unparker| *outer.borrow_mut() = Some(unparker),
                || {
                    let nested = |inner| {
                        leave(inner);
                        outer.take().unwrap().unpark();
                    };
                    let _ = park(REASON, None, nested, || None);
                    outer.take()
                },
            );
            use_left();
        });
    });
    assert_named(ended, "retract", NESTED);
}

/// The refusal comes before anything has been done, so a task that catches it goes on.
#[test]
fn a_refused_wait_leaves_no_trace() {
    run_in_order(|| {
        let wake = park(
            REASON,
            None,
            |unparker| {
                let refused = catch_unwind(AssertUnwindSafe(|| Bell::new().wait()));
                assert_eq!(refused.unwrap_err().downcast_ref(), Some(&NESTED));
                unparker.unpark();
            },
            || None,
        );
        assert_eq!(wake, Wake::Unparked);
        let wake = Bell::new().wait_until(Some(Instant::now()));
        assert_eq!(wake, Wake::TimedOut, "and waits as before");
    });
}

/// A task may spawn and wake others inside `commit`.
#[test]
fn commit_may_do_what_does_not_park() {
    run_in_order(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        let other = spawn(move || theirs.wait());
        yield_now();
        for _ in 0..2 {
            let mut children = Vec::new();
            let mine = Bell::new();
            let wake = park(
                REASON,
                None,
                |unparker| {
                    mine.put(unparker);
                    let ringer = mine.clone();
                    children.push(spawn(move || assert!(ringer.ring())));
                    bell.ring();
                },
                || unreachable!("the child rings"),
            );
            assert_eq!(wake, Wake::Unparked);
            children.into_iter().for_each(|child| child.join().unwrap());
        }
        other.join().unwrap();
    });
}

//! Coroutines while something unwinds: themselves, or the stack that uses them.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::thread::{self, panicking};

use lisle_runtime::{
    Coroutine, CoroutineState, CoroutineStatus, Generator, ScopedCoroutine, Yielder,
};
use support::coroutine::{Log, OnDrop};
use support::stack::in_child;

type Plain = Yielder<(), (), ()>;

/// Calls `action` in a destructor that a panic runs.
fn amid_panic(action: impl FnOnce()) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _acts = OnDrop::new(|| {
            assert!(panicking());
            action();
            assert!(panicking());
        });
        resume_unwind(Box::new("the user's"));
    }));
    assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "the user's");
    assert!(!panicking());
}

#[test]
fn one_that_is_used_by_a_destructor_amid_a_panic_is_in_none() {
    let log = Log::default();
    amid_panic(|| {
        let inside = log.clone();
        let coroutine = Coroutine::new(move |yielder: &Yielder<(), bool, bool>, ()| {
            let _unwound = inside.on_drop("unwound");
            yielder.suspend(panicking());
            let caught = catch_unwind(|| {
                let _sees = OnDrop::new(|| assert!(panicking()));
                panic_any("its own");
            });
            assert!(caught.is_err());
            yielder.suspend(panicking());
            panicking()
        });
        assert_eq!(coroutine.resume(()), CoroutineState::Yielded(false));
        assert!(panicking());
        assert_eq!(coroutine.resume(()), CoroutineState::Yielded(false));
        drop(coroutine);
        log.note("dropped");
        let items = Generator::new(|out| (1..4).for_each(|n| out.suspend((n, panicking()))));
        assert!(items.eq([(1, false), (2, false), (3, false)]));
    });
    assert_eq!(log.take(), ["unwound", "dropped"]);
}

/// A coroutine that panics and is suspended, `times` over, by a destructor while it unwinds.
fn suspended_amid_panic(times: u32, log: Log) -> Coroutine<(), u32, ()> {
    Coroutine::new(move |yielder: &Yielder<(), u32, ()>, ()| {
        let _after = log.on_drop("after");
        let _suspends = OnDrop::new(|| {
            for time in 1..=times {
                assert!(panicking());
                yielder.suspend(time);
            }
            assert!(panicking());
            log.note("went on");
        });
        resume_unwind(Box::new("amid"));
    })
}

/// Resumes one whose panic comes out then.
fn end_with_panic(coroutine: Coroutine<(), u32, ()>) {
    let payload = catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "amid");
    assert_eq!(coroutine.status(), CoroutineStatus::Finished);
}

#[test]
fn a_destructor_may_suspend_amid_a_panic() {
    let log = Log::default();
    let coroutine = suspended_amid_panic(2, log.clone());
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
    assert!(!panicking(), "its panic is no other stack's");
    assert_eq!(coroutine.status(), CoroutineStatus::Suspended);

    // Others live on, and may panic and be unwound themselves.
    let other = Coroutine::new(|yielder: &Plain, ()| yielder.suspend(()));
    other.resume(());
    let noted = log.clone();
    let third = Coroutine::new(move |yielder: &Plain, ()| {
        let _third = noted.on_drop("third");
        yielder.suspend(());
    });
    third.resume(());
    drop(third);
    assert_eq!(log.take(), ["third"]);
    let bad = Coroutine::new(|_: &Plain, ()| resume_unwind(Box::new("bad")));
    assert!(catch_unwind(AssertUnwindSafe(|| bad.resume(()))).is_err());

    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(2));
    end_with_panic(coroutine);
    assert_eq!(log.take(), ["went on", "after"]);
    assert!(!panicking(), "the counts balance");
    assert_eq!(other.resume(()), CoroutineState::Returned(()));
}

#[test]
fn one_amid_a_panic_is_leaked_when_dropped() {
    for suspensions in 1..=3 {
        let log = Log::default();
        let coroutine = suspended_amid_panic(9, log.clone());
        let weak = coroutine.downgrade();
        for time in 1..=suspensions {
            assert_eq!(coroutine.resume(()), CoroutineState::Yielded(time));
        }
        drop(coroutine);
        assert_eq!(weak.status(), None);
        assert!(!panicking());
        assert!(log.take().is_empty(), "nothing more has run on it");
    }
}

/// It has begun inside another's panic, and its own is recognised all the same.
#[test]
fn one_amid_both_panics_is_leaked_when_dropped() {
    for drops_amid_panic in [false, true] {
        let log = Log::default();
        let mut kept = None;
        amid_panic(|| {
            let coroutine = suspended_amid_panic(9, log.clone());
            assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
            kept = Some(coroutine).filter(|_| !drops_amid_panic);
        });
        drop(kept);
        assert!(log.take().is_empty(), "nothing more has run on it");
    }
}

#[test]
fn one_amid_a_panic_goes_on_amid_another() {
    let log = Log::default();
    let coroutine = suspended_amid_panic(2, log.clone());
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
    amid_panic(|| assert_eq!(coroutine.resume(()), CoroutineState::Yielded(2)));
    end_with_panic(coroutine);
    assert_eq!(log.take(), ["went on", "after"]);
}

/// The destructors of a coroutine run, whatever other panics happened during its life.
#[test]
fn one_during_which_another_panicked_is_unwound() {
    let log = Log::default();
    let (inside, kept) = (log.clone(), Rc::new(RefCell::new(None)));
    let keep = kept.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _end = inside.on_drop("end");
        let other = suspended_amid_panic(9, inside.clone());
        other.resume(());
        *keep.borrow_mut() = Some(other);
        assert!(!panicking());
        yielder.suspend(());
    });
    coroutine.resume(());
    drop(coroutine);
    assert_eq!(log.take(), ["end"]);
    drop(kept.take());
    assert!(log.take().is_empty());
}

#[test]
fn one_that_got_over_its_panic_is_unwound_again() {
    let log = Log::default();
    let noted = log.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _end = noted.on_drop("end");
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let _suspends = OnDrop::new(|| yielder.suspend(()));
            resume_unwind(Box::new("amid"));
        }));
        yielder.suspend(());
    });
    coroutine.resume(());
    coroutine.resume(());
    assert!(!panicking());
    amid_panic(move || drop(coroutine));
    assert_eq!(log.take(), ["end"], "another's panic is not taken for its own");
}

/// A panic in a destructor that another panic has called, and a suspension inside both.
#[test]
fn all_panics_of_one_coroutine_come_back() {
    let coroutine = Coroutine::new(|yielder: &Plain, ()| {
        let _nests = OnDrop::new(|| {
            let inner = catch_unwind(AssertUnwindSafe(|| {
                let _innermost = OnDrop::new(|| {
                    let third = catch_unwind(AssertUnwindSafe(|| {
                        let _suspends = OnDrop::new(|| yielder.suspend(()));
                        resume_unwind(Box::new("third"));
                    }));
                    assert!(third.is_err() && panicking());
                });
                resume_unwind(Box::new("second"));
            }));
            assert!(inner.is_err() && panicking());
            yielder.suspend(());
            assert!(panicking());
        });
        resume_unwind(Box::new("first"));
    });
    for _ in 0..2 {
        coroutine.resume(());
        assert!(!panicking());
    }
    let payload = catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "first");
    assert!(!panicking());
}

#[test]
fn a_transfer_amid_a_panic_leaves_it_behind() {
    let second = Coroutine::new(|yielder: &Yielder<(), &str, ()>, ()| {
        assert!(!panicking());
        yielder.suspend("second");
        assert!(!panicking());
        yielder.suspend("second again");
    });
    let weak = second.downgrade();
    let first = Coroutine::new(move |yielder: &Yielder<(), &str, ()>, ()| {
        let _transfers = OnDrop::new(|| {
            yielder.transfer(&weak, ());
            assert!(panicking());
            yielder.transfer(&weak, ());
            assert!(panicking());
        });
        resume_unwind(Box::new("first's"));
    });
    assert_eq!(first.resume(()), CoroutineState::Yielded("second"));
    assert!(!panicking());
    amid_panic(|| assert_eq!(first.resume(()), CoroutineState::Yielded("second again")));
    let payload = catch_unwind(AssertUnwindSafe(|| first.resume(()))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "first's");
    assert!(!panicking());
}

#[test]
fn a_call_amid_a_panic_calls_into_none() {
    let outer = Coroutine::new(|yielder: &Yielder<(), bool, bool>, ()| {
        let mut inside = true;
        amid_panic(|| {
            let inner = Coroutine::new(|yielder: &Yielder<(), bool, bool>, ()| {
                yielder.suspend(panicking());
                yielder.suspend(panicking());
                panicking()
            });
            inside = yielder.call(&inner, ());
        });
        inside
    });
    assert_eq!(outer.resume(()), CoroutineState::Yielded(false));
    assert!(!panicking());
    assert_eq!(outer.resume(()), CoroutineState::Yielded(false));
    assert_eq!(outer.resume(()), CoroutineState::Returned(false));
}

#[test]
fn a_mutex_is_poisoned_only_by_a_stack_that_panics() {
    let (theirs, ours) = (Rc::new(Mutex::new(0)), Rc::new(Mutex::new(0)));
    let mutex = theirs.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _guard = mutex.lock().unwrap();
        let _suspends = OnDrop::new(|| yielder.suspend(()));
        resume_unwind(Box::new("amid"));
    });
    let guard = ours.lock().unwrap();
    coroutine.resume(());
    drop(guard);
    drop(ours.lock().unwrap());
    assert!(catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).is_err());
    assert!(theirs.is_poisoned() && !ours.is_poisoned());

    amid_panic(|| {
        let mutex = ours.clone();
        let inside = Coroutine::new(move |yielder: &Plain, ()| {
            let guard = mutex.lock().unwrap();
            yielder.suspend(());
            drop(guard);
        });
        inside.resume(());
        inside.resume(());
    });
    assert!(!ours.is_poisoned());
}

/// Many at once on several threads, ended in another order than begun.
#[test]
fn dozens_amid_their_panics_end_in_any_order() {
    const COUNT: usize = 60;
    let work = |step: usize| {
        let log = Log::default();
        let suspended = |_| {
            let coroutine = suspended_amid_panic(3, log.clone());
            assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
            assert!(!panicking());
            Some(coroutine)
        };
        let mut coroutines: Vec<_> = (0..COUNT).map(suspended).collect();
        for time in 2..=3 {
            for n in 0..COUNT {
                let coroutine = coroutines[n * step % COUNT].as_ref().unwrap();
                assert_eq!(coroutine.resume(()), CoroutineState::Yielded(time));
                assert!(!panicking());
            }
        }
        for n in 0..COUNT {
            end_with_panic(coroutines[n * (step + 6) % COUNT].take().unwrap());
            assert!(!panicking());
        }
        assert_eq!(log.take().len(), 2 * COUNT);
    };
    thread::scope(|threads| {
        for step in [1, 7, 11, 13] {
            threads.spawn(move || work(step));
        }
    });
}

#[test]
fn a_scope_that_cannot_end_its_coroutine_aborts() {
    let ended = in_child("a_scope_that_cannot_end_its_coroutine_aborts", &[], || {
        let text = String::from("borrowed");
        ScopedCoroutine::scope(
            |yielder: &Plain, ()| {
                let _suspends = OnDrop::new(|| {
                    yielder.suspend(());
                    println!("{text}");
                });
                resume_unwind(Box::new("amid"));
            },
            |coroutine| coroutine.resume(()),
        );
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "lisle: a coroutine that borrows cannot be ended";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

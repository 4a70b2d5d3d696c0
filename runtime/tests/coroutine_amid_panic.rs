//! Coroutines while something unwinds: themselves, or others on their thread.
#![cfg(not(lisle_loom))]

mod coroutine_support;
mod stack_support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::thread;

use coroutine_support::{Log, OnDrop};
use lisle_runtime::{Coroutine, ScopedCoroutine, State, Status, Yielder};
use stack_support::in_child;

type Plain = Yielder<(), (), ()>;

#[test]
fn one_that_is_used_by_a_destructor_amid_a_panic_is_unwound() {
    // It suspends while the thread unwinds, but nothing on its own stack does.
    let log = Log::default();
    let noted = log.clone();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _uses = OnDrop::new(move || {
            let inside = noted.clone();
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), bool, ()>, ()| {
                let _unwound = inside.on_drop("unwound");
                yielder.suspend(thread::panicking());
            });
            assert_eq!(coroutine.resume(()), State::Yielded(true));
            drop(coroutine);
            noted.note("dropped");
        });
        panic_any("first");
    }));
    assert!(result.is_err());
    assert_eq!(log.take(), ["unwound", "dropped"]);
}

/// A coroutine that panics and is suspended, `times` over, by a destructor while it unwinds.
fn suspended_amid_panic(times: u32, log: Log) -> Coroutine<(), u32, ()> {
    Coroutine::new(move |yielder: &Yielder<(), u32, ()>, ()| {
        let _after = log.on_drop("after");
        let _suspends = OnDrop::new(|| {
            for time in 1..=times {
                yielder.suspend(time);
            }
            log.note("went on");
        });
        resume_unwind(Box::new("amid"));
    })
}

#[test]
fn a_destructor_may_suspend_amid_a_panic() {
    let log = Log::default();
    let coroutine = suspended_amid_panic(2, log.clone());
    assert_eq!(coroutine.resume(()), State::Yielded(1));
    assert!(thread::panicking(), "others on the thread see the panic meanwhile");
    assert_eq!(coroutine.status(), Status::Suspended);

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

    assert_eq!(coroutine.resume(()), State::Yielded(2));
    let payload = catch_unwind(AssertUnwindSafe(|| coroutine.resume(()))).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "amid");
    assert_eq!(log.take(), ["went on", "after"]);
    assert!(!thread::panicking(), "the counts balance");
    assert_eq!(other.resume(()), State::Returned(()));
}

#[test]
fn one_amid_a_panic_is_leaked_when_dropped() {
    // In a thread of its own, whose panic is never over.
    for suspensions in 1..=3 {
        let left = thread::spawn(move || {
            let log = Log::default();
            let coroutine = suspended_amid_panic(9, log.clone());
            let name = coroutine.name();
            for time in 1..=suspensions {
                assert_eq!(coroutine.resume(()), State::Yielded(time));
            }
            drop(coroutine);
            assert_eq!(name.status(), None);
            assert!(thread::panicking());
            log.take()
        });
        assert!(left.join().unwrap().is_empty(), "nothing more has run on it");
    }
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
    assert!(thread::panicking());
    coroutine.resume(());
    assert!(!thread::panicking());
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _owned = coroutine;
        resume_unwind(Box::new("owner's"));
    }));
    assert!(result.is_err());
    assert_eq!(log.take(), ["end"], "another's panic is not taken for its own");
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

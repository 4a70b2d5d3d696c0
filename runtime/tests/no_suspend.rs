//! Sections that must not be left by a suspension.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;

use lisle_runtime::internal::{attached, in_section, never_suspend_again};
use lisle_runtime::{Coroutine, CoroutineState, Generator, Yielder, no_suspend};
use support::coroutine::{OnDrop, panic_text};

type Plain = Yielder<(), (), ()>;

#[test]
fn suspending_inside_panics_and_says_why() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), u8, String>, ()| {
        let text = panic_text(|| no_suspend(|| yielder.suspend(1)));
        yielder.suspend(2); // outside it is allowed again
        text
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(2));
    let CoroutineState::Returned(text) = coroutine.resume(()) else { panic!() };
    assert!(text.starts_with("a coroutine cannot be suspended inside no_suspend: "), "{text}");
    assert!(!in_section());
}

#[test]
fn neither_kind_of_section_hides_the_other() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), u8, [String; 4]>, ()| {
        let text = || panic_text(|| yielder.suspend(1));
        let in_shield = attached(|| {
            assert!(!in_section());
            let inside = attached(text);
            let twice = no_suspend(|| attached(text));
            [inside, twice, text()]
        });
        let after_shield = no_suspend(|| {
            attached(|| ());
            text()
        });
        yielder.suspend(2); // outside it is allowed again
        let [inside, twice, after] = in_shield;
        [inside, twice, after, after_shield]
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(2));
    let CoroutineState::Returned(texts) = coroutine.resume(()) else { panic!() };
    for (text, what) in texts.iter().zip(["a shield", "no_suspend", "a shield", "no_suspend"]) {
        assert!(text.contains(&format!("suspended inside {what}")), "{texts:?}");
    }
}

#[test]
fn transferring_inside_panics() {
    let other = Coroutine::new(|_: &Plain, ()| unreachable!("this is never entered"));
    let weak = other.downgrade();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        no_suspend(|| yielder.transfer(&weak, ()));
    });
    assert!(panic_text(|| coroutine.resume(())).contains("inside no_suspend"));
}

#[test]
fn it_returns_what_the_section_returns() {
    let text = String::from("kept");
    assert_eq!(no_suspend(|| text), "kept");
}

#[test]
fn sections_nest() {
    no_suspend(|| {
        assert!(in_section());
        no_suspend(|| assert!(in_section()));
        assert!(in_section());
    });
    assert!(!in_section());

    let coroutine = Coroutine::new(|yielder: &Plain, ()| {
        no_suspend(|| {
            no_suspend(|| ());
            yielder.suspend(()); // the outer section is still there
        });
    });
    assert!(panic_text(|| coroutine.resume(())).contains("inside no_suspend"));
}

#[test]
fn a_panic_inside_ends_the_section() {
    let result = catch_unwind(|| no_suspend(|| no_suspend(|| panic_any("out"))));
    assert!(result.is_err());
    assert!(!in_section());
    let coroutine = Coroutine::new(|yielder: &Plain, ()| {
        let _ = catch_unwind(|| no_suspend(|| panic_any("out")));
        yielder.suspend(());
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
}

#[test]
fn coroutines_that_are_resumed_inside_may_suspend() {
    let squares = Generator::new(|out| {
        for n in 1u32.. {
            out.suspend(n * n);
        }
    });
    assert_eq!(no_suspend(|| squares.take(3).sum::<u32>()), 14);
}

#[test]
fn one_may_be_resumed_inside_and_outside_by_turns() {
    let coroutine = Coroutine::new(|yielder: &Yielder<(), u32, String>, ()| {
        yielder.suspend(1);
        yielder.suspend(2);
        yielder.suspend(3);
        panic_text(|| no_suspend(|| yielder.suspend(4)))
    });
    assert_eq!(no_suspend(|| coroutine.resume(())), CoroutineState::Yielded(1));
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(2));
    assert_eq!(no_suspend(|| no_suspend(|| coroutine.resume(()))), CoroutineState::Yielded(3));
    let CoroutineState::Returned(text) = no_suspend(|| coroutine.resume(())) else { panic!() };
    assert!(text.contains("inside no_suspend"), "its own section forbids it also there");
}

#[test]
fn a_section_forbids_what_would_leave_it_and_nothing_else() {
    let outer = Coroutine::new(|yielder: &Plain, ()| {
        no_suspend(|| {
            let inner = Coroutine::new(|yielder: &Plain, ()| {
                yielder.suspend(()); // comes back into the section
                no_suspend(|| yielder.suspend(()));
            });
            inner.resume(());
            assert!(panic_text(|| inner.resume(())).contains("inside no_suspend"));
        });
        yielder.suspend(());
    });
    assert_eq!(outer.resume(()), CoroutineState::Yielded(()));
    assert_eq!(outer.resume(()), CoroutineState::Returned(()));
}

#[test]
fn a_section_that_is_over_forbids_nothing() {
    let coroutine = Coroutine::new(|yielder: &Plain, ()| {
        no_suspend(|| ());
        let _ = catch_unwind(|| no_suspend(|| panic_any("out")));
        yielder.suspend(());
    });
    assert_eq!(no_suspend(|| coroutine.resume(())), CoroutineState::Yielded(()));
}

#[test]
fn one_that_is_dropped_inside_is_unwound() {
    let ended = Rc::new(Cell::new(false));
    let noted = ended.clone();
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _end = OnDrop::new(|| noted.set(true));
        yielder.suspend(());
    });
    coroutine.resume(());
    no_suspend(|| drop(coroutine));
    assert!(ended.get());
}

#[test]
fn a_thread_that_suspends_never_again_still_runs_coroutines() {
    let thread = std::thread::spawn(|| {
        never_suspend_again();
        no_suspend(|| ());
        assert!(in_section(), "the end of an inner section does not end it");
        let coroutine = Coroutine::new(|yielder: &Plain, ()| {
            yielder.suspend(());
            no_suspend(|| yielder.suspend(()));
        });
        assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
        assert!(panic_text(|| coroutine.resume(())).contains("inside no_suspend"));
    });
    thread.join().unwrap();
    assert!(!in_section(), "it was another thread");
}

#[test]
fn a_section_in_a_destructor_that_unwinds_is_left() {
    let coroutine = Coroutine::new(move |yielder: &Plain, ()| {
        let _section = OnDrop::new(|| no_suspend(|| ()));
        yielder.suspend(());
    });
    coroutine.resume(());
    assert!(catch_unwind(AssertUnwindSafe(|| drop(coroutine))).is_ok());
    assert!(!in_section());
}

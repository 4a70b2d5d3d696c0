//! A task that is cancelled in a callback, beneath frames of a C library.

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use lisle_scheduler::{Cancelled, CancelledBy, check_cancelled, spawn, timeout, yield_now};

use crate::support::{Log, NoteDrop, run_in_order};
use crate::{MOMENT, assert_cancelled, wait_for_ever};

type Compare = unsafe extern "C-unwind" fn(*const c_void, *const c_void) -> i32;

unsafe extern "C-unwind" {
    fn bsearch(
        key: *const c_void,
        base: *const c_void,
        count: usize,
        size: usize,
        compare: Compare,
    ) -> *mut c_void;
}

fn call_through_c(compare: Compare) {
    let numbers = [1_i32, 2, 3];
    // SAFETY: the array has three elements of four bytes, and the key is one, too.
    unsafe { bsearch((&raw const numbers[0]).cast(), numbers.as_ptr().cast(), 3, 4, compare) };
}

unsafe extern "C-unwind" fn waits(_: *const c_void, _: *const c_void) -> i32 {
    wait_for_ever();
    0
}

/// The unwinding passes through the library, which was built for that.
#[test]
fn frames_of_c_are_unwound() {
    run_in_order(|| {
        let log = Log::new();
        let note = NoteDrop(log.clone(), "dropped");
        let task = spawn(move || {
            let _note = note;
            call_through_c(waits);
        });
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);
        log.expect(&["dropped"]);
        assert!(timeout(MOMENT, || call_through_c(waits)).is_err());
    });
}

/// What a binding keeps while its library calls back: the payload that the callback has caught.
#[derive(Default)]
struct State {
    caught: Option<Box<dyn Any + Send>>,
    calls: u32,
}

/// As bindings do for libraries that cannot be unwound: it catches, and says that it has failed.
extern "C" fn reads(state: *mut State) -> i32 {
    // SAFETY: the library hands on what it was given.
    let state = unsafe { &mut *state };
    state.calls += 1;
    match catch_unwind(AssertUnwindSafe(wait_for_ever)) {
        Ok(()) => 0,
        Err(payload) => {
            state.caught.get_or_insert(payload);
            -1
        }
    }
}

/// A library that, when a callback fails, tries once more, to say goodbye.
extern "C" fn library(callback: extern "C" fn(*mut State) -> i32, state: *mut State) -> i32 {
    if callback(state) < 0 { callback(state) } else { 0 }
}

fn binding() {
    let mut state = State::default();
    let outcome = library(reads, ptr::from_mut(&mut state));
    assert_eq!((outcome, state.calls), (-1, 2));
    if let Some(payload) = state.caught {
        resume_unwind(payload);
    }
}

/// Each wait in a callback is struck, and the payload that is thrown anew behind the library is
/// still that of the cancellation: the task's, or the region's.
#[test]
fn a_callback_catches_and_the_binding_throws_anew() {
    run_in_order(|| {
        let task = spawn(binding);
        yield_now();
        task.cancel();
        assert_cancelled(task, CancelledBy::Handle);

        assert!(timeout(MOMENT, binding).is_err());
        check_cancelled();
        let twice = || catch_unwind(binding).unwrap_or_else(|payload| resume_unwind(payload));
        assert!(timeout(MOMENT, twice).is_err());
    });
    // A plain thread.
    assert!(timeout(MOMENT, binding).is_err());
}

/// A callback that swallows the cancellation: the task goes on, and is struck at its next wait.
#[test]
fn one_that_swallows_it_is_struck_behind_the_library() {
    run_in_order(|| {
        let task = spawn(|| {
            let mut state = State::default();
            assert_eq!(library(reads, ptr::from_mut(&mut state)), -1);
            let by = Cancelled::of(state.caught.as_ref().unwrap()).unwrap().by();
            assert_eq!(by, CancelledBy::Handle);
            yield_now();
            unreachable!("it is still cancelled");
        });
        yield_now();
        task.cancel();
        assert_cancelled::<()>(task, CancelledBy::Handle);
    });
}

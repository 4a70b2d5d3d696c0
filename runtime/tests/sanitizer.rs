//! AddressSanitizer finds errors on stacks of ours as it does elsewhere, and takes nothing else for
//! one. The second half is shown above all by the whole test suite, which runs without a report.
#![cfg(lisle_sanitize = "address")]

mod support;

use std::cell::Cell;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::ptr;

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::{Coroutine, CoroutineState, Yielder};
use support::stack::in_child;

type Plain = Yielder<(), (), ()>;

const OPTIONS: &str = "detect_stack_use_after_return=1:detect_leaks=0:abort_on_error=0:exitcode=99";

/// Asserts that `body`, run in a process of its own, is ended by a report of such an error, which
/// names the function `culprit`.
#[track_caller]
fn assert_reported(name: &str, error: &str, culprit: &str, body: impl FnOnce()) {
    let ended = in_child(name, &[("ASAN_OPTIONS", OPTIONS)], body);
    assert_eq!(ended.code, Some(99), "{}", ended.stderr);
    for word in [&format!("AddressSanitizer: {error}"), culprit] {
        assert!(ended.stderr.contains(word), "{word} is missing in\n{}", ended.stderr);
    }
}

/// Suspends a body between its allocations and its error.
fn in_a_coroutine(body: impl FnOnce(&Plain) + 'static) {
    let coroutine = Coroutine::new(|yielder: &Plain, ()| body(yielder));
    while coroutine.resume(()) != CoroutineState::Returned(()) {}
}

#[inline(never)]
fn reads_past_the_end(place: *const u8, length: usize) -> u8 {
    // SAFETY: there is nothing safe about it. The tool ends the process.
    unsafe { black_box(place).add(length).read_volatile() }
}

#[test]
fn a_heap_overflow_in_a_coroutine_is_reported() {
    let name = "a_heap_overflow_in_a_coroutine_is_reported";
    assert_reported(name, "heap-buffer-overflow", "reads_past_the_end", || {
        in_a_coroutine(|yielder| {
            let bytes = vec![1_u8; 32];
            yielder.suspend(());
            reads_past_the_end(bytes.as_ptr(), bytes.len());
        });
    });
}

#[test]
fn a_stack_overflow_of_a_variable_is_reported() {
    let name = "a_stack_overflow_of_a_variable_is_reported";
    assert_reported(name, "stack-buffer-overflow", "reads_past_the_end", || {
        in_a_coroutine(|yielder| {
            let bytes = black_box([1_u8; 32]);
            yielder.suspend(());
            reads_past_the_end((&raw const bytes).cast(), bytes.len());
            black_box(bytes);
        });
    });
}

#[test]
fn a_use_after_free_by_another_coroutine_is_reported() {
    let name = "a_use_after_free_by_another_coroutine_is_reported";
    assert_reported(name, "heap-use-after-free", "reads_past_the_end", || {
        in_a_coroutine(|yielder| {
            let bytes = vec![1_u8; 32];
            let place = bytes.as_ptr();
            yielder.suspend(());
            in_a_coroutine(move |_| drop(bytes));
            reads_past_the_end(place, 0);
        });
    });
}

#[inline(never)]
fn lends_its_variable(place: &Cell<*const u8>) {
    let mut local = [1_u8; 32];
    place.set(black_box(&mut local).as_ptr());
}

#[cfg_attr(not(debug_assertions), ignore = "the tool sees none in optimised Rust code")]
#[test]
fn a_use_after_return_is_reported_even_after_suspensions() {
    let name = "a_use_after_return_is_reported_even_after_suspensions";
    assert_reported(name, "stack-use-after-return", "reads_past_the_end", || {
        in_a_coroutine(|yielder| {
            let place = Cell::new(ptr::null());
            lends_its_variable(&place);
            yielder.suspend(());
            yielder.suspend(());
            reads_past_the_end(place.get(), 0);
        });
    });
}

/// Goes down, and leaves by a panic, which wipes no marks of the frames that it skips: the tool
/// does so, if it knows on which stack.
#[inline(never)]
fn panic_at(depth: u32) -> u8 {
    let frame = black_box([1_u8; 200]);
    if depth == 0 {
        panic_any(());
    }
    panic_at(depth - 1) + black_box(frame)[0]
}

/// Fills the part of the stack that `panic_at` has used.
#[inline(never)]
fn fill(length: usize) {
    let mut frame = [0_u8; 16 * 1024];
    black_box(&mut frame)[..length].fill(1);
    black_box(&frame);
}

#[test]
fn frames_that_a_panic_has_skipped_are_forgotten() {
    for _ in 0..20 {
        in_a_coroutine(|yielder| {
            for _ in 0..3 {
                catch_unwind(AssertUnwindSafe(|| panic_at(20))).unwrap_err();
                fill(16 * 1024);
                yielder.suspend(());
            }
        });
    }
}

#[test]
fn a_stack_of_a_finished_coroutine_is_blank_again() {
    let mut stack = Stack::allocate(StackSize::DEFAULT).unwrap();
    for _ in 0..3 {
        let coroutine = Coroutine::with_stack(stack, |yielder: &Plain, ()| {
            let frame = black_box([1_u8; 1000]);
            yielder.suspend(());
            fill(16 * 1024);
            black_box(frame);
        });
        coroutine.resume(());
        coroutine.resume(());
        stack = coroutine.into_stack().unwrap();
        let length = stack.top().addr() - stack.bottom().addr();
        // SAFETY: the stack is ours, and nobody runs on it.
        unsafe { ptr::write_bytes(stack.bottom(), 7, length) };
    }
}

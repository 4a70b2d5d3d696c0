//! The two ends of a stack: nothing looks past its base, and nothing goes past its guard.

mod support;

use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::hint::black_box;
use std::rc::Rc;

use support::stack::in_child;
use support::switch::{Fiber, Link, first_frame_without_catch, stack};

type Traces = Rc<RefCell<Vec<String>>>;

#[inline(never)]
fn frame_of_the_body(link: &Link, traces: &Traces) {
    traces.borrow_mut().push(Backtrace::force_capture().to_string());
    link.suspend();
    traces.borrow_mut().push(Backtrace::force_capture().to_string());
    black_box(link);
}

#[inline(never)]
fn frame_of_the_first_resumer(fiber: &Fiber) {
    fiber.resume();
    black_box(fiber);
}

#[inline(never)]
fn frame_of_the_second_resumer(fiber: &Fiber) {
    fiber.resume();
    black_box(fiber);
}

/// The names of the frames, innermost first.
fn frames(trace: &str) -> Vec<&str> {
    trace.lines().filter_map(|line| line.trim().split_once(": ")).map(|(_, name)| name).collect()
}

/// Bounds the memory of a backtrace that does not find the end of the stack and goes on for ever.
fn end_before_a_loop_fills_the_memory() {
    let seconds = libc::rlimit { rlim_cur: 20, rlim_max: 20 };
    // SAFETY: the call reads the limit and changes a setting of this process.
    unsafe { libc::setrlimit(libc::RLIMIT_CPU, &seconds) };
}

#[test]
fn a_backtrace_ends_at_the_base() {
    in_child("a_backtrace_ends_at_the_base", &[], || {
        end_before_a_loop_fills_the_memory();
        examine_backtraces();
    })
    .assert_success();
}

fn examine_backtraces() {
    let traces = Traces::default();
    let fiber = Fiber::new({
        let traces = traces.clone();
        move |link| frame_of_the_body(link, &traces)
    });
    frame_of_the_first_resumer(&fiber);
    frame_of_the_second_resumer(&fiber);
    assert!(fiber.is_finished());
    let traces = traces.borrow();
    assert_eq!(traces.len(), 2);
    for trace in traces.iter() {
        let frames = frames(trace);
        let find = |name: &str| frames.iter().position(|frame| frame.contains(name));
        let body = find("frame_of_the_body").expect(trace);
        let first = frames.iter().rposition(|frame| frame.contains("support::switch::first_frame"));
        let first = first.expect(trace);
        assert!(body < first, "{trace}");
        // Nothing comes after the entry but the backend's own: one frame in assembly, or the start
        // of `ucontext` and that of the C library. Where the program has line tables only, the
        // entry itself may be shown without its path.
        assert!(frames.len() - 1 - first <= 3, "{trace}");
        assert_eq!(find("resumer"), None, "{trace}");
    }
}

#[test]
fn the_message_of_a_panic_shows_the_stack_it_happened_on() {
    let name = "the_message_of_a_panic_shows_the_stack_it_happened_on";
    let ended = in_child(name, &[("RUST_BACKTRACE", "full")], || {
        end_before_a_loop_fills_the_memory();
        let fiber = Fiber::new(|_| panic!("in the body"));
        frame_of_the_first_resumer(&fiber);
    });
    assert_eq!(ended.code, Some(101), "{}", ended.stderr);
    assert!(ended.stderr.contains("in the body"), "{}", ended.stderr);
    assert!(ended.stderr.contains("support::switch::first_frame"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("frame_of_the_first_resumer"), "{}", ended.stderr);
}

#[test]
fn an_uncaught_panic_aborts_at_the_base() {
    let name = "an_uncaught_panic_aborts_at_the_base";
    let ended = in_child(name, &[("RUST_BACKTRACE", "1")], || {
        end_before_a_loop_fills_the_memory();
        let fiber = Fiber::with_entry(stack(), first_frame_without_catch, |_| panic!("uncaught"));
        frame_of_the_first_resumer(&fiber);
        eprintln!("came back");
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains("uncaught"), "{}", ended.stderr);
    assert!(ended.stderr.contains("failed to initiate panic"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("came back"), "{}", ended.stderr);
}

#[expect(unconditional_recursion, reason = "it is meant to overflow")]
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(depth + 1) + frame[depth as usize % 64]
}

#[inline(never)]
fn frame_of_a_mebibyte(byte: u8) -> u8 {
    let frame = black_box([byte; 1 << 20]);
    frame[black_box(usize::from(byte))]
}

const OVERFLOW: &str = "\na coroutine has overflowed its stack\n";

#[test]
fn recursion_without_end_is_reported_at_the_guard() {
    let name = "recursion_without_end_is_reported_at_the_guard";
    let ended = in_child(name, &[], || {
        Fiber::new(|_| _ = black_box(recurse(0))).resume();
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains(OVERFLOW), "{}", ended.stderr);
}

#[test]
fn recursion_without_end_is_reported_after_a_suspension_too() {
    let name = "recursion_without_end_is_reported_after_a_suspension_too";
    let ended = in_child(name, &[], || {
        let fiber = Fiber::new(|link| {
            link.suspend();
            black_box(recurse(0));
        });
        fiber.resume();
        fiber.resume();
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains(OVERFLOW), "{}", ended.stderr);
}

/// The frame is larger than the stack, so its first access could jump over a guard page.
#[cfg_attr(target_arch = "riscv64", ignore = "rustc has no stack probes for this architecture")]
#[test]
fn a_frame_larger_than_the_stack_does_not_jump_over_the_guard() {
    let name = "a_frame_larger_than_the_stack_does_not_jump_over_the_guard";
    let ended = in_child(name, &[], || {
        // What a frame that jumps over the guard would reach.
        let _below: Vec<_> = (0..8).map(|_| stack()).collect();
        Fiber::new(|_| _ = black_box(frame_of_a_mebibyte(1))).resume();
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains(OVERFLOW), "{}", ended.stderr);
}

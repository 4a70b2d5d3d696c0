//! What a debugger sees of code on a stack of its own: its frames down to the base, and nothing
//! beyond. Needs gdb, and says so if there is none.

mod support;

use std::env;
use std::hint::black_box;
use std::process::{Command, Stdio};

use lisle_runtime::switch;
use lisle_runtime::{Coroutine, Yielder};
use support::switch::Fiber;

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lisle_test_stops_here(value: u32) -> u32 {
    black_box(value) + 1
}

#[inline(never)]
fn third(value: u32) -> u32 {
    black_box(lisle_test_stops_here(value)) + 1
}

#[inline(never)]
fn second(value: u32) -> u32 {
    black_box(third(value)) + 1
}

#[inline(never)]
fn first(value: u32) -> u32 {
    black_box(second(value)) + 1
}

#[inline(never)]
fn frame_of_the_resumer(resume: impl FnOnce()) {
    resume();
    black_box(());
}

/// The frames that gdb shows where `body` first calls [`lisle_test_stops_here`], innermost first.
/// `None` if gdb cannot be used, with the reason on standard output.
///
/// `body` runs in a process of its own: this test program, started for the test `name` alone.
fn debugged(name: &str, body: impl FnOnce()) -> Option<Vec<String>> {
    const CHILD: &str = "LISLE_TEST_DEBUGGED";
    if env::var_os(CHILD).is_some_and(|child| child == name) {
        body();
        unreachable!("the debugger ends this process");
    }
    if env::var_os("LISLE_TEST_RUNNER").is_some() {
        println!("skipped: an emulated program cannot be debugged like that");
        return None;
    }
    let output = Command::new("gdb")
        .args(["--batch", "-nx", "-ex", "set width 0", "-ex", "set breakpoint pending on"])
        .args(["-ex", "break lisle_test_stops_here", "-ex", "run", "-ex", "backtrace"])
        .arg("--args")
        .arg(env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        println!("skipped: gdb is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    if complaints.contains("Operation not permitted") {
        println!("skipped: gdb may not trace a process here");
        return None;
    }
    assert!(!complaints.contains("Backtrace stopped"), "{said}\n{complaints}");
    let frames: Vec<_> = said.lines().filter(|line| line.starts_with('#')).collect();
    assert!(!frames.is_empty(), "{said}\n{complaints}");
    Some(frames.into_iter().map(str::to_owned).collect())
}

/// Asserts that the frames are those of the calls from `base` on, and no others.
#[track_caller]
fn assert_chain(frames: &[String], base: &str) {
    let mut rest = frames.iter();
    for name in ["lisle_test_stops_here", "third", "second", "first", base] {
        assert!(rest.any(|frame| frame.contains(name)), "{name} is missing in {frames:#?}");
    }
    // What follows the base is the backend's, a frame in assembly or a few of the C library, and
    // perhaps one for a sanitizer. Where the program has line tables only, the base itself may be
    // shown without its path.
    let end = frames.iter().rposition(|frame| frame.contains(base)).unwrap();
    assert!(frames.len() - 1 - end <= 4, "{frames:#?}");
    assert!(!frames.iter().any(|frame| frame.contains("the_resumer")), "{frames:#?}");
    if switch::BACKEND != "ucontext" {
        let last = frames.last().unwrap();
        assert!(last.contains("trampoline"), "{last}");
    }
}

const COROUTINE: &str = "coroutine::ends::base";

#[test]
fn the_calls_of_a_coroutine_are_seen_down_to_its_base() {
    let frames = debugged("the_calls_of_a_coroutine_are_seen_down_to_its_base", || {
        let coroutine = Coroutine::new(|_: &Yielder<(), (), u32>, ()| first(1));
        frame_of_the_resumer(|| _ = coroutine.resume(()));
    });
    if let Some(frames) = frames {
        assert_chain(&frames, COROUTINE);
    }
}

#[test]
fn they_are_seen_after_a_suspension_too() {
    let frames = debugged("they_are_seen_after_a_suspension_too", || {
        let coroutine = Coroutine::new(|yielder: &Yielder<(), (), u32>, ()| {
            yielder.suspend(());
            first(1)
        });
        coroutine.resume(());
        frame_of_the_resumer(|| _ = coroutine.resume(()));
    });
    if let Some(frames) = frames {
        assert_chain(&frames, COROUTINE);
    }
}

#[test]
fn the_calls_above_a_bare_switch_are_seen() {
    let frames = debugged("the_calls_above_a_bare_switch_are_seen", || {
        let fiber = Fiber::new(|link| {
            link.suspend();
            black_box(first(1));
        });
        fiber.resume();
        frame_of_the_resumer(|| fiber.resume());
    });
    if let Some(frames) = frames {
        assert_chain(&frames, "support::switch::first_frame");
    }
}

//! Who hears of a fault: a guard page names the task, and anything else takes its old way.

mod stack_support;

use std::hint::black_box;
use std::ptr;

use lisle_runtime::stack::{Stack, StackSize, overflow};
use stack_support::in_child;

fn write_to(address: usize) {
    // SAFETY: none needed in the usual sense: the child that does this is meant to fault.
    unsafe { ptr::without_provenance_mut::<u8>(address).write_volatile(1) };
}

fn stack() -> Stack {
    Stack::allocate(StackSize::DEFAULT).unwrap()
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + frame[depth as usize % 64]
}

extern "C" fn recurse_for_ever() {
    black_box(recurse(0));
}

#[test]
fn a_task_is_named_and_told_what_to_raise() {
    let ended = in_child("a_task_is_named_and_told_what_to_raise", &[], || {
        overflow::install();
        overflow::set_describer(|say| say(b"sieve"));
        write_to(stack().guard().end - 1);
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(
        ended.stderr.contains(
            "\ntask 'sieve' has overflowed its stack\n\
             the stack has 262144 bytes: raise LISLE_STACK_SIZE or give the task a larger stack \
             with Builder::stack_size\n"
        ),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_coroutine_has_no_name() {
    let ended = in_child("a_coroutine_has_no_name", &[], || {
        overflow::install();
        overflow::set_describer(|_| {});
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\ncoroutine has overflowed its stack\nthe stack has 262144 bytes: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_name_that_is_too_long_is_cut() {
    let ended = in_child("a_name_that_is_too_long_is_cut", &[], || {
        overflow::install();
        overflow::set_describer(|say| say(&[b'n'; 10_000]));
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "nnn' has overflowed its stack\nthe stack has 262144 bytes: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(ended.stderr.contains("Builder::stack_size\n"), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
#[test]
fn deep_recursion_ends_at_the_guard() {
    let ended = in_child("deep_recursion_ends_at_the_guard", &[], || {
        overflow::install();
        stack_support::run_on(&stack(), recurse_for_ever);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\ncoroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
#[test]
fn deep_recursion_ends_at_a_guard_made_by_mprotect() {
    let name = "deep_recursion_ends_at_a_guard_made_by_mprotect";
    let ended = in_child(name, &[("LISLE_STACK_GUARD", "mprotect")], || {
        overflow::install();
        stack_support::run_on(&stack(), recurse_for_ever);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\ncoroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
extern "C" fn thread_of_others(_: *mut libc::c_void) -> *mut libc::c_void {
    overflow::ensure_signal_stack().unwrap();
    stack_support::run_on(&stack(), recurse_for_ever);
    ptr::null_mut()
}

#[cfg(target_env = "gnu")]
#[test]
fn a_thread_that_rust_did_not_make_reports_too() {
    let ended = in_child("a_thread_that_rust_did_not_make_reports_too", &[], || {
        overflow::install();
        // SAFETY: the function has the right signature and uses no argument; the thread is joined.
        unsafe {
            let mut thread = std::mem::zeroed();
            let null = ptr::null_mut();
            libc::pthread_create(&mut thread, ptr::null(), thread_of_others, null);
            libc::pthread_join(thread, ptr::null_mut());
        }
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\ncoroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn an_overflow_of_a_plain_thread_is_still_reported_by_std() {
    let name = "an_overflow_of_a_plain_thread_is_still_reported_by_std";
    let ended = in_child(name, &[], || {
        let _stack = stack();
        overflow::install();
        overflow::install();
        std::thread::Builder::new()
            .name("plain".into())
            .spawn(|| recurse_for_ever())
            .unwrap()
            .join()
            .unwrap();
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains("thread 'plain'"), "{}", ended.stderr);
    assert!(ended.stderr.contains("has overflowed its stack"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("coroutine"), "{}", ended.stderr);
}

#[test]
fn a_wild_write_is_still_a_segmentation_fault() {
    let ended = in_child("a_wild_write_is_still_a_segmentation_fault", &[], || {
        let _stack = stack();
        overflow::install();
        write_to(8);
    });
    ended.assert_killed_by(libc::SIGSEGV);
    assert!(!ended.stderr.contains("overflowed"), "{}", ended.stderr);
}

/// Puts an action of its own in the place of std's, as another library would.
fn act_on_segv(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: the handlers of these tests have the signature that their flags say.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = flags;
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
}

extern "C" fn exit_with_address(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel's description of a fault was passed on.
    let address = unsafe { (*info).si_addr() }.addr();
    let exact = signal == libc::SIGSEGV && address == 64 && !context.is_null();
    // SAFETY: `_exit` is allowed in a handler.
    unsafe { libc::_exit(if exact { 42 } else { 1 }) };
}

extern "C" fn exit_with_signal(signal: libc::c_int) {
    // SAFETY: `_exit` is allowed in a handler.
    unsafe { libc::_exit(100 + signal) };
}

#[test]
fn an_older_handler_gets_the_fault_with_its_address() {
    let name = "an_older_handler_gets_the_fault_with_its_address";
    let ended = in_child(name, &[], || {
        act_on_segv(exit_with_address as *const () as usize, libc::SA_SIGINFO | libc::SA_ONSTACK);
        overflow::install();
        write_to(64);
    });
    assert_eq!(ended.code, Some(42), "{}", ended.stderr);
}

#[test]
fn an_older_plain_handler_gets_the_fault() {
    let ended = in_child("an_older_plain_handler_gets_the_fault", &[], || {
        act_on_segv(exit_with_signal as *const () as usize, 0);
        overflow::install();
        write_to(64);
    });
    assert_eq!(ended.code, Some(100 + libc::SIGSEGV), "{}", ended.stderr);
}

#[test]
fn an_older_handler_does_not_hear_of_an_overflow() {
    let name = "an_older_handler_does_not_hear_of_an_overflow";
    let ended = in_child(name, &[], || {
        act_on_segv(exit_with_signal as *const () as usize, 0);
        overflow::install();
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
}

#[test]
fn a_fault_cannot_be_ignored() {
    let ended = in_child("a_fault_cannot_be_ignored", &[], || {
        act_on_segv(libc::SIG_IGN, 0);
        overflow::install();
        write_to(64);
    });
    ended.assert_killed_by(libc::SIGSEGV);
}

#[test]
fn a_signal_that_is_sent_and_ignored_stays_ignored() {
    let name = "a_signal_that_is_sent_and_ignored_stays_ignored";
    let ended = in_child(name, &[], || {
        act_on_segv(libc::SIG_IGN, 0);
        overflow::install();
        for _ in 0..2 {
            // SAFETY: the signal is ignored, as it was before the handler came.
            unsafe { libc::raise(libc::SIGSEGV) };
        }
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
}

#[test]
fn a_sent_signal_with_the_default_action_ends_the_process() {
    let name = "a_sent_signal_with_the_default_action_ends_the_process";
    let ended = in_child(name, &[], || {
        act_on_segv(libc::SIG_DFL, 0);
        overflow::install();
        // SAFETY: the process is meant to end.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
    ended.assert_killed_by(libc::SIGSEGV);
}

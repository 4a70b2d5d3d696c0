//! Where a fault is reported: an overflow with the name of its task, any other fault as before.

mod support;

use std::hint::black_box;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};

use lisle_runtime::internal::overflow::{Describer, Running, ensure_signal_stack, set_describer};
use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::{Coroutine, Generator};
use support::stack::{in_child, writable};

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

/// Tells the handler what runs.
fn describe_as(describer: Describer) {
    // SAFETY: the functions of these tests only call back with constants.
    unsafe { set_describer(Box::leak(Box::new(describer))) };
}

#[test]
fn a_task_is_named_and_told_what_to_raise() {
    let ended = in_child("a_task_is_named_and_told_what_to_raise", &[], || {
        describe_as(|_, tell| tell(Running { name: b"sieve", remedy: Some("use less") }));
        write_to(stack().guard().end - 1);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected =
        "\ntask 'sieve' has overflowed its stack\nthe stack has 262144 bytes: use less\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn the_scheduler_is_asked_about_the_stack_that_has_overflowed() {
    static TOP: AtomicUsize = AtomicUsize::new(0);
    let name = "the_scheduler_is_asked_about_the_stack_that_has_overflowed";
    let ended = in_child(name, &[], || {
        describe_as(|top, tell| {
            let remedy = (top == TOP.load(Ordering::Relaxed)).then_some("its own");
            tell(Running { name: b"x", remedy });
        });
        let stacks = [stack(), stack(), stack()];
        TOP.store(stacks[1].top().addr(), Ordering::Relaxed);
        write_to(stacks[1].guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert!(ended.stderr.contains("\ntask 'x' has overflowed"), "{}", ended.stderr);
    assert!(ended.stderr.contains(" bytes: its own\n"), "{}", ended.stderr);
}

#[test]
fn what_runs_inside_a_task_is_not_the_task() {
    let ended = in_child("what_runs_inside_a_task_is_not_the_task", &[], || {
        describe_as(|_, tell| tell(Running { name: b"parser", remedy: None }));
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine in task 'parser' has overflowed its stack\nthe stack has 262144";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(!ended.stderr.contains("Builder::stack_size"), "{}", ended.stderr);
}

#[test]
fn a_coroutine_has_no_name() {
    let ended = in_child("a_coroutine_has_no_name", &[], || {
        describe_as(|_, _| {});
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\nthe stack has 262144 bytes: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn a_name_that_is_too_long_is_cut() {
    let ended = in_child("a_name_that_is_too_long_is_cut", &[], || {
        describe_as(|_, tell| tell(Running { name: &[b'n'; 10_000], remedy: None }));
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "nnn' has overflowed its stack\nthe stack has 262144 bytes: ";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(ended.stderr.contains("Generator::with_stack_size\n"), "{}", ended.stderr);
}

fn overflow_in_a_generator() {
    Generator::<u64>::new(|out| out.suspend(recurse(0))).next();
}

#[test]
fn a_generator_without_any_runtime_reports_too() {
    let name = "a_generator_without_any_runtime_reports_too";
    let ended = in_child(name, &[], overflow_in_a_generator);
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\n\
                    the stack has 262144 bytes: raise LISLE_STACK_SIZE, or create the coroutine \
                    with Coroutine::with_stack_size or Generator::with_stack_size\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[test]
fn the_variable_is_not_recommended_for_a_stack_of_its_own_size() {
    let name = "the_variable_is_not_recommended_for_a_stack_of_its_own_size";
    let ended = in_child(name, &[], || {
        Generator::new(|out| out.suspend(1)).for_each(drop);
        Generator::<u64>::with_stack_size(1 << 20, |out| out.suspend(recurse(0))).next();
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\n\
                    the stack has 1048576 bytes: create the coroutine with a larger one, by \
                    Coroutine::with_stack_size or Generator::with_stack_size\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    assert!(!ended.stderr.contains("LISLE_STACK_SIZE"), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
#[test]
fn deep_recursion_ends_at_the_guard() {
    let ended = in_child("deep_recursion_ends_at_the_guard", &[], || {
        support::stack::run_on(&stack(), recurse_for_ever);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
#[test]
fn deep_recursion_ends_at_a_guard_made_by_mprotect() {
    let name = "deep_recursion_ends_at_a_guard_made_by_mprotect";
    let ended = in_child(name, &[("LISLE_STACK_GUARD", "mprotect")], || {
        support::stack::run_on(&stack(), recurse_for_ever);
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

/// Runs a function on a thread that the C library has made, which has no signal stack.
#[cfg(target_env = "gnu")]
fn on_a_thread_of_others(main: extern "C" fn(*mut libc::c_void) -> *mut libc::c_void) {
    // SAFETY: the function uses no argument; the thread is joined.
    unsafe {
        let mut thread = std::mem::zeroed();
        libc::pthread_create(&mut thread, ptr::null(), main, ptr::null_mut());
        libc::pthread_join(thread, ptr::null_mut());
    }
}

#[cfg(target_env = "gnu")]
#[test]
fn a_thread_that_rust_did_not_make_reports_too() {
    extern "C" fn main(_: *mut libc::c_void) -> *mut libc::c_void {
        ensure_signal_stack().unwrap();
        support::stack::run_on(&stack(), recurse_for_ever);
        ptr::null_mut()
    }
    let name = "a_thread_that_rust_did_not_make_reports_too";
    let ended = in_child(name, &[], || on_a_thread_of_others(main));
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "\na coroutine has overflowed its stack\n";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

#[cfg(target_env = "gnu")]
#[test]
fn a_coroutine_on_such_a_thread_reports_by_itself() {
    extern "C" fn new(_: *mut libc::c_void) -> *mut libc::c_void {
        overflow_in_a_generator();
        ptr::null_mut()
    }
    extern "C" fn with_stack(_: *mut libc::c_void) -> *mut libc::c_void {
        Coroutine::<(), (), u64>::with_stack(stack(), |_, ()| recurse(0)).resume(());
        ptr::null_mut()
    }
    let name = "a_coroutine_on_such_a_thread_reports_by_itself";
    for (body, variable) in [(new as extern "C" fn(_) -> _, "new"), (with_stack, "with_stack")] {
        let asked = std::env::var("BODY").is_ok_and(|asked| asked == variable);
        if std::env::var_os("BODY").is_some() && !asked {
            continue;
        }
        let ended = in_child(name, &[("BODY", variable)], || on_a_thread_of_others(body));
        ended.assert_killed_by(libc::SIGABRT);
        let expected = "\na coroutine has overflowed its stack\n";
        assert!(ended.stderr.contains(expected), "{}", ended.stderr);
    }
}

/// A function of C may have a frame of many pages and write to the lowest of them first.
#[test]
fn a_frame_of_24_kib_does_not_jump_over_the_guard() {
    for distance in [1, 12, 24] {
        let stack = stack();
        let touched = stack.bottom().addr() + 1024 - distance * 1024;
        assert_eq!(writable(touched), distance == 1, "{distance} KiB");
    }
}

#[test]
fn an_overflow_of_a_plain_thread_is_still_reported_by_std() {
    let name = "an_overflow_of_a_plain_thread_is_still_reported_by_std";
    let ended = in_child(name, &[], || {
        let _stack = stack();
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
        let _stack = stack();
        write_to(64);
    });
    assert_eq!(ended.code, Some(42), "{}", ended.stderr);
}

#[test]
fn an_older_plain_handler_gets_the_fault() {
    let ended = in_child("an_older_plain_handler_gets_the_fault", &[], || {
        act_on_segv(exit_with_signal as *const () as usize, 0);
        let _stack = stack();
        write_to(64);
    });
    assert_eq!(ended.code, Some(100 + libc::SIGSEGV), "{}", ended.stderr);
}

#[test]
fn an_older_handler_does_not_hear_of_an_overflow() {
    let name = "an_older_handler_does_not_hear_of_an_overflow";
    let ended = in_child(name, &[], || {
        act_on_segv(exit_with_signal as *const () as usize, 0);
        write_to(stack().guard().start);
    });
    ended.assert_killed_by(libc::SIGABRT);
}

#[test]
fn a_fault_cannot_be_ignored() {
    let ended = in_child("a_fault_cannot_be_ignored", &[], || {
        act_on_segv(libc::SIG_IGN, 0);
        let _stack = stack();
        write_to(64);
    });
    ended.assert_killed_by(libc::SIGSEGV);
}

#[test]
fn a_signal_that_is_sent_and_ignored_stays_ignored() {
    let name = "a_signal_that_is_sent_and_ignored_stays_ignored";
    let ended = in_child(name, &[], || {
        act_on_segv(libc::SIG_IGN, 0);
        let _stack = stack();
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
        let _stack = stack();
        // SAFETY: the process is meant to end.
        unsafe { libc::raise(libc::SIGSEGV) };
    });
    ended.assert_killed_by(libc::SIGSEGV);
}

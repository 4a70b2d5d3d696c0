//! What setting panics aside takes from the process: a thread, some stacks, and neither in a fork
//! child.
#![cfg(not(lisle_loom))]

mod support;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::thread::panicking;

use lisle_runtime::internal::panics;
use lisle_runtime::{Coroutine, CoroutineState, Yielder};
use support::coroutine::OnDrop;
use support::stack::in_child;

/// Calls `action` in a destructor that a panic runs.
fn amid_panic(action: impl FnOnce()) {
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _acts = OnDrop::new(action);
        resume_unwind(Box::new("the user's"));
    }));
    assert!(result.is_err());
}

#[test]
fn one_thread_serves_for_ever() {
    let name = "one_thread_serves_for_ever";
    let ended = in_child(name, &[], || {
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        assert!(panics::set_aside().is_some(), "there is nothing to set aside");
        let (before, helpers) = (threads(), panics::helper_threads());
        assert_eq!(helpers, 0);
        for _ in 0..100 {
            amid_panic(|| {
                let aside = panics::set_aside().unwrap();
                assert!(!panicking());
                aside.restore();
                assert!(panicking());
            });
        }
        assert_eq!(panics::helper_threads(), 1);
        assert_eq!(threads(), before + 1);
    });
    ended.assert_success();
}

/// A process of its own for each: the child has neither the helper nor the stacks of its parent.
#[test]
fn a_fork_child_goes_on_amid_the_panic_of_its_parent() {
    let name = "a_fork_child_goes_on_amid_the_panic_of_its_parent";
    let ended = in_child(name, &[], || {
        amid_panic(|| {
            let forks = Coroutine::new(|_: &Yielder<(), (), i32>, ()| {
                // SAFETY: the child goes on on this stack, which it has, and then on the thread's
                // own.
                unsafe { libc::fork() }
            });
            // Here the panic is set aside, and the coroutine's caller, in both processes, has it
            // back.
            let CoroutineState::Returned(child) = forks.resume(()) else {
                unreachable!("it returns")
            };
            assert!(panicking());
            let again = Coroutine::new(|yielder: &Yielder<(), bool, bool>, ()| {
                yielder.suspend(panicking());
                panicking()
            });
            let seen = [again.resume(()), again.resume(())];
            let right = seen == [CoroutineState::Yielded(false), CoroutineState::Returned(false)]
                && panicking();
            if child == 0 {
                // SAFETY: ends the child without the parent's exit handlers.
                unsafe { libc::_exit(if right { 7 } else { 1 }) };
            }
            assert!(right);
            let mut status = 0;
            // SAFETY: the call writes to `status`.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFEXITED(status), "{status:x}");
            assert_eq!(libc::WEXITSTATUS(status), 7);
        });
        assert!(!panicking());
    });
    ended.assert_success();
}

/// No thread can be started, since there is no room for its stack.
#[test]
fn without_a_helper_a_coroutine_is_not_suspended_amid_its_panic() {
    let name = "without_a_helper_a_coroutine_is_not_suspended_amid_its_panic";
    let ended = in_child(name, &[("RUST_BACKTRACE", "0")], || {
        let coroutine = Coroutine::new(|yielder: &Yielder<(), (), ()>, ()| {
            let _suspends = OnDrop::new(|| {
                leave_no_address_space();
                yielder.suspend(());
            });
            resume_unwind(Box::new("amid"));
        });
        coroutine.resume(());
    });
    ended.assert_killed_by(libc::SIGABRT);
    let expected = "cannot be suspended by a destructor in the middle of a panic";
    assert!(ended.stderr.contains(expected), "{}", ended.stderr);
}

fn leave_no_address_space() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    let limit = libc::rlimit { rlim_cur: kib * 1024 + 64 * 1024, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the call reads the limit and changes a setting of this process.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) }, 0);
}

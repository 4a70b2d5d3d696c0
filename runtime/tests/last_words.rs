//! What is said before an abort, with a standard error that takes it and with one that does not.
#![cfg(not(lisle_loom))]

mod support;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use lisle_runtime::internal::last_words::{abort_on_unwind, abort_with, complain};
use lisle_runtime::{ScopedCoroutine, Yielder};
use support::coroutine::OnDrop;
use support::stack::{Ended, in_child};

/// Why standard error takes nothing: it is closed, full, or a pipe without a reader.
const DEAF: [&str; 3] = ["closed", "full", "broken"];

/// Makes the standard error of this process one of these.
fn make_stderr(deaf: &str) {
    let mut pipe = [-1; 2];
    // SAFETY: the calls get valid pointers, and descriptors that nobody else uses.
    unsafe {
        let replacement = match deaf {
            "closed" => return assert_eq!(libc::close(libc::STDERR_FILENO), 0),
            "full" => libc::open(c"/dev/full".as_ptr(), libc::O_WRONLY),
            _ => {
                assert_eq!(libc::pipe(pipe.as_mut_ptr()), 0);
                libc::close(pipe[0]);
                pipe[1]
            }
        };
        assert_eq!(libc::dup2(replacement, libc::STDERR_FILENO), libc::STDERR_FILENO);
    }
}

/// Runs `body` in children that cannot write to standard error, and returns how each has ended.
fn in_deaf_children(name: &str, body: impl Fn()) -> impl Iterator<Item = Ended> {
    DEAF.into_iter().map(move |deaf| {
        in_child(name, &[("LISLE_TEST_STDERR", deaf)], || {
            make_stderr(&std::env::var("LISLE_TEST_STDERR").unwrap());
            body();
        })
    })
}

/// Nothing else was said, unless by an emulator, which adds a line about the abort.
#[track_caller]
fn assert_said(ended: &Ended, words: &str) {
    if std::env::var_os("LISLE_TEST_RUNNER").is_some() {
        assert!(ended.stderr.starts_with(words), "{}", ended.stderr);
    } else {
        assert_eq!(ended.stderr, words);
    }
}

#[test]
fn an_abort_says_why_in_one_line() {
    let ended = in_child("an_abort_says_why_in_one_line", &[], || {
        abort_with(format_args!("{} and {}", "this", 7));
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert_said(&ended, "lisle: this and 7\n");
}

#[test]
fn a_long_complaint_is_complete() {
    let text = "0123456789".repeat(200);
    let ended = in_child("a_long_complaint_is_complete", &[], || {
        complain(format_args!("{text}, {text}"));
    });
    ended.assert_success();
    assert_eq!(ended.stderr, format!("lisle: {text}, {text}\n"));
}

#[test]
fn a_complaint_that_cannot_be_written_is_no_failure() {
    let name = "a_complaint_that_cannot_be_written_is_no_failure";
    for ended in in_deaf_children(name, || complain(format_args!("so be it"))) {
        ended.assert_success();
    }
}

#[test]
fn an_abort_whose_message_cannot_be_written_aborts() {
    let name = "an_abort_whose_message_cannot_be_written_aborts";
    for ended in in_deaf_children(name, || {
        let _ = catch_unwind(|| abort_with(format_args!("so be it")));
    }) {
        ended.assert_killed_by(libc::SIGABRT);
    }
}

#[test]
fn an_abort_whose_message_panics_aborts() {
    struct Clumsy;
    impl fmt::Display for Clumsy {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            resume_unwind(Box::new("clumsy"))
        }
    }
    let ended = in_child("an_abort_whose_message_panics_aborts", &[], || {
        let _ = catch_unwind(|| abort_with(format_args!("{Clumsy}")));
    });
    ended.assert_killed_by(libc::SIGABRT);
}

#[test]
fn a_section_returns_its_value_and_may_not_unwind() {
    assert_eq!(abort_on_unwind("never said", || 5), 5);
    let name = "a_section_returns_its_value_and_may_not_unwind";
    let ended = in_child(name, &[], || {
        let _ =
            catch_unwind(|| abort_on_unwind("the section broke", || resume_unwind(Box::new(1))));
    });
    ended.assert_killed_by(libc::SIGABRT);
    assert_said(&ended, "lisle: the section broke\n");
}

/// Its frames refer to what the scope has lent, and so the scope may not be left alive.
#[test]
fn a_scope_that_cannot_end_its_coroutine_aborts_without_stderr() {
    let name = "a_scope_that_cannot_end_its_coroutine_aborts_without_stderr";
    for ended in in_deaf_children(name, || {
        let _ = catch_unwind(AssertUnwindSafe(|| {
            let text = String::from("borrowed");
            ScopedCoroutine::scope(
                |yielder: &Yielder<(), (), ()>, ()| {
                    let _suspends = OnDrop::new(|| {
                        yielder.suspend(());
                        println!("{text}");
                    });
                    resume_unwind(Box::new("amid"));
                },
                |coroutine| coroutine.resume(()),
            );
        }));
    }) {
        ended.assert_killed_by(libc::SIGABRT);
    }
}

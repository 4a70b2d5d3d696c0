//! A panic in a task says which. Each test has a process of its own, since hooks belong to the
//! process.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::thread;

use lisle_runtime::Coroutine;
use lisle_scheduler::{Builder, Runtime, RuntimeBuilder, run, spawn};
use support::{Bell, OnDrop, in_child, sys};

/// What a child says that runs `body` as a main task, in a runtime that `settings` sets up.
fn said_in(
    name: &str,
    settings: impl FnOnce(RuntimeBuilder) -> RuntimeBuilder,
    body: fn(),
) -> String {
    let ended = in_child(name, &[], || {
        settings(Runtime::builder()).workers(1).run(body).unwrap();
    });
    ended.assert_success();
    ended.stderr
}

fn said(name: &str, body: fn()) -> String {
    said_in(name, |settings| settings, body)
}

#[test]
fn the_line_behind_the_message_says_which_task_and_where_it_was_spawned() {
    let name = "the_line_behind_the_message_says_which_task_and_where_it_was_spawned";
    const NAMED: u32 = line!() + 2;
    let said = said(name, || {
        let named = Builder::new().name("parser").spawn(|| panic!("bad input")).unwrap();
        named.join().unwrap_err();
        spawn(|| panic!("worse")).join().unwrap_err();
    });
    let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("note: ")).collect();
    let at = format!("spawned at {}:", file!());
    let behind = |message| {
        let place = lines.iter().position(|line| *line == message);
        lines[place.expect(&said) + 1]
    };
    assert!(
        behind("bad input").starts_with(&format!("in task 2 'parser', {at}{NAMED}:")),
        "{said}"
    );
    assert!(behind("worse").starts_with(&format!("in task 3, {at}{}:", NAMED + 2)), "{said}");
    assert_eq!(said.matches("in task ").count(), 2, "{said}");
}

#[test]
fn the_main_task_is_told_with_the_place_of_its_run() {
    let ended = in_child("the_main_task_is_told_with_the_place_of_its_run", &[], || {
        assert!(catch_unwind(|| run(|| panic!("in main"))).is_err());
    });
    ended.assert_success();
    ended.assert_says("\nin main\n");
    ended.assert_says(&format!("\nin task 1 'main', spawned at {}:", file!()));
}

#[test]
fn a_panic_in_a_coroutine_is_one_of_its_task() {
    let said = said("a_panic_in_a_coroutine_is_one_of_its_task", || {
        let task = Builder::new().name("cook").spawn(|| {
            Coroutine::<(), (), ()>::new(|_, ()| panic!("burnt")).resume(());
        });
        task.unwrap().join().unwrap_err();
    });
    assert!(said.contains("in task 2 'cook', spawned at "), "{said}");
}

#[test]
fn nothing_is_said_of_a_thread_or_of_a_task_that_is_cancelled() {
    let said = said("nothing_is_said_of_a_thread_or_of_a_task_that_is_cancelled", || {
        drop(spawn(|| Bell::new().wait()));
        lisle_scheduler::yield_now();
        thread::spawn(|| panic!("in a thread")).join().unwrap_err();
    });
    assert!(said.contains("in a thread"), "{said}");
    assert!(!said.contains("in task"), "{said}");
}

fn panics() {
    spawn(|| panic!("somewhere")).join().unwrap_err();
}

#[test]
fn a_runtime_can_do_without() {
    let said = said_in("a_runtime_can_do_without", |settings| settings.panic_note(false), panics);
    assert!(said.contains("somewhere") && !said.contains("in task"), "{said}");
}

#[test]
fn a_runtime_that_does_without_leaves_the_hook_of_another_alone() {
    let name = "a_runtime_that_does_without_leaves_the_hook_of_another_alone";
    let said = said_in(
        name,
        |settings| settings.panic_note(true),
        || {
            panics();
            let silent = || Runtime::builder().panic_note(false).run(panics).unwrap();
            thread::spawn(silent).join().unwrap();
            panics();
        },
    );
    assert_eq!(said.matches("somewhere").count(), 3, "{said}");
    assert_eq!(said.matches("in task ").count(), 2, "{said}");
}

#[test]
fn the_environment_can_switch_it_off() {
    let variable = &[("LISLE_PANIC_NOTE", "0")];
    let ended = in_child("the_environment_can_switch_it_off", variable, || {
        run(panics);
        // The builder knows better.
        Runtime::builder().panic_note(true).run(panics).unwrap();
    });
    ended.assert_success();
    assert_eq!(ended.stderr.matches("somewhere").count(), 2, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("in task ").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_variable_that_says_neither_is_an_error() {
    let name = "a_variable_that_says_neither_is_an_error";
    let ended = in_child(name, &[("LISLE_PANIC_NOTE", "no")], || {
        let error = Runtime::builder().start().unwrap_err();
        assert_eq!(error.to_string(), "LISLE_PANIC_NOTE must be 0 or 1, but is \"no\"");
        Runtime::builder().panic_note(false).run(|| ()).unwrap();
    });
    ended.assert_success();
}

#[test]
fn an_earlier_hook_is_called_first_and_a_later_one_replaces_it() {
    let name = "an_earlier_hook_is_called_first_and_a_later_one_replaces_it";
    let ended = in_child(name, &[], || {
        set_hook(Box::new(|_| eprintln!("the program's own words")));
        run(panics);
        let ours = take_hook();
        set_hook(Box::new(|_| eprintln!("a later hook")));
        run(panics);
        set_hook(ours);
        run(panics);
    });
    ended.assert_success();
    let told: Vec<_> = ended.stderr.lines().map(|line| line.split(" 2").next().unwrap()).collect();
    let ours = ["the program's own words", "in task"];
    assert_eq!(told.len(), 5, "{}", ended.stderr);
    assert_eq!(told[0], ours[0]);
    assert!(told[1].starts_with(ours[1]));
    assert_eq!((told[2], told[3]), ("a later hook", ours[0]));
    assert!(told[4].starts_with(ours[1]));
}

#[test]
fn a_line_that_cannot_be_written_does_no_harm() {
    let ended = in_child("a_line_that_cannot_be_written_does_no_harm", &[], || {
        sys::redirect_stderr("/dev/full");
        run(panics);
        std::process::exit(7);
    });
    assert_eq!((ended.code, ended.signal), (Some(7), None), "{}", ended.stderr);
}

#[test]
fn a_runtime_that_starts_amid_a_panic_leaves_the_hook_to_the_next() {
    let name = "a_runtime_that_starts_amid_a_panic_leaves_the_hook_to_the_next";
    let ended = in_child(name, &[], || {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _starts_one = OnDrop(|| assert_eq!(run(|| 5), 5));
            panic!("first");
        }));
        assert!(unwound.is_err());
        run(panics);
    });
    ended.assert_success();
    assert_eq!(ended.stderr.matches("in task ").count(), 1, "{}", ended.stderr);
}

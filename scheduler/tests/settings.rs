//! What a runtime was told by its builder or by variables: names, whether it looks for deadlocks,
//! and what cannot be used.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lisle_scheduler::{Deadlock, ForeignThreads, Runtime, RuntimeBuilder, run, spawn};
use support::{Bell, block_until, in_child};

/// The name of the thread on which a runtime's own tasks run.
fn name_of_thread(builder: RuntimeBuilder) -> String {
    let runtime = builder.workers(1).start().unwrap();
    let task = runtime.spawn(|| thread::current().name().map(str::to_owned));
    task.join().unwrap().expect("the thread has a name")
}

#[test]
fn threads_are_named_after_the_runtime() {
    let builder = Runtime::builder;
    assert_eq!(name_of_thread(builder()), "lisle-0");
    assert_eq!(name_of_thread(builder().name("orders")), "orders-0");
    assert_eq!(name_of_thread(builder().thread_name("mill")), "mill-0");
    assert_eq!(name_of_thread(builder().name("orders").thread_name("mill")), "mill-0");
}

#[test]
fn a_runtime_is_not_named_by_what_no_thread_can_be_called() {
    assert!(Runtime::builder().name("a\0b").start().is_err());
    assert!(Runtime::builder().name("a\0b").thread_name("ab").start().is_ok());
}

/// Main waits for a bell, which a thread rings when the detector has had time to look. That thread
/// is said not to count.
fn wait_for_a_thread(builder: RuntimeBuilder) -> Result<(), Deadlock> {
    let builder = builder.foreign_threads(ForeignThreads::NeverWake);
    let bell = Bell::new();
    let over = Arc::new(AtomicBool::new(false));
    let (theirs, ended) = (bell.clone(), over.clone());
    let ringer = thread::spawn(move || {
        block_until(|| theirs.is_awaited() || ended.load(Ordering::Acquire));
        thread::sleep(Duration::from_millis(20));
        theirs.ring();
    });
    let outcome = builder.run(|| bell.wait());
    over.store(true, Ordering::Release);
    ringer.join().unwrap();
    outcome
}

#[test]
fn deadlock_detection_can_be_switched_off() {
    for workers in [1, 3] {
        let off = Runtime::builder().workers(workers).deadlock_detection(false);
        assert!(wait_for_a_thread(off).is_ok());
    }
}

#[test]
fn the_report_names_the_runtime() {
    let text = |builder: RuntimeBuilder| {
        let builder = builder.foreign_threads(ForeignThreads::NeverWake);
        builder.run(|| Bell::new().wait()).unwrap_err().to_string()
    };
    let named = text(Runtime::builder().name("orders"));
    let begin = "deadlock: all tasks of runtime 'orders' are asleep and nothing can wake them\n\n";
    assert!(named.starts_with(begin), "{named}");
    let unnamed = text(Runtime::builder());
    assert!(unnamed.starts_with("deadlock: all tasks are asleep and nothing can wake them\n\n"));
}

fn is_not_run() {
    unreachable!("no task runs");
}

/// The line of this file at which `body` panics, and the text of the panic. To be used by one
/// thread of a process.
fn panic_of(body: impl FnOnce()) -> (u32, String) {
    let (note, noted) = mpsc::channel();
    set_hook(Box::new(move |panic| {
        let (place, text) = (panic.location().unwrap(), panic.payload_as_str().unwrap());
        assert_eq!(place.file(), file!());
        note.send((place.line(), text.to_owned())).unwrap();
    }));
    assert!(catch_unwind(AssertUnwindSafe(body)).is_err());
    drop(take_hook());
    let mut panics: Vec<_> = noted.iter().collect();
    assert_eq!(panics.len(), 1, "{panics:?}");
    panics.pop().unwrap()
}

#[test]
fn unusable_settings_of_a_builder_are_a_panic_at_the_caller_of_run() {
    let name = "unusable_settings_of_a_builder_are_a_panic_at_the_caller_of_run";
    let ended = in_child(name, &[], || {
        let builder = Runtime::builder;
        for builder in [
            builder().workers(0),
            builder().name("a\0b"),
            builder().thread_name("a\0b"),
            builder().name("ab").thread_name("a\0b"),
        ] {
            let error = builder.clone().start().unwrap_err();
            let (line, panic) = (line!(), panic_of(|| drop(builder.run(is_not_run))));
            assert_eq!(panic, (line, error.to_string()));
        }
    });
    ended.assert_success();
}

/// The default runtime has the same settings, and its caller is that of `spawn`.
fn assert_refused(name: &str, variable: &str) {
    let ended = in_child(name, &[(variable, "many")], || {
        let text = Runtime::builder().start().unwrap_err().to_string();
        assert!(text.starts_with(variable) && text.contains("many"), "{text}");
        let (line, panic) = (line!(), panic_of(|| run(is_not_run)));
        assert_eq!(panic, (line, text.clone()));
        let (line, panic) = (line!(), panic_of(|| drop(Runtime::builder().run(is_not_run))));
        assert_eq!(panic, (line, text.clone()));
        let (line, panic) = (line!(), panic_of(|| drop(spawn(is_not_run))));
        assert_eq!(panic, (line, text));
        // What the builder says comes first.
        let builder = Runtime::builder().workers(1).stack_size(1 << 16).panic_note(false);
        assert_eq!(builder.carry(false).run(|| 1).unwrap(), 1);
    });
    ended.assert_success();
}

#[test]
fn an_unusable_number_of_workers_in_the_environment_is_a_panic_at_the_caller() {
    let name = "an_unusable_number_of_workers_in_the_environment_is_a_panic_at_the_caller";
    assert_refused(name, "LISLE_WORKERS");
}

#[test]
fn an_unusable_stack_size_in_the_environment_is_a_panic_at_the_caller() {
    let name = "an_unusable_stack_size_in_the_environment_is_a_panic_at_the_caller";
    assert_refused(name, "LISLE_STACK_SIZE");
}

#[test]
fn an_unusable_panic_note_in_the_environment_is_a_panic_at_the_caller() {
    let name = "an_unusable_panic_note_in_the_environment_is_a_panic_at_the_caller";
    assert_refused(name, "LISLE_PANIC_NOTE");
}

#[test]
fn an_unusable_word_on_carrying_in_the_environment_is_a_panic_at_the_caller() {
    let name = "an_unusable_word_on_carrying_in_the_environment_is_a_panic_at_the_caller";
    assert_refused(name, "LISLE_CARRY");
}

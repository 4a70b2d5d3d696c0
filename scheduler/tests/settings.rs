//! What a runtime was told by its builder: names, and whether it looks for deadlocks.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lisle_scheduler::{Deadlock, ForeignThreads, Runtime, RuntimeBuilder};
use support::{Bell, block_until};

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

//! `#[lisle::main]` and `#[lisle::test]`.
#![cfg(not(lisle_loom))]

use std::process::ExitCode;
use std::sync::{LazyLock, mpsc};
use std::thread;

use lisle::channel::{Receiver, Sender, unbounded};
use lisle::deadlock::ForeignThreads;
use lisle::task::current;
use lisle::{metrics, spawn};

/// The crate under another name, as `Cargo.toml` can give it.
mod elsewhere {
    pub use lisle as green;
}

#[lisle::test]
fn a_test_runs_as_a_task() {
    assert_eq!(current().unwrap().name(), Some("main"));
    assert_eq!(spawn(|| 42).join().unwrap(), 42);
}

#[lisle::test]
#[should_panic(expected = "seen by the harness")]
fn other_attributes_stay() {
    panic!("seen by the harness");
}

/// A test may return an error, and `?` and `return` leave the test itself.
#[lisle::test]
fn a_test_may_return_a_result() -> Result<(), std::num::ParseIntError> {
    if "41".parse::<i32>()? == 41 {
        return Ok(());
    }
    unreachable!("it has returned");
}

#[test]
fn an_attribute_keeps_the_signature() {
    #[lisle::main]
    fn entry() -> String {
        current().unwrap().name().unwrap().to_owned()
    }
    assert_eq!(entry(), "main");
}

#[lisle::test(workers = 3, stack_size = 1 << 20)]
fn arguments_set_up_the_runtime() {
    assert_eq!(metrics().unwrap().workers().len(), 3);
    // More than a stack of the default size holds.
    let deep =
        spawn(|| std::hint::black_box([1u8; 300 << 10]).iter().map(|&n| u32::from(n)).sum::<u32>());
    assert_eq!(deep.join().unwrap(), 300 << 10);
}

#[test]
fn main_takes_arguments_too() {
    #[lisle::main(workers = 1 + 1,)]
    fn entry() -> usize {
        metrics().unwrap().workers().len()
    }
    assert_eq!(entry(), 2);
}

#[lisle::test(main_stack_size = 1 << 20)]
fn the_main_task_may_have_a_larger_stack() {
    let deep = std::hint::black_box([1u8; 300 << 10]);
    assert_eq!(deep.iter().map(|&n| u32::from(n)).sum::<u32>(), 300 << 10);
}

#[elsewhere::green::test(crate = elsewhere::green, workers = 1)]
fn the_crate_may_have_another_name() {
    assert_eq!(metrics().unwrap().workers().len(), 1);
}

#[lisle::test(crate = "crate::elsewhere::green")]
fn the_other_name_may_be_a_string() {
    assert!(current().is_some());
}

#[lisle::test()]
fn no_arguments_are_none() -> ExitCode {
    ExitCode::SUCCESS
}

#[lisle::test]
#[ignore = "fails if it is run"]
fn an_ignored_test_stays_so() {
    panic!("not to be run");
}

#[lisle::test(workers = 0)]
#[should_panic(expected = "a runtime needs at least one worker")]
fn settings_that_cannot_be_are_a_panic() {}

#[test]
#[should_panic(expected = "deadlock: all tasks of runtime 'waits' are asleep")]
fn a_test_whose_tasks_all_wait_fails() {
    // What a test expands to, without the thread of its own that a harness would give it.
    lisle::internal::run(lisle::internal::for_test("waits").workers(2), || {
        let (_sender, receiver) = unbounded::<()>();
        let theirs = receiver.clone();
        drop(spawn(move || theirs.recv()));
        receiver.recv()
    })
    .unwrap();
}

/// Whatever other tests do.
#[lisle::test(foreign_threads = NeverWake)]
#[should_panic(expected = "deadlock: all tasks of runtime")]
fn foreign_threads_can_be_left_out() {
    let (_sender, receiver) = unbounded::<()>();
    receiver.recv().unwrap();
}

/// Both forms of a policy, and an older thread that wakes a task.
#[test]
fn foreign_threads_can_be_waited_for() {
    static CHANNEL: LazyLock<(Sender<u8>, Receiver<u8>)> = LazyLock::new(unbounded);
    #[lisle::main(foreign_threads = MayWake)]
    fn by_name() -> u8 {
        CHANNEL.1.recv().unwrap()
    }
    #[lisle::main(foreign_threads = ForeignThreads::MayWake)]
    fn by_path() -> u8 {
        CHANNEL.1.recv().unwrap()
    }
    let (start, started) = mpsc::channel();
    let older = thread::spawn(move || {
        for n in started {
            CHANNEL.0.send(n).unwrap();
        }
    });
    for entry in [by_name, by_path] {
        start.send(7).unwrap();
        assert_eq!(entry(), 7);
    }
    drop(start);
    older.join().unwrap();
}

//! `#[lisle::main]` and `#[lisle::test]`.
#![cfg(not(lisle_loom))]

use lisle::{current, spawn};

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

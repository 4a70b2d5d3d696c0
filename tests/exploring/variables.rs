//! What the variables of the environment change.

use std::env;
use std::panic::catch_unwind;
use std::process::exit;

use lisle::explore::{Explorer, Strategy};
use lisle::scope;
use lisle::sync::Mutex;

use super::support::command;

const CHILD: &str = "LISLE_TEST_CHILD";
const BEGIN: &str = "<said ";
const END: &str = " said>";

/// What `body` says in a process of its own that has the variable. It is this program, started for
/// the test `name` alone.
fn in_child(name: &str, variable: (&str, &str), body: impl FnOnce() -> String) -> String {
    if env::var_os(CHILD).is_some() {
        println!("{BEGIN}{}{END}", body());
        exit(0);
    }
    let output = command(env::current_exe().unwrap())
        .args([&format!("variables::{name}"), "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, name)
        .env(variable.0, variable.1)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said = text.split_once(BEGIN).and_then(|(_, text)| text.split_once(END));
    said.unwrap_or_else(|| panic!("it said nothing: {text}")).0.to_owned()
}

/// Fails if each step is taken by all tasks before one of them takes the next.
fn ordered() {
    let seen = Mutex::new(Vec::new());
    scope(|scope| {
        for n in 0..3 {
            let seen = &seen;
            scope.spawn(move || (0..3).for_each(|m| seen.lock().push((m, n))));
        }
    });
    assert!(!seen.into_inner().is_sorted_by_key(|(step, _)| *step));
}

fn two_tasks() {
    scope(|scope| (0..2).for_each(|_| drop(scope.spawn(|| ()))));
}

fn first_failure(explorer: Explorer) -> String {
    let failure = explorer.iterations(100_000).check(ordered).unwrap_err();
    format!("{} {}", failure.executions(), failure.schedule())
}

#[test]
fn a_schedule_is_repeated_at_once() {
    let found = first_failure(Explorer::new());
    let schedule = found.split_once(' ').unwrap().1;
    let name = "a_schedule_is_repeated_at_once";
    let said = in_child(name, ("LISLE_EXPLORE_SEED", schedule), || found.clone());
    assert_eq!(said, format!("1 {schedule}"));
}

#[test]
fn a_seed_is_set() {
    let said = in_child("a_seed_is_set", ("LISLE_EXPLORE_SEED", "0x10"), || {
        first_failure(Explorer::new().seed(3))
    });
    assert_eq!(said, first_failure(Explorer::new().seed(16)));
    assert_ne!(said, first_failure(Explorer::new().seed(3)));
}

#[test]
fn iterations_are_set() {
    let said = in_child("iterations_are_set", ("LISLE_EXPLORE_ITERATIONS", "7"), || {
        Explorer::new().iterations(5).run(two_tasks).to_string()
    });
    assert_eq!(said, "7");
}

#[test]
fn a_strategy_is_set() {
    let said = in_child("a_strategy_is_set", ("LISLE_EXPLORE_STRATEGY", "exhaustive:0"), || {
        Explorer::new().strategy(Strategy::Random).run(two_tasks).to_string()
    });
    assert_eq!(said, "2");
}

#[test]
fn what_makes_no_sense_is_refused() {
    for variable in ["SEED", "ITERATIONS", "STRATEGY"] {
        let name = format!("LISLE_EXPLORE_{variable}");
        let said = in_child("what_makes_no_sense_is_refused", (&name, "@much"), || {
            let panic = catch_unwind(|| Explorer::new().run(|| ())).unwrap_err();
            panic.downcast_ref::<String>().unwrap().clone()
        });
        assert!(said.contains("\"@much\": LISLE_EXPLORE_SEED is a number"), "{said}");
    }
}

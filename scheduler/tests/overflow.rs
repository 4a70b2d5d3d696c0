//! A stack that overflows: the task is named, and other faults take their old way.
#![cfg(not(lisle_loom))]

mod support;

use std::hint::black_box;
use std::thread;

use lisle_runtime::Generator;
use lisle_scheduler::{Builder, Runtime, current, spawn, yield_now};
use support::{Bell, in_child, run_in_order};

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX {
        return 0;
    }
    recurse(depth + 1) + frame[depth as usize % 64]
}

fn overflow() {
    black_box(recurse(0));
}

#[test]
fn a_task_with_a_name_is_named() {
    let ended = in_child("a_task_with_a_name_is_named", &[], || {
        run_in_order(|| {
            drop(spawn(|| Bell::new().wait()));
            let task = Builder::new().name("sieve").spawn(|| {
                yield_now();
                overflow();
            });
            task.unwrap().join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'sieve' has overflowed its stack\nthe stack has 262144 bytes: ");
    ended.assert_says(
        ": raise LISLE_STACK_SIZE, or give the task a larger stack with Builder::stack_size\n",
    );
}

#[test]
fn a_task_without_a_name_is_numbered() {
    let ended = in_child("a_task_without_a_name_is_numbered", &[], || {
        run_in_order(|| {
            let task = spawn(|| {
                eprintln!("number {}", current().unwrap().id());
                overflow();
            });
            task.join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says("number 2\n");
    ended.assert_says("\ntask '#2' has overflowed its stack\n");
}

#[test]
fn main_is_named_too() {
    let ended = in_child("main_is_named_too", &[], || run_in_order(overflow));
    ended.assert_aborted();
    ended.assert_says("\ntask 'main' has overflowed its stack\n");
    ended.assert_says(
        ": raise LISLE_STACK_SIZE, or give main a larger stack with \
         RuntimeBuilder::main_stack_size\n",
    );
}

#[test]
fn main_with_a_stack_of_its_own_size_is_told_of_that() {
    let ended = in_child("main_with_a_stack_of_its_own_size_is_told_of_that", &[], || {
        let builder = Runtime::builder().main_stack_size(1 << 20);
        builder.run(overflow).unwrap();
    });
    ended.assert_aborted();
    ended.assert_says(
        "\ntask 'main' has overflowed its stack\nthe stack has 1048576 bytes: give main a larger \
         one with RuntimeBuilder::main_stack_size\n",
    );
}

/// A task that a user has called so.
#[test]
fn another_main_is_a_task_like_any_other() {
    let ended = in_child("another_main_is_a_task_like_any_other", &[], || {
        let body = || Builder::new().name("main").spawn(overflow).unwrap().join().unwrap();
        Runtime::builder().main_stack_size(1 << 20).run(body).unwrap();
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'main' has overflowed its stack\nthe stack has 262144 bytes: ");
    ended.assert_says("or give the task a larger stack with Builder::stack_size\n");
}

/// The variable has no say there.
#[test]
fn a_size_that_the_runtime_was_built_with_is_what_is_to_be_raised() {
    let name = "a_size_that_the_runtime_was_built_with_is_what_is_to_be_raised";
    let ended = in_child(name, &[("LISLE_STACK_SIZE", "2M")], || {
        let builder = Runtime::builder().stack_size(512 << 10);
        builder.run(|| spawn(overflow).join().unwrap()).unwrap();
    });
    ended.assert_aborted();
    ended.assert_says(
        " has overflowed its stack\nthe stack has 524288 bytes: raise RuntimeBuilder::stack_size, \
         or give the task a larger stack with Builder::stack_size\n",
    );
    assert!(!ended.stderr.contains("LISLE_STACK_SIZE"), "{}", ended.stderr);
}

#[test]
fn a_coroutine_in_a_task_is_not_taken_for_the_task() {
    let ended = in_child("a_coroutine_in_a_task_is_not_taken_for_the_task", &[], || {
        run_in_order(|| {
            let task = Builder::new().name("parser").stack_size(8 << 20).spawn(|| {
                Generator::<()>::new(|out| {
                    out.suspend(());
                    overflow();
                })
                .for_each(drop);
            });
            task.unwrap().join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says(
        "\na coroutine in task 'parser' has overflowed its stack\nthe stack has 262144 bytes: \
         raise LISLE_STACK_SIZE, or create the coroutine with ",
    );
    assert!(!ended.stderr.contains("Builder::stack_size"), "{}", ended.stderr);
}

/// The coroutine is suspended; it is the task that goes too deep.
#[test]
fn a_task_that_has_a_coroutine_is_not_taken_for_it() {
    let ended = in_child("a_task_that_has_a_coroutine_is_not_taken_for_it", &[], || {
        run_in_order(|| {
            let mut numbers = Generator::new(|out| {
                for n in 0.. {
                    out.suspend(n);
                }
            });
            assert_eq!((numbers.next(), numbers.next()), (Some(0), Some(1)));
            overflow();
        });
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'main' has overflowed its stack\n");
}

/// The task that starts on the stack of one that has ended is the one that is named.
#[test]
fn the_heir_of_a_stack_is_named_and_not_its_first_owner() {
    let name = "the_heir_of_a_stack_is_named_and_not_its_first_owner";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            drop(Builder::new().name("first").spawn(|| ()));
            let heir = Builder::new().name("heir").spawn(overflow).unwrap();
            heir.join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'heir' has overflowed its stack\n");
}

#[test]
fn a_stack_of_its_own_size_has_a_guard_too() {
    let ended = in_child("a_stack_of_its_own_size_has_a_guard_too", &[], || {
        run_in_order(|| {
            let builder = Builder::new().name("large").stack_size(1 << 20);
            builder.spawn(overflow).unwrap().join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says(
        "\ntask 'large' has overflowed its stack\nthe stack has 1048576 bytes: give the task a \
         larger one with Builder::stack_size\n",
    );
}

#[test]
fn a_runtime_on_another_thread_reports_too() {
    let ended = in_child("a_runtime_on_another_thread_reports_too", &[], || {
        let other = thread::spawn(|| {
            run_in_order(|| Builder::new().name("far").spawn(overflow).unwrap().join().unwrap());
        });
        other.join().unwrap();
    });
    ended.assert_aborted();
    ended.assert_says("\ntask 'far' has overflowed its stack\n");
}

/// In the same program a plain thread's overflow is reported by the standard library, as ever.
#[test]
fn the_overflow_of_a_plain_thread_is_reported_by_std() {
    let ended = in_child("the_overflow_of_a_plain_thread_is_reported_by_std", &[], || {
        run_in_order(|| {
            assert_eq!(spawn(|| 1).join().unwrap(), 1);
            let plain = thread::Builder::new().name("plain".into());
            plain.spawn(overflow).unwrap().join().unwrap();
        });
    });
    ended.assert_aborted();
    ended.assert_says("thread 'plain'");
    ended.assert_says("has overflowed its stack");
    assert!(!ended.stderr.contains("task '"), "{}", ended.stderr);
}

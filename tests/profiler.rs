//! A profiler that samples in the process, by signals, sees tasks wherever it interrupts them.
#![cfg(not(lisle_loom))]
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]

#[path = "../runtime/tests/support/mod.rs"]
mod support;

use lisle::channel::{bounded, select, unbounded};
use lisle::coroutine::Generator;
use lisle::{Runtime, spawn, yield_now};
use support::stack::in_child;
use support::unwind::{is_over, learn_the_base, under_fire};

const SAMPLES: usize = 5000;

fn yields() {
    while !is_over() {
        yield_now();
    }
}

fn sums_what_a_generator_yields() {
    while !is_over() {
        let items = Generator::new(|out| (0..10).for_each(|item| out.suspend(item)));
        assert_eq!(items.sum::<i32>(), 45);
        yield_now();
    }
}

/// Two tasks that meet, and two that have room between them and another task's channel beside.
fn talk() {
    let (ping, pinged) = bounded(0);
    let (pong, ponged) = bounded(0);
    spawn(move || pinged.iter().for_each(|ball: u64| pong.send(ball).unwrap()));
    let (numbers, numbered) = bounded(8);
    spawn(move || (0_u64..).take_while(|n| numbers.send(*n).is_ok()).count());
    let (_quiet, silence) = unbounded::<u64>();
    let mut expected = 0;
    while !is_over() {
        ping.send(expected).unwrap();
        assert_eq!(ponged.recv(), Ok(expected));
        select! {
            recv(numbered) -> number => assert_eq!(number, Ok(expected)),
            recv(silence) -> _ => unreachable!(),
        }
        assert_eq!(spawn(move || expected + 1).join().unwrap(), expected + 1);
        expected += 1;
    }
}

fn tasks_under_fire(name: &str, workers: usize) {
    in_child(name, &[], || {
        learn_the_base();
        let runtime = || Runtime::builder().workers(workers);
        runtime().run(learn_the_base).unwrap();
        let main = || {
            let tasks = [spawn(yields), spawn(sums_what_a_generator_yields), spawn(talk)];
            yields();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        };
        let tally = under_fire(SAMPLES, || runtime().run(main).unwrap());
        assert_eq!((tally.samples, tally.lost), (SAMPLES, 0), "{tally:?}");
        assert!(tally.whole > tally.cut, "{tally:?}");
    })
    .assert_success();
}

#[test]
fn tasks_of_one_worker_are_sampled_thousands_of_times() {
    tasks_under_fire("tasks_of_one_worker_are_sampled_thousands_of_times", 1);
}

#[test]
fn so_are_those_of_two() {
    tasks_under_fire("so_are_those_of_two", 2);
}

//! A profiler in the process interrupts it anywhere and unwinds from there: a signal handler that
//! asks for a backtrace.
#![cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]

mod support;

use std::hint::black_box;

use lisle_runtime::{Coroutine, CoroutineState, Generator, Yielder};
use support::stack::in_child;
use support::switch::{Fiber, Link};
use support::unwind::{is_over, learn_the_base, under_fire};

/// A function with such a variable finds its frame by the frame pointer, not by the stack pointer.
#[repr(align(64))]
struct Aligned([u64; 8]);

#[inline(never)]
fn suspend(link: &Link) {
    link.suspend();
    black_box(());
}

#[inline(never)]
fn suspend_aligned(link: &Link) {
    let kept = black_box(Aligned([7; 8]));
    link.suspend();
    assert_eq!(black_box(&kept).0, [7; 8]);
}

#[inline(never)]
fn enter(fiber: &Fiber) {
    fiber.enter();
    black_box(());
}

#[inline(never)]
fn enter_aligned(fiber: &Fiber) {
    let kept = black_box(Aligned([7; 8]));
    fiber.enter();
    assert_eq!(black_box(&kept).0, [7; 8]);
}

/// A fiber that suspends for ever.
fn swinging() -> Fiber {
    Fiber::new(|link| {
        learn_the_base();
        loop {
            suspend(link);
            suspend_aligned(link);
        }
    })
}

type Plain = Yielder<u64, u64, u64>;

#[inline(never)]
fn suspend_twice(yielder: &Plain, input: u64) -> u64 {
    let kept = black_box(Aligned([input; 8]));
    let input = yielder.suspend(input + 1);
    assert_eq!(black_box(&kept).0[7] + 1, input);
    yielder.suspend(input + 1)
}

/// A coroutine that begins, suspends, transfers and ends, and a generator that is dropped early.
#[inline(never)]
fn lives_of_coroutines() {
    let second = Coroutine::new(|yielder: &Plain, input| suspend_twice(yielder, input));
    let next = second.downgrade();
    let first = Coroutine::new(move |yielder: &Plain, input| {
        suspend_twice(yielder, input);
        yielder.transfer(&next, 1)
    });
    for input in 1..=2 {
        assert_eq!(first.resume(input), CoroutineState::Yielded(input + 1));
    }
    assert_eq!(first.resume(3), CoroutineState::Yielded(2));
    assert_eq!(second.resume(2), CoroutineState::Yielded(3));
    assert_eq!(second.resume(3), CoroutineState::Returned(3));
    assert_eq!(first.resume(4), CoroutineState::Returned(4));
    let items = Generator::new(|yielder| (0..3).for_each(|item| yielder.suspend(item)));
    assert_eq!(items.sum::<i32>(), 3);
}

/// Samples `work` thousands of times.
#[track_caller]
fn assert_it_bears_samples(mut work: impl FnMut()) {
    const SAMPLES: usize = 5000;
    let tally = under_fire(SAMPLES, || {
        while !is_over() {
            work();
        }
    });
    assert_eq!((tally.samples, tally.lost), (SAMPLES, 0), "{tally:?}");
    assert!(tally.whole > tally.cut, "{tally:?}");
}

#[test]
fn thousands_of_samples_of_switches() {
    in_child("thousands_of_samples_of_switches", &[], || {
        learn_the_base();
        let fiber = swinging();
        fiber.enter();
        assert_it_bears_samples(|| {
            enter(&fiber);
            enter_aligned(&fiber);
        });
    })
    .assert_success();
}

#[test]
fn thousands_of_samples_of_coroutines() {
    in_child("thousands_of_samples_of_coroutines", &[], || {
        learn_the_base();
        swinging().enter();
        assert_it_bears_samples(lives_of_coroutines);
    })
    .assert_success();
}

#[cfg(all(target_arch = "x86_64", not(lisle_switch = "ucontext")))]
mod each_instruction {
    use super::*;
    use support::unwind::{Tally, step_through};

    /// Between two stacks there are instructions at which an unwinder cannot find the caller.
    const CUT_BY_A_SWITCH: usize = 2;

    #[track_caller]
    fn assert_nothing_else_is_cut(tally: &Tally, switches: usize) {
        assert_eq!(tally.lost, 0, "{tally:?}");
        assert!(tally.cut <= CUT_BY_A_SWITCH * switches, "{switches} switches, {tally:?}");
        assert!(tally.whole > 10 * switches, "{tally:?}");
    }

    #[test]
    fn of_a_switch() {
        in_child("each_instruction::of_a_switch", &[], || {
            learn_the_base();
            let fiber = swinging();
            fiber.enter();
            for enter in [enter, enter_aligned] {
                let tally = step_through(|| (0..4).for_each(|_| enter(&fiber)));
                assert_nothing_else_is_cut(&tally, 8);
            }
        })
        .assert_success();
    }

    #[test]
    fn of_the_lives_of_coroutines() {
        in_child("each_instruction::of_the_lives_of_coroutines", &[], || {
            learn_the_base();
            swinging().enter();
            // What is done only once and is not the switch's: the stacks, the cache of stacks.
            lives_of_coroutines();
            let tally = step_through(lives_of_coroutines);
            // Ten times into a body and out of it, and one transfer between two.
            assert_nothing_else_is_cut(&tally, 21);
        })
        .assert_success();
    }

    #[test]
    fn of_a_visit_to_a_suspended_stack() {
        in_child("each_instruction::of_a_visit_to_a_suspended_stack", &[], || {
            learn_the_base();
            let fiber = swinging();
            fiber.enter();
            let tally = step_through(|| assert_eq!(fiber.visit(|| black_box(7)), 7));
            assert_nothing_else_is_cut(&tally, 0);
        })
        .assert_success();
    }
}

//! What a switch keeps of the processor's state, seen from both of its sides.

#![cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]

mod support;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;
use std::thread;

#[cfg(not(lisle_switch = "ucontext"))]
use lisle_runtime::switch::{Context, prepare, switch};
use support::switch::registers::{PRESERVED, SANE_CONTROL, call_with, control, narrow, pin, widen};
#[cfg(not(lisle_switch = "ucontext"))]
use support::switch::{Arrival, registers::arrive, stack};
use support::switch::{Fiber, Link};

const COUNT: usize = PRESERVED.len();

/// A different word for each register and each side. All 64 bits matter.
fn pattern(side: u64) -> [u64; COUNT] {
    std::array::from_fn(|index| {
        (side * 100 + index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
    })
}

/// Which registers `work` has changed, having been called with a pattern in each of them.
fn changed_by(side: u64, work: extern "C" fn(*mut ()), argument: *const ()) -> Vec<&'static str> {
    let before = pattern(side);
    let mut after = [0; COUNT];
    // SAFETY: the arrays have a word for each register; the callers pass what their work takes.
    unsafe { call_with(work, argument.cast_mut(), before.as_ptr(), after.as_mut_ptr()) };
    let registers = PRESERVED.into_iter().zip(before.into_iter().zip(after));
    registers.filter(|(_, (before, after))| before != after).map(|(name, _)| name).collect()
}

extern "C" fn resume(fiber: *mut ()) {
    // SAFETY: called with a fiber.
    unsafe { &*fiber.cast::<Fiber>() }.resume();
}

extern "C" fn suspend(link: *mut ()) {
    // SAFETY: called with the link of the fiber that runs.
    unsafe { &*link.cast::<Link>() }.suspend();
}

const NOTHING: [&str; 0] = [];

#[test]
fn the_registers_that_a_call_preserves_survive_on_both_sides() {
    const TURNS: u64 = 20;
    let inside = Rc::new(RefCell::new(Vec::new()));
    let fiber = Fiber::new({
        let inside = inside.clone();
        move |link| {
            for turn in 0..TURNS {
                let changed = changed_by(2 * turn, suspend, (&raw const *link).cast());
                inside.borrow_mut().push(changed);
            }
        }
    });
    for turn in 0..=TURNS {
        let changed = changed_by(2 * turn + 1, resume, (&raw const fiber).cast());
        assert_eq!(changed, NOTHING, "at the resumer, turn {turn}");
    }
    assert!(fiber.is_finished());
    assert_eq!(*inside.borrow(), vec![Vec::<&str>::new(); TURNS as usize], "inside");
}

/// A fresh stack may find anything in the registers, and leave anything there.
#[test]
fn the_first_and_the_last_switch_preserve_registers_too() {
    for turn in 0..20 {
        let fiber = Fiber::new(|_| {});
        let changed = changed_by(turn, resume, (&raw const fiber).cast());
        assert_eq!(changed, NOTHING);
        assert!(fiber.is_finished());
    }
}

/// Keeps a number in an integer register and in a wide one for each name, over an inlined switch:
/// some more than there are registers, so each register that the compiler believes to be kept is
/// used. Nothing else happens between the switch and the comparison.
macro_rules! hold {
    ($seed:expr, $switch:expr, $($integer:ident $wide:ident)*) => {
        let seed: u64 = black_box($seed);
        let mut next = seed;
        $(
            next += 1;
            let $integer = pin(next);
            let $wide = widen(next);
        )*
        $switch;
        let mut next = seed;
        let mut kept = true;
        $(
            next += 1;
            kept &= pin($integer) == next;
            kept &= narrow($wide) == Some(next);
        )*
        assert!(kept);
    };
}

#[test]
fn values_of_every_kind_survive_an_inlined_switch_on_both_sides() {
    const TURNS: u64 = 100;
    let fiber = Fiber::new(|link| {
        for turn in 1..=TURNS {
            hold!(turn << 20, link.suspend(), a a2 b b2 c c2 d d2);
            hold!(turn << 20, link.suspend(),
                a a2 b b2 c c2 d d2 e e2 f f2 g g2 h h2 i i2 j j2 k k2 l l2 m m2 n n2 o o2 p p2
                q q2 r r2 s s2 t t2 u u2 v v2 w w2 x x2 y y2 z z2 aa aa2 bb bb2 cc cc2 dd dd2);
        }
    });
    for turn in 1..=TURNS {
        hold!(turn << 40, fiber.enter(), a a2 b b2 c c2 d d2);
        hold!(turn << 40, fiber.enter(),
            a a2 b b2 c c2 d d2 e e2 f f2 g g2 h h2 i i2 j j2 k k2 l l2 m m2 n n2 o o2 p p2
            q q2 r r2 s s2 t t2 u u2 v v2 w w2 x x2 y y2 z z2 aa aa2 bb bb2 cc cc2 dd dd2);
    }
    fiber.resume();
    assert!(fiber.is_finished());
}

/// What a sampling profiler that follows frame pointers relies on. The C library's contexts begin
/// with the frame pointer of their maker.
#[cfg(not(lisle_switch = "ucontext"))]
#[test]
fn the_chain_of_frame_pointers_ends_at_the_base() {
    let arrival = Arrival { frame_pointer: Cell::new(usize::MAX), home: Cell::new(Context::NONE) };
    let stack = stack();
    // SAFETY: the stack is unused, and its entry leaves it for good before it is dropped.
    unsafe {
        let fresh = prepare(stack.top(), arrive, (&raw const arrival).cast_mut().cast());
        switch(arrival.home.as_ptr(), fresh);
    }
    assert_eq!(arrival.frame_pointer.get(), 0);
}

#[test]
fn a_fresh_stack_computes_as_a_fresh_thread_does() {
    let seen = Rc::new(Cell::new(None));
    let fiber = Fiber::new({
        let seen = seen.clone();
        move |_| {
            let quotient = black_box(1.0_f64) / black_box(0.0);
            let sum = black_box(0.1_f64) + black_box(0.2);
            seen.set(Some((control(), quotient, sum.to_bits())));
        }
    });
    assert_eq!(control(), SANE_CONTROL);
    fiber.resume();
    assert_eq!(control(), SANE_CONTROL);
    let (control, quotient, sum) = seen.get().unwrap();
    assert_eq!(control, SANE_CONTROL);
    assert_eq!(quotient, f64::INFINITY);
    assert_eq!(sum, 0x3FD3_3333_3333_3334);
}

#[test]
fn a_fresh_stack_uses_the_thread_locals_of_the_thread_that_runs_it() {
    thread_local!(static NUMBER: Cell<u32> = const { Cell::new(0) });
    thread::spawn(|| {
        NUMBER.set(5);
        let fiber = Fiber::new(|link| {
            NUMBER.set(NUMBER.get() + 1);
            link.suspend();
            NUMBER.set(NUMBER.get() * 2);
        });
        fiber.resume();
        assert_eq!(NUMBER.get(), 6);
        fiber.resume();
        assert_eq!(NUMBER.get(), 12);
    })
    .join()
    .unwrap();
    assert_eq!(NUMBER.get(), 0);
}

//! What a switch keeps of the processor's state, seen from both of its sides.

#![cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]

mod switch_support;

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::mem;
use std::rc::Rc;
use std::thread;

use switch_support::registers::{PRESERVED, SANE_CONTROL, Vector, call_with, control};
use switch_support::{Fiber, Link};

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

fn vector(number: u64) -> Vector {
    let bits = u128::from(number).wrapping_mul(0xD1B5_4A32_D192_ED03_9E37_79B9_7F4A_7C15);
    // SAFETY: both are 128 bits for which every value is valid.
    unsafe { mem::transmute::<u128, Vector>(bits) }
}

fn bits(vector: Vector) -> u128 {
    // SAFETY: as in `vector`.
    unsafe { mem::transmute::<Vector, u128>(vector) }
}

/// Has more values alive over an inlined switch than there are registers for them, so an optimising
/// compiler uses each register that it believes to be kept.
#[inline(always)]
fn hold(seed: u64, turn: impl FnOnce()) {
    let integers: [u64; 16] = std::array::from_fn(|index| seed + index as u64);
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = black_box(integers);
    let floats: [f64; 16] = integers.map(|integer| integer as f64 + 0.25);
    let [q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd, ee, ff] = black_box(floats);
    let vectors = integers.map(vector);
    let [v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15] = black_box(vectors);
    turn();
    assert_eq!([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], integers);
    assert_eq!([q, r, s, t, u, v, w, x, y, z, aa, bb, cc, dd, ee, ff], floats);
    let held = [v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10, v11, v12, v13, v14, v15];
    assert_eq!(held.map(bits), vectors.map(bits));
}

#[test]
fn values_of_every_kind_survive_an_inlined_switch_on_both_sides() {
    const TURNS: u64 = 100;
    let fiber = Fiber::new(|link| {
        for turn in 0..TURNS {
            hold(black_box(turn << 20), || link.suspend());
        }
    });
    for turn in 0..=TURNS {
        hold(black_box(turn << 40), || fiber.resume());
    }
    assert!(fiber.is_finished());
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

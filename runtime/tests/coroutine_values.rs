//! Values of every size and alignment go both ways, by every kind of resume and suspension.
#![cfg(not(lisle_loom))]

mod support;

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use lisle_runtime::{Coroutine, CoroutineState, ScopedCoroutine, Yielder, no_suspend};
use support::coroutine::{Census, Counted, OnDrop};

/// Sends `values` into a coroutine which sends them back: as the first argument and as later ones,
/// as a yield and as the result.
fn echo<T: Clone + PartialEq + Debug + 'static>(values: [T; 4]) {
    let echo = || {
        Coroutine::new(|yielder: &Yielder<T, T, T>, first| {
            let second = yielder.suspend(first);
            let third = yielder.suspend(second);
            yielder.suspend(third)
        })
    };
    let [a, b, c, d] = &values;
    let plain = echo();
    for value in [a, b, c] {
        assert_eq!(plain.resume(value.clone()), CoroutineState::Yielded(value.clone()));
    }
    assert_eq!(plain.resume(d.clone()), CoroutineState::Returned(d.clone()));
    assert_eq!(plain.try_resume(a.clone()).unwrap_err().input, *a);

    // Inside a section, where suspensions are looked at more closely.
    let watched = echo();
    assert_eq!(watched.resume(a.clone()), CoroutineState::Yielded(a.clone()));
    for value in [b, c] {
        assert_eq!(
            no_suspend(|| watched.resume(value.clone())),
            CoroutineState::Yielded(value.clone())
        );
    }
    assert_eq!(watched.resume(d.clone()), CoroutineState::Returned(d.clone()));

    // While the thread unwinds.
    let amid = echo();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _resumes = OnDrop::new(|| {
            assert_eq!(amid.resume(a.clone()), CoroutineState::Yielded(a.clone()));
            assert_eq!(amid.resume(b.clone()), CoroutineState::Yielded(b.clone()));
        });
        resume_unwind(Box::new(()));
    }));
    assert!(result.is_err());
    assert_eq!(amid.resume(c.clone()), CoroutineState::Yielded(c.clone()));
    assert_eq!(amid.resume(d.clone()), CoroutineState::Returned(d.clone()));

    // By transfers: to one that has not begun, and back to one that has.
    let other = Coroutine::new(|yielder: &Yielder<(T, T), T, T>, (first, second)| {
        assert_eq!(yielder.suspend(first), (second.clone(), second.clone()));
        second
    });
    let weak = other.downgrade();
    let [w, x, y, z] = values.clone();
    let sender = Coroutine::new(move |yielder: &Yielder<T, T, T>, _| {
        let back = yielder.transfer(&weak, (w, x.clone()));
        assert_eq!(back, y);
        yielder.transfer(&weak, (x.clone(), x))
    });
    assert_eq!(sender.resume(z), CoroutineState::Yielded(a.clone()));
    assert_eq!(sender.resume(c.clone()), CoroutineState::Returned(b.clone()));

    // Borrowed.
    let sum = ScopedCoroutine::scope(
        |yielder: &Yielder<&T, &T, usize>, first| {
            let second = yielder.suspend(first);
            usize::from(first == a) + usize::from(second == b)
        },
        |coroutine| {
            assert_eq!(coroutine.resume(a), CoroutineState::Yielded(a));
            coroutine.resume(b)
        },
    );
    assert_eq!(sum, CoroutineState::Returned(2));
}

#[test]
fn numbers_of_every_width() {
    echo([1_u8, 2, 0xFF, 3]);
    echo([1_u16, 2, 0xFFFF, 3]);
    echo([1_u32, 2, 0xFFFF_FFFF, 3]);
    echo([1_u64, 2, u64::MAX, 3]);
    echo([1_u128, 2, u128::MAX, 3]);
    echo([1.5_f32, 2.0, f32::INFINITY, -0.5]);
    echo([1.5_f64, 2.0, f64::INFINITY, -0.5]);
    echo([true, false, false, true]);
    echo(['a', 'ß', '€', '𝄞']);
}

#[test]
fn bytes_of_every_length() {
    macro_rules! lengths {
        ($($length:literal)*) => {$(
            echo([1_u8, 2, 3, 4].map(|seed| {
                std::array::from_fn::<u8, $length, _>(|index| index as u8 ^ seed)
            }));
        )*};
    }
    lengths!(1 2 3 4 5 6 7 8 9 12 15 16 17 24 31 32 33 64 100 1000);
}

#[test]
fn values_with_holes_and_niches() {
    echo([(1_u8, 2_u32), (3, 4), (5, 6), (7, 8)]);
    echo([(1_u8, 2_u16, 3_u8), (4, 5, 6), (7, 8, 9), (10, 11, 12)]);
    echo([(1_u8, 2_u64), (3, 4), (5, 6), (7, 8)]);
    echo([Some(1_u32), None, Some(0), Some(u32::MAX)]);
    echo([Ok(1_u8), Err(2_u16), Ok(3), Err(4)]);
    echo([(); 4]);
}

#[test]
fn every_alignment() {
    macro_rules! alignments {
        ($($align:literal)*) => {$({
            #[derive(Clone, Debug, PartialEq)]
            #[repr(align($align))]
            struct Aligned(u8);
            echo([1, 2, 3, 4].map(Aligned));
            #[derive(Clone, Debug, PartialEq)]
            #[repr(align($align))]
            struct Empty;
            echo([Empty, Empty, Empty, Empty]);
        })*};
    }
    alignments!(1 2 4 8 16 32 64 128);
}

#[test]
fn values_that_own_something() {
    echo(["a", "b", "c", "d"].map(Box::new));
    echo(["a", "b", "c", "d"].map(String::from));
    echo(["a", "b", "c", "d"].map(|text| Some(Box::new(text.to_string()))));
}

/// A value on its way belongs to exactly one side.
#[test]
fn none_is_dropped_twice_or_lost() {
    fn exchange<const EXTRA: usize>() {
        let census = Census::default();
        let inside = census.clone();
        type Value<const EXTRA: usize> = (Counted, [u8; EXTRA]);
        let coroutine = Coroutine::new(
            move |yielder: &Yielder<Value<EXTRA>, Value<EXTRA>, ()>, mut value: Value<EXTRA>| loop {
                drop(value);
                value = yielder.suspend((inside.member(), [0; EXTRA]));
            },
        );
        for _ in 0..10 {
            let CoroutineState::Yielded(value) = coroutine.resume((census.member(), [0; EXTRA]))
            else {
                unreachable!("it yields for ever")
            };
            assert_eq!(census.count(), 1);
            drop(value);
            assert_eq!(census.count(), 0);
        }
    }
    exchange::<0>();
    exchange::<1>();
    exchange::<64>();
}

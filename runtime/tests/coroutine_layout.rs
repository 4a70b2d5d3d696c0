//! What a body captures, of every size and alignment, lies where it should.
#![cfg(not(lisle_loom))]

mod support;

use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::{Coroutine, CoroutineState, Yielder};
use support::coroutine::{Census, panic_text};

/// Runs a body that captures `value` and checks its place and contents before and after a
/// suspension.
fn captures<T: Copy + PartialEq + 'static>(value: T) {
    let census = Census::default();
    for resumes in 0..3 {
        let member = census.member();
        let coroutine = Coroutine::new(move |yielder: &Yielder<(), bool, bool>, ()| {
            let _member = member;
            let captured = value;
            let is_fine =
                || std::hint::black_box(&raw const captured).is_aligned() && captured == value;
            yielder.suspend(is_fine());
            is_fine()
        });
        if resumes > 0 {
            assert!(coroutine.resume(()) == CoroutineState::Yielded(true));
        }
        if resumes > 1 {
            assert!(coroutine.resume(()) == CoroutineState::Returned(true));
        }
        drop(coroutine);
        assert_eq!(census.count(), 0);
    }
}

#[test]
fn captures_of_every_alignment() {
    macro_rules! aligned {
        ($($align:literal)*) => {$({
            #[derive(Clone, Copy, PartialEq)]
            #[repr(align($align))]
            struct Aligned([u8; 3]);
            captures(Aligned([1, 2, 3]));
            captures([Aligned([4, 5, 6]); 2]);
        })*};
    }
    aligned!(1 2 4 8 16 32 64 128 256 512 1024 2048);
}

#[test]
fn captures_of_every_size() {
    captures(());
    captures([7u8; 1]);
    captures([7u8; 15]);
    captures([7u8; 17]);
    captures([7u32; 100]);
    captures([7u64; 512]);
}

/// Makes and runs a coroutine that captures `SIZE` bytes and uses every one.
#[inline(never)]
fn run_with<const SIZE: usize>(stack: StackSize) -> usize {
    let data = [1u8; SIZE];
    let stack = Stack::allocate(stack).unwrap();
    let coroutine = Coroutine::with_stack(stack, move |_: &Yielder<(), (), usize>, ()| {
        std::hint::black_box(&data).iter().map(|&byte| usize::from(byte)).sum()
    });
    let CoroutineState::Returned(sum) = coroutine.resume(()) else { unreachable!() };
    sum
}

#[test]
fn all_that_is_allowed_fits() {
    assert_eq!(run_with::<1500>(StackSize::MIN), 1500);
    assert_eq!(run_with::<15_000>(StackSize::DEFAULT), 15_000);
    assert_eq!(run_with::<60_000>(StackSize::new(1 << 20)), 60_000);
}

#[test]
fn more_than_that_is_refused_and_dropped() {
    let census = Census::default();
    let member = census.member();
    let data = [0u8; 20_000];
    let text = panic_text(|| {
        Coroutine::new(move |_: &Yielder<(), (), usize>, ()| {
            let _member = member;
            data.len()
        })
    });
    assert!(text.contains("captures too much for its stack of 262144 bytes: 20"), "{text}");
    assert!(text.contains("Box the captures"), "{text}");
    assert_eq!(census.count(), 0);
}

#[test]
fn an_alignment_that_does_not_fit_is_refused() {
    #[repr(align(32768))]
    struct Huge;
    let (huge, census) = (Huge, Census::default());
    let member = census.member();
    let text = panic_text(|| {
        Coroutine::new(move |_: &Yielder<(), (), ()>, ()| drop((&huge, member)));
    });
    assert!(text.contains("captures too much for its stack"), "{text}");
    assert_eq!(census.count(), 0);
}

//! Chance: where a select begins, so that no operation starves beside others that are always ready.

use std::cell::Cell;
use std::sync::atomic::{AtomicU32, Ordering};

use lisle_runtime::internal::primitive::thread_local;
use lisle_scheduler::internal::points::choose;

thread_local! {
    static STATE: Cell<u32> = Cell::new(0)
}

/// The next of a thread's pseudo-random numbers (xorshift). In a loom model always 0, so that a
/// model can be replayed. In a program that is explored it is one of `len` equal parts of all
/// numbers that is chosen.
pub(super) fn random(len: usize) -> u32 {
    if cfg!(lisle_loom) {
        return 0;
    }
    STATE.with(|state| {
        let mut number = match state.get() {
            0 => match chosen(len) {
                // The state stays as it is: the next number is chosen, too.
                Some(number) => return number,
                None => seed(),
            },
            number => number,
        };
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        state.set(number);
        number
    })
}

/// What an explorer chooses, if it has the say.
#[cold]
fn chosen(len: usize) -> Option<u32> {
    let part = choose(len)?;
    let start = ((part as u64) << 32).div_ceil(len.max(1) as u64);
    Some(start as u32)
}

/// Where a thread begins: not 0, and unlike the threads before it, so that those of which each
/// selects once do not all choose the same.
#[cold]
fn seed() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Steps of the golden section come near to each other late. The rest spreads them over all
    // bits.
    let number = NEXT.fetch_add(0x9e37_79b9, Ordering::Relaxed);
    let number = (number ^ (number >> 16)).wrapping_mul(0x7feb_352d);
    let number = (number ^ (number >> 15)).wrapping_mul(0x846c_a68b);
    number ^ (number >> 16) | 1
}

/// A start among `len` places and a step, up or down by one, both at random. Of any two places the
/// walk, which goes round, comes to each first as often as to the other, however many lie between.
pub(super) fn random_walk(len: usize) -> (usize, usize) {
    let number = random(len);
    let start = (u64::from(number) * len as u64) >> 32;
    let step = if number & 1 == 0 { 1 } else { len.wrapping_sub(1) };
    (start as usize, step)
}

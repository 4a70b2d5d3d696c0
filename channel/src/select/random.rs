//! Chance: where a select begins, so that no operation starves beside others that are always ready.

use std::cell::Cell;

use lisle_runtime::primitive::thread_local;

thread_local! {
    static STATE: Cell<u32> = Cell::new(0)
}

/// The next of a thread's pseudo-random numbers (xorshift). In a loom model always 0, so that a model
/// can be replayed.
pub(super) fn random() -> u32 {
    if cfg!(lisle_loom) {
        return 0;
    }
    STATE.with(|state| {
        let mut number = match state.get() {
            // The address differs from thread to thread, and is not 0.
            0 => (state as *const Cell<u32>).addr() as u32 | 1,
            number => number,
        };
        number ^= number << 13;
        number ^= number >> 17;
        number ^= number << 5;
        state.set(number);
        number
    })
}

/// A start among `len` places and a step, up or down by one, both at random. Of any two places the
/// walk, which goes round, comes to each first as often as to the other, however many lie between.
pub(super) fn random_walk(len: usize) -> (usize, usize) {
    let number = random();
    let start = (u64::from(number) * len as u64) >> 32;
    let step = if number & 1 == 0 { 1 } else { len.wrapping_sub(1) };
    (start as usize, step)
}

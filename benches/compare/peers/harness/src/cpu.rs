//! Work for the processor alone, which a compiler can neither shorten nor do twice at a time.

use std::time::{Duration, Instant};

/// `steps` steps of xorshift64, each of which needs the one before. Multiplying and adding would
/// not do: compilers merge such steps.
#[inline(never)]
pub fn work(seed: u64, steps: u64) -> u64 {
    (0..steps).fold(seed + 1, |x, _| {
        let x = x ^ x << 13;
        let x = x ^ x >> 7;
        x ^ x << 17
    })
}

/// The steps of a task of `imbalance`: the heaviest have 64 times the work of the lightest.
pub fn uneven(task: u64, steps: u64) -> u64 {
    steps << (task % 7)
}

/// The sum of all leaves of `forkjoin`, and the time in which one thread alone finds it.
pub fn forkjoin_alone(leaves: u64, steps: u64) -> (u64, Duration) {
    alone(leaves, |leaf| work(leaf, steps))
}

/// The sum of all tasks of `imbalance`, and the time in which one thread alone finds it.
pub fn imbalance_alone(tasks: u64, steps: u64) -> (u64, Duration) {
    alone(tasks, |task| work(task, uneven(task, steps)))
}

fn alone(parts: u64, part: impl Fn(u64) -> u64) -> (u64, Duration) {
    let start = Instant::now();
    let sum = (0..parts).map(part).fold(0, u64::wrapping_add);
    (sum, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_depends_on_every_step() {
        assert_eq!(work(7, 0), 8);
        assert_eq!(work(0, 1), 0x4082_2041);
        assert_ne!(work(1, 10), work(1, 11));
        assert_eq!(forkjoin_alone(2, 3).0, work(0, 3).wrapping_add(work(1, 3)));
        assert_eq!(imbalance_alone(2, 3).0, work(0, 3).wrapping_add(work(1, 6)));
    }
}

//! The clock of events: the processor's counter where it runs evenly, which takes a third of the
//! time of the system's clock.

use std::sync::OnceLock;
#[cfg(target_arch = "x86_64")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::event::ticks_since;

/// The time, in units of an unknown length, the same for all threads.
#[inline(always)]
pub(super) fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if RUNS_EVENLY.load(Ordering::Relaxed) {
        // SAFETY: every processor of this kind has the counter.
        return unsafe { std::arch::x86_64::_rdtsc() };
    }
    since_first()
}

#[cold]
fn since_first() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Whether the processor's counter has one rate, whatever the processor's is. Found out when a
/// recording begins, and then always the same.
#[cfg(target_arch = "x86_64")]
static RUNS_EVENLY: AtomicBool = AtomicBool::new(false);

#[cfg(target_arch = "x86_64")]
fn find_counter() {
    use std::arch::x86_64::__cpuid;
    const POWER: u32 = 0x8000_0007;
    const INVARIANT: u32 = 1 << 8;
    let knows = __cpuid(0x8000_0000).eax >= POWER;
    RUNS_EVENLY.store(knows && __cpuid(POWER).edx & INVARIANT != 0, Ordering::Relaxed);
}

#[cfg(not(target_arch = "x86_64"))]
fn find_counter() {}

/// How ticks and the time go together.
pub(super) struct Rate {
    ticks: u64,
    time: Instant,
}

impl Rate {
    pub(super) fn begin() -> Self {
        find_counter();
        Self { ticks: now(), time: Instant::now() }
    }

    /// What turns the first word of an event into nanoseconds since [`begin`](Self::begin), as far
    /// as the rate is known by now.
    pub(super) fn measure(&self) -> impl Fn(u64) -> u64 + use<> {
        let (ticks, time) = (now().wrapping_sub(self.ticks), self.time.elapsed().as_nanos());
        let first = self.ticks;
        move |word| {
            let passed = ticks_since(first, word);
            // What was noted on another processor right at the beginning may seem to be earlier.
            let passed = if passed > u64::MAX >> 16 { 0 } else { passed };
            (u128::from(passed) * time / u128::from(ticks.max(1))) as u64
        }
    }

    /// The nanoseconds since [`begin`](Self::begin).
    pub(super) fn passed(&self) -> u64 {
        self.time.elapsed().as_nanos() as u64
    }
}

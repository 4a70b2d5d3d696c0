//! The clock of events: the processor's counter where it runs evenly, which takes a third of the
//! time of the system's clock.

use std::sync::OnceLock;
use std::time::Instant;

/// The time, in units of an unknown length, the same for all threads.
#[inline]
pub(super) fn now() -> u64 {
    #[cfg(target_arch = "x86_64")]
    if counter_runs_evenly() {
        // SAFETY: every processor of this kind has the counter.
        return unsafe { std::arch::x86_64::_rdtsc() };
    }
    since_first().as_nanos() as u64
}

fn since_first() -> std::time::Duration {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

/// Whether the counter has one rate, whatever the processor's is.
#[cfg(target_arch = "x86_64")]
#[inline]
fn counter_runs_evenly() -> bool {
    static EVENLY: OnceLock<bool> = OnceLock::new();
    *EVENLY.get_or_init(|| {
        use std::arch::x86_64::__cpuid;
        const POWER: u32 = 0x8000_0007;
        const INVARIANT: u32 = 1 << 8;
        __cpuid(0x8000_0000).eax >= POWER && __cpuid(POWER).edx & INVARIANT != 0
    })
}

/// How ticks and the time go together.
pub(super) struct Rate {
    ticks: u64,
    time: Instant,
}

impl Rate {
    pub(super) fn begin() -> Self {
        Self { ticks: now(), time: Instant::now() }
    }

    /// What turns ticks into nanoseconds since [`begin`](Self::begin), as far as it is known by
    /// now.
    pub(super) fn measure(&self) -> impl Fn(u64) -> u64 + use<> {
        let (ticks, time) = (now().wrapping_sub(self.ticks), self.time.elapsed().as_nanos());
        let first = self.ticks;
        move |at| {
            let passed = at.saturating_sub(first);
            (u128::from(passed) * time / u128::from(ticks.max(1))) as u64
        }
    }
}

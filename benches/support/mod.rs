//! What the benchmarks share: their settings, and samples of whole units.

use std::time::Duration;

use criterion::Criterion;

/// Short samples and many of them: a median over them stands the noise of a shared machine.
pub fn settings() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
}

/// The time of `iters` iterations when they can only be had in units of `unit` iterations.
///
/// `measure` is called with a number of units, and does at least `least` iterations, so that what
/// comes before and after them does not count.
pub fn in_units(
    iters: u64,
    unit: u64,
    least: u64,
    measure: impl FnOnce(u64) -> Duration,
) -> Duration {
    let units = iters.max(least).div_ceil(unit);
    measure(units).mul_f64(iters as f64 / (units * unit) as f64)
}

//! What the programs in Rust share.
//!
//! A program is called `PROGRAM SYSTEM BENCHMARK NAME=NUMBER…`, does that one measurement, and
//! prints one line: `UNIT NUMBER`, several of them, or `none` and a reason if the system has no
//! such thing. The programs in other languages keep to the same.
//!
//! - [`serve`] is a program's `main`: it looks its table up.
//! - [`Params`] are the numbers on the command line, [`Outcome`] is what goes into the line.
//! - [`Race`], [`Lateness`], [`Usage`], [`apart`] and [`cpu`] measure and check.
//! - [`echo`] has clients for servers.

pub mod apart;
pub mod cpu;
pub mod echo;
mod lateness;
mod outcome;
mod params;
mod race;
mod usage;

pub use lateness::Lateness;
pub use outcome::Outcome;
pub use params::Params;
pub use race::Race;
pub use usage::Usage;

/// A line of a program's table: these systems play this benchmark by that function.
pub type Row = (&'static [&'static str], &'static str, fn(&Params) -> Outcome);

/// Tasks of `idle` are created in batches of this many, with a yield in between.
pub const BATCH: u64 = 1_000;

/// Does the measurement that the command line asks for, and prints its line.
pub fn serve(table: &[Row]) {
    let params = Params::from_args(std::env::args().skip(1));
    let row = table
        .iter()
        .find(|(systems, bench, _)| systems.contains(&params.system()) && *bench == params.bench());
    println!("{}", row.map_or(Outcome::NotPlayed, |(_, _, play)| play(&params)));
}

/// A benchmark that a system cannot play, and why: `|_| no_equal("…")` in the table.
pub fn no_equal(reason: &'static str) -> Outcome {
    Outcome::NoEqual(reason)
}

/// The primes of `sieve` are right if the last of them is: it depends on all others.
pub fn nth_prime(n: u64) -> u64 {
    let is_prime = |n: u64| (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d));
    (2..).filter(|&n| is_prime(n)).nth(n as usize - 1).expect("there is always another prime")
}

/// The sum of the numbers below `n`, which is what streams of messages and `skynet` add up to.
pub fn sum_below(n: u64) -> u64 {
    n * n.saturating_sub(1) / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_and_sums() {
        assert_eq!(nth_prime(1), 2);
        assert_eq!(nth_prime(2_000), 17_389);
        assert_eq!(sum_below(0), 0);
        assert_eq!(sum_below(1_000_000), 499_999_500_000);
    }
}

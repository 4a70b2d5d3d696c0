//! The line that a program prints.

use std::fmt;
use std::time::Duration;

/// What came of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Figures with their units.
    Measured(Vec<(&'static str, f64)>),
    /// Such figures as another program has printed them.
    Line(String),
    /// The system has no such thing; why.
    NoEqual(&'static str),
    /// The benchmark means nothing for this form of the system; another form plays it.
    NotPlayed,
}

impl Outcome {
    /// Nanoseconds for each of `count` operations.
    pub fn ns_each(time: Duration, count: u64) -> Self {
        Self::Measured(vec![("ns", nanoseconds(time) / count as f64)])
    }

    /// Milliseconds for the whole.
    pub fn ms(time: Duration) -> Self {
        Self::Measured(vec![("ms", milliseconds(time))])
    }

    /// What a parked task costs: bytes, and the time to create it.
    pub fn parked(bytes: u64, time: Duration, tasks: u64) -> Self {
        let each = |total: f64| total / tasks as f64;
        Self::Measured(vec![("bytes", each(bytes as f64)), ("ns", each(nanoseconds(time)))])
    }

    /// How late timers were on average, and what processor time they took in all.
    pub fn late(mean: Duration, cpu: Duration) -> Self {
        Self::Measured(vec![("late_us", nanoseconds(mean) / 1e3), ("cpu_ms", milliseconds(cpu))])
    }

    /// The time of work that was spread, and how many times faster that was than one thread alone.
    pub fn spread(time: Duration, alone: Duration) -> Self {
        let speedup = alone.as_secs_f64() / time.as_secs_f64();
        Self::Measured(vec![("ms", milliseconds(time)), ("speedup", speedup)])
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_nanos() as f64
}

fn milliseconds(time: Duration) -> f64 {
    nanoseconds(time) / 1e6
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured(figures) => {
                let words: Vec<_> =
                    figures.iter().map(|(unit, value)| format!("{unit} {value:.3}")).collect();
                f.write_str(&words.join(" "))
            }
            Self::Line(line) => f.write_str(line),
            Self::NoEqual(reason) => write!(f, "none {reason}"),
            Self::NotPlayed => f.write_str("none"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let line = Outcome::ns_each(Duration::from_micros(3), 2).to_string();
        assert_eq!(line, "ns 1500.000");
        let line = Outcome::parked(8_192, Duration::from_micros(1), 2).to_string();
        assert_eq!(line, "bytes 4096.000 ns 500.000");
        let line =
            Outcome::spread(Duration::from_millis(10), Duration::from_millis(15)).to_string();
        assert_eq!(line, "ms 10.000 speedup 1.500");
        assert_eq!(Outcome::NoEqual("no select").to_string(), "none no select");
        assert_eq!(Outcome::NotPlayed.to_string(), "none");
    }
}

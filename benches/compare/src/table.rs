//! The results for a person: a table a benchmark.

use std::fmt::{self, Write};

use crate::plan::Bench;
use crate::results::{Results, Series, Why};

/// The table of one benchmark. Empty if there is nothing to tell.
pub fn of(bench: &Bench, results: &Results) -> String {
    let mut text = String::new();
    write(&mut text, bench, results).expect("a string can be written to");
    text
}

fn write(text: &mut String, bench: &Bench, results: &Results) -> fmt::Result {
    let panels = results.panels(bench.name);
    if !panels.is_empty() {
        writeln!(text, "\n{}: {}", bench.name, bench.title)?;
    }
    for panel in panels {
        let (params, unit) = (&panel[0].params, &panel[0].unit);
        let name = if params.is_empty() { unit.clone() } else { format!("{params}, {unit}") };
        writeln!(
            text,
            "  {name:<36} {:>12} {:>12} {:>8} {:>9}",
            "median", "min", "spread", "to Lisle"
        )?;
        let lisle = panel.iter().find(|series| series.system == "lisle");
        for series in &panel {
            row(text, series, lisle.copied())?;
        }
    }
    gaps(text, bench, results)
}

fn row(text: &mut String, series: &Series, lisle: Option<&Series>) -> fmt::Result {
    let ratio =
        lisle.map_or(String::new(), |lisle| format!("{:.2}", series.median() / lisle.median()));
    writeln!(
        text,
        "    {:<34} {:>12} {:>12} {:>7.0}% {ratio:>9}",
        series.system,
        number(series.median()),
        number(series.min()),
        100.0 * series.spread(),
    )
}

/// A reason that holds for several cases is told once.
fn gaps(text: &mut String, bench: &Bench, results: &Results) -> fmt::Result {
    let mut told = Vec::new();
    for gap in results.gaps.iter().filter(|gap| gap.bench == bench.name) {
        let line = match &gap.why {
            Why::NoEqual(reason) => format!("  {}: no equal: {reason}", gap.system),
            Why::Failed(reason) => format!("  {}: FAILED {}: {reason}", gap.system, gap.params),
        };
        if !told.contains(&line) {
            writeln!(text, "{line}")?;
            told.push(line);
        }
    }
    Ok(())
}

/// With as many digits as mean something.
pub fn number(value: f64) -> String {
    match value.abs() {
        ..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as i64),
    }
}

/// 12345678 as `12,345,678`.
pub fn grouped(value: i64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::BENCHES;
    use crate::results::Gap;

    #[test]
    fn numbers() {
        let numbers = [1.756, 63.14, 278.4, 2_572.3, 1_000_000.0].map(number);
        assert_eq!(numbers, ["1.76", "63.1", "278", "2,572", "1,000,000"]);
    }

    #[test]
    fn the_ratio_is_to_lisle_and_gaps_are_told_once() {
        let mut results = Results::default();
        for value in [60.0, 50.0, 70.0] {
            results.add("pingpong", "workers=1", "lisle", "ns", value);
        }
        results.add("pingpong", "workers=1", "go", "ns", 450.0);
        for params in ["workers=1", "workers=2"] {
            results.gaps.push(Gap {
                bench: "pingpong",
                params: params.to_owned(),
                system: "generator",
                why: Why::NoEqual("no channels".to_owned()),
            });
        }
        let bench = BENCHES.iter().find(|bench| bench.name == "pingpong").unwrap();
        let table = of(bench, &results);
        let line = |start| table.lines().find(|line| line.trim().starts_with(start)).unwrap();
        let words: Vec<_> = line("lisle").split_whitespace().collect();
        assert_eq!(words, ["lisle", "60.0", "50.0", "33%", "1.00"]);
        let words: Vec<_> = line("go").split_whitespace().collect();
        assert_eq!(words, ["go", "450", "450", "0%", "7.50"]);
        assert_eq!(table.matches("no channels").count(), 1);
    }
}

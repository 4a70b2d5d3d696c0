//! A pipeline of stages that ends at the first error: no stage goes on when another has failed.
//!
//! Lines are read, parsed by several tasks, and summed up. Each stage is a task of a `try_scope`
//! and returns a `Result`; whichever fails first cancels the others where they wait, and its error
//! is that of the whole pipeline.
//!
//! ```text
//! cargo run --release --example pipeline
//!
//! good: 10,000 numbers, sum 50,005,000
//! bad: line 5,000 is no number: 'many'
//! ```

mod support;

use lisle::channel::{Receiver, Sender, bounded};
use support::{Args, grouped};

const LINES: usize = 10_000;
const PARSERS: usize = 3;

fn main() {
    Args::new("pipeline", "").finish();

    lisle::run(|| {
        for (name, bad_line) in [("good", None), ("bad", Some(5_000))] {
            match sum_up(bad_line) {
                Ok((count, sum)) => {
                    println!("{name}: {} numbers, sum {}", grouped(count), grouped(sum));
                }
                Err(error) => println!("{name}: {error}"),
            }
        }
    });
}

fn sum_up(bad_line: Option<usize>) -> Result<(usize, usize), String> {
    let ((lines, to_parse), (parsed, numbers)) = (bounded(16), bounded(16));
    lisle::try_scope(|s| {
        s.spawn(move || read(&lines, bad_line));
        for _ in 0..PARSERS {
            let (to_parse, parsed) = (to_parse.clone(), parsed.clone());
            s.spawn(move || parse(&to_parse, &parsed));
        }
        drop((to_parse, parsed)); // the stages have their own
        let (mut count, mut sum) = (0, 0);
        for number in &numbers {
            count += 1;
            sum += number;
        }
        Ok((count, sum))
    })
}

/// Stands in for a file.
fn read(lines: &Sender<(usize, String)>, bad_line: Option<usize>) -> Result<(), String> {
    for n in 1..=LINES {
        let text = if bad_line == Some(n) { "many".to_owned() } else { n.to_string() };
        lines.send((n, text)).map_err(|_| "nobody reads".to_owned())?;
    }
    Ok(())
}

fn parse(lines: &Receiver<(usize, String)>, numbers: &Sender<usize>) -> Result<(), String> {
    for (n, text) in lines {
        let wrong = |_| format!("line {} is no number: '{text}'", grouped(n));
        let number = text.parse().map_err(wrong)?;
        numbers.send(number).map_err(|_| "nobody sums up".to_owned())?;
    }
    Ok(())
}

//! The prime sieve, and a page that shows how it ran.
//!
//! ```text
//! cargo run --release --example trace
//!
//! prime number 100 is 541
//! 24,281 turns of tasks, in trace.html for a browser and trace.json for ui.perfetto.dev
//! ```
//!
//! With `--to FOLDER` the two files come there.

mod support;

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::PathBuf;

use lisle::channel::{Receiver, Sender, bounded};
use lisle::task::Builder;
use lisle::trace;
use support::{Args, grouped};

fn main() -> io::Result<()> {
    let mut args = Args::new("trace", "[N] [--to FOLDER]");
    let folder = PathBuf::from(args.text("--to").unwrap_or_else(|| ".".into()));
    let primes = args.count("N", 100);
    args.finish();

    let recorder = trace::start().expect("nothing else records");
    let prime = lisle::run(|| sieve(primes))?;
    let trace = recorder.stop();

    println!("prime number {} is {}", grouped(primes), grouped(prime));
    let (page, json) = (folder.join("trace.html"), folder.join("trace.json"));
    trace.write_html(BufWriter::new(File::create(&page)?))?;
    trace.write_json(BufWriter::new(File::create(&json)?))?;
    let (turns, page, json) = (grouped(trace.turns()), page.display(), json.display());
    println!("{turns} turns of tasks, in {page} for a browser and {json} for ui.perfetto.dev");
    Ok(())
}

/// A chain of filters, one for each prime: each passes on what its prime does not divide.
fn sieve(primes: usize) -> io::Result<usize> {
    let (numbers, mut left) = bounded(8);
    Builder::new().name("numbers").spawn(move || (2..).try_for_each(|n| numbers.send(n)))?;
    for found in 1..=primes {
        let prime = left.recv().expect("there are always more numbers");
        trace::counter("primes", found as f64);
        if found == primes {
            return Ok(prime);
        }
        let (next, filtered) = bounded(8);
        Builder::new().name(format!("filter {prime}")).spawn(move || filter(prime, left, next))?;
        left = filtered;
    }
    unreachable!("at least one prime is asked for")
}

fn filter(prime: usize, from: Receiver<usize>, to: Sender<usize>) {
    for n in from {
        let divides = trace::span("divide", || n % prime == 0);
        if !divides && to.send(n).is_err() {
            return;
        }
    }
}

//! The concurrent prime sieve: a chain of tasks finds the first N primes.
//!
//! A generator sends 2, 3, 4, … into the chain. Each number that comes out at its end is a prime,
//! because every prime before it has a task in the chain that lets none of its multiples pass. So
//! each prime makes the chain one filter and one rendezvous channel longer:
//!
//! ```text
//!   generator ──▶ no multiples of 2 ──▶ no multiples of 3 ──▶ … ──▶ main
//! ```
//!
//! It is a slow way to find primes and a good way to see thousands of tasks talk. The result is
//! compared with that of a plain sieve.
//!
//! ```text
//! cargo run --release --example prime_sieve -- [N]
//! ```
//!
//! With `2000`:
//!
//! ```text
//! prime number 2,000 is 17,389
//! 2,001 tasks found it in 0.16 s
//! a plain sieve finds the same primes
//! ```

mod support;

use std::time::Instant;

use lisle::channel::{Receiver, Sender, bounded};
use support::{Args, Progress, grouped};

fn main() {
    let mut args = Args::new("prime_sieve", "[N]");
    let count = args.count("N", 1000);
    args.finish();

    let start = Instant::now();
    let primes = lisle::run(|| first_primes(count));
    let time = start.elapsed();

    let last = primes[count - 1];
    assert_eq!(primes, plain_sieve(last), "the two sieves disagree");
    println!("prime number {} is {}", grouped(count), grouped(last));
    println!("{} tasks found it in {:.2} s", grouped(count + 1), time.as_secs_f64());
    println!("a plain sieve finds the same primes");
}

/// Runs in the main task. When that returns the runtime ends, and all tasks of the chain with it.
fn first_primes(count: usize) -> Vec<usize> {
    let mut progress = Progress::new("primes", count);
    let mut primes = Vec::new();

    let (generated, mut end_of_chain) = bounded(0);
    lisle::spawn(move || generate(generated));
    while primes.len() < count {
        let prime = end_of_chain.recv().unwrap();
        primes.push(prime);
        progress.at(primes.len());

        let (filtered, new_end) = bounded(0);
        lisle::spawn(move || filter(prime, end_of_chain, filtered));
        end_of_chain = new_end;
    }
    primes
}

/// Sends every number from 2 on, until the receiver is gone.
fn generate(to: Sender<usize>) {
    for number in 2.. {
        if to.send(number).is_err() {
            return;
        }
    }
}

/// Lets the numbers pass that are no multiples of `prime`.
fn filter(prime: usize, from: Receiver<usize>, to: Sender<usize>) {
    for number in from {
        if !number.is_multiple_of(prime) && to.send(number).is_err() {
            return;
        }
    }
}

/// All primes up to `limit`, by the sieve of Eratosthenes.
fn plain_sieve(limit: usize) -> Vec<usize> {
    let mut is_composite = vec![false; limit + 1];
    let mut primes = Vec::new();
    for number in 2..=limit {
        if !is_composite[number] {
            primes.push(number);
            for multiple in (number * number..=limit).step_by(number) {
                is_composite[multiple] = true;
            }
        }
    }
    primes
}

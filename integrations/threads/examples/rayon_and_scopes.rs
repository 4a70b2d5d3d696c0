//! Computations on threads that rayon and crossbeam-utils have, for tasks that wait for them.
//!
//! Both block the calling thread until all is done: in a task they would hold up the others of its
//! worker. So the call is made inside `blocking`, and may borrow from the task all the same. What
//! the threads find meanwhile they send to tasks over Lisle's channels, which are for both.

use lisle::channel::bounded;
use lisle::{Runtime, blocking, spawn, yield_now};
use rayon::prelude::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const LIMIT: u32 = 20_000;

pub fn main() {
    // One worker: what holds it up would be noticed.
    Runtime::builder().workers(1).run(compute).expect("the threads report in the end");
}

fn compute() {
    let is_done = Arc::new(AtomicBool::new(false));
    let seen = is_done.clone();
    let other = spawn(move || {
        let mut turns = 0_u64;
        while !seen.load(Ordering::Relaxed) {
            turns += 1;
            yield_now();
        }
        turns
    });

    let numbers: Vec<u32> = (2..LIMIT).collect();
    let primes = blocking(|| numbers.par_iter().filter(|number| is_prime(**number)).count());
    println!("rayon has found {primes} primes below {LIMIT}");

    // Rayon's threads send to a task, and wait while the channel is full.
    let (found, twins) = bounded(4);
    let receiver = spawn(move || twins.iter().count());
    blocking(|| {
        numbers.par_iter().for_each_with(found, |found, &number| {
            if is_prime(number) && is_prime(number + 2) {
                found.send((number, number + 2)).expect("the task receives to the end");
            }
        });
    });
    let twins = receiver.join().expect("the task counts");
    println!("a task was sent {twins} pairs of twin primes");

    // Threads that borrow from the task's stack.
    let (lower, upper) = numbers.split_at(numbers.len() / 2);
    let count = |part: &[u32]| part.iter().filter(|number| is_prime(**number)).count();
    let halves = blocking(|| {
        crossbeam_utils::thread::scope(|scope| {
            let threads = [lower, upper].map(|part| scope.spawn(move |_| count(part)));
            threads.map(|thread| thread.join().expect("the thread counts"))
        })
    });
    let halves = halves.expect("no thread has panicked");
    println!("two threads have found {} and {}", halves[0], halves[1]);
    assert_eq!(halves[0] + halves[1], primes);
    assert_eq!((primes, twins), (2262, 342));

    is_done.store(true, Ordering::Relaxed);
    let turns = other.join().expect("the other task ends");
    assert!(turns > 1, "the worker goes on while threads compute");
}

fn is_prime(number: u32) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    divisors.all(|divisor| !number.is_multiple_of(divisor))
}

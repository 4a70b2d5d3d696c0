//! Several producers and several consumers share one bounded channel.
//!
//! The channel holds four numbers. When it is full, producers wait; when it is empty, consumers
//! wait. The consumers end when the channel is empty and the last producer has dropped its sender.
//!
//! ```text
//! cargo run --release --example producer_consumer
//!
//! consumer 1: 26,298 numbers, sum 395,978,662
//! consumer 2: 3,702 numbers, sum 54,006,338
//! together: 449,985,000, as it should be
//! ```

mod support;

use lisle::channel::{Receiver, Sender, bounded};
use support::{Args, grouped};

const PRODUCERS: usize = 3;
const CONSUMERS: usize = 2;
const NUMBERS_EACH: usize = 10_000;

fn main() {
    Args::new("producer_consumer", "").finish();

    lisle::run(|| {
        let (sender, receiver) = bounded(4);

        for producer in 0..PRODUCERS {
            let sender = sender.clone();
            lisle::spawn(move || produce(producer, sender));
        }
        drop(sender); // only the producers' own are left

        let consumers: Vec<_> = (0..CONSUMERS)
            .map(|_| {
                let receiver = receiver.clone();
                lisle::spawn(move || consume(receiver))
            })
            .collect();

        let mut total = 0;
        for (number, consumer) in (1..).zip(consumers) {
            let (count, sum) = consumer.join().unwrap();
            println!("consumer {number}: {} numbers, sum {}", grouped(count), grouped(sum));
            total += sum;
        }

        let expected = (0..PRODUCERS * NUMBERS_EACH).sum();
        assert_eq!(total, expected, "numbers were lost or came twice");
        println!("together: {}, as it should be", grouped(total));
    });
}

/// Each producer has a range of numbers of its own.
fn produce(producer: usize, to: Sender<usize>) {
    let first = producer * NUMBERS_EACH;
    for number in first..first + NUMBERS_EACH {
        to.send(number).unwrap();
    }
}

/// How many numbers came, and their sum.
fn consume(from: Receiver<usize>) -> (usize, usize) {
    from.iter().fold((0, 0), |(count, sum), number| (count + 1, sum + number))
}

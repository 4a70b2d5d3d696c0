//! A limit on how often something is done: a bucket of tokens that an interval fills.
//!
//! The bucket is a channel with room for as many tokens as may be used at once. A task puts one in
//! at each tick and leaves it out if the bucket is full. A task that wants to do something takes
//! one.
//!
//! ```text
//! cargo run --release --example rate_limit
//!
//! 20 requests, 5 at once and then one each 2 ms: at least 30 ms, and it took 31 ms
//! ```

mod support;

use std::time::{Duration, Instant};

use lisle::channel::{TrySendError, bounded};
use lisle::time::interval_at;
use support::Args;

const REQUESTS: u32 = 20;
const AT_ONCE: u32 = 5;
const PERIOD: Duration = Duration::from_millis(2);

fn main() {
    Args::new("rate_limit", "").finish();

    lisle::run(|| {
        let (fill, bucket) = bounded(AT_ONCE as usize);
        for _ in 0..AT_ONCE {
            fill.send(()).unwrap();
        }
        let start = Instant::now();
        lisle::spawn(move || {
            let mut ticks = interval_at(start + PERIOD, PERIOD);
            loop {
                ticks.tick();
                if let Err(TrySendError::Disconnected(())) = fill.try_send(()) {
                    return; // nobody takes any
                }
            }
        });
        lisle::scope(|s| {
            for _ in 0..REQUESTS {
                s.spawn(|| bucket.recv().unwrap()); // and then it does what it wants to do
            }
        });
        let (took, least) = (start.elapsed(), PERIOD * (REQUESTS - AT_ONCE));
        assert!(took >= least, "the limit was not kept");
        println!(
            "{REQUESTS} requests, {AT_ONCE} at once and then one each {} ms: at least {} ms, \
             and it took {} ms",
            PERIOD.as_millis(),
            least.as_millis(),
            took.as_millis()
        );
    });
}

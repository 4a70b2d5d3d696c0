//! The clients of `echo` and `latency`, in a process of their own: the same for all servers.
//!
//! `load BENCHMARK PORT CONNECTIONS REQUESTS` sends messages of 64 bytes, which the server sends
//! back, and prints the line of the benchmark. A tenth as many come before, to warm up.
//!
//! - `echo`: each connection sends a message whenever the one before has come back. The nanoseconds
//!   an answer.
//! - `latency`: after that, messages are sent at half of the rate at which they came back, whether
//!   the server keeps up or not. How long after the moment at which one was due to be sent it was
//!   back: the median, and the time that one in a hundred exceeds.
//!
//! One thread asks epoll, level-triggered, which connections have an answer. That is the cheapest
//! client there is, so that the server is what is measured.

mod clients;
mod half_load;

use std::io;
use std::time::Instant;

use clients::Clients;

const USAGE: &str = "usage: load echo|latency PORT CONNECTIONS REQUESTS";

fn main() -> io::Result<()> {
    let mut args = std::env::args().skip(1);
    let bench = args.next().expect(USAGE);
    let numbers: Vec<u64> = args.map(|arg| arg.parse().expect(USAGE)).collect();
    let [port, connections, requests] = numbers[..].try_into().expect(USAGE);
    let mut clients = Clients::connect(port as u16, connections as usize)?;
    clients.answers(requests / 10)?;
    let start = Instant::now();
    clients.answers(requests)?;
    let each = start.elapsed().as_nanos() as f64 / requests as f64;
    match &*bench {
        "echo" => println!("ns {each:.3}"),
        "latency" => {
            clients.fall_silent()?;
            let mut latencies = half_load::latencies(&mut clients, 2.0 * each, requests)?;
            latencies.sort_unstable();
            let share = |percent| latencies[latencies.len() * percent / 100] as f64 / 1e3;
            println!("p50_us {:.3} p99_us {:.3}", share(50), share(99));
        }
        _ => panic!("{USAGE}"),
    }
    Ok(())
}

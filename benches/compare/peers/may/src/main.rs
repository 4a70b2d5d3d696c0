//! The benchmarks on may. `may` has its channels for several senders, `may-spsc` those for one.
//!
//! may's channels have no limit. A round trip works all the same; what depends on a sender that
//! waits for room does not.

mod apart;
mod compute;
mod echo;
mod locks;
mod messages;
mod tasks;

use harness::{Outcome, Params, Row, no_equal};
use messages::{Mpsc, Spsc};

const MAY: &[&str] = &["may"];
const SPSC: &[&str] = &["may-spsc"];

const TABLE: &[Row] = &[
    (MAY, "switch", |_| no_equal("it is the one of generator")),
    (MAY, "yield", tasks::yields),
    (MAY, "spawn", tasks::spawn),
    (MAY, "idle", tasks::idle),
    (MAY, "timers", tasks::timers),
    (MAY, "pingpong", messages::pingpong::<Mpsc>),
    (SPSC, "pingpong", messages::pingpong::<Spsc>),
    (MAY, "buffered", |_| no_equal("its channels have no capacity")),
    (MAY, "unbounded", messages::unbounded::<Mpsc>),
    (SPSC, "unbounded", messages::unbounded::<Spsc>),
    (MAY, "select", |_| no_equal("its select! starts a coroutine for each arm, each time")),
    (MAY, "skynet", messages::skynet),
    (MAY, "sieve", |_| no_equal("its channels have no capacity: the numbers would pile up")),
    (MAY, "forkjoin", compute::forkjoin),
    (MAY, "imbalance", compute::imbalance),
    (MAY, "torn", apart::torn),
    (MAY, "across", apart::across),
    (MAY, "stream-across", |_| no_equal("its channels have no capacity")),
    (MAY, "ask-across", |_| no_equal("its channels have no capacity")),
    (MAY, "actors", apart::actors),
    (MAY, "jobs", |_| no_equal("its channels have one receiver")),
    (MAY, "echo", echo::echo),
    (MAY, "latency", echo::echo),
    (MAY, "mutex", locks::mutex),
    (MAY, "rwlock", locks::rwlock),
    (MAY, "semaphore", locks::semaphore),
    (MAY, "waitgroup", locks::wait_group),
    (MAY, "broadcast", |_| no_equal("a message goes to one receiver")),
];

fn main() {
    harness::serve(TABLE);
}

/// Runs `main` as a coroutine, on as many workers as the parameters say.
fn run(params: &Params, main: impl FnOnce() -> Outcome + Send + 'static) -> Outcome {
    may::config().set_workers(params.workers());
    may::go!(main).join().unwrap()
}

/// Whether this many stacks can be had: each takes two of the memory maps that a process may have.
fn has_stacks_for(tasks: u64) -> bool {
    let limit = std::fs::read_to_string("/proc/sys/vm/max_map_count").expect("there is /proc");
    2 * tasks < limit.trim().parse().expect("it is a number")
}

/// Why there are no more.
const TOO_MANY: Outcome =
    Outcome::NoEqual("two memory maps a stack, of 65,530 that a process may have");

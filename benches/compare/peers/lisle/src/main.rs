//! The benchmarks on Lisle, with its defaults. `lisle-64k` has stacks of 64 KiB instead of 256, and
//! `lisle-bare` is the switch below its coroutines.

mod apart;
mod bare;
mod compute;
mod echo;
mod life;
mod locks;
mod messages;
mod tasks;

use harness::{Outcome, Params, Row};

const LISLE: &[&str] = &["lisle"];
const EITHER_STACK: &[&str] = &["lisle", "lisle-64k"];

const TABLE: &[Row] = &[
    (LISLE, "switch", tasks::switch),
    (&["lisle-bare"], "switch", bare::bare),
    (LISLE, "yield", tasks::yields),
    (LISLE, "spawn", tasks::spawn),
    (EITHER_STACK, "idle", tasks::idle),
    (LISLE, "timers", tasks::timers),
    (LISLE, "pingpong", messages::pingpong),
    (LISLE, "buffered", messages::buffered),
    (LISLE, "unbounded", messages::unbounded),
    (LISLE, "select", messages::select),
    (LISLE, "skynet", messages::skynet),
    (LISLE, "sieve", messages::sieve),
    (LISLE, "forkjoin", compute::forkjoin),
    (LISLE, "imbalance", compute::imbalance),
    (LISLE, "torn", apart::torn),
    (LISLE, "across", apart::across),
    (LISLE, "stream-across", apart::stream_across),
    (LISLE, "ask-across", apart::ask_across),
    (LISLE, "actors", apart::actors),
    (LISLE, "jobs", apart::jobs),
    (LISLE, "echo", echo::echo),
    (LISLE, "latency", echo::echo),
    (LISLE, "mutex", locks::mutex),
    (LISLE, "rwlock", locks::rwlock),
    (LISLE, "semaphore", locks::semaphore),
    (LISLE, "waitgroup", locks::wait_group),
    (LISLE, "broadcast", locks::broadcast),
    (LISLE, "scope", life::scope),
    (LISLE, "timeout", life::timeout),
    (LISLE, "blocking", life::blocking),
];

fn main() {
    harness::serve(TABLE);
}

/// Runs `main` as the first task, on as many workers as the parameters say.
fn run(params: &Params, main: impl FnOnce() -> Outcome) -> Outcome {
    let mut builder = lisle::Runtime::builder().workers(params.workers());
    if params.system() == "lisle-64k" {
        builder = builder.stack_size(64 * 1024);
    }
    builder.run(main).unwrap()
}

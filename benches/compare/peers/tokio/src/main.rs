//! The benchmarks on tokio: with its own channels, kanal's and flume's.
//!
//! `tokio` is the scheduler of many threads, `tokio-ct` that of the current one.

mod apart;
mod channels;
mod compute;
mod echo;
mod life;
mod locks;
mod messages;
mod tasks;

use std::future::Future;

use channels::{Flume, Kanal, Tokio, TokioUnbounded};
use harness::{Outcome, Params, Row, no_equal};
use tokio::runtime::Builder;

/// The systems of a table's row, each on either scheduler.
const TOKIO: &[&str] = &["tokio", "tokio-ct"];
const KANAL: &[&str] = &["kanal", "kanal-ct"];
const FLUME: &[&str] = &["flume", "flume-ct"];

const TABLE: &[Row] = &[
    (TOKIO, "switch", |_| no_equal("futures have no stacks")),
    (TOKIO, "yield", tasks::yields),
    (TOKIO, "spawn", tasks::spawn),
    (TOKIO, "idle", tasks::idle),
    (TOKIO, "timers", tasks::timers),
    (TOKIO, "pingpong", messages::pingpong::<Tokio>),
    (KANAL, "pingpong", messages::pingpong::<Kanal>),
    (FLUME, "pingpong", messages::pingpong::<Flume>),
    (TOKIO, "buffered", messages::buffered::<Tokio>),
    (KANAL, "buffered", messages::buffered::<Kanal>),
    (FLUME, "buffered", messages::buffered::<Flume>),
    (TOKIO, "unbounded", messages::unbounded::<TokioUnbounded>),
    (KANAL, "unbounded", messages::unbounded::<Kanal>),
    (FLUME, "unbounded", messages::unbounded::<Flume>),
    (TOKIO, "select", messages::select::<Tokio>),
    (KANAL, "select", |_| no_equal("it hangs when select! drops its receive futures")),
    (FLUME, "select", messages::select::<Flume>),
    (TOKIO, "skynet", messages::skynet::<Tokio>),
    (KANAL, "skynet", messages::skynet::<Kanal>),
    (FLUME, "skynet", messages::skynet::<Flume>),
    (TOKIO, "sieve", messages::sieve::<Tokio>),
    (KANAL, "sieve", messages::sieve::<Kanal>),
    (FLUME, "sieve", messages::sieve::<Flume>),
    (TOKIO, "forkjoin", compute::forkjoin),
    (TOKIO, "imbalance", compute::imbalance),
    (TOKIO, "torn", apart::torn),
    (TOKIO, "across", apart::across),
    (TOKIO, "stream-across", apart::stream_across),
    (TOKIO, "ask-across", apart::ask_across),
    (TOKIO, "actors", apart::actors),
    (TOKIO, "jobs", apart::jobs),
    (TOKIO, "echo", echo::echo),
    (TOKIO, "latency", echo::echo),
    (TOKIO, "mutex", locks::mutex),
    (TOKIO, "rwlock", locks::rwlock),
    (TOKIO, "semaphore", locks::semaphore),
    (TOKIO, "waitgroup", locks::wait_group),
    (TOKIO, "broadcast", locks::broadcast),
    (TOKIO, "scope", life::scope),
    (TOKIO, "timeout", life::timeout),
    (TOKIO, "blocking", life::blocking),
];

fn main() {
    harness::serve(TABLE);
}

/// Runs `main` as a task, since what is outside of the tasks is slower to wake.
fn run<M>(params: &Params, main: M) -> Outcome
where
    M: Future<Output = Outcome> + Send + 'static,
{
    let workers = params.workers();
    let mut builder = match params.system().ends_with("-ct") {
        true if workers > 1 => return Outcome::NotPlayed,
        true => Builder::new_current_thread(),
        false => Builder::new_multi_thread(),
    };
    let runtime = builder.worker_threads(workers).enable_all().build().unwrap();
    runtime.block_on(async { tokio::spawn(main).await.unwrap() })
}

//! What a runtime counts, as text that Prometheus reads.
//!
//! ```text
//! cargo run --release --example metrics
//!
//! lisle_turns_total{worker="0"} 20123
//! lisle_steals_total{worker="0"} 0
//! …
//! ```
//!
//! A service answers `GET /metrics` with it, as the example `http_server` answers.

mod support;

use std::fmt::{self, Write};
use std::time::Duration;

use lisle::metrics::{Metrics, WorkerMetrics};
use lisle::{Runtime, yield_now};
use support::Args;

fn main() {
    let mut args = Args::new("metrics", "[TASKS]");
    let tasks = args.count("TASKS", 100);
    args.finish();

    let measured = Runtime::builder().queue_delays(true);
    let metrics = measured.run(|| {
        let turns = || (0..100).for_each(|_| yield_now());
        let tasks: Vec<_> = (0..tasks).map(|_| lisle::spawn(turns)).collect();
        tasks.into_iter().for_each(|task| task.join().expect("it does not panic"));
        lisle::metrics().expect("this is a task")
    });
    let mut text = String::new();
    write(&metrics.expect("it does not deadlock"), &mut text).expect("a string takes all");
    print!("{text}");
}

type Value = fn(&WorkerMetrics) -> f64;

/// The names that Prometheus knows, and what they stand for.
const OF_A_WORKER: [(&str, Value); 18] = [
    ("turns_total", |worker| worker.switches as f64),
    ("searches_total", |worker| worker.searches as f64),
    ("steals_total", |worker| worker.steals as f64),
    ("wakes_sent_total", |worker| worker.wakes_sent as f64),
    ("wakes_received_total", |worker| worker.wakes_received as f64),
    ("sleeps_total", |worker| worker.sleeps as f64),
    ("vain_spins_total", |worker| worker.vain_spins as f64),
    ("idle_seconds_total", |worker| worker.idle_time.as_secs_f64()),
    ("tasks_started_total", |worker| worker.started_tasks as f64),
    ("timers_fired_total", |worker| worker.fired_timers as f64),
    ("io_looks_total", |worker| worker.io_looks as f64),
    ("io_reports_total", |worker| worker.io_reports as f64),
    ("tasks", |worker| worker.live_tasks as f64),
    ("tasks_parked", |worker| worker.parked_tasks as f64),
    ("tasks_runnable", |worker| worker.runnable_tasks as f64),
    ("tasks_waiting_for_io", |worker| worker.io_waits as f64),
    ("timers", |worker| worker.pending_timers as f64),
    ("stacks_cached", |worker| worker.cached_stacks as f64),
];

fn write(metrics: &Metrics, out: &mut String) -> fmt::Result {
    for (index, worker) in metrics.workers().iter().enumerate() {
        for (name, value) in OF_A_WORKER {
            writeln!(out, "lisle_{name}{{worker=\"{index}\"}} {}", value(worker))?;
        }
        let delays = &worker.queue_delays;
        for (bound, below) in delays.buckets() {
            let le = match bound {
                Duration::MAX => "+Inf".into(),
                bound => bound.as_secs_f64().to_string(),
            };
            let labels = format!("worker=\"{index}\",le=\"{le}\"");
            writeln!(out, "lisle_queue_delay_seconds_bucket{{{labels}}} {below}")?;
        }
        let (sum, count) = (delays.sum().as_secs_f64(), delays.count());
        writeln!(out, "lisle_queue_delay_seconds_sum{{worker=\"{index}\"}} {sum}")?;
        writeln!(out, "lisle_queue_delay_seconds_count{{worker=\"{index}\"}} {count}")?;
    }
    let (blocking, stacks) = (metrics.blocking(), metrics.stacks());
    for (name, value) in [
        ("tasks_injected", metrics.injected_tasks()),
        ("blocking_threads", blocking.threads),
        ("blocking_threads_idle", blocking.idle_threads),
        ("blocking_calls_queued", blocking.queued_calls),
        ("blocking_calls_total", blocking.calls),
        ("stacks", stacks.stacks),
        ("stacks_reserved_bytes", stacks.reserved_bytes),
    ] {
        writeln!(out, "lisle_{name} {value}")?;
    }
    Ok(())
}

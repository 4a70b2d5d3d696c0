//! The benchmarks on plain threads: `crossbeam` has the channels of crossbeam-channel,
//! `parking_lot` the locks of parking_lot, `threads` is the standard library alone.

mod apart;
mod compute;
mod locks;
mod messages;

use std::time::Instant;

use harness::{Outcome, Params, Row, no_equal};

const THREADS: &[&str] = &["threads"];
const CROSSBEAM: &[&str] = &["crossbeam"];
const PARKING_LOT: &[&str] = &["parking_lot"];

const TABLE: &[Row] = &[
    (THREADS, "spawn", spawn),
    (THREADS, "forkjoin", compute::forkjoin),
    (THREADS, "imbalance", compute::imbalance),
    (CROSSBEAM, "torn", apart::torn),
    (CROSSBEAM, "across", apart::across),
    (CROSSBEAM, "stream-across", apart::stream_across),
    (CROSSBEAM, "ask-across", apart::ask_across),
    (THREADS, "actors", apart::actors),
    (THREADS, "jobs", apart::jobs),
    (PARKING_LOT, "mutex", locks::mutex),
    (PARKING_LOT, "rwlock", locks::rwlock),
    (CROSSBEAM, "pingpong", messages::pingpong),
    (CROSSBEAM, "buffered", messages::buffered),
    (CROSSBEAM, "unbounded", messages::unbounded),
    (CROSSBEAM, "select", messages::select),
    (CROSSBEAM, "skynet", |_| no_equal("not with a million threads")),
    (CROSSBEAM, "sieve", |_| no_equal("not with 2,000 threads that wake each other: minutes")),
];

fn main() {
    harness::serve(TABLE);
}

/// Runs `main` on one core if there is to be one worker; otherwise on as many as there are.
fn run(params: &Params, main: impl FnOnce() -> Outcome) -> Outcome {
    if params.workers() == 1 {
        stay_on_one_core();
    }
    main()
}

/// This thread, and those that it starts from now on.
fn stay_on_one_core() {
    // SAFETY: a set of cores is an array of words, for which zero is a value.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: this takes no pointers.
    let here = unsafe { libc::sched_getcpu() };
    assert!(here >= 0, "a thread runs somewhere");
    // SAFETY: the index is below the size of the set, which has room for 1,024 cores.
    unsafe { libc::CPU_SET(here as usize, &mut cores) };
    // SAFETY: the set is as large as is said.
    let answer = unsafe { libc::sched_setaffinity(0, size_of_val(&cores), &cores) };
    assert_eq!(answer, 0, "a thread may stay where it runs");
}

fn spawn(params: &Params) -> Outcome {
    let (batch, batches) = (params.get("batch"), params.get("batches"));
    let play = |batches| {
        let mut handles = Vec::with_capacity(batch as usize);
        let mut sum = 0;
        let start = Instant::now();
        for _ in 0..batches {
            handles.extend((0..batch).map(|n| std::thread::spawn(move || n + 1)));
            sum += handles.drain(..).map(|handle| handle.join().unwrap()).sum::<u64>();
        }
        let time = start.elapsed();
        assert_eq!(sum, batches * batch * (batch + 1) / 2);
        time
    };
    run(params, || {
        play(batches / 10);
        Outcome::ns_each(play(batches), batches * batch)
    })
}

//! Spawns N tasks that all wait for a message, and shows what a parked task costs.
//!
//! The memory is what the kernel says that this process has: resident pages, and the page tables
//! that map them. Then each task gets its message and is joined.
//!
//! ```text
//! cargo run --release --example million_tasks -- [N] [--stack-size BYTES]
//! ```
//!
//! With `1_000_000`, on a virtual machine:
//!
//! ```text
//! 1,000,000 tasks, each with a stack of 256 KiB
//! spawned and parked: 2.96 s, 2,964 ns a task
//! resident memory: 4,297 bytes a task
//! page tables: 522 bytes a task
//! in all: 4,819 bytes a task
//! woken and joined: 0.70 s, 695 ns a task
//! ```
//!
//! A task that waits costs the one page of its stack that it has touched, a control block of 192
//! bytes, the handle, and its share of the page tables. That share is smaller if the stacks lie
//! closer together: 136 bytes with `--stack-size 65536`.

mod support;

use std::time::Instant;

use lisle::channel::unbounded;
use lisle::coroutine::StackSize;
use support::{Args, Progress, grouped};

/// After this many spawns the tasks get their turn: to run until they wait, and later to their end.
const BATCH: usize = 1000;

fn main() {
    let mut args = Args::new("million_tasks", "[N] [--stack-size BYTES]");
    let stack_size = match args.option("--stack-size") {
        Some(bytes) => StackSize::new(bytes),
        None => StackSize::from_env().unwrap_or_else(|error| args.reject(error)),
    };
    let count = args.count("N", 100_000);
    args.finish();

    let builder = lisle::Runtime::builder().stack_size(stack_size.bytes());
    println!("{} tasks, each with a stack of {} KiB", grouped(count), stack_size.bytes() / 1024);
    builder.run(|| park_and_wake(count)).unwrap();
}

fn park_and_wake(count: usize) {
    let (sender, receiver) = unbounded();
    let mut tasks = Vec::with_capacity(count);

    let before = Memory::now();
    let start = Instant::now();
    let mut progress = Progress::new("tasks spawned", count);
    for spawned in 1..=count {
        let receiver = receiver.clone();
        tasks.push(lisle::spawn(move || receiver.recv().unwrap()));
        if spawned.is_multiple_of(BATCH) || spawned == count {
            lisle::yield_now();
            progress.at(spawned);
        }
    }
    // Another worker may have taken some.
    while lisle::metrics().expect("this is a task").total().parked_tasks < count as u64 {
        lisle::yield_now();
    }
    report_time("spawned and parked", start, count);
    report_memory(before, Memory::now(), count);

    let start = Instant::now();
    let mut progress = Progress::new("tasks woken", count);
    for woken in 1..=count {
        sender.send(woken).unwrap();
        if woken.is_multiple_of(BATCH) {
            lisle::yield_now();
            progress.at(woken);
        }
    }
    let sum: usize = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(sum, (1..=count).sum(), "each task has got a number of its own");
    report_time("woken and joined", start, count);
}

fn report_time(what: &str, start: Instant, count: usize) {
    let seconds = start.elapsed().as_secs_f64();
    let each = grouped((seconds * 1e9 / count as f64) as usize);
    println!("{what}: {seconds:.2} s, {each} ns a task");
}

fn report_memory(before: Memory, after: Memory, count: usize) {
    let resident = after.resident.saturating_sub(before.resident) / count;
    let page_tables = after.page_tables.saturating_sub(before.page_tables) / count;
    println!("resident memory: {} bytes a task", grouped(resident));
    println!("page tables: {} bytes a task", grouped(page_tables));
    println!("in all: {} bytes a task", grouped(resident + page_tables));
}

/// What the process has of the machine's memory, in bytes.
struct Memory {
    resident: usize,
    page_tables: usize,
}

impl Memory {
    /// By the kernel's own accounts.
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status")
            .unwrap_or_else(|error| panic!("/proc/self/status cannot be read: {error}"));
        let bytes = |field: &str| {
            let value = status.lines().find_map(|line| line.strip_prefix(field));
            let kib = value.and_then(|value| value.trim().strip_suffix(" kB"));
            let kib = kib.unwrap_or_else(|| panic!("/proc/self/status has no {field}"));
            kib.parse::<usize>().unwrap() * 1024
        };
        Self { resident: bytes("VmRSS:"), page_tables: bytes("VmPTE:") }
    }
}

//! Spawns N tasks that all wait for a message, and shows what a parked task costs.
//!
//! The memory is what the kernel says that this process has: resident pages, and the page tables
//! that map them. Then each task gets its message and is joined.
//!
//! ```text
//! cargo run --release --example million_tasks -- [N] [--stack-size BYTES]
//! ```

mod support;

use std::time::Instant;

use lisle::channel::unbounded;
use lisle::runtime::stack::StackSize;
use support::{Args, Progress, grouped};

/// After so many spawns the new tasks get their turn, to run until they wait.
const BATCH: usize = 1000;

fn main() {
    let mut args = Args::new("million_tasks", "[N] [--stack-size BYTES]");
    let stack_size = args.option("--stack-size").map(StackSize::new);
    let count = args.count("N", 100_000);
    args.finish();

    let stack_size = stack_size.unwrap_or_else(|| StackSize::from_env().unwrap());
    let runtime = lisle::Runtime::builder().stack_size(stack_size.bytes()).build().unwrap();
    println!("{} tasks, each with a stack of {} KiB", grouped(count), stack_size.bytes() / 1024);
    runtime.run(|| park_and_wake(count)).unwrap();
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
    report_time("spawned and parked", start, count);
    report_memory(before, Memory::now(), count);

    let start = Instant::now();
    for number in 0..count {
        sender.send(number).unwrap();
    }
    let mut progress = Progress::new("tasks joined", count);
    let mut sum = 0;
    for (joined, task) in (1..).zip(tasks) {
        sum += task.join().unwrap();
        progress.at(joined);
    }
    assert_eq!(sum, (0..count).sum(), "each task has got a number of its own");
    report_time("woken and joined", start, count);
}

fn report_time(what: &str, start: Instant, count: usize) {
    let seconds = start.elapsed().as_secs_f64();
    println!("{what}: {seconds:.2} s, {:.0} ns a task", seconds * 1e9 / count as f64);
}

fn report_memory(before: Memory, after: Memory, count: usize) {
    let resident = (after.resident - before.resident) / count;
    let page_tables = (after.page_tables - before.page_tables) / count;
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

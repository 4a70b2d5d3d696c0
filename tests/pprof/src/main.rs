//! Runs tasks under the profiler of the crate pprof, and looks for them in what it reports.

use std::hint::black_box;
use std::mem;
use std::time::Duration;

use lisle::channel::bounded;
use lisle::coroutine::Generator;
use lisle::{Runtime, spawn, yield_now};
use pprof::ProfilerGuardBuilder;

/// How much processor time the tasks get, in which they do little but switch.
const TIME: Duration = Duration::from_secs(4);
/// Samples a second.
const FREQUENCY: i32 = 999;

fn main() {
    let guard = ProfilerGuardBuilder::default().frequency(FREQUENCY).build().unwrap();
    Runtime::builder().workers(2).run(switch).unwrap();
    let report = guard.report().build().unwrap();

    let mut all = 0;
    let mut seen = [("a_task_that_yields", 0), ("a_task_that_meets", 0), ("a_generator", 0)];
    for (frames, count) in &report.data {
        all += count;
        let names: Vec<_> = frames.frames.iter().flatten().map(|symbol| symbol.name()).collect();
        for (name, samples) in &mut seen {
            if names.iter().any(|frame| frame.contains(*name)) {
                *samples += count;
            }
        }
    }
    println!("{all} samples, of them {seen:?}");
    assert!(seen.iter().all(|(_, samples)| *samples > 0), "what has run must be in the profile");
}

/// The profiler's clock, which stands still while the process waits for a processor.
fn is_over() -> bool {
    // SAFETY: all zeroes are a valid value of it, and the call fills it in.
    let now = unsafe {
        let mut now: libc::timespec = mem::zeroed();
        assert_eq!(libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now), 0);
        now
    };
    now.tv_sec as u64 >= TIME.as_secs()
}

fn switch() {
    let tasks = (0..4).map(|_| spawn(a_task_that_yields));
    let tasks: Vec<_> = tasks.chain((0..4).map(|_| spawn(a_task_that_meets))).collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

#[inline(never)]
fn a_task_that_yields() {
    while !is_over() {
        (0..1000).for_each(|_| yield_now());
        let items = Generator::new(|out| a_generator(|item| out.suspend(item)));
        assert_eq!(black_box(items.sum::<u64>()), 499_500);
    }
}

#[inline(never)]
fn a_generator(mut suspend: impl FnMut(u64)) {
    (0..1000).for_each(|item| suspend(black_box(item)));
}

#[inline(never)]
fn a_task_that_meets() {
    let (sender, receiver) = bounded(0);
    let partner = spawn(move || receiver.iter().sum::<u64>());
    while !is_over() {
        (0..1000).for_each(|_| sender.send(1).unwrap());
    }
    drop(sender);
    assert_ne!(partner.join().unwrap(), 0);
}

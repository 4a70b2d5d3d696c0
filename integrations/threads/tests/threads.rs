//! The examples, and panics that cross from rayon's threads.

#[path = "../examples/log_tasks.rs"]
mod log_tasks;
#[path = "../examples/rayon_and_scopes.rs"]
mod rayon_and_scopes;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

use lisle::blocking;
use lisle_thread_examples::Logger;
use rayon::prelude::*;

#[test]
fn rayon_and_scopes() {
    rayon_and_scopes::main();
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[lisle::test(workers = 1)]
fn log_tasks() {
    let log = Log::default();
    Logger::install(log.clone()).unwrap();
    log_tasks::log();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines = ["reader: begins", "writer: begins", "reader: ends", "writer: ends"];
    assert_eq!(log, lines.join("\n") + "\nno task: helps\nmain: is done\n");
}

/// A panic of one of rayon's threads comes out in the task that has waited for it.
#[lisle::test(workers = 1)]
fn a_panic_of_rayon_is_the_tasks() {
    let compute = || {
        blocking(|| {
            (0..1000).into_par_iter().for_each(|number| {
                if number == 777 {
                    resume_unwind(Box::new(number));
                }
            });
        });
    };
    let panic = catch_unwind(AssertUnwindSafe(compute)).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&777));
    assert_eq!(lisle::spawn(|| 42).join().unwrap(), 42);
}

/// Many tasks share rayon's few threads, and none waits for ever.
#[lisle::test(workers = 2)]
fn many_tasks_compute_by_rayon_at_once() {
    let tasks: Vec<_> = (1..=50)
        .map(|factor| {
            lisle::spawn(move || {
                blocking(|| (0..100_u64).into_par_iter().map(|n| n * factor).sum::<u64>())
            })
        })
        .collect();
    let sum: u64 = tasks.into_iter().map(|task| task.join().unwrap()).sum();
    assert_eq!(sum, 4950 * (1..=50).sum::<u64>());
}

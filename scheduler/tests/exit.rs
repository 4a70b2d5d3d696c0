//! A task that ends the process: the destructors of thread-locals run on its stack, while others of
//! its thread are suspended with references to them.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::time::Duration;

use lisle_scheduler::park::Wake;
use lisle_scheduler::{Detached, JoinHandle, run, sleep, spawn_local, yield_now};
use support::{Bell, in_child, run_in_order};

/// A text that says so when it is destroyed.
struct Text(&'static str);

impl Drop for Text {
    fn drop(&mut self) {
        self.0 = "garbage";
        eprintln!("the text is gone");
    }
}

/// What waits when its thread ends, in every way there is.
struct Flusher(Cell<Option<JoinHandle<()>>>);

impl Drop for Flusher {
    fn drop(&mut self) {
        yield_now();
        sleep(Duration::from_secs(1000));
        assert_eq!(Bell::new().wait_until(None), Wake::Failed);
        if let Some(task) = self.0.take() {
            assert!(task.join().unwrap_err().is::<Detached>());
        }
        eprintln!("flushed");
    }
}

thread_local! {
    static FLUSHER: Flusher = const { Flusher(Cell::new(None)) };
    static TEXT: Text = const { Text("a text") };
}

#[test]
fn destructors_of_thread_locals_do_not_let_tasks_go_on_without_them() {
    let name = "destructors_of_thread_locals_do_not_let_tasks_go_on_without_them";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            FLUSHER.with(|_| ());
            let reader = || {
                TEXT.with(|text| {
                    yield_now();
                    eprintln!("read: {}", text.0);
                })
            };
            let task = spawn_local(reader);
            yield_now();
            FLUSHER.with(|flusher| flusher.0.set(Some(task)));
            std::process::exit(0);
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "the text is gone\nflushed\n");
}

/// A thread whose tasks have all ended waits as any thread does, and may run tasks again.
#[test]
fn destructors_of_a_thread_that_is_no_worker_any_more_may_wait() {
    struct Last;
    impl Drop for Last {
        fn drop(&mut self) {
            sleep(Duration::from_millis(1));
            let answer = run(|| {
                let task = spawn_local(|| {
                    yield_now();
                    42
                });
                task.join().unwrap()
            });
            assert_eq!(answer, 42);
            eprintln!("the last run has ended");
        }
    }
    thread_local!(static LAST: Last = const { Last });
    let name = "destructors_of_a_thread_that_is_no_worker_any_more_may_wait";
    let ended = in_child(name, &[], || {
        std::thread::spawn(|| {
            LAST.with(|_| ());
            run(yield_now);
        })
        .join()
        .unwrap();
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "the last run has ended\n");
}

//! Whole-runtime models: two workers, real tasks on real stacks, stolen, woken and ended.
//!
//! The second worker's thread begins when two tasks wait, takes what waits if it comes first, and ends
//! with the runtime; all of that meets the main task's doings in every order.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lisle_runtime::primitive::{Arc, Mutex};

use crate::park::{Reason, Unparker, Wake, park};
use crate::{Runtime, spawn};

fn on_two_workers<R>(main: impl FnOnce() -> R) -> R {
    Runtime::builder().workers(2).build().unwrap().run(main).unwrap()
}

/// The number of the model thread, which is the worker.
fn thread() -> loom::thread::ThreadId {
    loom::thread::current().id()
}

/// Two tasks are spawned and joined. Each runs once, on either worker, and the runtime ends.
///
/// Seen to fail: when `Team::stop` stores its flag and does not knock, a worker that is just going to
/// sleep is never joined; when `knock` leaves an EMPTY inbox alone, the same; when a thief does not
/// count what it took, it ends with a task that it has started.
#[test]
fn a_backlog_is_shared() {
    static STOLEN: AtomicBool = AtomicBool::new(false);
    static KEPT: AtomicBool = AtomicBool::new(false);
    loom::model(|| {
        on_two_workers(|| {
            let home = thread();
            let tasks = [1, 2].map(|n| spawn(move || (n, thread())));
            for (task, expected) in tasks.into_iter().zip([1, 2]) {
                let (n, worker) = task.join().unwrap();
                assert_eq!(n, expected);
                let seen = if worker == home { &KEPT } else { &STOLEN };
                seen.store(true, Relaxed);
            }
        });
    });
    assert!(STOLEN.load(Relaxed) && KEPT.load(Relaxed), "the model must reach both outcomes");
}

/// Two tasks, which may be on different workers, wait for each other in turn.
///
/// Seen to fail: when `Post::post` does not unpark the sleeping owner, loom reports a deadlock.
#[test]
fn tasks_wake_each_other_across_workers() {
    type Bell = Arc<Mutex<Option<Unparker>>>;
    const REASON: Reason = Reason::new("taking part in a model");

    fn hear(bell: &Bell) {
        let wake =
            park(REASON, None, |unparker| *bell.lock() = Some(unparker), || bell.lock().take());
        assert_eq!(wake, Wake::Unparked);
    }

    fn ring(bell: &Bell) {
        loop {
            let unparker = bell.lock().take();
            match unparker {
                Some(unparker) => return unparker.unpark(),
                None => {
                    crate::yield_now();
                    loom::thread::yield_now();
                }
            }
        }
    }

    loom::model(|| {
        on_two_workers(|| {
            let (to, fro) = (Bell::default(), Bell::default());
            let first = spawn({
                let (to, fro) = (to.clone(), fro.clone());
                move || {
                    ring(&to);
                    hear(&fro);
                }
            });
            let second = spawn(move || {
                hear(&to);
                ring(&fro);
            });
            first.join().unwrap();
            second.join().unwrap();
        });
    });
}

/// Main ends while two tasks wait, run or have not begun, on either worker: each is given up by its
/// home, and the runtime ends after them.
///
/// Seen to fail: when `Worker::poll` does not look whether the team stops, a worker is never joined.
#[test]
fn the_end_reaches_every_worker() {
    loom::model(|| {
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        struct CountDrop(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl Drop for CountDrop {
            fn drop(&mut self) {
                self.0.fetch_add(1, Relaxed);
            }
        }
        on_two_workers(|| {
            for _ in 0..2 {
                let count = CountDrop(ended.clone());
                spawn(move || {
                    let bell = std::cell::Cell::new(None);
                    park(
                        Reason::new("waiting"),
                        None,
                        |unparker| bell.set(Some(unparker)),
                        || bell.take(),
                    );
                    crate::park::unwind_cancelled();
                    drop(count);
                });
            }
            crate::yield_now();
        });
        assert_eq!(ended.load(Relaxed), 2);
    });
}

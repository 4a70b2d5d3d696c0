//! Whole-runtime models: two workers, real tasks on real stacks, stolen, woken and ended.
//!
//! The second worker's thread begins when two tasks wait, takes what waits if it comes first, and
//! ends with the runtime; all of that meets the main task's doings in every order.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use lisle_runtime::internal::primitive::Arc;

use crate::park::{Reason, Wake};
use crate::sleep::park_until;
use crate::wait_cell::{Event, WaitCell};
use crate::{Builder, Cancelled, ForeignThreads, Handle, Runtime, spawn};

/// Runs `main` with the detector of deadlocks awake: it must not find one.
fn on_two_workers<R>(main: impl FnOnce() -> R) -> R {
    let builder = Runtime::builder().workers(2).foreign_threads(ForeignThreads::NeverWake);
    builder.run(main).unwrap()
}

/// Counts its drops.
struct CountDrop(std::sync::Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// The number of the model thread, which is the worker.
fn thread() -> loom::thread::ThreadId {
    loom::thread::current().id()
}

/// Two tasks are spawned and joined. Each runs once, on either worker, and the runtime ends.
///
/// Seen to fail: when `Team::stop` stores its flag and does not knock, a worker that is just going
/// to sleep is never joined; when `knock` leaves an EMPTY inbox alone, the same; when a thief does
/// not count what it took, it ends with a task that it has started.
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

const REASON: Reason = Reason::new("taking part in a model");

/// Rung once, for one party.
type Bell = Arc<WaitCell>;

fn hear(bell: &Bell) -> Wake {
    // SAFETY: each bell of a model has one hearer.
    unsafe { bell.wait(REASON, None) }
}

fn ring(bell: &Bell) {
    assert_eq!(bell.notify(Event::new(0)), None);
}

/// Two tasks, which may be on different workers, wait for each other in turn.
///
/// Seen to fail: when `Post::post` does not unpark the sleeping owner, loom reports a deadlock.
#[test]
fn tasks_wake_each_other_across_workers() {
    static AWAY: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        on_two_workers(|| {
            let (to, fro) = (Bell::default(), Bell::default());
            let (home, theirs) = (thread(), (to.clone(), fro.clone()));
            let other = spawn(move || {
                AWAY[usize::from(thread() != home)].store(true, Relaxed);
                let (to, fro) = theirs;
                assert_eq!(hear(&to), Wake::Unparked);
                ring(&fro);
            });
            ring(&to);
            assert_eq!(hear(&fro), Wake::Unparked);
            drop(other);
        });
    });
    assert!(AWAY.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

/// Main ends while two tasks wait, run or have not begun, on either worker: each is given up by its
/// home, and the runtime ends after them.
///
/// Seen to fail: when `Worker::poll` does not look whether the team stops, a worker is never
/// joined.
#[test]
fn the_end_reaches_every_worker() {
    loom::model(|| {
        let ended = std::sync::Arc::new(AtomicUsize::new(0));
        on_two_workers(|| {
            for _ in 0..2 {
                let count = CountDrop(ended.clone());
                spawn(move || {
                    let _ = park_until(REASON, None);
                    drop(count);
                });
            }
            crate::yield_now();
        });
        assert_eq!(ended.load(Relaxed), 2);
    });
}

/// Main ends while a task, on either worker, spawns another one: both closures are dropped, whether
/// or not they have run, before the run returns.
///
/// Seen to fail: when a spawn leaves no marker in the queue, nobody comes to the inner task and the
/// worker waits for it for ever.
#[test]
fn the_end_meets_a_spawn() {
    loom::model(|| {
        let ended = std::sync::Arc::new(AtomicUsize::new(0));
        on_two_workers(|| {
            let (outer, inner) = (CountDrop(ended.clone()), CountDrop(ended.clone()));
            drop(spawn(move || {
                let _outer = outer;
                drop(spawn(move || drop(inner)));
            }));
            crate::yield_now();
        });
        assert_eq!(ended.load(Relaxed), 2);
    });
}

/// A thread spawns by a handle while the runtime is dropped, a task that any worker may take or one
/// that is placed: it runs, or is cancelled, and its joiner is told; or the spawn fails. In each
/// case the closure is dropped.
///
/// Seen to fail: when `Team::stop` asks the workers to stop before it closes the injector, or does
/// not close it, the thread joins a task that no worker has taken. The same with the post's.
#[test]
fn a_spawn_by_a_handle_meets_the_end() {
    for builder in [Builder::new(), Builder::new().spread()] {
        let seen: [_; 3] = std::array::from_fn(|_| std::sync::Arc::new(AtomicBool::new(false)));
        model_of_a_spawn_against_the_end(builder, seen.clone());
        assert!(seen.iter().all(|seen| seen.load(Relaxed)), "the model must reach all outcomes");
    }
}

fn model_of_a_spawn_against_the_end(builder: Builder, seen: [std::sync::Arc<AtomicBool>; 3]) {
    loom::model(move || {
        let dropped = std::sync::Arc::new(AtomicUsize::new(0));
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let (handle, count) = (runtime.handle().clone(), CountDrop(dropped.clone()));
        let builder = builder.clone();
        let spawn = move || builder.spawn_on(&handle, move || drop(count));
        let spawner = loom::thread::spawn(move || match spawn() {
            Err(_) => 0,
            Ok(task) => match task.join() {
                Err(error) => {
                    assert!(error.is::<Cancelled>());
                    1
                }
                Ok(()) => 2,
            },
        });
        drop(runtime);
        seen[spawner.join().unwrap()].store(true, Relaxed);
        assert_eq!(dropped.load(Relaxed), 1);
    });
}

/// A thread spawns by a handle while the only worker goes to sleep: it comes for the task.
///
/// Seen to fail: when the worker does not look whether it is wanted after it has announced its
/// sleep, and, for a task that is placed, when `Post::place` does not knock, or knocks first, loom
/// reports a deadlock.
#[test]
fn a_spawn_by_a_handle_meets_a_sleep() {
    for builder in [Builder::new(), Builder::new().spread()] {
        model_of_a_spawn_against_a_sleep(builder);
    }
}

fn model_of_a_spawn_against_a_sleep(builder: Builder) {
    loom::model(move || {
        let bell = Bell::default();
        let spawner = Runtime::builder()
            .workers(1)
            .run(|| {
                let (handle, theirs) = (Handle::current().unwrap(), bell.clone());
                let builder = builder.clone();
                let spawner = loom::thread::spawn(move || {
                    let task = builder.spawn_on(&handle, move || ring(&theirs));
                    drop(task.expect("main waits for it"));
                });
                assert_eq!(hear(&bell), Wake::Unparked);
                spawner
            })
            .unwrap();
        spawner.join().unwrap();
    });
}

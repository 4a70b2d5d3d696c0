//! Loom models of waiting: real tasks on real stacks, switched by the real switch, against threads.

use std::cell::Cell;
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicBool, Ordering};
use lisle_runtime::internal::primitive::{Arc, Mutex};
use loom::thread;

use crate::park::{Reason, Unparker, Wake, park};
use crate::{run, spawn};

const REASON: Reason = Reason::new("taking part in a model");

/// A place where a waker finds an unparker, as in a wait list.
type Bell = Arc<Mutex<Option<Unparker>>>;

fn ring(bell: &Bell) -> bool {
    let unparker = bell.lock().take();
    unparker.map(Unparker::unpark).is_some()
}

fn park_at(bell: &Bell, deadline: Option<Instant>) -> Wake {
    park(REASON, deadline, |unparker| *bell.lock() = Some(unparker), || bell.lock().take())
}

/// Rings until it was heard.
fn ring_until_heard(bell: &Bell) {
    while !ring(bell) {
        thread::yield_now();
    }
}

/// A task parks, a thread wakes it: the wake-up is not lost, whenever it comes, and the task sees
/// what the thread wrote before.
///
/// Seen to fail: when `Post::post` does not unpark the sleeping owner, loom reports a deadlock;
/// when `push` is Relaxed, a causality violation on the task's link.
#[test]
fn thread_wakes_task() {
    loom::model(|| {
        let bell = Bell::default();
        let written = Arc::new(AtomicBool::new(false));
        let waker = {
            let (bell, written) = (bell.clone(), written.clone());
            thread::spawn(move || {
                written.store(true, Ordering::Relaxed);
                ring_until_heard(&bell);
            })
        };
        run(|| {
            assert_eq!(park_at(&bell, None), Wake::Unparked);
            assert!(written.load(Ordering::Relaxed));
        });
        waker.join().unwrap();
    });
}

/// A task that has parked with a deadline is woken by a thread and by the deadline at once: exactly
/// one of them wins, and both parties agree which.
///
/// Seen to fail: when `end_early` does not wait for an unparker that is no longer there, the late
/// wake-up meets the task's next wait, and two parties write to the task's link.
#[test]
fn deadline_against_wake() {
    loom::model(|| {
        let (first, second) = (Bell::default(), Bell::default());
        let rung = Arc::new(AtomicBool::new(false));
        let waker = {
            let (first, second, rung) = (first.clone(), second.clone(), rung.clone());
            thread::spawn(move || {
                let heard = ring(&first);
                rung.store(true, Ordering::Relaxed);
                ring_until_heard(&second);
                heard
            })
        };
        let wake = run(|| {
            let wake = park_at(&first, Some(Instant::now()));
            assert_eq!(park_at(&second, None), Wake::Unparked);
            assert!(rung.load(Ordering::Relaxed), "the second wait heard the first bell");
            wake
        });
        let heard = waker.join().unwrap();
        assert_eq!(heard, wake == Wake::Unparked);
    });
}

/// A thread drops the unparker instead of using it while the deadline passes: the task times out,
/// and its next wait is not disturbed.
///
/// Seen to fail: when `end_early` does not wait for what has become of the unparker, the task's
/// next wait takes the abandonment for its own; when `abandon` does not post the task, it waits for
/// ever.
#[test]
fn deadline_against_drop() {
    loom::model(|| {
        let (first, second) = (Bell::default(), Bell::default());
        let dropper = {
            let (first, second) = (first.clone(), second.clone());
            thread::spawn(move || {
                let unparker = first.lock().take();
                drop(unparker);
                ring_until_heard(&second);
            })
        };
        run(|| {
            assert_eq!(park_at(&first, Some(Instant::now())), Wake::TimedOut);
            assert_eq!(park_at(&second, None), Wake::Unparked);
        });
        dropper.join().unwrap();
    });
}

/// The same between two plain threads.
///
/// Seen to fail: without the second `sleep` in `ThreadWait::park`, the waker writes into a wait
/// that is over. That `woken` is stored with Release cannot be seen to matter in a model: loom's
/// unpark, which follows at once, orders the two threads anyway.
#[test]
fn thread_deadline_against_wake() {
    loom::model(|| {
        let bell = Bell::default();
        let written = Arc::new(AtomicBool::new(false));
        let waker = {
            let (bell, written) = (bell.clone(), written.clone());
            thread::spawn(move || {
                written.store(true, Ordering::Relaxed);
                ring(&bell)
            })
        };
        let wake = park_at(&bell, Some(Instant::now()));
        assert!(wake == Wake::TimedOut || written.load(Ordering::Relaxed));
        assert_eq!(waker.join().unwrap(), wake == Wake::Unparked);
    });
}

/// A thread's unparker is dropped while its deadline passes: it times out, and goes on.
///
/// Seen to fail: when `ThreadWait::abandon` leaves the state alone, the thread waits for ever for
/// an unparker that is gone.
#[test]
fn thread_deadline_against_drop() {
    loom::model(|| {
        let bell = Bell::default();
        let dropper = {
            let bell = bell.clone();
            thread::spawn(move || {
                let unparker = bell.lock().take();
                drop(unparker);
            })
        };
        assert_eq!(park_at(&bell, Some(Instant::now())), Wake::TimedOut);
        dropper.join().unwrap();
    });
}

/// A thread joins a task while the task ends.
///
/// Seen to fail: when `announce` stores WAITING over FINISHED, loom gives up on a joiner that never
/// ends; when `finish` is Relaxed, the result is read without having been published.
#[test]
fn thread_joins_task() {
    loom::model(|| {
        let (joiner, value) = run(|| {
            let task = spawn(|| 42);
            let done = Arc::new(AtomicBool::new(false));
            let joiner = thread::spawn({
                let done = done.clone();
                move || {
                    let value = task.join().unwrap();
                    done.store(true, Ordering::Release);
                    value
                }
            });
            while !done.load(Ordering::Acquire) {
                crate::yield_now();
                thread::yield_now();
            }
            (joiner, 42)
        });
        assert_eq!(joiner.join().unwrap(), value);
    });
}

/// A thread drops a join handle while the task ends: exactly one of them drops the result.
///
/// Seen to fail: when `detach` stores DETACHED without the comparison, neither does.
#[test]
fn thread_detaches_task() {
    struct CountDrop(std::sync::Arc<std::sync::atomic::AtomicU32>);
    impl Drop for CountDrop {
        fn drop(&mut self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    loom::model(|| {
        let drops = std::sync::Arc::default();
        let dropper = run(|| {
            let result = CountDrop(std::sync::Arc::clone(&drops));
            let task = spawn(move || result);
            let dropper = thread::spawn(move || drop(task));
            crate::yield_now();
            dropper
        });
        dropper.join().unwrap();
        assert_eq!(drops.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

/// Two tasks of one worker and a thread pass a turn round: local wakes, wakes from the inbox and a
/// sleeping worker, in every order.
///
/// Seen to fail: when `Worker::poll` does not drain the inbox, loom gives up on a run that never
/// ends.
#[test]
fn two_tasks_and_a_thread() {
    loom::model(|| {
        let (a, b) = (Bell::default(), Bell::default());
        let thread = {
            let a = a.clone();
            thread::spawn(move || ring_until_heard(&a))
        };
        run(|| {
            let heard = Cell::new(0);
            let second = {
                let b = b.clone();
                spawn(move || assert_eq!(park_at(&b, None), Wake::Unparked))
            };
            assert_eq!(park_at(&a, None), Wake::Unparked);
            heard.set(heard.get() + 1);
            ring_until_heard(&b);
            second.join().unwrap();
            assert_eq!(heard.get(), 1);
        });
        thread.join().unwrap();
    });
}

/// The runtime ends, and gives a parked task up, while a thread wakes it: either the wake-up
/// arrives before the task goes on, or it never comes.
///
/// Seen to fail: when `end_early` does not wait for an unparker that is no longer there, the task
/// goes on before it was woken.
#[test]
fn shutdown_against_wake() {
    loom::model(|| {
        let bell = Bell::default();
        let rung = Arc::new(AtomicBool::new(false));
        let waker = thread::spawn({
            let (bell, rung) = (bell.clone(), rung.clone());
            move || {
                let unparker = bell.lock().take();
                rung.store(true, Ordering::Relaxed);
                unparker.map(Unparker::unpark).is_some()
            }
        });
        let woken = std::rc::Rc::new(Cell::new(false));
        run(|| {
            let woken = woken.clone();
            crate::spawn_local(move || {
                assert_eq!(park_at(&bell, None), Wake::Unparked, "or it unwinds");
                assert!(rung.load(Ordering::Relaxed));
                woken.set(true);
            });
            crate::yield_now();
        });
        assert_eq!(waker.join().unwrap(), woken.get());
    });
}

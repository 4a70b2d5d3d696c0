//! Loom models of cancellations that come from elsewhere.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::testing::task_numbered;
use super::{AnyHandle, CancelledBy, Slab, Whereabouts};
use crate::park::{Reason, Wake};
use crate::post::Posts;
use crate::sleep::park_until;
use crate::wait_cell::{Event, WaitCell};
use crate::{Cancelled, ForeignThreads, Runtime, run, spawn};

const REASON: Reason = Reason::new("taking part in a model");

/// A task is moved while it is cancelled: its new keeper sees the cause, or the canceller sees the
/// new keeper.
///
/// Seen to fail: without the fence on either side both miss the other.
#[test]
fn a_cancel_meets_a_move() {
    static SEEN: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let posts = Arc::new(Posts::new(2));
        let task = task_numbered(&Slab::default(), 0);
        // SAFETY: the memory of a sample stays.
        let [to_move, to_cancel] = [(); 2].map(|()| unsafe { &*task.0.as_ptr() });
        to_move.move_to(&posts.all()[0]);
        let (theirs, moved) = (posts.clone(), CallAcross(to_move));
        let thief = thread::spawn(move || {
            let CallAcross(task) = { moved };
            task.move_to(&theirs.all()[1]);
            task.requested_cancel().is_some()
        });
        let found = to_cancel.request_cancel(CancelledBy::Handle).unwrap();
        let found_thief = found == Whereabouts::KeptBy(&raw const posts.all()[1]);
        let thief_saw = thief.join().unwrap();
        assert!(found_thief || thief_saw);
        SEEN[usize::from(found_thief)].store(true, Relaxed);
    });
    assert!(SEEN.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

struct CallAcross(&'static super::Control);

// SAFETY: the protocol under test says what a thread may touch.
unsafe impl Send for CallAcross {}

/// A task that nothing else ends is cancelled while it is started, on either worker: it is unwound
/// or not run at all.
///
/// Seen to fail: when a worker does not look for the cause as it starts a task, loom reports a
/// deadlock; and so it does when a request does not knock.
#[test]
fn a_cancel_meets_start_and_steal() {
    static RAN: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let ran = std::sync::Arc::new(AtomicBool::new(false));
        let theirs = ran.clone();
        let builder = Runtime::builder().workers(2).foreign_threads(ForeignThreads::NeverWake);
        let main = || {
            let task = spawn(move || {
                theirs.store(true, Relaxed);
                let _ = park_until(REASON, None);
            });
            let stop = task.cancel_handle();
            stop.cancel();
            assert!(Cancelled::of(&task.join().unwrap_err()).is_some());
        };
        builder.run(main).unwrap();
        RAN[usize::from(ran.load(Relaxed))].store(true, Relaxed);
    });
    assert!(RAN.iter().all(|ran| ran.load(Relaxed)), "the model must reach both outcomes");
}

/// A thread cancels a task while another one wakes it, and while it finishes: the wake-up counts if
/// it came first, and the task ends in any case.
///
/// Seen to fail: when `end_early` does not wait for an unparker that is no longer there, the late
/// wake-up comes to a task that is gone; when a cancellation does not end the wait, the wake-up
/// always comes first.
#[test]
fn a_cancel_from_outside_meets_wake_and_finish() {
    static OUTCOMES: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let threads = run(|| {
            let bell = Arc::<WaitCell>::default();
            let theirs = bell.clone();
            // SAFETY: the task is the only one that waits there.
            let task = spawn(move || unsafe { theirs.wait(REASON, None) });
            crate::yield_now();
            let stop = task.cancel_handle();
            let canceller = thread::spawn(move || stop.cancel());
            let waker = thread::spawn(move || assert_eq!(bell.notify(Event::new(0)), None));
            let outcome = task.join();
            match &outcome {
                Ok(wake) => assert_eq!(*wake, Wake::Unparked),
                Err(payload) => assert!(Cancelled::of(payload).is_some()),
            }
            OUTCOMES[usize::from(outcome.is_ok())].store(true, Relaxed);
            [canceller, waker]
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    assert!(OUTCOMES.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

/// A thread uses a token while its region ends: the region is unwound or has its value, and what
/// comes after it is not disturbed.
///
/// Seen to fail: when a region does not take its link back as it ends, the request finds a frame
/// that is gone.
#[test]
fn a_token_meets_the_end_of_its_region() {
    static OUTCOMES: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let canceller = run(|| {
            let mut canceller = None;
            let outcome = crate::cancellable(|token| {
                let (token, bell) = (token.clone(), Arc::<WaitCell>::default());
                let theirs = bell.clone();
                canceller = Some(thread::spawn(move || {
                    theirs.notify(Event::new(0));
                    token.cancel();
                }));
                // A step at which the other thread may have its turn.
                let _ = bell.event();
                crate::check_cancelled();
            });
            crate::yield_now();
            crate::check_cancelled();
            OUTCOMES[usize::from(outcome.is_ok())].store(true, Relaxed);
            canceller
        });
        canceller.expect("it was started").join().unwrap();
    });
    assert!(OUTCOMES.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

/// A scope waits for its only task, which ends by itself on either worker, or does not begin, while
/// the scope is cancelled: it has ended when the scope returns, and its frame is not touched
/// afterwards.
///
/// Seen to fail: when `Bonds::close` does not add those that were admitted, the scope returns while
/// a task runs. (That a task leaves its list before it finishes cannot be seen to matter: the
/// memory of a control block stays one. The models of the lists show what guards them.)
///
/// One preemption shows that, and is what a search of two whole workers can afford here.
#[test]
fn the_last_task_of_a_scope_meets_its_cancel() {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(1);
    builder.check(|| {
        let ended = std::sync::atomic::AtomicUsize::new(0);
        let builder = Runtime::builder().workers(2).foreign_threads(ForeignThreads::NeverWake);
        let main = || {
            crate::scope(|s| {
                let count = CountDrop(&ended);
                s.spawn(move || drop(count));
                s.cancel();
            });
            assert_eq!(ended.load(Relaxed), 1);
        };
        builder.run(main).unwrap();
    });
}

/// A task of a scope, on either worker, cancels the scope, and so itself: the home of the scope is
/// asked to if it is not the worker that the task runs on.
///
/// Seen to fail: when the home does not carry out the request, loom reports a deadlock.
#[test]
fn a_task_of_a_scope_cancels_it() {
    static AWAY: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let builder = Runtime::builder().workers(2).foreign_threads(ForeignThreads::NeverWake);
        let main = || {
            let home = thread::current().id();
            crate::scope(|s| {
                s.spawn(move || {
                    AWAY[usize::from(thread::current().id() != home)].store(true, Relaxed);
                    s.cancel();
                    let _ = park_until(REASON, None);
                });
            });
        };
        builder.run(main).unwrap();
    });
    assert!(AWAY.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

/// A thread has a task's end shown, and joins it or lets it go, while the task ends: the sign is
/// dropped, once the task has ended, although something else keeps what is left of the task.
///
/// Seen to fail: when a handle that lets go leaves the sign in the cell, or does not show the end
/// of a task that has ended meanwhile; when a task that is detached does not show its end; when a
/// joiner waits in the cell in which the sign stands. (That a joiner waits until the sign was used
/// cannot be seen: loom does not notice that memory is gone.)
#[test]
fn a_sign_of_the_end_meets_the_end() {
    for joins in [true, false] {
        loom::model(move || {
            let (shown, ended) = <(Flag, Flag)>::default();
            let watcher = run(|| {
                let ending = ended.clone();
                let task = spawn(move || ending.store(true, Relaxed));
                let (shown, ended) = (shown.clone(), ended.clone());
                let keeps = task.cancel_handle();
                let watcher = thread::spawn(move || {
                    SHOWN.with(|sign| sign.replace(Some((shown, ended))));
                    task.end_sign(|| (Box::new(SHOWN.with(Cell::take).map(Shows)), Box::new(())));
                    if joins {
                        task.join().unwrap();
                    }
                });
                crate::yield_now();
                (watcher, keeps)
            });
            watcher.0.join().unwrap();
            assert!(shown.load(Relaxed));
        });
    }
}

loom::thread_local! {
    static SHOWN: Cell<Option<(Flag, Flag)>> = Cell::new(None)
}

/// Notes that it is dropped, after the end of its task.
struct Shows((Flag, Flag));

/// It orders nothing.
type Flag = std::sync::Arc<AtomicBool>;

impl Drop for Shows {
    fn drop(&mut self) {
        assert!(self.0.1.load(Relaxed), "the task has not ended");
        self.0.0.store(true, Relaxed);
    }
}

struct CountDrop<'a>(&'a std::sync::atomic::AtomicUsize);

impl Drop for CountDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

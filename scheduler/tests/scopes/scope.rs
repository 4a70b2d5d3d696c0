//! Scopes: what borrows, what waits for what, and what panics and cancellations do.

use std::cell::Cell;
use std::panic::{catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_runtime::{Coroutine, CoroutineState};
use lisle_scheduler::{
    Builder, Cancelled, CancelledBy, Runtime, ScopedJoinHandle, scope, shield, sleep, spawn,
    timeout, yield_now,
};

use crate::support::channel::Channel;
use crate::support::{Log, NoteDrop, OnDrop, alone_in_child, run_alone, run_in_order, run_on};
use crate::{MOMENT, caught, everywhere, wait_for_ever};

#[test]
fn tasks_borrow_and_are_awaited() {
    everywhere(|| {
        let (sum, numbers) = (AtomicUsize::new(0), [1, 2, 3, 4, 5, 6, 7, 8]);
        let longest = scope(|s| {
            for number in &numbers {
                s.spawn(|| {
                    yield_now();
                    sum.fetch_add(*number, Ordering::Relaxed);
                });
            }
            let task = s.spawn(|| numbers.iter().max());
            task.join().unwrap()
        });
        assert_eq!((longest, sum.load(Ordering::Relaxed)), (Some(&8), 36));
        assert_eq!(scope(|_| 7), 7);
    });
}

#[test]
fn local_tasks_need_not_be_send() {
    run_in_order(|| {
        let (count, other) = (Rc::new(Cell::new(0)), Cell::new(1));
        scope(|s| {
            s.spawn_local(|| {
                yield_now();
                count.set(count.get() + 1);
                other.set(2);
            });
        });
        assert_eq!((count.get(), other.get()), (1, 2));
    });
    let refused = scope(|s| Builder::new().spawn_scoped_local(s, || ()).is_err());
    assert!(refused, "a plain thread has no local tasks");
}

#[test]
fn tasks_spawn_more_of_them() {
    everywhere(|| {
        let count = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..3 {
                s.spawn(|| {
                    for _ in 0..50 {
                        s.spawn(|| {
                            count.fetch_add(1, Ordering::Relaxed);
                            s.spawn(|| count.fetch_add(1, Ordering::Relaxed));
                        });
                    }
                });
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 300);
    });
}

#[test]
fn nested_scopes_end_from_the_inside_out() {
    everywhere(|| {
        let mut names = vec!["first".to_owned()];
        scope(|s| {
            let names = &mut names;
            s.spawn(move || {
                let copy = names.clone();
                let lengths: usize = scope(|s| {
                    let tasks: Vec<_> = copy.iter().map(|name| s.spawn(|| name.len())).collect();
                    tasks.into_iter().map(|task| task.join().unwrap()).sum()
                });
                names.push(lengths.to_string());
            });
        });
        assert_eq!(names, ["first", "5"]);
    });
}

/// A handle that is forgotten, and one that is dropped before or after the task's end.
#[test]
fn a_scope_awaits_tasks_whose_handles_are_gone() {
    everywhere(|| {
        let count = AtomicUsize::new(0);
        scope(|s| {
            let work = || {
                yield_now();
                count.fetch_add(1, Ordering::Relaxed)
            };
            std::mem::forget(s.spawn(work));
            drop(s.spawn(work));
            let last: ScopedJoinHandle<usize> = s.spawn(work);
            while !last.is_finished() {
                yield_now();
            }
        });
        assert_eq!(count.load(Ordering::Relaxed), 3);
    });
}

/// The results of tasks that nobody joins are dropped before the scope ends: they may borrow.
#[test]
fn results_are_dropped_in_the_scope() {
    everywhere(|| {
        let log = Log::new();
        scope(|s| {
            drop(s.spawn(|| OnDrop(|| log.add(1))));
            let kept = s.spawn(|| OnDrop(|| log.add(2)));
            while !kept.is_finished() {
                yield_now();
            }
        });
        let mut noted = log.take();
        noted.sort_unstable();
        assert_eq!(noted, [1, 2]);
    });
}

/// Siblings that wait for a channel of the body's, which panics.
#[test]
fn a_body_that_panics_cancels_its_tasks_first() {
    everywhere(|| {
        let dropped = AtomicUsize::new(0);
        let panic = caught(|| {
            let channel = Channel::<u8>::unbounded();
            scope(|s| {
                for _ in 0..10 {
                    s.spawn(|| {
                        let _count = OnDrop(|| _ = dropped.fetch_add(1, Ordering::Relaxed));
                        channel.recv();
                    });
                    yield_now();
                }
                s.spawn_after_panic();
            })
        });
        assert_eq!(panic, "the body");
        assert!(dropped.load(Ordering::Relaxed) <= 10);
    });
}

trait SpawnAfterPanic<'scope> {
    fn spawn_after_panic(&'scope self);
}

impl<'scope> SpawnAfterPanic<'scope> for lisle_scheduler::Scope<'scope, '_> {
    /// Unwinds, and spawns in a destructor meanwhile.
    fn spawn_after_panic(&'scope self) {
        let _spawns = OnDrop(|| drop(self.spawn(wait_for_ever)));
        panic_any("the body");
    }
}

#[test]
fn a_scope_is_cancelled_with_its_task_or_its_region() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            scope(|s| {
                for n in 0..3 {
                    let note = NoteDrop(theirs.clone(), n);
                    s.spawn(move || {
                        let _note = note;
                        wait_for_ever();
                    });
                }
            });
        });
        yield_now();
        yield_now();
        task.cancel();
        assert_eq!(Cancelled::of(&task.join().unwrap_err()).unwrap().by(), CancelledBy::Handle);
        log.expect(&[0, 1, 2]);
    });
    everywhere(|| {
        // The body has returned, and the scope waits.
        let outcome = timeout(MOMENT, || scope(|s| drop(s.spawn(wait_for_ever))));
        assert!(outcome.is_err());
        // The body waits.
        let outcome = timeout(MOMENT, || scope(|s| s.spawn(wait_for_ever).join().is_ok()));
        assert!(outcome.is_err());
    });
}

#[test]
fn what_cancels_a_task_of_a_scope_is_told() {
    everywhere(|| {
        scope(|s| {
            let [first, second] = [(); 2].map(|()| s.spawn(wait_for_ever));
            first.cancel();
            let by = |payload| Cancelled::of(&payload).unwrap().by();
            assert_eq!(by(first.join().unwrap_err()), CancelledBy::Handle);
            s.cancel();
            assert_eq!(by(second.join().unwrap_err()), CancelledBy::Scope);
            // One that is spawned later, and one that nobody joins.
            assert_eq!(by(s.spawn(|| ()).join().unwrap_err()), CancelledBy::Scope);
            s.spawn(wait_for_ever);
        });
    });
}

#[test]
fn the_first_panic_comes_out_of_the_scope() {
    everywhere(|| {
        assert_eq!(caught(|| scope(|s| drop(s.spawn(|| panic_any("mine"))))), "mine");
        // After its end its handle is dropped.
        let late = caught(|| {
            scope(|s| {
                let task = s.spawn(|| panic_any("mine"));
                while !task.is_finished() {
                    yield_now();
                }
            })
        });
        assert_eq!(late, "mine");
        // One that was joined is the joiner's.
        scope(|s| assert!(s.spawn(|| panic_any("joined")).join().is_err()));
    });
    run_in_order(|| {
        let both = caught(|| {
            scope(|s| {
                s.spawn(|| panic_any("first"));
                s.spawn(|| panic_any("second"));
                yield_now();
                panic_any("body");
            })
        });
        assert_eq!(both, "first");
        // A cancel goes before all of them.
        let outcome = timeout(MOMENT, || {
            scope(|s| {
                s.spawn(|| panic_any("first"));
                wait_for_ever();
            })
        });
        assert!(outcome.is_err());
    });
}

#[test]
fn a_scope_in_a_destructor_waits_amid_a_panic() {
    run_in_order(|| {
        let log = Log::new();
        let panic = caught(|| {
            let _scope = OnDrop(|| {
                scope(|s| {
                    s.spawn(|| {
                        yield_now();
                        assert!(!thread::panicking());
                        log.add("awaited");
                    });
                });
            });
            panic_any("first");
        });
        assert_eq!(panic, "first");
        log.expect(&["awaited"]);
    });
}

/// In destructors of a cancelled task a scope cancels its tasks, and waits for their ends all the
/// same; in a shield it does not cancel them.
#[test]
fn a_scope_in_a_destructor_of_a_cancelled_task() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let task = spawn(move || {
            let _scopes = OnDrop(|| {
                scope(|s| {
                    s.spawn(|| {
                        let _note = NoteDrop(theirs.clone(), "cancelled");
                        wait_for_ever();
                    });
                });
                shield(|| {
                    scope(|s| {
                        s.spawn(|| {
                            sleep(MOMENT);
                            theirs.add("done");
                        });
                    });
                });
            });
            wait_for_ever();
        });
        yield_now();
        task.cancel();
        assert!(task.join().is_err());
        assert_eq!(log.take().last(), Some(&"done"));
    });
}

/// A scope in a coroutine in a task: suspended in its body, and dropped there.
#[test]
fn a_scope_in_a_coroutine_that_is_dropped_is_awaited() {
    run_in_order(|| {
        let log = Log::new();
        let theirs = log.clone();
        let coroutine = Coroutine::new(move |yielder, ()| {
            let text = "borrowed".to_owned();
            scope(|s| {
                s.spawn(|| {
                    let _note = NoteDrop(theirs.clone(), text.len());
                    wait_for_ever();
                });
                yielder.suspend(());
            });
        });
        assert_eq!(coroutine.resume(()), CoroutineState::Yielded(()));
        yield_now();
        drop(coroutine);
        log.expect(&[8]);
    });
}

/// All tasks of a runtime that ends are cancelled, those of scopes too, and their owners wait.
#[test]
fn the_end_of_the_runtime_ends_scopes() {
    for workers in [1, 2, 4] {
        let dropped = Arc::new(AtomicUsize::new(0));
        run_on(workers, || {
            for _ in 0..4 {
                let dropped = dropped.clone();
                spawn(move || {
                    let local = 5;
                    scope(|s| {
                        for _ in 0..4 {
                            s.spawn(|| {
                                let _count =
                                    OnDrop(|| _ = dropped.fetch_add(local, Ordering::Relaxed));
                                wait_for_ever();
                            });
                        }
                    });
                });
            }
            (0..10).for_each(|_| yield_now());
        })
        .unwrap();
        assert_eq!(dropped.load(Ordering::Relaxed) % 5, 0);
    }
}

/// A task that catches its cancellation for ever would be left behind with what it borrows.
#[test]
fn a_task_that_cannot_be_unwound_aborts_the_process() {
    let name = "scope::a_task_that_cannot_be_unwound_aborts_the_process";
    let ended = alone_in_child(name, &[], || {
        run_in_order(|| {
            scope(|s| {
                s.spawn(|| while catch_unwind(wait_for_ever).is_err() {});
                yield_now();
                s.cancel();
            });
        });
    });
    ended.assert_aborted();
    ended.assert_says("a task of a scope was left behind");
}

/// If its owner is cancelled, too, it is left behind with it.
#[test]
fn an_owner_that_is_cancelled_is_left_behind_with_its_tasks() {
    let name = "scope::an_owner_that_is_cancelled_is_left_behind_with_its_tasks";
    let ended = alone_in_child(name, &[], || {
        let runtime = Runtime::builder().workers(1).start().unwrap();
        let owner = runtime.spawn(|| {
            scope(|s| {
                s.spawn(|| while catch_unwind(wait_for_ever).is_err() {});
            });
        });
        runtime.spawn(yield_now).join().unwrap();
        owner.cancel();
        assert!(owner.join().unwrap_err().is::<Cancelled>());
        drop(runtime);
    });
    ended.assert_success();
    ended.assert_says("is left behind");
}

#[test]
fn a_deadlock_names_the_scope() {
    let name = "scope::a_deadlock_names_the_scope";
    let ended = alone_in_child(name, &[], || {
        let deadlock = run_alone(|| scope(|s| drop(s.spawn(wait_for_ever)))).unwrap_err();
        eprintln!("{deadlock}");
    });
    ended.assert_success();
    ended.assert_says("waiting for the tasks of a scope");
    ended.assert_says("scope.rs");
}

//! Scopes, their failures and races, sets of tasks, and task-local values.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle_runtime::{Coroutine, CoroutineState};
use lisle_scheduler::{
    Builder, Cancelled, CancelledBy, Runtime, ScopedJoinHandle, TaskSet, check_cancelled, race,
    scope, shield, sleep, spawn, task_local, timeout, try_scope, yield_now,
};
use support::channel::Channel;
use support::{Bell, Log, NoteDrop, OnDrop, alone_in_child, run_alone, run_in_order, run_on};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

fn wait_for_ever() {
    Bell::new().wait();
}

/// With each number of workers, and from a plain thread.
fn everywhere(body: fn()) {
    for workers in [1, 2, 4] {
        run_on(workers, body).unwrap();
    }
    body();
}

/// The message of a panic.
fn caught<T>(body: impl FnOnce() -> T) -> &'static str {
    let payload = catch_unwind(AssertUnwindSafe(body)).err().expect("it panics");
    match payload.downcast_ref::<Cancelled>() {
        Some(_) => "cancelled",
        None => payload.downcast_ref::<&str>().expect("a text"),
    }
}

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
    let name = "a_task_that_cannot_be_unwound_aborts_the_process";
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
    let name = "an_owner_that_is_cancelled_is_left_behind_with_its_tasks";
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
    let name = "a_deadlock_names_the_scope";
    let ended = alone_in_child(name, &[], || {
        let deadlock = run_alone(|| scope(|s| drop(s.spawn(wait_for_ever)))).unwrap_err();
        eprintln!("{deadlock}");
    });
    ended.assert_success();
    ended.assert_says("waiting for the tasks of a scope");
    ended.assert_says("scopes.rs");
}

// Scopes that may fail

#[test]
fn a_try_scope_returns_its_value_or_the_first_error() {
    everywhere(|| {
        let value: Result<u32, &str> = try_scope(|s| {
            let tasks = [1, 2, 3].map(|n| s.spawn(move || Ok(n)));
            Ok(tasks.into_iter().filter_map(|task| task.join()).sum())
        });
        assert_eq!(value, Ok(6));
        // A task's error cancels the others and the body, wherever it waits.
        let failed: Result<(), &str> = try_scope(|s| {
            s.spawn(|| {
                wait_for_ever();
                Ok(())
            });
            s.spawn(|| {
                yield_now();
                Err::<(), _>("a task")
            });
            wait_for_ever();
            Ok(())
        });
        assert_eq!(failed, Err("a task"));
        // After the body has returned.
        let failed = try_scope(|s| {
            s.spawn(|| {
                sleep(MOMENT);
                Err::<(), _>("late")
            });
            s.spawn(|| {
                wait_for_ever();
                Ok(())
            });
            Ok(1)
        });
        assert_eq!(failed, Err("late"));
        // The body's own.
        let failed: Result<(), &str> = try_scope(|s| {
            s.spawn(|| {
                wait_for_ever();
                Ok(())
            });
            Err("the body")
        });
        assert_eq!(failed, Err("the body"));
        // The caller is not cancelled.
        yield_now();
        check_cancelled();
    });
}

#[test]
fn a_panic_ends_a_try_scope() {
    everywhere(|| {
        let panic = caught(|| {
            try_scope(|s| {
                s.spawn(|| -> Result<(), ()> { panic_any("a task") });
                s.spawn(|| {
                    wait_for_ever();
                    Ok(())
                });
                wait_for_ever();
                Ok(())
            })
        });
        assert_eq!(panic, "a task");
        let outcome = timeout(MOMENT, || {
            try_scope(|_| {
                wait_for_ever();
                Ok::<_, ()>(())
            })
        });
        assert!(outcome.is_err());
    });
}

#[test]
fn the_join_of_a_failed_task_unwinds_or_gives_none() {
    run_in_order(|| {
        let log = Log::new();
        let failed: Result<(), u8> = try_scope(|s| {
            let task = s.spawn(|| Err::<(), _>(3));
            let _waits = OnDrop(|| log.add("unwound"));
            log.add(if task.join().is_none() { "none" } else { "some" });
            wait_for_ever();
            Ok(())
        });
        assert_eq!(failed, Err(3));
        assert_eq!(log.take().last(), Some(&"unwound"));
    });
}

// Races

#[test]
fn the_first_value_wins_and_the_losers_are_awaited() {
    everywhere(|| {
        let alive = AtomicUsize::new(0);
        let contenders = [HOUR, MOMENT, HOUR].map(|length| {
            let alive = &alive;
            move || {
                alive.fetch_add(1, Ordering::Relaxed);
                let _leaves = OnDrop(|| _ = alive.fetch_sub(1, Ordering::Relaxed));
                sleep(length);
                length
            }
        });
        assert_eq!(race(contenders), Some(MOMENT));
        assert_eq!(alive.load(Ordering::Relaxed), 0);
        assert_eq!(race(Vec::<fn() -> u8>::new()), None);
        let panic = caught(|| {
            race([true, false].map(|bad| {
                move || {
                    if bad {
                        panic_any("bad");
                    }
                    wait_for_ever();
                }
            }))
        });
        assert_eq!(panic, "bad");
    });
}

// Sets

#[test]
fn results_come_in_the_order_of_their_ends() {
    run_in_order(|| {
        let mut set = TaskSet::new();
        for rounds in [3, 1, 2] {
            set.spawn(move || {
                (0..rounds).for_each(|_| yield_now());
                rounds
            });
        }
        assert_eq!(set.len(), 3);
        assert!(set.try_join_next().is_none());
        let results: Vec<_> = set.by_ref().map(Result::unwrap).collect();
        assert_eq!(results, [1, 2, 3]);
        assert!(set.is_empty() && set.join_next().is_none());
        set.spawn(|| panic_any("mine"));
        set.spawn(|| 4);
        assert_eq!(set.join_next().unwrap().unwrap_err().downcast_ref(), Some(&"mine"));
        assert_eq!(set.join_next().unwrap().unwrap(), 4);
    });
}

#[test]
fn a_limit_bounds_how_many_run() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let mut set = TaskSet::with_limit(3);
            for n in 0..40 {
                let (running, most) = (running.clone(), most.clone());
                set.spawn(move || {
                    let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    n
                });
            }
            assert_eq!(set.len(), 40);
            assert_eq!(set.map(Result::unwrap).sum::<i32>(), 780);
            assert!(most.load(Ordering::SeqCst) <= 3);
        })
        .unwrap();
    }
}

#[test]
fn a_dropped_set_cancels_and_waits_and_a_detached_one_goes_on() {
    everywhere(|| {
        let alive = Arc::new(AtomicUsize::new(0));
        let new_set = |alive: &Arc<AtomicUsize>| {
            let mut set = TaskSet::new();
            for _ in 0..5 {
                let alive = alive.clone();
                set.spawn(move || {
                    alive.fetch_add(1, Ordering::SeqCst);
                    let _leaves = OnDrop(|| _ = alive.fetch_sub(1, Ordering::SeqCst));
                    wait_for_ever();
                });
            }
            set
        };
        drop(new_set(&alive));
        assert_eq!(alive.load(Ordering::SeqCst), 0);
        let set = new_set(&alive);
        set.cancel_all();
        let by = |result: thread::Result<()>| Cancelled::of(&result.unwrap_err()).unwrap().by();
        assert!(set.map(by).all(|by| by == CancelledBy::Handle));
    });
    run_in_order(|| {
        let bell = Bell::new();
        let mut set = TaskSet::new();
        let theirs = bell.clone();
        set.spawn(move || theirs.wait());
        set.detach();
        bell.ring_until_heard();
    });
}

// Task-local values

task_local! {
    static NAME: String;
    static DEPTH: usize;
}

#[test]
fn values_are_set_for_the_time_of_a_call() {
    everywhere(|| {
        assert!(DEPTH.try_with(|_| ()).is_err());
        let panic = catch_unwind(|| DEPTH.get()).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert_eq!(text, "the task-local value is not set here: set it by its `scope`");
        DEPTH.scope(1, || {
            assert_eq!(DEPTH.get(), 1);
            NAME.scope("Ann".into(), || {
                DEPTH.scope(2, || {
                    yield_now();
                    assert_eq!((DEPTH.get(), NAME.with(String::len)), (2, 3));
                });
                let _ = catch_unwind(|| DEPTH.scope(3, || panic_any("out")));
                assert_eq!(DEPTH.get(), 1);
            });
            assert!(NAME.try_with(|_| ()).is_err());
        });
    });
}

#[test]
fn tasks_of_a_scope_see_them_and_others_only_if_they_inherit() {
    everywhere(|| {
        DEPTH.scope(4, || {
            scope(|s| {
                s.spawn(|| {
                    assert_eq!(DEPTH.get(), 4);
                    scope(|s| drop(s.spawn(|| assert_eq!(DEPTH.get(), 4))));
                    DEPTH.scope(5, || assert_eq!(DEPTH.get(), 5));
                });
            });
            assert!(spawn(|| DEPTH.try_with(|_| ()).is_err()).join().unwrap());
            let inherits = Builder::new().inherit().name("heir").spawn(|| {
                yield_now();
                DEPTH.get()
            });
            assert_eq!(inherits.unwrap().join().unwrap(), 4);
        });
    });
}

/// Two tasks of a thread, and a task and the thread that it runs on, have values of their own.
#[test]
fn tasks_of_one_thread_do_not_share_them() {
    DEPTH.scope(0, || {
        run_in_order(|| {
            assert!(DEPTH.try_with(|_| ()).is_err());
            let tasks = [1, 2, 3].map(|n| {
                spawn(move || {
                    DEPTH.scope(n, || {
                        for _ in 0..3 {
                            assert_eq!(DEPTH.get(), n);
                            yield_now();
                        }
                    });
                })
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        assert_eq!(DEPTH.get(), 0);
    });
}

/// A value lives as long as a task that has inherited it.
#[test]
fn a_value_is_dropped_once_after_its_last_heir() {
    task_local! {
        static NOTE: NoteDrop<&'static str>;
    }
    run_in_order(|| {
        let log = Log::new();
        let bell = Bell::new();
        let theirs = bell.clone();
        let value = NoteDrop(log.clone(), "dropped");
        let heir =
            NOTE.scope(value, || Builder::new().inherit().spawn(move || theirs.wait()).unwrap());
        log.expect::<&str>(&[]);
        bell.ring_until_heard();
        heir.join().unwrap();
        log.expect(&["dropped"]);
    });
}

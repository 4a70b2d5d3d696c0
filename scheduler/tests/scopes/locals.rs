//! Task-local values.

use std::panic::{catch_unwind, panic_any};

use lisle_scheduler::{Builder, scope, spawn, task_local, yield_now};

use crate::everywhere;
use crate::support::{Bell, Log, NoteDrop, run_in_order};

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

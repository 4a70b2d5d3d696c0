//! Scopes whose first failure ends them.

use std::panic::panic_any;

use lisle_scheduler::{check_cancelled, shield, sleep, timeout, try_scope, yield_now};

use crate::{MOMENT, caught, everywhere, wait_for_ever};

#[test]
fn a_try_scope_returns_its_value_or_the_first_error() {
    everywhere(|| {
        let value: Result<u32, &str> = try_scope(|s| {
            let tasks = [1, 2, 3].map(|n| s.spawn(move || Ok(n)));
            Ok(tasks.into_iter().map(|task| task.join().unwrap()).sum())
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

/// The join of a task that has failed unwinds the body, and the tasks of the scope wherever they
/// run; so a join can be unwrapped. In a shield it gives nothing.
#[test]
fn the_join_of_a_failed_task_unwinds() {
    everywhere(|| {
        let failed: Result<(), u8> = try_scope(|s| {
            let task = s.spawn(|| Err::<(), _>(3));
            task.join().unwrap();
            unreachable!("it has failed");
        });
        assert_eq!(failed, Err(3));
        let failed: Result<(), u8> = try_scope(|s| {
            for _ in 0..3 {
                s.spawn(move || -> Result<(), u8> {
                    let task = s.spawn(|| Err::<(), _>(4));
                    task.join().unwrap();
                    unreachable!("it has failed");
                });
            }
            Ok(())
        });
        assert_eq!(failed, Err(4));
        let failed: Result<(), u8> = try_scope(|s| {
            let task = s.spawn(|| -> Result<(), _> { Err(5) });
            assert_eq!(shield(|| task.join()), None);
            Ok(())
        });
        assert_eq!(failed, Err(5));
    });
}

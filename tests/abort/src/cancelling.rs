//! Cases of tasks and regions that are cancelled: nothing of them is unwound.

use std::io::{ErrorKind, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle::channel::{RecvError, bounded, never};
use lisle::net::UnixStream;
use lisle::task::{
    Cancelled, CancelledBy, TaskSet, cancellable, check_cancelled, is_cancelled, race, shield,
};
use lisle::{Runtime, scope, sleep, spawn, timeout, try_scope, yield_now};

use crate::Case;
use crate::End::{Aborts, Silent};

pub fn all() -> Vec<Case> {
    vec![
        ("a_task_that_is_cancelled_is_left_behind", left_by_a_handle, Silent),
        ("a_task_that_is_cancelled_before_it_starts_is_dropped", dropped_unstarted, Silent),
        ("waits_fail_in_a_region_that_is_over", regions, Silent),
        ("a_scope_that_is_cancelled_ends", cancelled_scope, Silent),
        ("an_error_ends_a_try_scope", failed_scope, Silent),
        ("a_race_ends", finished_race, Silent),
        ("a_set_that_is_dropped_ends", dropped_set, Silent),
        ("the_end_of_a_runtime_leaves_owners_with_their_tasks", end_with_scopes, Silent),
        (
            "a_panic_in_a_scope_says_so",
            panic_in_scope,
            Aborts(&["panicked at src/cancelling.rs", "no such luck"]),
        ),
    ]
}

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

/// Says so if it is dropped, which no case expects.
struct Never;

impl Drop for Never {
    fn drop(&mut self) {
        eprintln!("a destructor has run");
    }
}

fn on_workers(main: fn()) {
    for workers in [1, 2, 4] {
        Runtime::builder().workers(workers).run(main).unwrap();
    }
}

fn left_by_a_handle() {
    on_workers(|| {
        let (started, has_started) = bounded(0);
        let task = spawn(move || {
            let _never = Never;
            started.send(()).unwrap();
            sleep(HOUR);
        });
        has_started.recv().unwrap();
        let stop = task.cancel_handle();
        task.cancel();
        let payload = task.join().unwrap_err();
        assert_eq!(Cancelled::of(&payload).unwrap().by(), CancelledBy::Handle);
        assert!(stop.is_finished());
    });
}

fn dropped_unstarted() {
    lisle::run(|| {
        let (held, receiver) = bounded::<()>(0);
        let task = spawn(move || drop(held));
        task.cancel();
        assert!(task.join().is_err());
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

fn regions() {
    fn body() {
        let outcome = timeout(MOMENT, || (never::<()>().recv(), is_cancelled()));
        assert_eq!(outcome, Ok((Err(RecvError), true)));
        let outcome = timeout(Duration::ZERO, || {
            check_cancelled();
            yield_now();
            shield(|| sleep(MOMENT));
            sleep(HOUR); // returns at once
            1
        });
        assert_eq!(outcome, Ok(1));
        let outcome = cancellable(|token| {
            token.cancel();
            never::<()>().recv()
        });
        assert_eq!(outcome.unwrap(), Err(RecvError));
        let (near, _far) = UnixStream::pair().unwrap();
        let read = || (&near).read(&mut [0]).unwrap_err().kind();
        assert_eq!(timeout(MOMENT, read), Ok(ErrorKind::TimedOut));
        let outcome = cancellable(|token| {
            token.cancel();
            read()
        });
        assert_eq!(outcome.unwrap(), ErrorKind::Other);
        sleep(MOMENT);
        assert!(!is_cancelled());
    }
    on_workers(body);
    body();
}

fn cancelled_scope() {
    on_workers(|| {
        let ended = AtomicUsize::new(0);
        scope(|s| {
            for _ in 0..10 {
                s.spawn(|| {
                    assert_eq!(never::<()>().recv(), Err(RecvError));
                    ended.fetch_add(1, Ordering::Relaxed);
                });
            }
            (0..20).for_each(|_| yield_now());
            s.cancel();
        });
        // Those that had not started were dropped.
        assert!(ended.load(Ordering::Relaxed) <= 10);
    });
}

fn failed_scope() {
    on_workers(|| {
        let failed: Result<(), &str> = try_scope(|s| {
            s.spawn(|| never::<()>().recv().map_err(|_| "gone"));
            let bad = s.spawn(|| Err::<(), _>("bad"));
            assert_eq!(bad.join(), None);
            assert_eq!(never::<()>().recv(), Err(RecvError));
            Ok(())
        });
        assert_eq!(failed, Err("bad"));
    });
}

fn finished_race() {
    on_workers(|| {
        let contenders = [HOUR, MOMENT, HOUR].map(|length| {
            move || {
                sleep(length);
                length
            }
        });
        assert_eq!(race(contenders), Some(MOMENT));
    });
}

fn dropped_set() {
    on_workers(|| {
        let mut set = TaskSet::new();
        for _ in 0..5 {
            set.spawn(|| {
                let _never = Never;
                sleep(HOUR);
            });
        }
        sleep(MOMENT);
        drop(set);
    });
}

fn end_with_scopes() {
    on_workers(|| {
        for _ in 0..4 {
            drop(spawn(|| {
                let _never = Never;
                scope(|s| {
                    for _ in 0..4 {
                        s.spawn(|| {
                            let _never = Never;
                            sleep(HOUR);
                        });
                    }
                });
            }));
        }
        (0..20).for_each(|_| yield_now());
    });
}

fn panic_in_scope() {
    lisle::run(|| {
        scope(|s| {
            s.spawn(|| panic!("no such luck"));
        });
        thread::sleep(HOUR);
    });
}

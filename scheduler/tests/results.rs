//! Closures and results: of every size and alignment, and dropped exactly once wherever they end
//! up.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::ptr;
use std::thread;

use lisle_scheduler::{Builder, Cancelled, Runtime, spawn, spawn_local, yield_now};
use support::{Bell, Log, NoteDrop, OnDrop, run_in_order};

/// `N` bytes through a closure and back through a result.
fn round_trip<const N: usize>() {
    let sent: [u8; N] = std::array::from_fn(|index| index as u8 ^ N as u8);
    let task = spawn(move || sent);
    assert!(task.join().unwrap() == sent, "{N} bytes, joined after a wait");

    let task = spawn(move || sent);
    yield_now();
    assert!(task.is_finished());
    assert!(task.join().unwrap() == sent, "{N} bytes, joined after the end");

    let task = spawn(move || {
        if sent.len() == N {
            panic_any(sent);
        }
    });
    let payload = task.join().unwrap_err();
    assert!(*payload.downcast::<[u8; N]>().unwrap() == sent, "{N} bytes, as a panic");
}

#[test]
fn values_of_any_size_arrive() {
    run_in_order(|| {
        round_trip::<0>();
        round_trip::<1>();
        round_trip::<16>();
        round_trip::<39>();
        round_trip::<40>();
        round_trip::<41>();
        round_trip::<47>();
        round_trip::<48>();
        round_trip::<49>();
        round_trip::<64>();
        round_trip::<4096>();
    });
}

#[test]
fn a_mebibyte_arrives() {
    let builder = Runtime::builder().workers(1).stack_size(64 << 20);
    builder.run(round_trip::<{ 1 << 20 }>).unwrap();
}

#[test]
fn alignment_is_kept() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(64))]
    struct Line(u8);

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(4096))]
    struct Page(u8);

    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(align(32))]
    struct Nothing;

    fn aligned<T>(value: &T) -> bool {
        ptr::from_ref(value).addr().is_multiple_of(align_of::<T>())
    }

    // An unoptimised program copies what it moves at every call, a page at a time here.
    let builder = Runtime::builder().stack_size(1 << 20);
    let done = builder.run(|| {
        for n in 0..20 {
            let (line, page) = (Line(n), Page(n));
            let task = spawn(move || {
                assert!(aligned(&line) && aligned(&page) && aligned(&Nothing));
                (line, page, Nothing)
            });
            let back = task.join().unwrap();
            assert!(aligned(&back.0) && aligned(&back.1));
            assert_eq!(back, (line, page, Nothing));
            assert_eq!(spawn(|| Nothing).join().unwrap(), Nothing);
            assert_eq!(spawn(move || line).join().unwrap(), line);
        }
    });
    done.unwrap();
}

#[test]
fn a_joined_result_is_the_joiners() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let (captured, result) =
            (NoteDrop(log.clone(), "captured"), NoteDrop(log.clone(), "result"));
        let task = spawn(move || {
            let _captured = captured;
            result
        });
        let result = task.join().unwrap();
        log.expect(&["captured"]);
        drop(result);
        log.expect(&["result"]);
    });
    assert_eq!(log.len(), 0);
}

#[test]
fn a_detached_result_is_dropped_once_whenever_the_handle_goes() {
    run_in_order(|| {
        let log = Log::<&str>::new();
        let result = || NoteDrop(log.clone(), "dropped");

        let first = result();
        drop(spawn(move || first));
        assert_eq!(log.len(), 0, "before the start");
        yield_now();
        log.expect(&["dropped"]);

        let second = result();
        let task = spawn(move || {
            yield_now();
            second
        });
        yield_now();
        drop(task);
        assert_eq!(log.len(), 0, "while it runs");
        yield_now();
        log.expect(&["dropped"]);

        let third = result();
        let task = spawn(move || third);
        yield_now();
        assert!(task.is_finished());
        assert_eq!(log.len(), 0, "after its end");
        drop(task);
        log.expect(&["dropped"]);

        let fourth = result();
        let task = spawn(move || panic_any(fourth));
        drop(task);
        yield_now();
        log.expect(&["dropped"]);
    });
}

#[test]
fn handles_that_outlive_the_runtime_still_hold_the_results() {
    let log = Log::<&str>::new();
    let (joined, dropped, elsewhere) = run_in_order(|| {
        let spawn_one = |name| {
            let note = NoteDrop(log.clone(), name);
            spawn(move || note)
        };
        let tasks = (spawn_one("joined"), spawn_one("dropped"), spawn_one("elsewhere"));
        yield_now();
        tasks
    });
    assert_eq!(log.len(), 0);
    assert_eq!(joined.join().unwrap().1, "joined");
    log.expect(&["joined"]);
    drop(dropped);
    log.expect(&["dropped"]);
    thread::spawn(|| drop(elsewhere)).join().unwrap();
    log.expect(&["elsewhere"]);
}

struct Bomb(Log<&'static str>);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.add("bang");
        panic_any("bomb");
    }
}

#[test]
fn a_detached_result_that_panics_when_dropped_harms_nobody() {
    let log = Log::new();
    run_in_order(|| {
        for _ in 0..3 {
            let (value, payload) = (Bomb(log.clone()), Bomb(log.clone()));
            drop(spawn(move || value));
            drop(spawn(move || panic_any(payload)));
            let next = spawn(|| assert!(!thread::panicking()));
            next.join().unwrap();
            log.expect(&["bang", "bang"]);
            assert!(!thread::panicking());
        }
    });
}

#[test]
fn a_result_that_panics_when_dropped_panics_where_it_is_dropped() {
    let log = Log::new();
    let late = run_in_order(|| {
        let bomb = Bomb(log.clone());
        let joined = spawn(move || bomb).join().unwrap();
        let panic = catch_unwind(AssertUnwindSafe(|| drop(joined))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"bomb"));

        let bomb = Bomb(log.clone());
        let task = spawn(move || bomb);
        yield_now();
        let panic = catch_unwind(AssertUnwindSafe(|| drop(task))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"bomb"));

        let bomb = Bomb(log.clone());
        let late = spawn(move || bomb);
        yield_now();
        late
    });
    log.expect(&["bang", "bang"]);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(late))).is_err());
    log.expect(&["bang"]);
}

/// The result of a detached task is dropped on the task's own stack, so its destructor may do all
/// that a task may do, and the worker waits for it.
#[test]
fn the_destructor_of_a_detached_result_may_suspend() {
    let log = Log::<&str>::new();
    run_in_order(|| {
        let (bell, bystander) = (Bell::new(), Bell::new());
        let (note, wait, other) = (log.clone(), bell.clone(), bystander.clone());
        drop(Builder::new().name("dropper").spawn_local(move || {
            OnDrop(move || {
                note.add("yields");
                yield_now();
                note.add("waits");
                wait.wait();
                note.add("spawns");
                let theirs = note.clone();
                spawn(move || theirs.add("spawned")).join().unwrap();
                assert_eq!(lisle_scheduler::current().unwrap().name(), Some("dropper"));
                other.ring();
            })
        }));
        yield_now();
        log.expect(&["yields"]);
        yield_now();
        log.expect(&["waits"]);
        assert!(bell.ring());
        bystander.wait();
        log.expect(&["spawns", "spawned"]);
    });
}

/// A runtime does not end while such a destructor waits: it is given up like any other wait.
#[test]
fn a_runtime_ends_the_waits_of_destructors_of_detached_results() {
    let log = Log::<&str>::new();
    let bell = Bell::new();
    run_in_order(|| {
        let (before, after, bell) = (log.clone(), log.clone(), bell.clone());
        drop(spawn(move || {
            let after = NoteDrop(after, "unwound");
            OnDrop(move || {
                let _after = &after;
                before.add("waits");
                bell.wait();
                unreachable!("nobody rings");
            })
        }));
        yield_now();
        log.expect(&["waits"]);
    });
    log.expect(&["unwound"]);
    assert!(!bell.ring(), "the wait is over, and its unparker gone");
}

#[test]
fn the_closure_of_a_task_that_never_ran_is_dropped_and_its_panic_is_the_result() {
    let log = Log::new();
    let (plain, bomb) = run_in_order(|| {
        let (note, bomb) = (NoteDrop(log.clone(), "dropped"), Bomb(log.clone()));
        let plain = spawn(move || drop(note));
        let bomb = spawn_local(move || drop(bomb));
        (plain, bomb)
    });
    log.expect(&["dropped", "bang"]);
    assert!(plain.join().unwrap_err().is::<Cancelled>());
    assert_eq!(bomb.join().unwrap_err().downcast_ref(), Some(&"bomb"));
}

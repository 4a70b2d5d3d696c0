//! Where a cancelled task is unwound, what its shields and its destructors do, and what a runtime
//! that ends makes of a task that never comes out of its shield.
#![cfg(not(lisle_loom))]

mod support;

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_runtime::{Coroutine, CoroutineState};
use lisle_scheduler::internal::{Direction, Patience, Source};
use lisle_scheduler::park::{Reason, Wake};
use lisle_scheduler::{
    Cancelled, JoinHandle, Runtime, check_cancelled, shield, sleep, spawn, spawn_local, yield_now,
};
use support::{
    Bell, Log, NoteDrop, OnDrop, alone_in_child, in_child, on_each_worker, run_alone, run_in_order,
    run_on, sys,
};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

/// A task whose runtime ends after its first turn.
fn cancelled_after_a_turn<T: 'static>(body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    run_in_order(|| {
        let task = spawn_local(body);
        yield_now();
        task
    })
}

fn was_cancelled<T>(task: JoinHandle<T>) -> bool {
    task.join().is_err_and(|panic| panic.is::<Cancelled>())
}

/// Ways to wait, by their names.
type Waits = Vec<(&'static str, Box<dyn Fn()>)>;

/// Waits of all kinds that nothing ends in time.
fn endless_waits() -> Waits {
    vec![
        ("park", Box::new(|| Bell::new().wait())),
        (
            "timed park",
            Box::new(|| {
                assert_ne!(Bell::new().wait_until(Some(Instant::now() + HOUR)), Wake::Failed)
            }),
        ),
        ("sleep", Box::new(|| sleep(HOUR))),
        ("join", Box::new(|| drop(spawn_local(|| Bell::new().wait()).join()))),
        ("yield", Box::new(|| (0..1000).for_each(|_| yield_now()))),
        ("source", Box::new(|| drop(accept(&listener())))),
    ]
}

fn listener() -> Source<TcpListener> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    Source::new(listener)
}

fn accept(listener: &Source<TcpListener>) -> std::io::Result<TcpStream> {
    let accept = |listener: &TcpListener| Ok(listener.accept()?.0);
    let patience = || Patience::Endless;
    listener.attempt(Direction::Read, Reason::new("accepting"), patience, accept)
}

#[test]
fn every_wait_unwinds_a_cancelled_task() {
    for (name, wait) in endless_waits() {
        let log = Log::new();
        let dropped = log.clone();
        let task = cancelled_after_a_turn(move || {
            let _outer = NoteDrop(dropped.clone(), "outer");
            let _inner = NoteDrop(dropped, "inner");
            wait();
        });
        assert!(was_cancelled(task), "{name}");
        log.expect(&["inner", "outer"]);
    }
}

/// The wait that is struck is the next one, where nothing of it was begun.
#[test]
fn a_task_that_is_cancelled_before_a_wait_does_not_begin_it() {
    for (name, wait) in endless_waits() {
        let task = cancelled_after_a_turn(move || {
            assert!(catch_unwind(|| Bell::new().wait()).is_err());
            wait();
        });
        assert!(was_cancelled(task), "{name}");
    }
}

/// Waits of all kinds that come to an end, if they are not cut short.
fn short_waits() -> Waits {
    vec![
        (
            "park",
            Box::new(|| {
                let bell = Bell::new();
                let ringer = bell.clone();
                let ringer = thread::spawn(move || {
                    support::block_until(|| ringer.ring());
                });
                assert_eq!(bell.wait_until(None), Wake::Unparked);
                ringer.join().unwrap();
            }),
        ),
        (
            "timed park",
            Box::new(|| {
                let deadline = Instant::now() + MOMENT;
                assert_eq!(Bell::new().wait_until(Some(deadline)), Wake::TimedOut);
                assert!(deadline <= Instant::now());
            }),
        ),
        (
            "sleep",
            Box::new(|| {
                let start = Instant::now();
                sleep(MOMENT);
                assert!(start.elapsed() >= MOMENT);
            }),
        ),
        // The task is born cancelled, and its end is waited for.
        ("join", Box::new(|| assert!(was_cancelled(spawn_local(|| ()))))),
        ("yield", Box::new(yield_now)),
        ("check", Box::new(check_cancelled)),
        (
            "source",
            Box::new(|| {
                let listener = listener();
                let address = listener.get_ref().local_addr().unwrap();
                let client = thread::spawn(move || TcpStream::connect(address).unwrap());
                accept(&listener).unwrap();
                client.join().unwrap();
            }),
        ),
    ]
}

#[test]
fn a_wait_in_a_shield_is_not_cut_short_and_the_next_one_outside_is() {
    for begin_in_shield in [true, false] {
        for (name, wait) in short_waits() {
            let log = Log::new();
            let theirs = log.clone();
            let task = cancelled_after_a_turn(move || {
                let caught = !begin_in_shield && catch_unwind(|| Bell::new().wait()).is_err();
                assert_eq!(caught, !begin_in_shield);
                shield(|| {
                    wait();
                    sleep(MOMENT);
                    wait();
                });
                theirs.add("out of the shield");
                wait();
                check_cancelled();
            });
            assert!(was_cancelled(task), "{name}");
            log.expect(&["out of the shield"]);
        }
    }
}

#[test]
fn destructors_of_a_task_that_unwinds_wait_in_a_shield() {
    for (name, wait) in short_waits() {
        let log = Log::new();
        let theirs = log.clone();
        let task = cancelled_after_a_turn(move || {
            let _shielded = OnDrop(|| {
                assert!(thread::panicking());
                shield(&wait);
                assert!(thread::panicking());
                theirs.add(Bell::new().wait_until(None));
                shield(&wait);
            });
            Bell::new().wait();
        });
        assert!(was_cancelled(task), "{name}");
        log.expect(&[Wake::Failed]);
    }
}

#[test]
fn a_shield_lasts_as_long_as_the_outermost_one() {
    let log = Log::new();
    let theirs = log.clone();
    let task = cancelled_after_a_turn(move || {
        shield(|| {
            shield(|| sleep(MOMENT));
            sleep(MOMENT);
            theirs.add("still in the outer shield");
        });
        theirs.add("in none");
        sleep(HOUR);
        theirs.add("not reached");
    });
    assert!(was_cancelled(task));
    log.expect(&["still in the outer shield", "in none"]);
}

#[test]
fn a_panic_comes_out_of_a_shield_and_ends_it() {
    let task = cancelled_after_a_turn(|| {
        let panic = catch_unwind(|| {
            shield(|| {
                sleep(MOMENT);
                panic_any("mine");
            })
        });
        assert_eq!(panic.unwrap_err().downcast_ref(), Some(&"mine"));
        Bell::new().wait();
    });
    assert!(was_cancelled(task));
}

#[test]
fn a_shield_gives_its_value_also_on_a_plain_thread_and_amid_no_cancellation() {
    assert_eq!(shield(|| 1), 1);
    assert_eq!(run_in_order(|| shield(|| spawn(|| shield(|| 2)).join().unwrap())), 2);
    assert!(catch_unwind(|| shield(|| panic!("on a thread"))).is_err());
}

/// A hand-over that was won before the cancellation arrives is kept, and the next wait is struck.
#[test]
fn a_wake_that_came_first_is_kept() {
    let log = Log::new();
    let theirs = log.clone();
    let task = run_in_order(|| {
        let bell = Bell::new();
        let awaited = bell.clone();
        let task = spawn_local(move || {
            theirs.add(awaited.wait_until(None));
            theirs.add(awaited.wait_until(None));
        });
        yield_now();
        assert!(bell.ring());
        task
    });
    assert!(was_cancelled(task));
    log.expect(&[Wake::Unparked]);
}

#[test]
fn a_coroutine_is_not_suspended_out_of_a_shield() {
    let suspends_in_shield =
        || Coroutine::new(|yielder, ()| shield(|| yielder.suspend("in a shield")));
    let refused = |result: thread::Result<CoroutineState<&str, ()>>| {
        let panic = result.unwrap_err();
        let text = panic.downcast_ref::<&str>().unwrap();
        assert!(text.starts_with("a coroutine cannot be suspended inside a shield"), "{text}");
    };
    let resume = |coroutine: &Coroutine<(), &'static str, ()>| {
        catch_unwind(AssertUnwindSafe(|| coroutine.resume(())))
    };
    refused(resume(&suspends_in_shield()));
    let task = cancelled_after_a_turn(move || {
        refused(resume(&suspends_in_shield()));
        Bell::new().wait(); // in no shield any more
    });
    assert!(was_cancelled(task));
}

#[test]
fn a_coroutine_inside_a_shield_may_be_suspended() {
    let task = cancelled_after_a_turn(|| {
        let counts = Coroutine::new(|yielder, ()| {
            (0..3).for_each(|n| {
                sleep(MOMENT);
                yielder.suspend(n);
            });
        });
        let within = Coroutine::new(move |_: &_, ()| -> i32 {
            shield(|| {
                let yielded = |state| match state {
                    CoroutineState::Yielded(n) => n,
                    CoroutineState::Returned(()) => unreachable!("it counts to three"),
                };
                (0..3).map(|_| yielded(counts.resume(()))).sum()
            })
        });
        let sum = shield(|| within.resume(()));
        assert_eq!(sum, CoroutineState::<(), _>::Returned(3));
        sum
    });
    assert_eq!(task.join().unwrap(), CoroutineState::Returned(3));
}

/// Shields of tasks that take turns end in any order, some of them in coroutines.
#[test]
fn shields_of_different_tasks_do_not_mix() {
    for seed in 0..64_u32 {
        let tasks = run_in_order(|| {
            let spawn_one = |n: u32| {
                spawn_local(move || {
                    let body = move || shield(|| (0..(seed >> n) % 5).for_each(|_| yield_now()));
                    let coroutine = Coroutine::<(), (), ()>::new(move |_, ()| body());
                    if n.is_multiple_of(2) {
                        assert_eq!(coroutine.resume(()), CoroutineState::Returned(()));
                    } else {
                        body();
                    }
                    let suspends = Coroutine::<(), (), ()>::new(|yielder, ()| yielder.suspend(()));
                    assert_eq!(suspends.resume(()), CoroutineState::Yielded(()));
                    Bell::new().wait();
                })
            };
            let tasks: Vec<_> = (0..6).map(spawn_one).collect();
            (0..seed % 4).for_each(|_| yield_now());
            tasks
        });
        assert!(tasks.into_iter().all(was_cancelled));
    }
}

/// What wakes the shielded tasks is done by others after the end has begun: by tasks in shields, on
/// all workers.
#[test]
fn a_runtime_that_ends_waits_for_its_shields() {
    for workers in [1, 2, 4] {
        for _ in 0..20 {
            let (log, bell) = (Log::new(), Bell::new());
            run_on(workers, || {
                let body = {
                    let (log, bell) = (log.clone(), bell.clone());
                    move |n| {
                        shield(|| {
                            if n == 0 {
                                bell.wait();
                            } else {
                                sleep(MOMENT);
                            }
                            log.add(n);
                        })
                    }
                };
                drop(on_each_worker(workers, body));
                let bell = bell.clone();
                drop(spawn_local(move || {
                    shield(|| {
                        sleep(MOMENT);
                        bell.ring_until_heard();
                    })
                }));
                yield_now();
            })
            .unwrap();
            let mut ended = log.take();
            ended.sort_unstable();
            // Those that had not started when the runtime ended never will.
            assert!(ended.len() <= workers && ended.is_sorted(), "{ended:?}");
        }
    }
}

/// A main task that is deadlocked with others waits in a shield, until they have unwound.
#[test]
fn a_deadlock_beside_a_shield_is_reported() {
    let deadlock = run_alone(|| {
        let stuck = spawn(|| Bell::new().wait());
        shield(|| drop(stuck.join()));
    });
    assert_eq!(deadlock.unwrap_err().tasks().len(), 2);
}

#[test]
fn a_shield_that_never_ends_aborts_a_process_in_which_nothing_can_wake_its_task() {
    let name = "a_shield_that_never_ends_aborts_a_process_in_which_nothing_can_wake_its_task";
    for workers in ["1", "3"] {
        let ended = alone_in_child(name, &[("LISLE_TEST_WORKERS", workers)], || {
            let workers: usize = std::env::var("LISLE_TEST_WORKERS").unwrap().parse().unwrap();
            let _ = Runtime::builder().workers(workers).run(|| {
                let inside = Arc::new(AtomicUsize::new(0));
                let theirs = inside.clone();
                let stuck = move |_| {
                    shield(|| {
                        theirs.fetch_add(1, Ordering::Relaxed);
                        Bell::new().wait();
                    })
                };
                drop(on_each_worker(workers, stuck));
                while inside.load(Ordering::Relaxed) < workers {
                    sleep(MOMENT);
                }
            });
        });
        ended.assert_aborted();
        let tasks = if workers == "1" { "task " } else { "3 tasks: " };
        ended.assert_says(&format!("nothing can wake them\n\n{tasks}"));
        ended.assert_says("waiting for a bell");
        ended.assert_says(&format!("at {}:", file!()));
        ended.assert_says("the runtime ends, but these tasks wait in a shield");
    }
}

/// The thread that watches the workers has no part in that, nor has the caller of `run`, whose
/// worker has ended.
#[test]
fn a_shield_that_never_ends_on_another_worker_aborts_a_process_that_is_watched() {
    let name = "a_shield_that_never_ends_on_another_worker_aborts_a_process_that_is_watched";
    let ended = alone_in_child(name, &[], || {
        let _ = Runtime::builder().workers(2).stall_notice(HOUR).run(|| {
            let here = thread::current().id();
            let inside = Arc::new(AtomicBool::new(false));
            let theirs = inside.clone();
            let stuck = move |_| {
                if thread::current().id() != here {
                    shield(|| {
                        theirs.store(true, Ordering::Relaxed);
                        Bell::new().wait();
                    })
                }
            };
            drop(on_each_worker(2, stuck));
            while !inside.load(Ordering::Relaxed) {
                sleep(MOMENT);
            }
        });
    });
    ended.assert_aborted();
    ended.assert_says("the runtime ends, but these tasks wait in a shield");
}

/// The same beside one that waits for a hand-over that does not end, which is left behind first.
#[test]
fn a_shielded_join_of_a_task_that_is_left_behind_ends() {
    let name = "a_shielded_join_of_a_task_that_is_left_behind_ends";
    let ended = alone_in_child(name, &[], || {
        let log = Log::new();
        let theirs = log.clone();
        Runtime::builder()
            .workers(1)
            .run(move || {
                let stuck = spawn_local(|| {
                    let reason = Reason::new("waiting for what was promised");
                    let _ = lisle_scheduler::park::park(reason, None, std::mem::forget, || None);
                });
                drop(spawn_local(move || shield(|| theirs.add(was_cancelled(stuck)))));
                yield_now();
            })
            .unwrap();
        log.expect(&[true]);
    });
    ended.assert_success();
    ended.assert_says("is left behind waiting for what was promised");
}

/// Another thread may wake it some day: it is named, and waited for. Here the thread does so when
/// it has read the name.
#[test]
fn a_shield_that_another_thread_ends_late_is_named() {
    let name = "a_shield_that_another_thread_ends_late_is_named";
    let ended = in_child(name, &[], || {
        let (bell, log) = (Bell::new(), Log::new());
        let (ringer, theirs) = (bell.clone(), log.clone());
        let said = BufReader::new(sys::intercept_stderr());
        let reader = thread::spawn(move || {
            let line = said.lines().next().unwrap().unwrap();
            assert!(ringer.ring());
            line
        });
        run_in_order(move || {
            drop(spawn_local(move || {
                shield(|| bell.wait());
                theirs.add("woken");
            }));
            yield_now();
        });
        log.expect(&["woken"]);
        let line = reader.join().unwrap();
        if !line.starts_with("lisle: a runtime that ends waits for task ")
            || !line.contains("which is in a shield, waiting for a bell at ")
        {
            std::process::exit(2);
        }
    });
    ended.assert_success();
}

//! Scopes whose tasks end on their home and elsewhere, in every order.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{Builder, Cancelled, Scope, scope, sleep, spawn, try_scope, yield_now};

use crate::support::{OnDrop, run_in_order, run_on};
use crate::{MOMENT, everywhere, wait_for_ever};

/// Spawns a task on whichever worker has the fewest.
fn spawn_spread<'scope>(s: &'scope Scope<'scope, '_>, body: impl FnOnce() + Send + 'scope) {
    drop(Builder::new().spread().spawn_scoped(s, body).unwrap());
}

/// Some tasks end while the body runs and others later, some at once and others after waits.
#[test]
fn tasks_end_everywhere_while_the_body_runs_and_later() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            for round in 0..60 {
                let ended = AtomicUsize::new(0);
                scope(|s| {
                    for n in 0..40 {
                        let ended = &ended;
                        let body = move || {
                            let _count = OnDrop(|| _ = ended.fetch_add(1, Ordering::Relaxed));
                            (0..n % 4).for_each(|_| yield_now());
                            if n % 8 == 0 {
                                s.spawn(move || _ = ended.fetch_add(1, Ordering::Relaxed));
                            }
                        };
                        match (n + round) % 3 {
                            0 => spawn_spread(s, body),
                            1 => drop(s.spawn_local(body)),
                            _ => drop(s.spawn(body)),
                        }
                        if n % (round + 1) == 0 {
                            yield_now();
                        }
                    }
                });
                assert_eq!(ended.load(Ordering::Relaxed), 45);
            }
        })
        .unwrap();
    }
}

/// A worker that is the home of several scopes, which end in turn and in each other.
#[test]
fn scopes_of_one_worker_end_in_turn() {
    everywhere(|| {
        let ended = AtomicUsize::new(0);
        let ends = || _ = ended.fetch_add(1, Ordering::Relaxed);
        scope(|outer| {
            for n in 0..12 {
                let ends = &ends;
                outer.spawn(move || {
                    scope(|inner| {
                        for m in 0..6 {
                            let rounds = (n * m) % 5;
                            inner.spawn(move || {
                                (0..rounds).for_each(|_| yield_now());
                                ends();
                            });
                            outer.spawn(ends);
                        }
                    });
                    ends();
                });
            }
        });
        assert_eq!(ended.load(Ordering::Relaxed), 12 * 13);
    });
}

/// The home has ended its tasks and sleeps when the last one ends, elsewhere.
#[test]
fn the_last_one_ends_elsewhere_after_the_home_has_gone_to_sleep() {
    for workers in [2, 4] {
        run_on(workers, || {
            scope(|s| {
                for n in 0..workers {
                    spawn_spread(s, move || {
                        sleep(MOMENT * n as u32);
                        thread::sleep(MOMENT / 2);
                    });
                }
                (0..10).for_each(|_| drop(s.spawn(yield_now)));
            });
        })
        .unwrap();
    }
}

/// A task cancels its scope, at home or elsewhere, while others spawn: none is forgotten.
#[test]
fn a_task_cancels_its_scope_from_anywhere() {
    for workers in [1, 2, 4] {
        run_on(workers, || {
            for n in 0..40 {
                let unwound = AtomicUsize::new(0);
                let waits = || {
                    let _count = OnDrop(|| _ = unwound.fetch_add(1, Ordering::Relaxed));
                    wait_for_ever();
                };
                let waits = &waits;
                scope(|s| {
                    for m in 0..10 {
                        drop(s.spawn(waits));
                        spawn_spread(s, waits);
                        if m == n % 10 {
                            spawn_spread(s, move || s.cancel());
                        }
                        spawn_spread(s, move || drop(s.spawn(waits)));
                    }
                });
                assert!(unwound.load(Ordering::Relaxed) <= 30);
            }
        })
        .unwrap();
    }
}

/// The same of a home that is asleep, and of a plain thread.
#[test]
fn an_error_elsewhere_ends_what_waits_at_home() {
    everywhere(|| {
        let failed: Result<(), &str> = try_scope(|s| {
            (0..5).for_each(|_| {
                s.spawn(|| {
                    wait_for_ever();
                    Ok(())
                });
            });
            s.spawn(|| {
                thread::sleep(MOMENT);
                Err::<(), _>("elsewhere")
            });
            wait_for_ever();
            Ok(())
        });
        assert_eq!(failed, Err("elsewhere"));
    });
}

/// A coroutine that is suspended in the body of a scope and forgotten keeps for ever what its tasks
/// borrow. They go on, and end with the runtime.
#[test]
fn a_scope_in_a_coroutine_that_is_forgotten_lets_its_tasks_go_on() {
    use lisle_runtime::Coroutine;
    static GOING_ON: AtomicUsize = AtomicUsize::new(0);
    run_in_order(|| {
        let coroutine = Coroutine::new(|yielder, ()| {
            let text = "borrowed".to_owned();
            scope(|s| {
                for _ in 0..3 {
                    s.spawn(|| {
                        yield_now();
                        GOING_ON.fetch_add(text.len(), Ordering::Relaxed);
                        wait_for_ever();
                    });
                }
                yielder.suspend(());
            });
        });
        coroutine.resume(());
        std::mem::forget(coroutine);
        (0..4).for_each(|_| yield_now());
    });
    assert_eq!(GOING_ON.load(Ordering::Relaxed), 3 * 8);
}

/// A scope whose owner is cancelled in one whose owner is not, and the other way round.
#[test]
fn a_cancelled_owner_of_a_nested_scope_ends_only_its_own() {
    everywhere(|| {
        let outcome = scope(|outer| {
            let sibling = outer.spawn(|| {
                sleep(MOMENT);
                7
            });
            let owner = outer.spawn(|| scope(|inner| drop(inner.spawn(wait_for_ever))));
            owner.cancel();
            assert!(Cancelled::of(&owner.join().unwrap_err()).is_some());
            sibling.join().unwrap()
        });
        assert_eq!(outcome, 7);
        let owner = spawn(|| {
            scope(|outer| {
                outer.spawn(|| scope(|inner| drop(inner.spawn(wait_for_ever))));
            });
        });
        owner.cancel();
        assert!(Cancelled::of(&owner.join().unwrap_err()).is_some());
    });
}

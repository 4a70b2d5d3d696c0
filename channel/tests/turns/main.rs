//! Operations that never wait, and loops that poll, let others run.
//!
//! A witness on the same worker, which does nothing but yield, counts the turns that it has.
#![cfg(not(lisle_loom))]

#[path = "../support/mod.rs"]
mod support;
mod ways;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle_channel::{Receiver, Select, bounded, select, tick, unbounded};
use lisle_runtime::no_suspend;
use lisle_scheduler::{Runtime, sleep, spawn, spawn_local, yield_now};
use support::on_one_worker;
use ways::{failing_operations, ready_operations};

/// Operations in one turn.
const OPERATIONS: usize = 256;
/// Failures in one turn.
const FAILURES: usize = 64;

/// How many turns the witness has while `body` runs in a turn that has just begun.
fn turns_during(body: impl FnOnce()) -> usize {
    let (turns, over) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let (counted, ended) = (turns.clone(), over.clone());
    let witness = spawn_local(move || {
        while !ended.get() {
            counted.set(counted.get() + 1);
            yield_now();
        }
    });
    yield_now();
    let before = turns.get();
    body();
    let had = turns.get() - before;
    over.set(true);
    witness.join().unwrap();
    had
}

#[test]
fn what_could_wait_lets_others_run_after_256_in_a_turn() {
    on_one_worker(|| {
        for (name, operation) in ready_operations() {
            // The turn's first operations switch to nobody.
            let mut begun = 0;
            let few = turns_during(|| {
                while begun + 4 <= OPERATIONS {
                    begun += operation();
                }
            });
            assert_eq!(few, 0, "{name}");
            begun = 0;
            let many = turns_during(|| {
                while begun < 10 * (OPERATIONS + 1) {
                    begun += operation();
                }
            });
            assert!((9..=10).contains(&many), "{name}: {many}");
        }
    });
}

#[test]
fn joining_tasks_that_have_finished_lets_others_run() {
    on_one_worker(|| {
        let finished: Vec<_> = (0..3 * (OPERATIONS + 1)).map(|n| spawn(move || n)).collect();
        yield_now();
        let turns = turns_during(|| {
            finished.into_iter().for_each(|task| drop(task.join()));
        });
        assert_eq!(turns, 3);
    });
}

#[test]
fn what_fails_lets_others_run_each_64th_time() {
    on_one_worker(|| {
        for (name, fail) in failing_operations() {
            assert_eq!(turns_during(|| (1..FAILURES).for_each(|_| fail())), 0, "{name}");
            assert_eq!(turns_during(|| (0..FAILURES).for_each(|_| fail())), 1, "{name}");
            assert_eq!(turns_during(|| (0..10 * FAILURES).for_each(|_| fail())), 10, "{name}");
        }
    });
}

/// A wait in between begins a new turn.
#[test]
fn failures_count_within_one_turn() {
    on_one_worker(|| {
        let (_sender, receiver) = unbounded::<u8>();
        let turns = turns_during(|| {
            for _ in 0..10 {
                (1..FAILURES).for_each(|_| assert!(receiver.try_recv().is_err()));
                yield_now();
            }
        });
        assert_eq!(turns, 10, "those of the yields");
    });
}

#[test]
fn what_cannot_wait_and_succeeds_never_switches() {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let (tight, narrow) = bounded(1);
        let turns = turns_during(|| {
            for n in 0..20_000 {
                sender.send(n).unwrap();
                assert!(!receiver.is_empty());
                assert_eq!(receiver.len(), 1);
                assert_eq!(receiver.try_recv(), Ok(n));
                tight.try_send(n).unwrap();
                assert!(tight.is_full());
                assert_eq!(narrow.try_iter().next(), Some(n));
                select! {
                    send(tight, n) -> sent => sent.unwrap(),
                    default => unreachable!(),
                }
                assert_eq!(narrow.try_recv(), Ok(n));
            }
            (0..20_000).for_each(|n| sender.send(n).unwrap());
        });
        assert_eq!(turns, 0);
    });
}

/// Not even while a select is about to send there, which sets a place aside.
#[test]
fn an_unbounded_send_never_switches_beside_a_select_that_sends() {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let mut select = Select::new();
        select.send(&sender);
        let operation = select.select();
        assert_eq!(turns_during(|| (0..1_000).for_each(|n| sender.send(n).unwrap())), 0);
        operation.send(&sender, 1_000).unwrap();
        assert!(receiver.try_iter().eq(0..=1_000));
    });
}

/// A receiver that was given no more than 256 messages a turn would fall back for ever behind a
/// sender of a thousand. But it does not go on for ever if others add to them meanwhile.
fn takes_what_has_piled_up(receive: impl Fn(&Receiver<usize>) -> usize) {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        for (piled_up, turns) in [(1_024, 0), (4_096, 0), (5_000, 1), (20_000, 4)] {
            (0..piled_up).for_each(|n| sender.send(n).unwrap());
            let had =
                turns_during(|| (0..piled_up).for_each(|n| assert_eq!(receive(&receiver), n)));
            assert_eq!(had, turns, "of {piled_up}");
        }
        (0..1_000).for_each(|n| sender.send(n).unwrap());
        let had = turns_during(|| {
            for n in 0..20_000 {
                sender.send(n).unwrap();
                receive(&receiver);
            }
        });
        assert!((10..=20_000 / OPERATIONS).contains(&had), "{had}");
    });
}

#[test]
fn a_receiver_takes_what_has_piled_up() {
    takes_what_has_piled_up(|receiver| receiver.recv().unwrap());
    takes_what_has_piled_up(|receiver| receiver.recv_timeout(support::LONG).unwrap());
    takes_what_has_piled_up(|receiver| receiver.iter().next().unwrap());
}

#[test]
fn a_select_takes_what_has_piled_up() {
    let (_silent, bounded) = bounded::<u8>(1);
    takes_what_has_piled_up(|receiver| {
        select! {
            recv(receiver) -> message => message.unwrap(),
            recv(bounded) -> _ => unreachable!("nobody sends"),
        }
    });
    takes_what_has_piled_up(|receiver| {
        select! {
            recv(receiver) -> message => message.unwrap(),
            recv(tick(support::LONG)) -> _ => unreachable!("it is not over"),
            default(support::LONG) => unreachable!("there is a message"),
        }
    });
    takes_what_has_piled_up(|receiver| {
        let mut select = Select::new();
        select.recv(&bounded);
        let index = select.recv(receiver);
        assert_eq!(select.ready(), index);
        receiver.try_recv().unwrap()
    });
}

#[test]
fn a_sleeper_wakes_beside_a_task_that_never_waits() {
    const NAPS: usize = 20;
    on_one_worker(|| {
        let naps = Rc::new(Cell::new(0));
        let taken = naps.clone();
        let sleeper = spawn_local(move || {
            for _ in 0..NAPS {
                sleep(Duration::from_millis(1));
                taken.set(taken.get() + 1);
            }
        });
        yield_now();
        let (sender, receiver) = unbounded();
        let mut rounds = 0_u64;
        while naps.get() < NAPS {
            sender.send(rounds).unwrap();
            assert_eq!(receiver.recv(), Ok(rounds));
            rounds += 1;
            assert!(rounds < 100_000_000, "{} naps", naps.get());
        }
        sleeper.join().unwrap();
    });
}

/// Tasks that would poll, or never wait, for ever unwind when their runtime ends.
#[test]
fn tasks_that_never_wait_end_with_the_runtime() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    for workers in [1, 2] {
        let gone = Arc::new(AtomicUsize::new(0));
        let mut tasks = 0;
        let mut leave = |body: Box<dyn FnOnce() + Send>| {
            tasks += 1;
            let mark = Gone(gone.clone());
            drop(spawn(move || {
                let _mark = mark;
                body();
            }));
        };
        Runtime::builder()
            .workers(workers)
            .run(|| {
                for which in 0..failing_operations().len() {
                    leave(Box::new(move || {
                        let (_, fail) = &failing_operations()[which];
                        loop {
                            fail();
                        }
                    }));
                }
                for which in 0..ready_operations().len() {
                    leave(Box::new(move || {
                        let (_, operation) = &ready_operations()[which];
                        loop {
                            operation();
                        }
                    }));
                }
                (0..3).for_each(|_| yield_now());
            })
            .unwrap();
        assert_eq!(gone.load(Ordering::Relaxed), tasks);
    }
}

/// It does not panic there either; and the first operation outside makes up for it.
#[test]
fn no_other_task_runs_inside_no_suspend() {
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let turns = turns_during(|| {
            no_suspend(|| (0..1_000).for_each(|_| assert!(receiver.try_recv().is_err())));
        });
        assert_eq!(turns, 0);
        let turns = turns_during(|| {
            no_suspend(|| (0..100).for_each(|_| assert!(receiver.try_recv().is_err())));
            assert!(receiver.try_recv().is_err());
        });
        assert_eq!(turns, 1);
        let turns = turns_during(|| {
            for n in 0..1_000 {
                sender.send(n).unwrap();
                assert_eq!(no_suspend(|| receiver.recv()), Ok(n));
            }
        });
        assert_eq!(turns, 0);
        // Every other receive is inside: none of them may always be the one that is due.
        let turns = turns_during(|| {
            for n in 0..1_000 {
                sender.send(n).unwrap();
                assert_eq!(no_suspend(|| receiver.recv()), Ok(n));
                sender.send(n).unwrap();
                assert_eq!(receiver.recv(), Ok(n));
            }
        });
        assert!(turns > 5, "{turns}");
    });
}

#[test]
fn plain_threads_poll_and_go_on_as_they_like() {
    thread::spawn(|| {
        for (_, fail) in failing_operations() {
            (0..1_000).for_each(|_| fail());
        }
        for (_, operation) in ready_operations() {
            (0..1_000).for_each(|_| {
                operation();
            });
        }
        // Nothing of that is left when the thread runs tasks.
        on_one_worker(|| {
            let (_sender, receiver) = unbounded::<u8>();
            let turns = turns_during(|| {
                (1..FAILURES).for_each(|_| assert!(receiver.try_recv().is_err()));
            });
            assert_eq!(turns, 0);
        });
    })
    .join()
    .unwrap();
}

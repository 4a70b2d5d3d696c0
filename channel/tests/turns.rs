//! Operations that never wait, and loops that poll, let others run.
//!
//! A witness on the same worker, which does nothing but yield, counts the turns that it has.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_channel::{Receiver, Select, Sender, at, bounded, never, select, tick, unbounded};
use lisle_runtime::no_suspend;
use lisle_scheduler::{Runtime, sleep, spawn, spawn_local, yield_now};
use support::on_one_worker;

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

/// Ways to do something, by their names.
type Ways<R = ()> = Vec<(&'static str, Box<dyn Fn() -> R>)>;

/// Ways to do one operation that could wait, again and again, and never to wait. Each round counts
/// for the number of operations that is returned.
fn ready_operations() -> Ways<usize> {
    fn way(f: impl Fn() -> usize + 'static) -> Box<dyn Fn() -> usize> {
        Box::new(f)
    }
    let soon = || Instant::now() + Duration::from_secs(600);
    let (one, other) = (bounded(1), unbounded());
    let (first, second, third, fourth) = (one.clone(), one.clone(), one.clone(), one.clone());
    let (free, timed, watched) = (other.clone(), other.clone(), other.clone());
    let ticks = tick(Duration::from_nanos(1));
    let closed = unbounded::<u8>().1;
    vec![
        (
            "send and recv",
            way(move || {
                first.0.send(1).unwrap();
                first.1.recv().unwrap();
                2
            }),
        ),
        (
            "their timed forms",
            way(move || {
                second.0.send_timeout(1, Duration::from_secs(600)).unwrap();
                second.1.recv_timeout(Duration::from_secs(600)).unwrap();
                second.0.send_deadline(1, soon()).unwrap();
                second.1.recv_deadline(soon()).unwrap();
                4
            }),
        ),
        (
            "recv where sends never wait",
            way(move || {
                free.0.send(1).unwrap();
                free.1.recv().unwrap();
                1
            }),
        ),
        (
            "a large message",
            way(|| {
                let (sender, receiver) = bounded(1);
                sender.send([0_u8; 1000]).unwrap();
                receiver.recv().unwrap();
                2
            }),
        ),
        (
            "a new channel each time",
            way(|| {
                let (sender, receiver) = bounded(1);
                sender.send(1).unwrap();
                receiver.iter().next().unwrap();
                2
            }),
        ),
        (
            "select!",
            way(move || {
                select! {
                    send(third.0, 1) -> sent => sent.unwrap(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
                select! {
                    recv(third.1) -> received => assert_eq!(received, Ok(1)),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
                2
            }),
        ),
        (
            "a list of operations",
            way(move || {
                let mut select = Select::new();
                select.recv(&timed.1);
                timed.0.send(1).unwrap();
                let operation = select.select();
                operation.recv(&timed.1).unwrap();
                timed.0.send(1).unwrap();
                let operation = select.select_timeout(Duration::from_secs(600)).unwrap();
                operation.recv(&timed.1).unwrap();
                2
            }),
        ),
        (
            "watching",
            way(move || {
                let mut select = Select::new();
                select.recv(&watched.1);
                watched.0.send(1).unwrap();
                select.ready();
                select.ready_timeout(Duration::from_secs(600)).unwrap();
                watched.1.try_recv().unwrap();
                2
            }),
        ),
        (
            "a clock that is always late",
            way(move || {
                ticks.recv().unwrap();
                1
            }),
        ),
        (
            "a time that has come",
            way(|| {
                at(Instant::now()).recv().unwrap();
                1
            }),
        ),
        (
            "a failure for good",
            way(move || {
                closed.recv().unwrap_err();
                fourth.0.send(1).unwrap();
                fourth.1.recv().unwrap();
                3
            }),
        ),
    ]
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

/// Ways to fail rather than wait.
fn failing_operations() -> Ways {
    fn way(f: impl Fn() + 'static) -> Box<dyn Fn()> {
        Box::new(f)
    }
    // Their other ends stay open as long as the ways are kept.
    let open = Rc::new(bounded::<u8>(0));
    let [a, b, c, d, e, f, g, h, i, j] = std::array::from_fn(|_| open.clone());
    let (to_nobody, from_nobody) = (bounded(0).0, bounded::<u8>(0).1);
    let future = at(Instant::now() + Duration::from_secs(600));
    vec![
        ("try_recv", way(move || assert!(a.1.try_recv().is_err()))),
        ("try_recv from nobody", way(move || assert!(from_nobody.try_recv().is_err()))),
        ("try_send", way(move || assert!(b.0.try_send(1).is_err()))),
        ("try_send to nobody", way(move || assert!(to_nobody.try_send(1).is_err()))),
        ("try_iter", way(move || assert_eq!(c.1.try_iter().count(), 0))),
        ("a time to come", way(move || assert!(future.try_recv().is_err()))),
        ("never", way(|| assert!(never::<u8>().try_recv().is_err()))),
        (
            "default",
            way(move || {
                select! {
                    recv(d.1) -> _ => unreachable!(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                    default => {}
                }
            }),
        ),
        (
            "try_select",
            way(move || {
                let mut select = Select::new();
                select.recv(&e.1);
                assert!(select.try_select().is_err());
            }),
        ),
        (
            "try_ready",
            way(move || {
                let mut select = Select::new();
                select.recv(&f.1);
                assert!(select.try_ready().is_err());
            }),
        ),
        (
            "no time to receive",
            way(move || {
                assert!(g.1.recv_timeout(Duration::ZERO).is_err());
            }),
        ),
        (
            "no time to send",
            way(move || {
                assert!(h.0.send_timeout(1, Duration::ZERO).is_err());
            }),
        ),
        (
            "no time to select",
            way(move || {
                select! {
                    recv(i.1) -> _ => unreachable!(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                    default(Duration::ZERO) => {}
                }
            }),
        ),
        (
            "no time to watch",
            way(move || {
                let mut select = Select::new();
                select.recv(&j.1);
                assert!(select.ready_timeout(Duration::ZERO).is_err());
            }),
        ),
    ]
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

/// Each way to poll for a message of a task that has not run yet.
#[test]
fn polling_for_a_message_comes_to_an_end() {
    fn poll(has_come: impl Fn(&Receiver<u8>) -> bool) {
        for (sender, receiver) in [bounded(0), bounded(1), unbounded()] {
            on_one_worker(|| {
                let partner = spawn(move || sender.send(7).unwrap());
                while !has_come(&receiver) {}
                partner.join().unwrap();
            });
        }
    }
    poll(|receiver| receiver.try_recv() == Ok(7));
    poll(|receiver| receiver.try_iter().next() == Some(7));
    poll(|receiver| receiver.recv_timeout(Duration::ZERO) == Ok(7));
    poll(|receiver| {
        select! {
            recv(receiver) -> message => message == Ok(7),
            default => false,
        }
    });
    poll(|receiver| {
        select! {
            recv(receiver) -> message => message == Ok(7),
            default => {
                thread::yield_now();
                false
            }
        }
    });
    poll(|receiver| {
        let mut select = Select::new();
        select.recv(receiver);
        select.try_select().is_ok_and(|operation| operation.recv(receiver) == Ok(7))
    });
    poll(|receiver| {
        let mut select = Select::new();
        select.recv(receiver);
        select.try_ready().is_ok() && receiver.try_recv() == Ok(7)
    });
}

/// And for a receiver.
#[test]
fn polling_for_a_place_comes_to_an_end() {
    fn poll(is_sent: impl Fn(&Sender<u8>) -> bool) {
        for capacity in [0, 1] {
            on_one_worker(|| {
                let (sender, receiver) = bounded(capacity);
                let full = (0..capacity).all(|_| sender.try_send(7).is_ok());
                assert!(full);
                let partner = spawn(move || receiver.iter().take(capacity + 1).count());
                while !is_sent(&sender) {}
                assert_eq!(partner.join().unwrap(), capacity + 1);
            });
        }
    }
    poll(|sender| sender.try_send(7).is_ok());
    poll(|sender| sender.send_timeout(7, Duration::ZERO).is_ok());
    poll(|sender| {
        select! {
            send(sender, 7) -> sent => sent.is_ok(),
            default => false,
        }
    });
    poll(|sender| {
        let mut select = Select::new();
        select.send(sender);
        select.try_ready().is_ok() && sender.try_send(7).is_ok()
    });
}

/// Four poll to send and four poll to receive, as a program made for threads may do.
#[test]
fn many_poll_each_other() {
    const EACH: usize = 300;
    for (workers, capacity) in [(1, 0), (1, 1), (1, 3), (2, 0), (2, 3)] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                let (sender, receiver) = bounded(capacity);
                // In a rendezvous somebody has to wait to be met.
                let polls_to_send = capacity != 0;
                let seen: Arc<[AtomicUsize]> = (0..EACH).map(|_| AtomicUsize::new(0)).collect();
                let senders: Vec<_> = (0..4)
                    .map(|_| {
                        let sender = sender.clone();
                        spawn(move || {
                            for n in 0..EACH {
                                if polls_to_send {
                                    while sender.try_send(n).is_err() {}
                                } else {
                                    sender.send(n).unwrap();
                                }
                            }
                        })
                    })
                    .collect();
                let receivers: Vec<_> = (0..4)
                    .map(|_| {
                        let (receiver, seen) = (receiver.clone(), seen.clone());
                        spawn(move || {
                            for _ in 0..EACH {
                                let n = loop {
                                    if let Ok(n) = receiver.try_recv() {
                                        break n;
                                    }
                                };
                                seen[n].fetch_add(1, Ordering::Relaxed);
                            }
                        })
                    })
                    .collect();
                senders.into_iter().chain(receivers).for_each(|task| task.join().unwrap());
                assert!(seen.iter().all(|count| count.load(Ordering::Relaxed) == 4));
            })
            .unwrap();
    }
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

/// A destructor of a task that is given up polls for what another one's destructor has yet to do.
#[test]
fn destructors_may_poll_while_they_unwind() {
    struct Polls(Receiver<u8>);
    impl Drop for Polls {
        fn drop(&mut self) {
            while self.0.try_recv().is_err() {}
        }
    }
    struct Sends(Sender<u8>);
    impl Drop for Sends {
        fn drop(&mut self) {
            self.0.send(1).unwrap();
        }
    }
    on_one_worker(|| {
        let (sender, receiver) = unbounded();
        let (polls, sends) = (Polls(receiver), Sends(sender));
        drop(spawn(move || {
            let _polls = polls;
            never::<u8>().recv().unwrap();
        }));
        drop(spawn(move || {
            let _sends = sends;
            never::<u8>().recv().unwrap();
        }));
        yield_now();
    });
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

//! Deadlocks across workers: reported when there is one, whichever worker falls asleep last, and
//! never otherwise.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::{Deadlock, Runtime, sleep};
use support::channel::Channel;
use support::{Bell, alone_in_child, block_until, on_each_worker, run_on};

const SEVERAL: [usize; 3] = [2, 4, 8];

/// One task on each worker waits for ever, main too.
fn deadlock(workers: usize) -> Deadlock {
    let outcome = run_on(workers, || {
        drop(on_each_worker(workers, |_| Bell::new().wait()));
        Bell::new().wait();
    });
    outcome.unwrap_err()
}

#[test]
fn a_deadlock_across_workers_is_reported_in_full() {
    for workers in SEVERAL {
        for _ in 0..20 {
            let deadlock = deadlock(workers);
            assert_eq!(deadlock.tasks().len(), workers + 1, "{deadlock}");
            assert!(deadlock.tasks().iter().all(|task| task.reason() == Bell::REASON));
            assert!(deadlock.tasks().is_sorted_by_key(|task| task.task().id()));
        }
    }
}

#[test]
fn workers_that_wait_for_each_other_are_a_deadlock() {
    for workers in SEVERAL {
        let outcome = run_on(workers, || {
            let ring: Arc<Vec<_>> = Arc::new((0..workers).map(|_| Channel::bounded(0)).collect());
            let tasks = on_each_worker(workers, move |n| {
                for _ in 0..100 {
                    // A round that works: everybody but one sends first.
                    if n == 0 {
                        ring[0].recv();
                        ring[1].send(());
                    } else {
                        ring[(n + 1) % ring.len()].send(());
                        ring[n].recv();
                    }
                }
                ring[n].recv();
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        let deadlock = outcome.unwrap_err();
        assert_eq!(deadlock.tasks().len(), workers + 1, "{deadlock}");
    }
}

/// Each worker goes to sleep as the last one once, and wakes again by a timer, before all is over.
#[test]
fn a_deadlock_is_reported_after_the_last_timer_of_any_worker() {
    for workers in SEVERAL {
        let fired = Arc::new(AtomicUsize::new(0));
        let count = fired.clone();
        let outcome = run_on(workers, || {
            drop(on_each_worker(workers, move |n| {
                for round in 0..4 {
                    sleep(Duration::from_millis(((n * 3 + round * 5) % 8) as u64));
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Bell::new().wait();
            }));
            Bell::new().wait();
        });
        assert_eq!(outcome.unwrap_err().tasks().len(), workers + 1);
        assert_eq!(fired.load(Ordering::Relaxed), 4 * workers, "not before");
    }
}

#[test]
fn a_task_that_still_runs_is_no_deadlock() {
    for workers in SEVERAL {
        for round in 0..50 {
            run_on(workers, || {
                let bell = Bell::new();
                let ringer = bell.clone();
                drop(on_each_worker(workers, move |n| {
                    if n == 0 {
                        // All others have gone to sleep, or are about to.
                        let until = Instant::now() + Duration::from_micros(round * 20);
                        block_until(|| Instant::now() >= until && ringer.ring());
                    }
                    Bell::new().wait();
                }));
                bell.wait();
            })
            .unwrap();
        }
    }
}

/// Tasks hand a wake-up round the workers, all of which fall asleep and awake meanwhile. At any
/// time one of them, or its wake-up, is on its way.
#[test]
fn a_wake_up_that_travels_is_no_deadlock() {
    for workers in SEVERAL {
        run_on(workers, || {
            let ring: Arc<Vec<_>> = Arc::new((0..workers).map(|_| Channel::bounded(0)).collect());
            let tasks = on_each_worker(workers, move |n| {
                for round in 0..500 {
                    if n == 0 {
                        ring[1].send(round);
                        assert_eq!(ring[0].recv(), round);
                    } else {
                        let got = ring[n].recv();
                        ring[(n + 1) % ring.len()].send(got);
                    }
                }
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
        })
        .unwrap();
    }
}

/// By the kernel's list of threads: a report comes although there are several workers, and does not
/// come while a thread of the user's lives.
#[test]
fn a_foreign_thread_puts_the_report_off_until_it_has_ended() {
    let name = "a_foreign_thread_puts_the_report_off_until_it_has_ended";
    let ended = alone_in_child(name, &[("LISLE_WORKERS", "4")], || {
        let over = Arc::new(AtomicBool::new(false));
        let flag = over.clone();
        let deadlock = Runtime::builder().run(|| {
            let (bells, heard) = ((0..4).map(|_| Bell::new()).collect::<Vec<_>>(), Bell::new());
            let (theirs, caller) = (bells.clone(), heard.clone());
            let tasks = on_each_worker(4, move |n| {
                theirs[n].wait();
                if n == 3 {
                    caller.ring_until_heard();
                }
                Bell::new().wait();
            });
            drop(thread::spawn(move || {
                // Each worker has time to fall asleep, and to look around in its sleep.
                for bell in bells {
                    thread::sleep(Duration::from_millis(10));
                    block_until(|| bell.ring());
                }
                thread::sleep(Duration::from_millis(10));
                flag.store(true, Ordering::Release);
            }));
            heard.wait();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        assert!(over.load(Ordering::Acquire), "not while the thread could still wake somebody");
        assert_eq!(deadlock.unwrap_err().tasks().len(), 5);
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

//! Parties that wait in a `WaitQueue`, by way of a small semaphore: tasks and threads are served in
//! their order, and those that give up or are cancelled leave nothing behind.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use lisle_scheduler::internal::{WaitQueue, Waiter};
use lisle_scheduler::park::{Reason, Wake, in_task, park};
use lisle_scheduler::{Runtime, spawn, spawn_local, yield_now};

const REASON: Reason = Reason::new("waiting for a permit");

/// Permits that are handed over, in the order in which they were asked for.
#[derive(Default)]
struct Semaphore(Mutex<State>);

#[derive(Default)]
struct State {
    free: usize,
    /// With how many permits each waiter wants, and 0 once it has them.
    waiting: WaitQueue<usize>,
}

impl Semaphore {
    fn acquire(&self, wanted: usize, deadline: Option<Instant>) -> bool {
        let mut state = self.0.lock().unwrap();
        if state.waiting.is_empty() && state.free >= wanted {
            state.free -= wanted;
            return true;
        }
        let mut waiter = Waiter::new(wanted);
        let wake = park(
            REASON,
            deadline,
            |unparker| {
                // SAFETY: the waiter stays until `park` has returned.
                unsafe { state.waiting.push(&waiter, unparker) };
                drop(state);
            },
            || {
                // SAFETY: it was pushed into this queue.
                let unparker = unsafe { self.0.lock().unwrap().waiting.remove(&waiter) }?;
                // It may have been in the way of others.
                self.release(0);
                Some(unparker)
            },
        );
        let is_served = *waiter.payload() == 0;
        assert_eq!(is_served, wake == Wake::Unparked);
        is_served
    }

    fn release(&self, permits: usize) {
        self.0.lock().unwrap().free += permits;
        loop {
            let mut state = self.0.lock().unwrap();
            let free = state.free;
            let mut granted = 0;
            let served = state.waiting.pop_if(|_, wanted| {
                let enough = *wanted <= free;
                if enough {
                    granted = std::mem::take(wanted);
                }
                enough
            });
            state.free -= granted;
            drop(state);
            match served {
                Some(party) => party.wake(),
                None => return,
            }
        }
    }

    fn has_waiters(&self) -> bool {
        !self.0.lock().unwrap().waiting.is_empty()
    }
}

fn on_workers(workers: usize, f: impl FnOnce() + Send) {
    Runtime::builder().workers(workers).run(f).unwrap();
}

#[test]
fn tasks_are_served_in_their_order() {
    on_workers(1, || {
        let semaphore = Arc::new(Semaphore::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let tasks: Vec<_> = (0..5)
            .map(|number| {
                let (semaphore, order) = (semaphore.clone(), order.clone());
                spawn_local(move || {
                    assert!(semaphore.acquire(number % 2 + 1, None));
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        yield_now();
        for _ in 0..7 {
            semaphore.release(1);
            yield_now();
        }
        tasks.into_iter().for_each(|task| task.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert!(!semaphore.has_waiters());
    });
}

#[test]
fn a_wait_without_time_leaves_the_queue_as_it_was() {
    let semaphore = Semaphore::default();
    let deadline = Instant::now();
    assert!(!semaphore.acquire(1, Some(deadline)));
    assert!(!semaphore.has_waiters());
    on_workers(1, || {
        assert!(!semaphore.acquire(1, Some(deadline)));
        assert!(!semaphore.has_waiters());
    });
    semaphore.release(1);
    assert!(semaphore.acquire(1, Some(deadline)));
}

#[test]
fn a_waiter_that_gives_up_is_no_longer_in_the_way() {
    on_workers(1, || {
        let semaphore = Arc::new(Semaphore::default());
        semaphore.release(1);
        let greedy = spawn_local({
            let semaphore = semaphore.clone();
            move || semaphore.acquire(2, Some(Instant::now() + Duration::from_millis(1)))
        });
        yield_now();
        // It stands behind the greedy one, which one permit cannot serve.
        assert!(semaphore.acquire(1, None));
        assert!(!greedy.join().unwrap());
    });
}

#[test]
fn cancelled_waiters_leave_the_queue() {
    let semaphore = Arc::new(Semaphore::default());
    on_workers(1, || {
        for _ in 0..3 {
            let semaphore = semaphore.clone();
            spawn_local(move || semaphore.acquire(1, None));
        }
        yield_now();
        assert!(semaphore.has_waiters());
    });
    assert!(!semaphore.has_waiters());
    semaphore.release(1);
    assert!(semaphore.acquire(1, None));
}

/// Tasks and threads share one permit, which each gives back, and which each gives up waiting for
/// now and then. At the end it is there again, and nobody was inside together with another.
#[test]
fn tasks_and_threads_share_a_permit() {
    for workers in [1, 2, 4] {
        let semaphore = Arc::new(Semaphore::default());
        let inside = Arc::new(AtomicUsize::new(0));
        semaphore.release(1);
        let party = {
            let (semaphore, inside) = (semaphore.clone(), inside.clone());
            move |impatient: bool| {
                for round in 0..200 {
                    let deadline = (impatient && round % 3 == 0).then(Instant::now);
                    if semaphore.acquire(1, deadline) {
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        if in_task() {
                            yield_now();
                        }
                        inside.fetch_sub(1, Ordering::Relaxed);
                        semaphore.release(1);
                    }
                }
            }
        };
        let threads = [true, false].map(|impatient| {
            let party = party.clone();
            std::thread::spawn(move || party(impatient))
        });
        on_workers(workers, || {
            let tasks = [true, false, true, false].map(|impatient| {
                let party = party.clone();
                spawn(move || party(impatient))
            });
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(!semaphore.has_waiters());
        assert_eq!(semaphore.0.lock().unwrap().free, 1);
    }
}

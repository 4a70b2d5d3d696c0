//! What the tests of Lisle's own parts try by chance, under many schedules.

use std::cell::Cell;
use std::time::Duration;

use lisle::channel::{RecvTimeoutError, bounded, select};
use lisle::explore::atomic::{AtomicUsize, Ordering::SeqCst};
use lisle::explore::{Explorer, Fault, Strategy, point};
use lisle::sync::{Barrier, Condvar, Mutex, Notify, RwLock, Semaphore};
use lisle::{scope, spawn, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Under some hundred schedules by chance, and all of those with few interruptions.
#[track_caller]
fn holds(program: impl Fn() + Sync) {
    Explorer::new().iterations(500).run(&program);
    let exhaustive = Strategy::Exhaustive { preemptions: 2 };
    Explorer::new().iterations(1_500).strategy(exhaustive).run(&program);
}

/// Each message is received, or dropped with the receiver, or given back.
#[test]
fn close_and_send() {
    for capacity in [0, 1, 2] {
        holds(|| {
            let (tx, rx) = bounded(capacity);
            let (sent, received) = scope(|scope| {
                let senders = [(); 2].map(|()| {
                    let tx = tx.clone();
                    scope.spawn(move || (0..2).take_while(|&n| tx.send(n).is_ok()).count())
                });
                let receiver = scope.spawn(|| {
                    let received = usize::from(rx.recv().is_ok());
                    drop(rx);
                    received
                });
                let sent: usize = senders.map(|sender| sender.join().unwrap()).iter().sum();
                (sent, receiver.join().unwrap())
            });
            assert!(received <= sent && sent <= received + capacity, "{sent} {received}");
            assert!(tx.send(9).is_err());
        });
    }
}

/// A select that waits at two channels gets each message, and then the end of one.
#[test]
fn select_and_drop() {
    holds(|| {
        let ((to_one, one), (to_two, two)) = (bounded(0), bounded(1));
        let senders = [to_one, to_two].map(|tx| spawn(move || tx.send(1).is_ok()));
        let mut got = 0;
        let other = loop {
            select! {
                recv(one) -> message => match message {
                    Ok(n) => got += n,
                    Err(_) => break &two,
                },
                recv(two) -> message => match message {
                    Ok(n) => got += n,
                    Err(_) => break &one,
                },
            }
        };
        got += other.iter().sum::<i32>();
        assert_eq!(got, 2);
        assert!(senders.into_iter().all(|sender| sender.join().unwrap()));
    });
}

/// One of those that wait for a mutex is cancelled: the others get it.
#[test]
fn a_mutex_and_a_cancel() {
    holds(|| {
        struct Inside<'a>(&'a Cell<bool>);
        impl Drop for Inside<'_> {
            fn drop(&mut self) {
                self.0.set(false);
            }
        }
        let mutex = Mutex::new(Cell::new(false));
        scope(|scope| {
            let tasks = [(); 3].map(|()| {
                scope.spawn(|| {
                    let is_taken = mutex.lock();
                    assert!(!is_taken.replace(true));
                    let _inside = Inside(&is_taken);
                    point();
                })
            });
            tasks[1].cancel();
            for task in tasks {
                if let Err(payload) = task.join() {
                    assert!(payload.is::<lisle::task::Cancelled>());
                }
            }
        });
        assert!(mutex.try_lock().is_some());
    });
}

#[test]
fn a_read_write_lock_with_time_outs() {
    Explorer::new().faults([Fault::EarlyTimeout]).run(|| {
        let (lock, writers) = (RwLock::new(0), AtomicUsize::new(0));
        scope(|scope| {
            scope.spawn(|| {
                if let Some(mut value) = lock.write_timeout(SECOND) {
                    assert_eq!(writers.fetch_add(1, SeqCst), 0);
                    *value += 1;
                    writers.fetch_sub(1, SeqCst);
                }
            });
            scope.spawn(|| *lock.write() += 1);
            scope.spawn(|| lock.read_timeout(SECOND).map(|_| assert_eq!(writers.load(SeqCst), 0)));
        });
        assert!((1..=2).contains(&*lock.read()));
        assert!(lock.try_write().is_some());
    });
}

/// A notification that was given to one that is cancelled or too late goes to another.
#[test]
fn a_notification_and_a_cancel() {
    holds(|| {
        let notify = Notify::new();
        scope(|scope| {
            let leaves = scope.spawn(|| notify.wait());
            let stays = scope.spawn(|| notify.wait());
            notify.notify_one();
            leaves.cancel();
            if leaves.join().is_ok() {
                notify.notify_one();
            }
            stays.join().unwrap();
        });
    });
}

#[test]
fn a_condition() {
    holds(|| {
        let (count, changed) = (Mutex::new(0), Condvar::new());
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut count = count.lock();
                    changed.wait_while(&mut count, |count| *count == 0);
                    *count -= 1;
                });
                scope.spawn(|| {
                    *count.lock() += 1;
                    changed.notify_one();
                });
            }
        });
        assert_eq!(*count.lock(), 0);
    });
}

#[test]
fn a_barrier_used_twice() {
    holds(|| {
        let (barrier, arrived) = (Barrier::new(2), AtomicUsize::new(0));
        let leaders = scope(|scope| {
            let tasks = [(); 2].map(|()| {
                scope.spawn(|| {
                    let leads = |round: usize| {
                        arrived.fetch_add(1, SeqCst);
                        let leads = barrier.wait().is_leader();
                        assert!(arrived.load(SeqCst) >= 2 * round);
                        usize::from(leads)
                    };
                    leads(1) + leads(2)
                })
            });
            tasks.map(|task| task.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!(leaders, 2);
    });
}

/// A wait ends with a permit or because the semaphore is closed, and permits are not lost.
#[test]
fn a_semaphore_and_its_close() {
    holds(|| {
        let (semaphore, inside) = (Semaphore::new(1), AtomicUsize::new(0));
        scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    if let Ok(_permit) = semaphore.acquire() {
                        assert_eq!(inside.fetch_add(1, SeqCst), 0);
                        inside.fetch_sub(1, SeqCst);
                    }
                });
            }
            scope.spawn(|| semaphore.close());
        });
        assert_eq!(semaphore.available_permits(), 1);
        assert!(semaphore.acquire().is_err());
    });
}

/// A scope that is cancelled ends, and its tasks before it.
#[test]
fn a_scope_and_a_cancel() {
    holds(|| {
        struct Alive<'a>(&'a AtomicUsize);
        impl Drop for Alive<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, SeqCst);
            }
        }
        let alive = AtomicUsize::new(0);
        let task = scope(|outer| {
            let (started, has_started) = bounded(1);
            let alive = &alive;
            let task = outer.spawn(move || {
                scope(|scope| {
                    for _ in 0..2 {
                        scope.spawn(|| {
                            alive.fetch_add(1, SeqCst);
                            let _alive = Alive(alive);
                            lisle::channel::never::<()>().recv()
                        });
                    }
                    let _ = started.send(());
                });
            });
            let _ = has_started.recv();
            task.cancel();
            task.join()
        });
        assert!(task.is_err());
        assert_eq!(alive.load(SeqCst), 0);
    });
}

/// A message that comes with the time-out is received or stays in the channel.
#[test]
fn a_time_out_at_the_edge() {
    for capacity in [0, 1] {
        Explorer::new().faults([Fault::EarlyTimeout]).run(|| {
            let (tx, rx) = bounded(capacity);
            let sender = spawn(move || {
                lisle::sleep(SECOND);
                tx.send_timeout(7, SECOND).is_ok()
            });
            let first = rx.recv_timeout(SECOND);
            let second = match first {
                Ok(_) => first,
                Err(_) => timeout(SECOND, || rx.recv_timeout(2 * SECOND))
                    .unwrap_or(Err(RecvTimeoutError::Timeout)),
            };
            let last = second.or_else(|_| rx.try_recv());
            let sent = sender.join().unwrap();
            assert!(!sent || last.or_else(|_| rx.try_recv()) == Ok(7));
        });
    }
}

//! Runtimes with a clock of their own.
#![cfg(not(lisle_loom))]

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lisle::channel::{RecvTimeoutError, after, bounded, tick, unbounded};
use lisle::time::{advance, hold, interval, now, pause, resume, sleep, sleep_until, timeout};
use lisle::{Runtime, RuntimeBuilder, spawn, yield_now};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn virtual_time() -> RuntimeBuilder {
    Runtime::builder().virtual_time(true)
}

/// What the closure returns, and how much of the runtime's time it has taken.
fn lasting<R>(call: impl FnOnce() -> R) -> (R, Duration) {
    let start = now();
    let result = call();
    (result, now() - start)
}

#[lisle::test(virtual_time)]
fn each_wait_takes_exactly_its_time() {
    assert_eq!(lasting(|| sleep(DAY)), ((), DAY));
    assert_eq!(lasting(|| sleep_until(now() + SECOND)), ((), SECOND));
    assert_eq!(lasting(|| sleep(Duration::ZERO)), ((), Duration::ZERO));
    let (_tx, rx) = unbounded::<()>();
    assert_eq!(lasting(|| rx.recv_timeout(SECOND)), (Err(RecvTimeoutError::Timeout), SECOND));
    let end = now() + SECOND;
    assert_eq!(lasting(|| rx.recv_deadline(end)), (Err(RecvTimeoutError::Timeout), SECOND));
    let (tx, _rx) = bounded(0);
    assert!(lasting(|| tx.send_timeout((), SECOND).unwrap_err()).1 == SECOND);
    assert!(lasting(|| timeout(SECOND, || sleep(DAY)).unwrap_err()).1 == SECOND);
    let begun = now();
    assert_eq!(lasting(|| after(SECOND).recv()), (Ok(begun + SECOND), SECOND));
    let idle = spawn(|| sleep(DAY));
    let (idle, took) = lasting(|| idle.join_timeout(SECOND).unwrap_err());
    assert_eq!(took, SECOND);
    let locked = lisle::sync::Mutex::new(());
    let guard = locked.lock();
    lisle::scope(|scope| {
        let late = scope.spawn(|| lasting(|| locked.lock_timeout(SECOND).is_none()));
        assert_eq!(late.join().unwrap(), (true, SECOND));
    });
    drop(guard);
    idle.cancel();
}

#[lisle::test(virtual_time)]
fn the_clock_stands_while_a_task_runs() {
    let start = now();
    let real = Instant::now();
    while real.elapsed() < Duration::from_millis(2) {
        yield_now();
    }
    assert_eq!(now(), start);
}

#[test]
fn an_instant_goes_by_the_clock_of_its_runtime() {
    use lisle::time::Instant;

    virtual_time()
        .run(|| {
            let start = Instant::now();
            assert_eq!(std::time::Instant::from(start), now());
            sleep(DAY);
            assert_eq!(start.elapsed(), DAY);
            let tomorrow = Instant::now() + DAY;
            assert_eq!((tomorrow.elapsed(), tomorrow - start), (Duration::ZERO, 2 * DAY));
            assert_eq!(start.checked_duration_since(tomorrow), None);
            sleep_until(tomorrow.into());
            assert_eq!(Instant::now(), tomorrow);
        })
        .unwrap();
    let before = std::time::Instant::now();
    let here = Instant::now().into();
    assert!(before <= here && here <= std::time::Instant::now());
}

#[lisle::test(virtual_time)]
fn a_year_of_hours() {
    let mut hours = interval(Duration::from_secs(3600));
    let ticks = tick(DAY);
    let start = hours.tick();
    let days = spawn(move || ticks.iter().take(365).last());
    for _ in 0..365 * 24 {
        hours.tick();
    }
    assert_eq!(now() - start, 365 * DAY);
    assert_eq!(days.join().unwrap(), Some(start + 365 * DAY));
}

#[lisle::test(virtual_time)]
fn equal_deadlines_come_in_the_order_of_the_waits() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..100)
        .map(|n| {
            let seen = seen.clone();
            spawn(move || {
                // Waits that begin at different times and end at the same.
                sleep(SECOND * (n % 7));
                sleep_until(now() + SECOND * (10 - n % 7));
                seen.lock().unwrap().push((now(), n % 7, n));
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 100);
    assert!(seen.is_sorted());
    assert_eq!(seen[0].0, seen[99].0);
}

#[test]
fn several_workers_share_a_clock() {
    for _ in 0..20 {
        let end = virtual_time().workers(4).run(|| {
            let start = now();
            let tasks: Vec<_> = (0..100)
                .map(|n| {
                    lisle::task::Builder::new().spread().spawn(move || {
                        for _ in 0..10 {
                            sleep(SECOND * (1 + n % 3));
                        }
                        now() - start
                    })
                })
                .collect();
            let times: Vec<_> =
                tasks.into_iter().map(|task| task.unwrap().join().unwrap()).collect();
            for (n, time) in (0..).zip(times) {
                assert_eq!(time, SECOND * 10 * (1 + n % 3));
            }
            now() - start
        });
        assert_eq!(end.unwrap(), SECOND * 30);
    }
}

#[lisle::test(virtual_time)]
fn advancing_lets_those_go_on_that_are_due() {
    let early = spawn(|| sleep(SECOND));
    let late = spawn(|| sleep(3 * SECOND));
    yield_now();
    advance(2 * SECOND);
    assert!(early.is_finished());
    assert!(!late.is_finished());
    advance(SECOND);
    assert!(late.is_finished());
    assert_eq!(lasting(|| advance(Duration::ZERO)), ((), Duration::ZERO));
}

#[lisle::test(virtual_time)]
fn a_clock_cannot_leave_its_face() {
    advance(Duration::MAX);
    let end = now();
    advance(Duration::MAX);
    assert_eq!(now(), end);
    sleep(Duration::ZERO);
    assert!(timeout(Duration::ZERO, || sleep(DAY)).is_err());
}

#[lisle::test(virtual_time)]
fn a_clock_that_runs_is_as_fast_as_the_systems() {
    let sleeper = spawn(|| lasting(|| sleep(DAY)));
    yield_now();
    resume();
    let real = Instant::now();
    let ((), took) = lasting(|| sleep(Duration::from_millis(3)));
    assert!(took >= Duration::from_millis(3));
    assert!(real.elapsed() >= Duration::from_millis(3));
    pause();
    let stands = now();
    assert_eq!(now(), stands);
    let ((), slept) = sleeper.join().unwrap();
    assert_eq!(slept, DAY);
}

#[lisle::test(virtual_time)]
fn a_blocking_call_holds_the_clock() {
    let ended = AtomicBool::new(false);
    let overtaken = lisle::scope(|scope| {
        let beside = scope.spawn(|| {
            sleep(SECOND);
            !ended.load(Ordering::SeqCst)
        });
        yield_now();
        lisle::blocking(|| {
            thread::sleep(Duration::from_millis(5));
            ended.store(true, Ordering::SeqCst);
        });
        beside.join().unwrap()
    });
    assert!(!overtaken);
    let call = lisle::task::spawn_blocking(|| thread::sleep(Duration::from_millis(5)));
    assert_eq!(lasting(|| call.join().unwrap()), ((), Duration::ZERO));
    // One that has ended holds nothing, joined or not.
    let call = lisle::task::spawn_blocking(|| ());
    sleep(SECOND);
    call.join().unwrap();
}

#[cfg(feature = "net")]
#[lisle::test(virtual_time)]
fn a_wait_for_a_socket_holds_the_clock() {
    let listener = lisle::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        std::net::TcpStream::connect(address).unwrap()
    });
    let sleeper = spawn(|| sleep(SECOND));
    yield_now();
    let (accepted, took) = lasting(|| listener.accept().unwrap());
    assert_eq!(took, Duration::ZERO);
    sleeper.join().unwrap();
    drop((accepted, client.join().unwrap()));
}

#[lisle::test(virtual_time)]
fn a_thread_holds_the_clock_if_it_says_so() {
    let (tx, rx) = unbounded();
    let held = hold();
    assert!(held.is_some());
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        tx.send(()).unwrap();
        drop(held);
    });
    assert_eq!(lasting(|| rx.recv_timeout(SECOND)), (Ok(()), Duration::ZERO));
    thread.join().unwrap();
    assert!(thread::spawn(hold).join().unwrap().is_none());
}

/// The clock goes on when the last hold is dropped, whether that wakes a task or not.
#[test]
fn the_last_hold_lets_the_clock_go() {
    for workers in [1, 2, 4] {
        let took = virtual_time().workers(workers).run(|| {
            let holds = [hold(), hold()];
            thread::spawn(move || {
                for held in holds {
                    thread::sleep(Duration::from_millis(1));
                    drop(held);
                }
            });
            lasting(|| sleep(DAY)).1
        });
        assert_eq!(took.unwrap(), DAY);
    }
}

#[test]
fn tasks_in_shields_outlast_the_end_of_their_runtime_without_delay() {
    let ended = Arc::new(AtomicBool::new(false));
    let sets = ended.clone();
    let done = virtual_time().run(move || {
        drop(spawn(move || {
            lisle::task::shield(|| sleep(DAY));
            sets.store(true, Ordering::SeqCst);
        }));
        yield_now();
    });
    done.unwrap();
    assert!(ended.load(Ordering::SeqCst));
}

#[test]
fn a_deadlock_is_still_one() {
    let deadlock = virtual_time()
        .foreign_threads(lisle::deadlock::ForeignThreads::NeverWake)
        .run(|| {
            sleep(DAY);
            lisle::channel::never::<()>().recv()
        })
        .unwrap_err();
    assert_eq!(deadlock.tasks().len(), 1);
}

#[test]
fn a_started_runtime_has_one_too() {
    let runtime = virtual_time().workers(2).start().unwrap();
    let tasks: Vec<_> =
        (0..10).map(|n| runtime.spawn(move || lasting(|| sleep(DAY * n)))).collect();
    for (n, task) in (0..).zip(tasks) {
        assert!(task.join().unwrap().1 >= DAY * n);
    }
}

#[test]
fn only_virtual_clocks_can_be_set() {
    for set in [|| advance(SECOND), pause, resume] {
        let panic = catch_unwind(set).unwrap_err();
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap();
        assert!(text.contains("virtual_time(true)"), "{text}");
        let panic = Runtime::builder().run(|| catch_unwind(set).unwrap_err()).unwrap();
        assert!(panic.is::<&str>() || panic.is::<String>());
    }
    assert!(hold().is_none());
    let before = Instant::now();
    assert!(now() >= before);
}

/// Two runtimes with clocks of their own, and a plain thread, beside each other.
#[test]
fn clocks_are_independent() {
    let threads: Vec<_> = (1..4u32)
        .map(|n| {
            thread::spawn(move || virtual_time().run(|| lasting(|| sleep(DAY * n)).1).unwrap())
        })
        .collect();
    for (n, thread) in (1..4).zip(threads) {
        assert_eq!(thread.join().unwrap(), DAY * n);
    }
}

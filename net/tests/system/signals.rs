//! Signals. Each test has some of its own, since they come to the process.

use std::io::ErrorKind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use lisle_net::signal::{
    SIGALRM, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH, Signals, ctrl_c,
};
use lisle_scheduler::{Cancelled, Runtime, blocking, spawn, yield_now};

use crate::in_tasks_and_on_a_thread;

fn send(signal: i32) {
    // SAFETY: the signal is one that is handled.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

#[test]
fn signals_come_in_their_order() {
    in_tasks_and_on_a_thread(|| {
        let signals = Signals::new([SIGUSR1, SIGUSR2]).unwrap();
        assert!(format!("{signals:?}").contains("signals: 2"));
        assert_eq!(signals.try_recv(), None);
        let times = [Duration::ZERO, Duration::from_millis(1)];
        for time in times {
            assert_eq!(signals.recv_timeout(time).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        for signal in [SIGUSR2, SIGUSR1, SIGUSR1] {
            send(signal);
        }
        assert_eq!(signals.recv().unwrap(), SIGUSR2);
        assert_eq!((&signals).take(2).collect::<Vec<_>>(), [SIGUSR1, SIGUSR1]);
        assert_eq!(signals.try_recv(), None);
        send(SIGUSR1);
        assert_eq!(signals.recv_timeout(Duration::MAX).unwrap(), SIGUSR1);
        drop(signals);
        // It has no effect any more, and is not kept for the next.
        send(SIGUSR1);
        assert_eq!(Signals::new([SIGUSR1]).unwrap().try_recv(), None);
    });
}

#[test]
fn each_receiver_has_each_signal_and_one_waiter_of_it() {
    in_tasks_and_on_a_thread(|| {
        let signals = [(); 2].map(|()| Arc::new(Signals::new([SIGWINCH]).unwrap()));
        // Two tasks and two threads.
        let tasks = signals.clone().map(|signals| spawn(move || signals.recv().unwrap()));
        let threads = signals.clone().map(|signals| thread::spawn(move || signals.recv().unwrap()));
        send(SIGWINCH);
        send(SIGWINCH);
        assert_eq!(tasks.map(|task| task.join().unwrap()), [SIGWINCH; 2]);
        assert_eq!(threads.map(|thread| blocking(|| thread.join().unwrap())), [SIGWINCH; 2]);
        assert!(signals.iter().all(|signals| signals.try_recv().is_none()));
    });
}

#[test]
fn every_task_hears_of_ctrl_c() {
    Runtime::builder()
        .workers(1)
        .run(|| {
            // So that it does not end the process, whichever party has begun to wait.
            let keeper = Signals::new([SIGINT]).unwrap();
            let waiters: Vec<_> = (0..3).map(|_| spawn(|| ctrl_c().unwrap())).collect();
            yield_now();
            send(SIGINT);
            waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
            assert_eq!(keeper.recv().unwrap(), SIGINT);
        })
        .unwrap();
}

#[test]
fn what_cannot_be_received_is_an_error() {
    for signal in [libc::SIGKILL, libc::SIGSEGV, libc::SIGSTOP, -1, 1000] {
        let error = Signals::new([SIGALRM, signal]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), format!("signal {signal} cannot be received"));
    }
    assert!(Signals::new([200]).is_err(), "no signal has this number");
    assert!(Signals::new([0_i32; 0]).unwrap().try_recv().is_none());
}

#[test]
fn a_task_that_waits_for_a_signal_can_be_cancelled() {
    let task = Runtime::builder().workers(1).run(|| {
        let task = spawn(|| Signals::new([SIGHUP, SIGTERM]).unwrap().recv().unwrap());
        yield_now();
        task
    });
    assert!(task.unwrap().join().unwrap_err().is::<Cancelled>());
}

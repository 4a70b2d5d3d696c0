//! Faults that strike a program while it is explored.

use std::time::Duration;

use lisle::channel::{RecvTimeoutError, TrySendError, bounded, select, unbounded};
use lisle::explore::{Cause, Explorer, Failure, Fault, Strategy};
use lisle::sync::{broadcast, watch};
use lisle::task::Builder;
use lisle::{scope, sleep, spawn, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// With the fault each strategy finds a failure, and the fault is shown. Without there is none.
#[track_caller]
fn fails_by(fault: Fault, program: impl Fn() + Sync) -> Failure {
    Explorer::new().iterations(300).run(&program);
    let strategies = [
        Strategy::Exhaustive { preemptions: 1 },
        Strategy::Random,
        Strategy::Pct { depth: 2 },
        Strategy::Mixed,
    ];
    let found = strategies.map(|strategy| {
        let explorer = Explorer::new().strategy(strategy).faults([fault]);
        let failure = explorer.check(&program).expect_err("the fault strikes");
        assert!(failure.is_repeatable(), "{failure}");
        assert!(failure.to_string().contains(&format!("… {fault}")), "{failure}");
        // The fault, and an interruption at most.
        assert!(failure.switches() <= 2, "{failure}");
        failure
    });
    found.into_iter().last().unwrap()
}

#[test]
fn a_time_out_fires_early() {
    fails_by(Fault::EarlyTimeout, || {
        let (tx, rx) = bounded(1);
        spawn(move || tx.send(7).unwrap());
        assert_eq!(rx.recv_timeout(SECOND), Ok(7));
    });
    fails_by(Fault::EarlyTimeout, || {
        let (tx, rx) = bounded(1);
        spawn(move || tx.send(7).unwrap());
        assert!(timeout(SECOND, || rx.recv()).is_ok());
    });
    fails_by(Fault::EarlyTimeout, || {
        let (tx, rx) = bounded(1);
        spawn(move || tx.send(7).unwrap());
        select! {
            recv(rx) -> message => assert_eq!(message, Ok(7)),
            default(SECOND) => panic!("too early"),
        }
    });
}

/// The clock moves, so that nothing that waits for a time goes on before it.
#[test]
fn no_sleep_is_too_short() {
    let program = || {
        let start = lisle::time::now();
        let sleepers = [1, 2, 3].map(|n| {
            spawn(move || {
                sleep(n * SECOND);
                assert!(lisle::time::now() - start >= n * SECOND);
            })
        });
        sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
    };
    Explorer::new().faults(Fault::ALL).iterations(300).run(program);
}

#[test]
fn a_send_finds_no_receiver() {
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = bounded(1);
        tx.send(7).unwrap();
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, rx) = bounded(0);
        spawn(move || rx.recv());
        tx.send(7).unwrap();
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = unbounded();
        tx.send(7).unwrap();
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = bounded(1);
        assert!(!matches!(tx.try_send(7), Err(TrySendError::Disconnected(_))));
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = bounded(1);
        select! { send(tx, 7) -> sent => sent.unwrap() }
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = broadcast::channel(1);
        tx.send(7).unwrap();
    });
    fails_by(Fault::ReceiverGone, || {
        let (tx, _rx) = watch::channel(1);
        tx.send(7).unwrap();
    });
}

/// A program that answers for the message has it back, and the others are not disturbed.
#[test]
fn what_was_not_sent_is_given_back() {
    Explorer::new().faults(Fault::ALL).iterations(500).run(|| {
        let (tx, rx) = bounded(1);
        scope(|scope| {
            let received = scope.spawn(move || rx.iter().count());
            let sender = scope.spawn(move || {
                let (sent, failed): (Vec<_>, Vec<_>) =
                    (0..3).map(|n| tx.send(n).map_err(|error| error.0)).partition(Result::is_ok);
                assert!(failed.iter().all(|failed| failed.unwrap_err() < 3));
                sent.len()
            });
            assert_eq!(received.join().unwrap(), sender.join().unwrap());
        });
    });
}

#[test]
fn a_task_cannot_be_spawned() {
    let failure = fails_by(Fault::SpawnFailure, || {
        let task = Builder::new().spawn(|| 7).unwrap();
        assert_eq!(task.join().unwrap(), 7);
    });
    assert!(matches!(failure.cause(), Cause::Panic(text) if text.contains("OutOfMemory")));
    fails_by(Fault::SpawnFailure, || drop(Builder::new().spawn_local(|| 7).unwrap()));
    fails_by(Fault::SpawnFailure, || {
        scope(|scope| drop(Builder::new().spawn_scoped(scope, || 7).unwrap()));
    });
    fails_by(Fault::SpawnFailure, || {
        drop(lisle::Handle::current().unwrap().spawn(|| 7).unwrap());
    });
    // There is nothing that could be done about this.
    Explorer::new().faults([Fault::SpawnFailure]).iterations(100).run(|| {
        assert_eq!(spawn(|| 7).join().unwrap(), 7);
        scope(|scope| assert_eq!(scope.spawn(|| 7).join().unwrap(), 7));
    });
}

/// It takes the fault and an interruption.
#[test]
fn a_fault_and_an_order() {
    let program = || {
        let (tx, rx) = bounded(1);
        let is_late = lisle::explore::atomic::AtomicBool::new(false);
        scope(|scope| {
            scope.spawn(|| {
                is_late.store(true, std::sync::atomic::Ordering::SeqCst);
                let _ = tx.send(());
                is_late.store(false, std::sync::atomic::Ordering::SeqCst);
            });
            let late = rx.recv_timeout(SECOND) == Err(RecvTimeoutError::Timeout);
            assert!(!late || !is_late.load(std::sync::atomic::Ordering::SeqCst));
        });
    };
    Explorer::new().iterations(500).run(program);
    let explorer = Explorer::new().faults([Fault::EarlyTimeout]).iterations(20_000);
    let failure = explorer.check(program).unwrap_err();
    assert!(failure.is_repeatable(), "{failure}");
    assert!(failure.switches() >= 2, "{failure}");
}

#[lisle::test(explore, faults)]
#[should_panic(expected = "… finds no receiver")]
fn a_test_has_faults() {
    let (tx, _rx) = bounded(1);
    tx.send(7).unwrap();
}

#[lisle::test(explore = Explorer::new().iterations(100), faults = [Fault::SpawnFailure])]
fn a_test_has_some_faults() {
    let (tx, _rx) = bounded(1);
    tx.send(7).unwrap();
}

//! Waits with an end.
#![cfg(not(lisle_loom))]

mod support;

use std::time::{Duration, Instant};

use lisle_channel::{
    RecvTimeoutError, Select, SendTimeoutError, Sender, after, bounded, never, select, tick,
};
use support::{LONG, everywhere, everywhere_with, on_one_worker};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_receive_times_out_not_before_its_time() {
    everywhere_with(|_, _sender: Sender<u8>, receiver| {
        let begin = Instant::now();
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert!(begin.elapsed() >= SHORT);
        let deadline = Instant::now() + SHORT;
        assert_eq!(receiver.recv_deadline(deadline), Err(RecvTimeoutError::Timeout));
        assert!(Instant::now() >= deadline);
    });
}

#[test]
fn a_send_times_out_not_before_its_time() {
    for capacity in [0, 1, 3] {
        everywhere(|_| {
            let (sender, receiver) = bounded(capacity);
            (0..capacity).for_each(|n| sender.send(n).unwrap());
            let begin = Instant::now();
            assert_eq!(sender.send_timeout(7, SHORT), Err(SendTimeoutError::Timeout(7)));
            assert!(begin.elapsed() >= SHORT);
            let deadline = Instant::now() + SHORT;
            assert_eq!(sender.send_deadline(8, deadline), Err(SendTimeoutError::Timeout(8)));
            assert!(Instant::now() >= deadline);
            assert!(receiver.try_iter().eq(0..capacity), "what was given up leaves no trace");
        });
    }
}

#[test]
fn no_time_left_is_enough_for_what_is_possible_at_once() {
    let past = Instant::now();
    everywhere(|_| {
        let (sender, receiver) = bounded(1);
        assert_eq!(receiver.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
        assert_eq!(sender.send_deadline(1, past), Ok(()));
        assert_eq!(sender.send_deadline(2, past), Err(SendTimeoutError::Timeout(2)));
        assert_eq!(receiver.recv_deadline(past), Ok(1));
        assert_eq!(receiver.recv_deadline(past), Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn a_long_timeout_does_not_expire() {
    everywhere_with(|ground, sender, receiver| {
        let receiving = ground.spawn(move || [(); 2].map(|()| receiver.recv_timeout(LONG)));
        ground.pause();
        sender.send_timeout(1, LONG).unwrap();
        sender.send_timeout(2, LONG).unwrap();
        assert_eq!(receiving.join(), [Ok(1), Ok(2)]);
    });
}

#[test]
fn a_timeout_beyond_all_time_is_no_deadline() {
    everywhere_with(|ground, sender, receiver| {
        let receiving = ground.spawn(move || receiver.recv_timeout(Duration::MAX));
        ground.pause();
        assert_eq!(sender.send_timeout(1, Duration::MAX), Ok(()));
        assert_eq!(receiving.join(), Ok(1));
    });
}

#[test]
fn a_waiter_that_gives_up_leaves_its_place_in_the_queue() {
    // On tasks of one worker the order of parking is the order of spawning.
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let receiving: Vec<_> = [None, Some(SHORT), None, Some(SHORT), None, Some(SHORT)]
            .into_iter()
            .map(|patience| {
                let receiver = receiver.clone();
                lisle_scheduler::spawn(move || match patience {
                    None => receiver.recv().ok(),
                    Some(timeout) => receiver.recv_timeout(timeout).ok(),
                })
            })
            .collect();
        let (hasty, patient): (Vec<_>, Vec<_>) =
            receiving.into_iter().enumerate().partition(|(place, _)| place % 2 == 1);
        // Nobody sends before they have given up; by then the others are parked.
        for (_, task) in hasty {
            assert_eq!(task.join().unwrap(), None);
        }
        for n in 0..3 {
            sender.try_send(n).unwrap();
        }
        assert!(sender.try_send(3).is_err());
        let received: Vec<_> = patient.into_iter().map(|(_, task)| task.join().unwrap()).collect();
        assert_eq!(received, [Some(0), Some(1), Some(2)]);
    });
}

/// A timeout that ends after the end of time, or just before it, is waited for like any other.
#[test]
fn the_longest_timeouts_do_not_expire() {
    for timeout in [Duration::MAX, Duration::from_secs(u64::MAX / 2), just_representable()] {
        println!("{timeout:?}");
        everywhere(|ground| {
            let (sender, receiver) = bounded(0);
            let (done, is_done) = bounded(0);
            let clock = after(timeout);
            assert!(clock.is_empty() && tick(timeout).is_empty());
            let party = ground.spawn(move || {
                assert_eq!(receiver.recv_timeout(timeout), Ok(1));
                let mut select = Select::new();
                select.recv(&receiver);
                select.recv(&clock);
                assert_eq!(select.ready_timeout(timeout), Ok(0));
                let operation = select.select_timeout(timeout).unwrap();
                assert_eq!(operation.recv(&receiver), Ok(2));
                select! {
                    recv(receiver) -> number => assert_eq!(number, Ok(3)),
                    recv(clock) -> _ => unreachable!(),
                    default(timeout) => unreachable!(),
                }
                done.send_timeout(4, timeout).unwrap();
                assert_eq!(clock.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            });
            for number in 1..=3 {
                ground.pause();
                sender.send_timeout(number, timeout).unwrap();
            }
            assert_eq!(is_done.recv(), Ok(4));
            party.join();
        });
    }
}

/// About the longest from now to which there is an `Instant`.
fn just_representable() -> Duration {
    let now = Instant::now();
    let seconds = (0..63).rev().fold(0, |sum, bit| match sum + (1 << bit) {
        more if now.checked_add(Duration::from_secs(more)).is_some() => more,
        _ => sum,
    });
    Duration::from_secs(seconds - 1000)
}

/// Nothing but that is waited for. What waits ends with its runtime.
#[test]
fn waiting_for_the_longest_timeouts_alone_does_not_end() {
    let waits: [fn(); 7] = [
        || lisle_scheduler::sleep(Duration::MAX),
        || assert!(after(Duration::MAX).recv().is_err()),
        || assert!(tick(Duration::MAX).recv().is_err()),
        || assert!(never::<u8>().recv_timeout(Duration::MAX).is_err()),
        || assert!(Select::new().select_timeout(Duration::MAX).is_err()),
        || assert!(Select::new().ready_timeout(Duration::MAX).is_err()),
        || select!(default(Duration::MAX) => ()),
    ];
    on_one_worker(|| {
        let tasks = waits.map(lisle_scheduler::spawn);
        (0..3).for_each(|_| lisle_scheduler::yield_now());
        assert_eq!(tasks.each_ref().map(|task| task.is_finished()), [false; 7]);
    });
}

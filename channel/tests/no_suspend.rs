//! A channel operation that would have to wait inside `no_suspend` panics and loses nothing.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lisle_channel::{TryRecvError, bounded, never, select};
use lisle_runtime::no_suspend;
use support::on_one_worker;

#[test]
fn a_blocked_send_panics_and_drops_its_message() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let message = Arc::new(());
        let copy = message.clone();
        let sent = catch_unwind(AssertUnwindSafe(|| no_suspend(|| sender.send(copy))));
        assert!(sent.is_err());
        assert_eq!(Arc::strong_count(&message), 1);
        // The channel is not locked and has no waiter left.
        assert!(receiver.try_recv().is_err());
    });
}

#[test]
fn a_blocked_receive_panics_and_the_channel_goes_on() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(1);
        let received = catch_unwind(AssertUnwindSafe(|| no_suspend(|| receiver.recv())));
        assert!(received.is_err());
        sender.send(7).unwrap();
        assert_eq!(no_suspend(|| receiver.recv()), Ok(7), "what need not wait is allowed");
    });
}

/// Elsewhere a `try_recv` waits for the message that a select is going to make. Here it lets the
/// select go.
#[test]
fn try_recv_does_not_wait_for_a_select() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let selecting = lisle_scheduler::spawn(move || {
            select! {
                send(sender, 5) -> result => result.unwrap(),
                recv(never::<u8>()) -> _ => unreachable!(),
            }
        });
        lisle_scheduler::yield_now();
        assert_eq!(no_suspend(|| receiver.try_recv()), Err(TryRecvError::Empty));
        assert!(catch_unwind(AssertUnwindSafe(|| no_suspend(|| receiver.recv()))).is_err());
        assert_eq!(receiver.recv(), Ok(5));
        selecting.join().unwrap();
    });
}

#[test]
fn a_blocked_select_panics_and_leaves_no_trace() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let selected = catch_unwind(AssertUnwindSafe(|| {
            no_suspend(|| {
                select! {
                    send(sender, 5) -> _ => unreachable!(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
            })
        }));
        assert!(selected.is_err());
        assert!(receiver.try_recv().is_err());
    });
}

//! A channel operation that would have to wait inside `no_suspend` panics and loses nothing.
#![cfg(not(lisle_loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lisle_channel::bounded;
use lisle_runtime::no_suspend;

#[test]
fn a_blocked_send_panics_and_drops_its_message() {
    lisle_scheduler::run(|| {
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
    lisle_scheduler::run(|| {
        let (sender, receiver) = bounded(1);
        let received = catch_unwind(AssertUnwindSafe(|| no_suspend(|| receiver.recv())));
        assert!(received.is_err());
        sender.send(7).unwrap();
        assert_eq!(no_suspend(|| receiver.recv()), Ok(7), "what need not wait is allowed");
    });
}

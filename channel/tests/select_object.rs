//! `Select` as an object: lists of operations, readiness, and what an operation that was selected
//! owes.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use lisle_channel::{
    RecvError, Select, SelectTimeoutError, Sender, after, bounded, select, unbounded,
};
use support::{LONG, everywhere, everywhere_with};

const SHORT: Duration = Duration::from_millis(5);

fn panic_text(body: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(body)).unwrap_err();
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

/// Ends its operations when it is dropped.
struct Removes<'a>(Select<'a>, Vec<usize>);

impl Drop for Removes<'_> {
    fn drop(&mut self) {
        self.1.iter().for_each(|&index| self.0.remove(index));
    }
}

/// A partner that cannot wait for a select withdraws, and the next wait enlists the operations in
/// another order.
#[test]
fn operations_can_be_removed_after_a_wait_that_was_cancelled() {
    lisle_scheduler::run(|| {
        let (senders, receivers): (Vec<_>, Vec<_>) = (0..6).map(|_| bounded::<u8>(0)).unzip();
        lisle_scheduler::spawn_local(move || {
            let mut select = Select::new();
            let indices = senders.iter().rev().map(|sender| select.send(sender)).collect();
            let mut select = Removes(select, indices);
            drop(select.0.select());
        });
        lisle_scheduler::yield_now();
        let attempt = lisle_runtime::no_suspend(|| receivers[3].try_recv());
        assert!(attempt.is_err());
        lisle_scheduler::yield_now();
        std::mem::forget(receivers);
    });
}

#[test]
fn operations_can_be_removed() {
    let (sender, receiver) = unbounded::<u8>();
    let mut select = Select::new();
    let indices: Vec<_> = (0..5).map(|_| select.recv(&receiver)).collect();
    assert_eq!(indices, [0, 1, 2, 3, 4]);
    [0, 2, 4].into_iter().for_each(|index| select.remove(index));
    assert_eq!(select.send(&sender), 5);
    select.remove(5);
    let mut copy = select.clone();
    copy.remove(1);
    for _ in 0..20 {
        sender.send(1).unwrap();
        let operation = copy.select();
        assert_eq!(operation.index(), 3);
        operation.recv(&receiver).unwrap();
    }
    assert!(select.try_select().is_err());
    assert_eq!(panic_text(|| select.remove(2)), "no operation with this index");
    assert_eq!(panic_text(|| select.remove(6)), "index out of bounds; 6 >= 6");
}

#[test]
fn an_empty_list_panics_or_times_out() {
    everywhere(|_| {
        let mut select = Select::new();
        assert!(select.try_select().is_err());
        assert!(select.try_ready().is_err());
        let begin = Instant::now();
        assert_eq!(select.select_timeout(SHORT).unwrap_err(), SelectTimeoutError);
        assert!(begin.elapsed() >= SHORT);
        assert!(select.ready_timeout(SHORT).is_err());
        assert!(begin.elapsed() >= SHORT * 2);
        let text = "no operations have been added to `Select`";
        assert_eq!(panic_text(|| drop(select.select())), text);
        assert_eq!(panic_text(|| _ = select.ready()), text);
    });
}

#[test]
fn the_wrong_handle_panics() {
    let (sender, receiver) = unbounded();
    let other = (sender.clone(), receiver.clone());
    let text = panic_text(|| {
        let mut select = Select::new();
        select.send(&sender);
        select.select().send(&other.0, 1).unwrap();
    });
    assert_eq!(text, "passed a sender that wasn't selected");
    sender.send(1).unwrap();
    let text = panic_text(|| {
        let mut select = Select::new();
        select.recv(&receiver);
        select.select().recv(&other.1).unwrap();
    });
    assert_eq!(text, "passed a receiver that wasn't selected");
}

fn drop_send<T>(sender: &Sender<T>) {
    let mut select = Select::new();
    select.send(sender);
    drop(select.select());
}

#[test]
fn an_operation_that_is_not_completed_panics_and_frees_its_partner() {
    const TEXT: &str = "dropped `SelectedOperation` without completing the operation";
    everywhere(|ground| {
        // A receiver that waits is given to the next sender.
        let (sender, receiver) = bounded(0);
        let waiting = ground.spawn(move || receiver.recv_timeout(LONG));
        ground.pause();
        assert_eq!(panic_text(|| drop_send(&sender)), TEXT);
        sender.send_timeout(1, LONG).unwrap();
        assert_eq!(waiting.join(), Ok(1));

        // So is one that waits in a select.
        let (sender, receiver) = bounded(0);
        let waiting = ground
            .spawn(move || select! { recv(receiver) -> m => m, default(LONG) => Err(RecvError) });
        ground.pause();
        for _ in 0..3 {
            assert_eq!(panic_text(|| drop_send(&sender)), TEXT);
        }
        sender.send_timeout(1, LONG).unwrap();
        assert_eq!(waiting.join(), Ok(1));

        // A place is given back, to a sender that waits for it.
        let (sender, receiver) = bounded(1);
        let (begin, begun) = bounded(0);
        let text = panic_text(|| {
            let mut select = Select::new();
            select.send(&sender);
            let operation = select.select();
            let waiting = ground.spawn({
                let sender = sender.clone();
                move || {
                    begin.send(()).unwrap();
                    sender.send_timeout(2, LONG)
                }
            });
            begun.recv().unwrap();
            ground.pause();
            std::mem::forget(waiting);
            drop(operation);
        });
        assert_eq!(text, TEXT);
        assert_eq!(receiver.recv_timeout(LONG), Ok(2));
    });
}

#[test]
fn a_panic_in_a_message_frees_the_receiver() {
    fn fail() -> u8 {
        panic!("no message")
    }
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let waiting = ground.spawn(move || receiver.recv_timeout(LONG));
        for _ in 0..3 {
            let text = panic_text(|| {
                select! {
                    send(sender, fail()) -> result => result.unwrap(),
                    recv(after(LONG)) -> _ => (),
                }
            });
            assert_eq!(text, "no message");
        }
        sender.send(5).unwrap();
        assert_eq!(waiting.join(), Ok(5));
    });
}

#[test]
fn ready_tells_of_operations_that_can_be_tried() {
    everywhere_with(|ground, sender: Sender<u8>, receiver| {
        let (_mute, silent) = unbounded::<u8>();
        let asking = ground.spawn(move || {
            let mut select = Select::new();
            select.recv(&silent);
            let index = select.recv(&receiver);
            let mut received = 0;
            loop {
                assert_eq!(select.ready_timeout(LONG), Ok(index));
                match receiver.try_recv() {
                    Ok(message) => received += u32::from(message),
                    Err(error) if error.is_empty() => {}
                    Err(_) => return received,
                }
            }
        });
        ground.pause();
        for n in 0..100 {
            sender.send(n).unwrap();
        }
        drop(sender);
        assert_eq!(asking.join(), 4950);
    });
}

#[test]
fn ready_tells_senders_of_a_receiver_that_waits() {
    for receive in 0..2 {
        everywhere(|ground| {
            let (sender, receiver) = bounded(0);
            let (_mute, silent) = unbounded::<u8>();
            let asking = ground.spawn(move || {
                for n in 0..50 {
                    let mut message = n;
                    loop {
                        let mut select = Select::new();
                        select.recv(&silent);
                        assert_eq!(select.send(&sender), 1);
                        assert_eq!(select.ready_timeout(LONG), Ok(1));
                        match sender.try_send(message) {
                            Ok(()) => break,
                            Err(error) => message = error.into_inner(),
                        }
                    }
                }
            });
            for n in 0..50 {
                let message = match receive {
                    0 => receiver.recv_timeout(LONG).ok(),
                    _ => select! { recv(receiver) -> m => m.ok(), default(LONG) => None },
                };
                assert_eq!(message, Some(n));
            }
            asking.join();
        });
    }
}

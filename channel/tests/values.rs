//! Messages of all kinds: without size, huge, local to a thread, with destructors that count, panic
//! or use the channel, and channels themselves.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use lisle_channel::{Receiver, Sender, TrySendError, bounded, select, unbounded};
use support::{everywhere, everywhere_with, on_one_worker};

#[test]
fn messages_without_size() {
    everywhere_with(|ground, sender, receiver| {
        let sending = ground.spawn(move || (0..300).for_each(|_| sender.send(()).unwrap()));
        assert_eq!(receiver.iter().count(), 300);
        sending.join();
    });
    let (sender, receiver) = bounded(2);
    sender.try_send(()).unwrap();
    sender.try_send(()).unwrap();
    assert_eq!(sender.try_send(()), Err(TrySendError::Full(())));
    assert_eq!(receiver.len(), 2);
}

const SIZE: usize = 1024 * 1024;

fn send_blocks(sender: Sender<[u8; SIZE]>) {
    for n in 0..4 {
        assert!(sender.send([n; SIZE]).is_ok());
    }
    for n in 4..8 {
        select! { send(sender, [n; SIZE]) -> result => assert!(result.is_ok()) }
    }
}

fn receive_blocks(receiver: Receiver<[u8; SIZE]>) {
    for n in 0..4 {
        let message = receiver.recv().unwrap();
        assert!(message.iter().all(|&byte| byte == n));
    }
    for n in 4..8 {
        select! {
            recv(receiver) -> message => assert!(message.unwrap().iter().all(|&byte| byte == n)),
        }
    }
    assert!(receiver.recv().is_err());
}

/// By value such messages need large stacks: up to 25 of them lie on it in a debug build.
const ROOMY: usize = 64 * SIZE;

#[test]
fn messages_of_a_mebibyte() {
    for capacity in [Some(0), Some(1), Some(2), None] {
        let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
        let roomy = || std::thread::Builder::new().stack_size(ROOMY);
        let sending = roomy().spawn(|| send_blocks(sender)).unwrap();
        let receiving = roomy().spawn(|| receive_blocks(receiver)).unwrap();
        sending.join().unwrap();
        receiving.join().unwrap();

        on_one_worker(|| {
            let (sender, receiver) = capacity.map_or_else(unbounded, bounded);
            let roomy = || lisle_scheduler::Builder::new().stack_size(ROOMY);
            let sending = roomy().spawn(|| send_blocks(sender)).unwrap();
            let receiving = roomy().spawn(|| receive_blocks(receiver)).unwrap();
            sending.join().unwrap();
            receiving.join().unwrap();
        });
    }
}

#[test]
fn boxed_messages_of_a_mebibyte_on_small_stacks() {
    everywhere_with(|ground, sender, receiver| {
        let sending = ground.spawn(move || {
            (0..8).for_each(|n| sender.send(vec![n; SIZE].into_boxed_slice()).unwrap());
        });
        for (n, message) in (0..8).zip(&receiver) {
            assert!(message.len() == SIZE && message.iter().all(|&byte| byte == n));
        }
        assert!(receiver.recv().is_err());
        sending.join();
    });
}

#[test]
fn messages_that_stay_on_their_thread() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let shared = Rc::new(RefCell::new(Vec::new()));
        let writer = lisle_scheduler::spawn_local(move || {
            for list in receiver {
                let list: Rc<RefCell<Vec<i32>>> = list;
                list.borrow_mut().push(1);
            }
        });
        sender.send(shared.clone()).unwrap();
        sender.send(shared.clone()).unwrap();
        drop(sender);
        writer.join().unwrap();
        assert_eq!(*shared.borrow(), [1, 1]);
    });
}

#[test]
fn channels_through_channels() {
    everywhere(|ground| {
        let (requests, served) = bounded::<(u32, Sender<u32>)>(0);
        let server = ground.spawn(move || {
            for (number, answer) in served {
                answer.send(number * number).unwrap();
            }
        });
        let clients: Vec<_> = (0..10)
            .map(|number| {
                let requests = requests.clone();
                ground.spawn(move || {
                    let (answer, answered) = bounded(1);
                    requests.send((number, answer)).unwrap();
                    answered.recv().unwrap()
                })
            })
            .collect();
        let answers: Vec<_> = clients.into_iter().map(|client| client.join()).collect();
        assert!(answers.into_iter().eq((0..10).map(|number| number * number)));
        drop(requests);
        server.join();
    });
}

#[test]
fn a_channel_in_its_own_buffer_is_freed_with_its_receiver() {
    struct Loop(#[allow(dead_code, reason = "only its drop counts")] Sender<Loop>);
    let (sender, receiver) = unbounded();
    sender.send(Loop(sender.clone())).unwrap();
    drop(receiver);
    assert!(sender.send(Loop(sender.clone())).is_err());
}

/// Writes its number down when it is dropped, and may panic then.
struct Noted {
    number: usize,
    list: Arc<Mutex<Vec<usize>>>,
    panics: Panics,
}

#[derive(Clone, Copy, PartialEq)]
enum Panics {
    Never,
    /// If the number is a multiple of 13.
    OnThirteens,
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.list.lock().unwrap().push(self.number);
        if self.panics == Panics::OnThirteens && self.number.is_multiple_of(13) {
            std::panic::panic_any(self.number);
        }
    }
}

#[test]
fn every_message_is_dropped_once_on_whatever_way_it_takes() {
    everywhere_with(|ground, sender, receiver| {
        const ALL: usize = 300;
        let list = Arc::new(Mutex::new(Vec::new()));
        let noted = |number| Noted { number, list: list.clone(), panics: Panics::Never };
        let messages: Vec<_> = (0..ALL).map(noted).collect();
        let sending = ground.spawn(move || {
            messages
                .into_iter()
                .fold(0, |failed, message| failed + sender.send(message).is_err() as u32)
        });
        for _ in 0..ALL / 2 {
            receiver.recv().unwrap();
        }
        drop(receiver);
        sending.join();
        let mut list = list.lock().unwrap().clone();
        list.sort_unstable();
        assert!(list.into_iter().eq(0..ALL));
    });
}

#[test]
fn panics_while_messages_are_discarded_spare_none_of_them() {
    // 200 messages fill several blocks, each with some that panic. The first panic goes on.
    for (sender, receiver) in [bounded(200), unbounded()] {
        let list = Arc::new(Mutex::new(Vec::new()));
        for number in 1..200 {
            let message = Noted { number, list: list.clone(), panics: Panics::OnThirteens };
            assert!(sender.send(message).is_ok());
        }
        let panic = catch_unwind(AssertUnwindSafe(|| drop(receiver))).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&13_usize));
        assert!(list.lock().unwrap().iter().copied().eq(1..200));
        let refused = sender.try_send(Noted { number: 0, list, panics: Panics::Never });
        assert!(refused.is_err_and(|error| error.is_disconnected()));
    }
}

#[test]
fn parked_senders_come_home_though_a_discarded_message_panics() {
    on_one_worker(|| {
        let list = Arc::new(Mutex::new(Vec::new()));
        let (sender, receiver) = bounded(1);
        let send = |number| {
            let message = Noted { number, list: list.clone(), panics: Panics::OnThirteens };
            let sender = sender.clone();
            lisle_scheduler::spawn(move || match sender.send(message) {
                Ok(()) => None,
                Err(returned) => Some(returned.into_inner().number),
            })
        };
        let tasks = [send(13), send(14), send(15)];
        lisle_scheduler::yield_now();
        assert!(catch_unwind(AssertUnwindSafe(|| drop(receiver))).is_err());
        let returned = tasks.map(|task| task.join().unwrap());
        assert_eq!(returned, [None, Some(14), Some(15)]);
        assert_eq!(*list.lock().unwrap(), [13, 14, 15]);
    });
}

/// Looks at the channel when it is dropped, lets other tasks run, and sends into the channel.
struct Curious(Option<Sender<Curious>>);

impl Drop for Curious {
    fn drop(&mut self) {
        if let Some(sender) = &self.0 {
            assert!(sender.is_empty());
            lisle_scheduler::yield_now();
            assert!(sender.try_send(Curious(None)).is_err_and(|error| error.is_disconnected()));
        }
    }
}

#[test]
fn destructors_may_use_the_channel_and_switch() {
    on_one_worker(|| {
        for (sender, receiver) in [bounded(3), unbounded()] {
            for _ in 0..3 {
                assert!(sender.send(Curious(Some(sender.clone()))).is_ok());
            }
            let elsewhere = lisle_scheduler::spawn(move || sender.len());
            drop(receiver);
            assert_eq!(elsewhere.join().unwrap(), 0);
        }
    });
}

//! Channels in tasks that are cancelled: each wait unwinds its task and leaves nothing behind; in a
//! shield it is as any other, and in a destructor outside of one it fails as if the other end were
//! gone.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use lisle_channel::{Receiver, RecvError, SendError, Sender, after, bounded, never, select};
use lisle_scheduler::{Cancelled, JoinHandle, shield, sleep, spawn_local, yield_now};
use support::{LONG, on_one_worker};

/// A task whose runtime ends after its first turn.
fn cancelled_after_a_turn<T: 'static>(body: impl FnOnce() -> T + 'static) -> JoinHandle<T> {
    on_one_worker(|| {
        let task = spawn_local(body);
        yield_now();
        task
    })
}

fn was_cancelled<T>(task: JoinHandle<T>) -> bool {
    task.join().is_err_and(|panic| panic.is::<Cancelled>())
}

/// Something whose drops can be counted, to be sent.
type Message = Rc<()>;

type Wait = fn(&Sender<Message>, &Receiver<Message>, Message);

/// Waits on a rendezvous channel with nobody at the other end; each is given a message, to send or
/// to keep.
const WAITS: [(&str, Wait); 9] = [
    ("send", |sender, _, message| drop(sender.send(message))),
    ("send_timeout", |sender, _, message| drop(sender.send_timeout(message, LONG))),
    ("recv", |_, receiver, _kept| drop(receiver.recv())),
    ("recv_timeout", |_, receiver, _kept| drop(receiver.recv_timeout(LONG))),
    ("iterate", |_, receiver, _kept| drop(receiver.iter().next())),
    ("select", |sender, _, message| {
        let silent = never::<Message>();
        select! {
            recv(silent) -> _ => unreachable!("nothing comes"),
            send(sender, message) -> _ => {}
        }
    }),
    ("select over two", |_, receiver, _kept| {
        let (_other, silent) = bounded::<Message>(0);
        select! {
            recv(silent) -> _ => {}
            recv(receiver) -> _ => {}
        }
    }),
    ("timed select", |_, receiver, _kept| {
        select! {
            recv(receiver) -> _ => {}
            default(LONG) => unreachable!("so long nothing takes"),
        }
    }),
    ("timer", |_, _, _kept| assert_eq!(after(LONG).recv().ok(), None)),
];

#[test]
fn every_wait_unwinds_a_cancelled_task_and_leaves_nothing_behind() {
    for (name, wait) in WAITS {
        for cancelled_before in [false, true] {
            let message = Message::default();
            let (sender, receiver) = bounded(0);
            let theirs = (sender.clone(), receiver.clone(), message.clone());
            let task = cancelled_after_a_turn(move || {
                let (sender, receiver, message) = theirs;
                if cancelled_before {
                    assert!(catch_unwind(|| sleep(LONG)).is_err());
                }
                wait(&sender, &receiver, message);
            });
            assert!(was_cancelled(task), "{name}");
            assert_eq!(Rc::strong_count(&message), 1, "{name}");
            // Nobody waits there any more.
            assert!(sender.try_send(message.clone()).is_err(), "{name}");
            assert!(receiver.try_recv().is_err(), "{name}");
        }
    }
}

#[test]
fn waits_in_a_shield_are_served_by_a_partner_in_another() {
    const MESSAGES: usize = 20;
    for select in [false, true] {
        let (sender, receiver) = bounded::<usize>(0);
        let tasks = on_one_worker(|| {
            let sends = spawn_local(move || {
                shield(|| {
                    (0..MESSAGES).for_each(|n| {
                        if select && n % 2 == 0 {
                            select! { send(sender, n) -> sent => sent.unwrap() }
                        } else {
                            sender.send(n).unwrap();
                        }
                    });
                });
                yield_now();
            });
            let receives = spawn_local(move || {
                sleep_in_shield();
                shield(|| {
                    let silent = never();
                    let recv = || {
                        if select {
                            select! { recv(receiver) -> n => n, recv(silent) -> n => n }
                        } else {
                            receiver.recv()
                        }
                    };
                    assert!((0..MESSAGES).all(|n| recv() == Ok(n)));
                    assert_eq!(recv(), Err(RecvError));
                });
                yield_now();
            });
            yield_now();
            [sends, receives]
        });
        assert!(tasks.into_iter().all(was_cancelled));
    }
}

/// So that the runtime ends in between.
fn sleep_in_shield() {
    shield(|| sleep(Duration::from_millis(2)));
}

#[test]
fn destructors_of_a_cancelled_task_wait_in_a_shield_and_fail_outside() {
    struct Talks {
        outward: Sender<u32>,
        inward: Receiver<u32>,
        /// Both ends of a channel with no partner.
        lonely: (Sender<u32>, Receiver<u32>),
    }
    impl Drop for Talks {
        fn drop(&mut self) {
            assert!(thread::panicking());
            let fails = || {
                // As if the other end were gone.
                assert_eq!(self.lonely.0.send(3), Err(SendError(3)));
                assert_eq!(self.lonely.1.recv(), Err(RecvError));
            };
            fails();
            shield(|| {
                self.outward.send(1).unwrap();
                assert_eq!(self.inward.recv(), Ok(2));
            });
            fails();
        }
    }

    let tasks = on_one_worker(|| {
        let ((outward, theirs), (ours, inward)) = (bounded(0), bounded(0));
        let talks = spawn_local(move || {
            let _talks = Talks { outward, inward, lonely: bounded(0) };
            never::<()>().recv().unwrap();
        });
        let answers = spawn_local(move || {
            shield(|| {
                assert_eq!(theirs.recv(), Ok(1));
                ours.send(2).unwrap();
            });
            yield_now();
        });
        yield_now();
        [talks, answers]
    });
    assert!(tasks.into_iter().all(was_cancelled));
}

/// A message that was handed over before the cancellation arrived is returned.
#[test]
fn a_message_that_was_won_is_kept() {
    let task = on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let task = spawn_local(move || {
            let message = receiver.recv();
            assert!(catch_unwind(AssertUnwindSafe(|| receiver.recv())).is_err());
            message
        });
        yield_now();
        sender.send("won").unwrap();
        task
    });
    assert_eq!(task.join().unwrap(), Ok("won"));
}

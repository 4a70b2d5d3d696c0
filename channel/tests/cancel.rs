//! Channels in tasks that are cancelled: each wait unwinds its task and leaves nothing behind; in a
//! shield it is as any other, and in a destructor outside of one it fails as if the other end were
//! gone.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use lisle_channel::{Receiver, RecvError, SendError, Sender, after, bounded, never, select};
use lisle_scheduler::{Cancelled, JoinHandle, Runtime, shield, sleep, spawn_local, yield_now};
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

// Dialogues between tasks that are cancelled at random

/// What has happened to messages, each of which is a number: whether it was sent, and received.
#[derive(Clone, Default)]
struct Records(Arc<Mutex<[Vec<u32>; 2]>>);

const SENT: usize = 0;
const RECEIVED: usize = 1;

impl Records {
    fn note(&self, what: usize, message: u32) {
        self.0.lock().unwrap()[what].push(message);
    }

    /// No message was received twice, or got lost between the two ends.
    fn assert_balanced(&self, name: &str) {
        let mut records = self.0.lock().unwrap();
        records.iter_mut().for_each(|record| record.sort_unstable());
        let [sent, received] = &*records;
        assert_eq!(sent, received, "{name}");
        assert!(sent.is_sorted_by(|a, b| a < b), "{name}");
    }
}

/// Sends a message: false if nobody receives any more.
type Sends = fn(&Sender<u32>, u32) -> bool;
type Receives = fn(&Receiver<u32>) -> Option<u32>;

fn sends_by_select(sender: &Sender<u32>, message: u32) -> bool {
    let silent = never::<()>();
    select! {
        recv(silent) -> _ => unreachable!("nothing comes"),
        send(sender, message) -> sent => sent.is_ok(),
    }
}

fn receives_by_select(receiver: &Receiver<u32>) -> Option<u32> {
    let (_other, silent) = bounded::<u32>(0);
    select! {
        recv(silent) -> _ => unreachable!("nothing comes"),
        recv(receiver) -> message => message.ok(),
    }
}

const DIALOGUES: [(&str, usize, Sends, Receives); 4] = [
    ("rendezvous", 0, |sender, n| sender.send(n).is_ok(), |receiver| receiver.recv().ok()),
    ("buffered", 3, |sender, n| sender.send(n).is_ok(), |receiver| receiver.recv().ok()),
    ("select", 0, sends_by_select, receives_by_select),
    ("buffered select", 2, sends_by_select, |receiver| receiver.recv().ok()),
];

/// A message whose send has returned was received by a task that goes on with it, or is still in
/// the channel. What is cancelled meanwhile, on whichever worker, loses none and doubles none.
#[test]
fn random_cancels_lose_and_double_no_message() {
    for workers in [1, 2, 4] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                for (name, capacity, sends, receives) in DIALOGUES {
                    for seed in 0..20_u32 {
                        dialogue(name, capacity, sends, receives, seed);
                    }
                }
            })
            .unwrap();
    }
}

fn dialogue(name: &str, capacity: usize, sends: Sends, receives: Receives, seed: u32) {
    let (sender, receiver) = bounded(capacity);
    let records = Records::default();
    let spawn_spread = |body: Box<dyn FnOnce() + Send>| {
        lisle_scheduler::Builder::new().spread().spawn(body).unwrap()
    };
    let mut tasks = Vec::new();
    for n in 0..3_u32 {
        let (sender, theirs) = (sender.clone(), records.clone());
        tasks.push(spawn_spread(Box::new(move || {
            (1_000_000 * n..).take_while(|message| sends(&sender, *message)).for_each(|message| {
                theirs.note(SENT, message);
            });
        })));
        let (receiver, theirs) = (receiver.clone(), records.clone());
        tasks.push(spawn_spread(Box::new(move || {
            while let Some(message) = receives(&receiver) {
                theirs.note(RECEIVED, message);
            }
        })));
    }
    let mut random = seed;
    while !tasks.is_empty() {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (0..random >> 29).for_each(|_| yield_now());
        let task = tasks.swap_remove(random as usize % tasks.len());
        task.cancel();
        assert!(was_cancelled(task), "{name}");
    }
    drop(sender);
    receiver.iter().for_each(|message| records.note(RECEIVED, message));
    records.assert_balanced(name);
}

/// Clients that ask and are cancelled before they have the answer: it comes back to the server.
#[test]
fn an_answer_to_a_client_that_is_cancelled_comes_back() {
    for workers in [1, 2, 4] {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                let (ask, requests) = bounded::<(u32, Sender<u32>)>(0);
                let records = Records::default();
                let theirs = records.clone();
                let server = lisle_scheduler::spawn(move || {
                    let answered = |(n, client): (u32, Sender<u32>)| {
                        yield_now();
                        match client.send(n) {
                            Ok(()) => theirs.note(SENT, n),
                            Err(SendError(back)) => assert_eq!(back, n),
                        }
                    };
                    requests.iter().map(answered).count()
                });
                let mut asked = 0;
                for n in 0..300_u32 {
                    let (ask, theirs) = (ask.clone(), records.clone());
                    let client = lisle_scheduler::spawn(move || {
                        let (reply, answer) = bounded(0);
                        ask.send((n, reply)).unwrap();
                        let got = answer.recv();
                        theirs.note(RECEIVED, got.unwrap());
                    });
                    (0..n % 5).for_each(|_| yield_now());
                    client.cancel();
                    asked += usize::from(client.join().is_ok());
                }
                drop(ask);
                assert!(server.join().unwrap() >= asked);
                records.assert_balanced("answers");
            })
            .unwrap();
    }
}

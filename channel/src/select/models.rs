//! Loom models of the claim protocol, one for each race that `README.md` argues about.
//!
//! As in the models of the channels, the parties are plain threads, and each message owns a loom
//! `Arc`: the end of a model checks that none was lost or freed twice.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::operation::Operation;
use crate::claim::{Grant, GrantCell};
use crate::{Receiver, Select, Sender, bounded, select_biased, unbounded};

type Message = Arc<u32>;

fn message(number: u32) -> Message {
    Arc::new(number)
}

fn rendezvous() -> (Sender<Message>, Receiver<Message>) {
    bounded(0)
}

/// Two selects meet on two channels that they list in opposite order. Exactly one message passes,
/// and both sides agree on it.
///
/// Seen to fail without the look at the channel before it is enlisted for: both park, deadlock.
#[test]
fn loom_selects_against_each_other() {
    loom::model(|| {
        let (to_a, from_a) = rendezvous();
        let (to_b, from_b) = rendezvous();
        let other = {
            let (to_b, from_a) = (to_b.clone(), from_a.clone());
            thread::spawn(move || {
                select_biased! {
                    send(to_b, message(2)) -> result => { result.unwrap(); None }
                    recv(from_a) -> received => Some(*received.unwrap()),
                }
            })
        };
        let ours = select_biased! {
            send(to_a, message(1)) -> result => { result.unwrap(); None }
            recv(from_b) -> received => Some(*received.unwrap()),
        };
        match (ours, other.join().unwrap()) {
            (None, Some(1)) | (Some(2), None) => {}
            outcome => panic!("{outcome:?}"),
        }
        assert!(from_a.try_recv().is_err() && from_b.try_recv().is_err());
        drop((to_a, to_b));
    });
}

/// Two senders compete for one select, which takes one message; the other one comes back.
///
/// Seen to fail with `Claim::close` as a load and a store: both senders win, and write the claim
/// together. And with a relaxed store in `Waiter::drop_out`: a causality violation, the second
/// sender's waiter is gone while that sender still uses it.
#[test]
fn loom_senders_against_select() {
    loom::model(|| {
        let (to_a, from_a) = rendezvous();
        let (to_b, from_b) = rendezvous();
        let senders = [(to_a, 1), (to_b, 2)]
            .map(|(sender, n)| thread::spawn(move || sender.send(message(n)).map_err(|e| *e.0)));
        let received = select_biased! {
            recv(from_a) -> received => *received.unwrap(),
            recv(from_b) -> received => *received.unwrap(),
        };
        drop((from_a, from_b));
        for (sender, n) in senders.into_iter().zip(1..) {
            let expected = if n == received { Ok(()) } else { Err(n) };
            assert_eq!(sender.join().unwrap(), expected);
        }
    });
}

/// A plain receive meets a select that sends, in either order. The message is made late and passes
/// once.
///
/// Seen to fail without the look at the channel before it is enlisted for: both park, deadlock.
#[test]
fn loom_receive_from_select() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let (_silent, never) = rendezvous();
        let receiving = thread::spawn(move || receiver.recv().map(|message| *message));
        select_biased! {
            recv(never) -> _ => unreachable!(),
            send(sender, message(1)) -> result => result.unwrap(),
        }
        assert_eq!(receiving.join().unwrap(), Ok(1));
    });
}

/// A select sends to another one.
///
/// Seen to fail with a `has_partner` that counts no selects: both park, deadlock.
#[test]
fn loom_select_to_select() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let receiving = thread::spawn(
            move || select_biased!(recv(receiver) -> received => received.map(|message| *message)),
        );
        select_biased!(send(sender, message(1)) -> result => result.unwrap());
        assert_eq!(receiving.join().unwrap(), Ok(1));
    });
}

/// A select loses its channels one by one while it enqueues or waits.
///
/// Seen to fail without the look at the channels before they are enlisted for: deadlock.
#[test]
fn loom_disconnect_against_select() {
    loom::model(|| {
        let (to_a, from_a) = rendezvous();
        let (to_b, from_b) = rendezvous();
        let going = [thread::spawn(move || drop(to_a)), thread::spawn(move || drop(from_b))];
        select_biased! {
            recv(from_a) -> received => assert!(received.is_err()),
            send(to_b, message(1)) -> result => assert!(result.is_err()),
        }
        for going in going {
            going.join().unwrap();
        }
    });
}

/// A select that gives up races with a sender that wins it: the message is received, or comes back.
///
/// Seen to fail with a `wait` that trusts the clock, that is, reports the time-out if there is a
/// deadline: a message was sent and never received.
#[test]
fn loom_select_timeout_against_hand_over() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let selecting = thread::spawn(move || {
            let mut select = Select::new();
            select.recv(&receiver);
            match select.select_deadline(Instant::now()) {
                Ok(operation) => operation.recv(&receiver).map(|message| *message).ok(),
                Err(_) => None,
            }
        });
        let sent = sender.send(message(1)).map_err(|error| *error.0);
        match selecting.join().unwrap() {
            Some(number) => assert_eq!((number, sent), (1, Ok(()))),
            None => assert_eq!(sent, Err(1)),
        }
    });
}

/// A send is selected, for which a place of the buffer was set aside, while another one waits for a
/// place and the receiver drains the channel: every message arrives.
///
/// Seen to fail with a `send_reserved` that does not look for parked receivers: the message stays
/// in the buffer, and the receiver sleeps.
#[test]
fn loom_reserved_place() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        sender.send(message(1)).unwrap();
        let sending = {
            let sender = sender.clone();
            thread::spawn(move || {
                select_biased!(send(sender, message(2)) -> result => result.unwrap());
            })
        };
        let other = thread::spawn(move || sender.send(message(3)).unwrap());
        let mut received = [(); 3].map(|()| *receiver.recv().unwrap());
        assert_eq!(received[0], 1);
        received.sort();
        assert_eq!(received, [1, 2, 3]);
        assert!(receiver.recv().is_err());
        for sending in [sending, other] {
            sending.join().unwrap();
        }
    });
}

/// A send was selected and gives its place back, since there is no message for it after all, while
/// two others wait for a place and the last receiver goes. No message stays where nobody can
/// receive it.
///
/// Seen to fail with a `give_place_back` that does not ask for receivers: it serves the second
/// sender while the first is told that they are gone.
#[test]
fn loom_place_given_back_against_disconnect() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        let mut grant = GrantCell::new();
        assert!(sender.attempt(&mut grant), "a place is free");
        let parties = [1, 2].map(|number| {
            let sender = sender.clone();
            thread::spawn(move || drop(sender.send(message(number))))
        });
        let going = thread::spawn(move || drop(receiver));
        sender.give_up(Grant::Reserved);
        for party in parties.into_iter().chain([going]) {
            party.join().unwrap();
        }
        assert!(sender.is_empty());
    });
}

/// A party that asks what is ready is told when a sender parks, and then finds it.
///
/// Seen to fail with watchers that `dequeue` drops without telling them: deadlock.
#[test]
fn loom_ready_against_send() {
    loom::model(|| {
        let (sender, receiver) = rendezvous();
        let sending = thread::spawn(move || sender.send(message(1)).unwrap());
        let mut select = Select::new();
        select.recv(&receiver);
        assert_eq!(select.ready(), 0);
        assert_eq!(receiver.try_recv().map(|message| *message), Ok(1));
        sending.join().unwrap();
    });
}

/// Of two channels one has a message at every moment: it is sent into the first before it is taken
/// out of the second. A party that does not wait finds one.
///
/// Seen to fail with a `last_look` that looks once.
#[test]
fn loom_try_select_beside_a_moving_message() {
    a_message_moves(|first, second| {
        let mut select = Select::new_biased();
        select.recv(first);
        select.recv(second);
        let operation = select.try_select().expect("one of them has a message");
        match operation.index() {
            0 => assert_eq!(operation.recv(first).map(|message| *message), Ok(2)),
            _ => assert_eq!(operation.recv(second).map(|message| *message), Ok(1)),
        }
    });
}

/// The same for a party that only asks.
///
/// Seen to fail as the model above.
#[test]
fn loom_try_ready_beside_a_moving_message() {
    a_message_moves(|first, second| {
        let mut select = Select::new_biased();
        select.recv(first);
        select.recv(second);
        assert!(select.try_ready().is_ok());
    });
}

fn a_message_moves(look: fn(&Receiver<Message>, &Receiver<Message>)) {
    loom::model(move || {
        let (to_first, first) = bounded(1);
        let (to_second, second) = unbounded();
        to_second.send(message(1)).unwrap();
        let moving = {
            let (to_first, second) = (to_first.clone(), second.clone());
            thread::spawn(move || {
                to_first.send(message(2)).unwrap();
                drop(second.try_recv());
            })
        };
        look(&first, &second);
        moving.join().unwrap();
        drop((to_first, to_second));
    });
}

/// Of two channels one has a free place at every moment, or a receiver that waits.
///
/// Seen to fail as the models above.
#[test]
fn loom_try_select_beside_a_moving_place() {
    loom::model(|| {
        let (first, from_first) = bounded(1);
        let (second, from_second) = bounded(1);
        first.send(message(1)).unwrap();
        let moving = {
            let second = second.clone();
            thread::spawn(move || {
                drop(from_first.recv());
                drop(second.try_send(message(2)));
                from_first
            })
        };
        select_biased! {
            send(first, message(3)) -> result => result.unwrap(),
            send(second, message(3)) -> result => result.unwrap(),
            default => unreachable!("one of them has a place"),
        }
        moving.join().unwrap();
        drop((first, second, from_second));
    });
}

/// A message expression lets the last sender go while the last receiver goes, too: the place that
/// it has keeps the channel, once.
///
/// Seen to fail with a `detach` that leaves its count only after it has let go of the lock: the
/// channel is freed and used.
#[test]
fn loom_place_keeps_the_channel() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        let going =
            thread::spawn(move || receiver.try_recv().map(|message: Message| *message).ok());
        let mut sender = Some(sender);
        let sent = select_biased! {
            send(sender.as_ref().unwrap(), {
                sender = None;
                message(1)
            }) -> result => result.is_ok(),
        };
        assert!(sender.is_none());
        let received = going.join().unwrap();
        assert!(received.is_none() || sent);
    });
}

/// A message expression lets the last sender go while two parties receive: one gets the message,
/// and then the other one is told that no more come.
///
/// Seen to fail with a channel that is at its end as soon as it has no sender: both are told so.
/// And with a `send_reserved` that does not disconnect: deadlock.
#[test]
fn loom_place_outlives_the_last_sender() {
    loom::model(|| {
        let (sender, receiver) = bounded(1);
        let other = receiver.clone();
        let other = thread::spawn(move || other.recv().is_ok());
        let receiving = thread::spawn(move || receiver.recv().is_ok());
        let mut holder = Some(sender);
        select_biased! {
            send(holder.as_ref().unwrap(), { holder = None; message(1) }) -> result => {
                result.unwrap();
            }
        }
        assert!(holder.is_none());
        assert_ne!(receiving.join().unwrap(), other.join().unwrap());
    });
}

/// As the model above, but no message is made after all.
///
/// Seen to fail with a `give_place_back` that does not disconnect: deadlock.
#[test]
fn loom_place_given_back_after_the_last_sender() {
    loom::model(|| {
        let (sender, receiver) = bounded::<Message>(1);
        let receiving = thread::spawn(move || receiver.recv().is_ok());
        let leave = |mut holder: Option<Sender<Message>>| -> Option<()> {
            select_biased! {
                send(holder.as_ref()?, { drop(holder.take()); None? }) -> _ => unreachable!(),
            }
        };
        assert_eq!(leave(Some(sender)), None);
        assert!(!receiving.join().unwrap());
    });
}

/// The main task of a runtime selects; one of its messages comes from another task, one from a
/// plain thread.
///
/// Seen to fail without the look at the channels before they are enlisted for: deadlock.
#[test]
fn loom_task_selects_from_task_and_thread() {
    loom::model(|| {
        let (to_a, from_a) = rendezvous();
        let (to_b, from_b) = rendezvous();
        let (keep_a, keep_b) = (to_a.clone(), to_b.clone());
        let thread = thread::spawn(move || to_a.send(message(1)).unwrap());
        lisle_scheduler::run(move || {
            let task = lisle_scheduler::spawn(move || {
                select_biased!(send(to_b, message(2)) -> result => result.unwrap());
            });
            let mut numbers = [(); 2].map(|()| {
                select_biased! {
                    recv(from_a) -> received => *received.unwrap(),
                    recv(from_b) -> received => *received.unwrap(),
                }
            });
            numbers.sort();
            assert_eq!(numbers, [1, 2]);
            task.join().unwrap();
        });
        thread.join().unwrap();
        drop((keep_a, keep_b));
    });
}

//! The bodies of a `select!` may do anything with what its operations have borrowed, and its
//! message expressions may leave it.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use lisle_channel::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, bounded, never, select,
    select_biased, unbounded,
};
use lisle_scheduler::block_on;
use support::{LONG, everywhere};

const SHORT: Duration = Duration::from_millis(1);

/// All of its parts are reached through `&mut self`.
struct Service {
    jobs: Receiver<u32>,
    results: Sender<u32>,
    log: Vec<u32>,
}

impl Service {
    fn new() -> (Sender<u32>, Self, Receiver<u32>) {
        let ((jobs_in, jobs), (results, results_out)) = (unbounded(), bounded(1));
        (jobs_in, Self { jobs, results, log: Vec::new() }, results_out)
    }

    fn note(&mut self, number: u32) -> usize {
        self.log.push(number);
        self.log.len()
    }

    fn receive(&mut self) -> usize {
        select! {
            recv(self.jobs) -> job => self.note(job.unwrap()),
        }
    }

    fn receive_if_any(&mut self) -> usize {
        select! {
            recv(self.jobs) -> job => self.note(job.unwrap()),
            recv(&never::<u8>()) -> _ => self.note(0),
            default => self.note(404),
        }
    }

    fn receive_in_time(&mut self) -> usize {
        select_biased! {
            recv(&self.jobs) -> job => { self.note(job.unwrap()) }
            recv(never::<u8>()) -> _ => self.note(0),
            default(SHORT) => self.note(408)
        }
    }

    fn send_or_receive(&mut self) -> usize {
        select_biased! {
            send(self.results, self.log.len() as u32) -> sent => {
                self.note(if sent.is_ok() { 200 } else { 410 })
            }
            recv(self.jobs) -> job => self.note(job.unwrap()),
        }
    }

    /// The message moves a field, the body replaces both.
    fn hand_over(&mut self) -> Result<(), SendError<Vec<u32>>> {
        let (logs, logs_out) = bounded(1);
        select! {
            send(logs, std::mem::take(&mut self.log)) -> sent => {
                self.log = logs_out.recv().unwrap();
                self.note(7);
                (self.results, _) = bounded(0);
                sent
            }
            recv(self.jobs) -> _ => unreachable!("nobody sends"),
        }
    }
}

#[test]
fn bodies_use_what_holds_the_channels() {
    everywhere(|_| {
        let (jobs, mut service, results) = Service::new();
        jobs.send(1).unwrap();
        assert_eq!(service.receive(), 1);
        assert_eq!(service.receive_if_any(), 2);
        assert_eq!(service.receive_in_time(), 3);
        jobs.send(4).unwrap();
        assert_eq!(service.receive_if_any(), 4);
        jobs.send(5).unwrap();
        assert_eq!(service.receive_in_time(), 5);
        assert_eq!(service.send_or_receive(), 6);
        jobs.send(6).unwrap();
        assert_eq!(service.send_or_receive(), 7);
        assert_eq!(service.log, [1, 404, 408, 4, 5, 200, 6]);
        assert_eq!(results.recv(), Ok(5));
        drop(results);
        assert_eq!(service.send_or_receive(), 8);
        assert_eq!(service.hand_over(), Ok(()));
        assert_eq!(service.log[7..], [410, 7]);
    });
}

#[test]
fn an_arm_replaces_its_own_channel() {
    everywhere(|_| {
        let (sender, mut receiver) = unbounded();
        let (next_sender, next) = unbounded();
        sender.send(1).unwrap();
        next_sender.send(2).unwrap();
        let mut next = Some(next);
        let mut numbers = Vec::new();
        drop(sender);
        loop {
            select! {
                recv(receiver) -> number => match number {
                    Ok(number) => numbers.push(number),
                    Err(RecvError) => match next.take() {
                        Some(other) => receiver = other,
                        None => break,
                    },
                },
                default => next_sender.send(3).unwrap(),
            }
            if numbers.len() == 2 {
                receiver = never();
                break;
            }
        }
        assert_eq!(numbers, [1, 2]);
        assert_eq!(receiver.try_recv().ok(), None);

        let (mut sender, receiver) = bounded(1);
        select! {
            send(sender, 1) -> sent => {
                sent.unwrap();
                sender = bounded(1).0;
            }
        }
        assert_eq!((receiver.recv(), receiver.recv()), (Ok(1), Err(RecvError)));
        select! {
            send(sender, 1) -> sent => { drop(sender); assert_eq!(sent, Err(SendError(1))) }
        }
        select! {
            recv(receiver) -> end => { drop(receiver); assert_eq!(end, Err(RecvError)) }
            recv(never::<u8>()) -> _ => unreachable!(),
        }
    });
}

#[test]
fn an_arm_changes_the_list_that_its_channel_is_in() {
    everywhere(|_| {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| unbounded()).unzip();
        senders[1].send(1).unwrap();
        let received = select! {
            recv(receivers[0]) -> _ => unreachable!(),
            recv(receivers[1]) -> number => { receivers.clear(); number }
        };
        assert_eq!((received, receivers.len()), (Ok(1), 0));

        let shared = Rc::new(RefCell::new(Vec::from_iter([unbounded::<u8>()])));
        let sender = || shared.borrow()[0].0.clone();
        let receiver = || shared.borrow()[0].1.clone();
        select_biased! {
            send(sender(), 1) -> sent => { sent.unwrap(); shared.borrow_mut().push(unbounded()) }
            recv(receiver()) -> _ => unreachable!(),
            default => unreachable!(),
        }
        assert_eq!(shared.borrow().len(), 2);
    });
}

/// A channel that only the `select!` knows lives until its end.
#[test]
fn channels_may_be_temporaries() {
    everywhere(|_| {
        let (sender, receiver) = unbounded();
        let mut clones = 0;
        let mut make = || {
            clones += 1;
            receiver.clone()
        };
        sender.send(1).unwrap();
        let first = select! { recv(make()) -> number => number.unwrap(), default => 0 };
        let second = select! {
            recv(make()) -> _ => unreachable!(),
            send(sender.clone(), 2) -> sent => sent.map(|()| make().recv().unwrap()).unwrap(),
        };
        assert_eq!((first, second), (1, 2));
        let text = select! {
            recv(std::slice::from_ref(&receiver)[0]) -> _ => unreachable!(),
            default(Duration::ZERO) => String::from("none"),
        };
        assert_eq!(text, "none");
    });
}

#[test]
fn a_select_inside_uses_the_same_channels() {
    everywhere(|_| {
        let (jobs, mut service, results) = Service::new();
        jobs.send(1).unwrap();
        jobs.send(2).unwrap();
        select! {
            recv(service.jobs) -> one => select! {
                recv(service.jobs) -> two => {
                    service.note(one.unwrap() + two.unwrap());
                    select! {
                        send(service.results, { service.note(0); 9 }) -> sent => sent.unwrap(),
                        default(LONG) => unreachable!(),
                    }
                }
                default => unreachable!(),
            },
        }
        assert_eq!(results.recv(), Ok(9));
        assert_eq!(service.log, [3, 0]);
    });
}

/// Ways in which a message expression leaves its `select!`.
#[derive(Clone, Copy, Debug)]
enum Way {
    Try,
    Return,
    Break,
    BreakLabel,
    Continue,
    Panic,
}

/// Sends a 1 unless it is told to go another way, and tells how it ended.
fn send_unless(sender: &Sender<u32>, way: Option<Way>) -> Result<&'static str, String> {
    let mut turns = 0;
    let end = 'outer: loop {
        turns += 1;
        if turns == 2 {
            break "continued";
        }
        #[expect(clippy::never_loop, reason = "it is there to be left")]
        loop {
            select! {
                recv(never::<u8>()) -> _ => unreachable!(),
                send(sender, match way {
                    None => 1,
                    Some(Way::Try) => Err("no message")?,
                    Some(Way::Return) => return Ok("returned"),
                    Some(Way::Break) => break,
                    Some(Way::BreakLabel) => break 'outer "broken off",
                    Some(Way::Continue) => continue 'outer,
                    Some(Way::Panic) => resume_unwind(Box::new("panicked")),
                }) -> sent => return sent.map(|()| "sent").map_err(|error| error.to_string()),
            }
        }
        break "broken";
    };
    Ok(end)
}

#[test]
fn message_expressions_may_leave_and_release_the_receiver() {
    let ways = [
        (Way::Try, Err("no message".to_string())),
        (Way::Return, Ok("returned")),
        (Way::Break, Ok("broken")),
        (Way::BreakLabel, Ok("broken off")),
        (Way::Continue, Ok("continued")),
    ];
    everywhere(|place| {
        for capacity in 0..2 {
            for (way, end) in &ways {
                let (sender, receiver) = bounded(capacity);
                let receiving = place.spawn(move || receiver.recv());
                assert_eq!(send_unless(&sender, Some(*way)), *end, "{way:?}");
                // Neither the partner nor the place is gone.
                assert_eq!(send_unless(&sender, None), Ok("sent"));
                assert_eq!(receiving.join(), Ok(1), "{way:?}");
            }
            let (sender, receiver) = bounded(capacity);
            let receiving = place.spawn(move || receiver.recv());
            let panics = || send_unless(&sender, Some(Way::Panic));
            let payload = catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
            assert_eq!(payload.downcast_ref(), Some(&"panicked"));
            assert_eq!(send_unless(&sender, None), Ok("sent"));
            assert_eq!(receiving.join(), Ok(1));
        }
    });
}

/// A sender that waits behind the place of a message that does not come gets the place.
#[test]
fn a_place_that_was_left_goes_to_the_next_sender() {
    everywhere(|place| {
        let (sender, receiver) = bounded(1);
        fn leave(sender: &Sender<u32>, meanwhile: impl FnOnce()) -> Option<u32> {
            select! {
                send(sender, { meanwhile(); None::<u32>? }) -> _ => unreachable!(),
            }
        }
        let mut next = None;
        let none = leave(&sender, || {
            let sender = sender.clone();
            let (begun, begins) = bounded(1);
            next = Some(place.spawn(move || {
                begun.send(()).unwrap();
                sender.send(2)
            }));
            begins.recv().unwrap();
        });
        assert_eq!(none, None);
        assert_eq!(receiver.recv(), Ok(2));
        assert_eq!(next.unwrap().join(), Ok(()));
    });
}

/// Lets the only sender go in a message expression, does something `meanwhile`, and then sends the
/// message that this gives, if any.
fn send_last<T>(sender: Sender<T>, meanwhile: impl FnOnce() -> Option<T>) -> Option<()> {
    let mut holder = Some(sender);
    select! {
        send(holder.as_ref()?, { drop(holder.take()); meanwhile()? }) -> sent => sent.ok(),
    }
}

/// Not when the last sender goes, but when the message is there that it has promised, or does not
/// come, receivers learn of the end.
#[test]
fn the_end_of_a_channel_comes_after_the_messages_that_were_promised() {
    type New = fn() -> (Sender<u8>, Receiver<u8>);
    let channels: [New; 3] = [|| bounded(1), || bounded(2), unbounded];
    everywhere(|place| {
        for (channel, message) in channels.iter().flat_map(|new| [(new(), Some(1)), (new(), None)])
        {
            let (sender, receiver) = channel;
            let mut parties = Vec::new();
            let sent = send_last(sender, || {
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
                assert_eq!(
                    select! { recv(receiver) -> end => end.ok(), default => Some(0) },
                    Some(0)
                );
                let mut ready = Select::new();
                ready.recv(&receiver);
                assert!(ready.try_ready().is_err());
                let (begun, begins) = bounded(0);
                let mut receive = |recv: fn(Receiver<u8>) -> Result<u8, RecvError>| {
                    let (begun, receiver) = (begun.clone(), receiver.clone());
                    parties.push(place.spawn(move || {
                        begun.send(()).unwrap();
                        recv(receiver)
                    }));
                };
                receive(|receiver| receiver.recv());
                receive(|receiver| select! { recv(receiver) -> message => message });
                receive(|receiver| block_on(async { receiver.recv_async().await }));
                receive(|receiver| {
                    let mut ready = Select::new();
                    ready.recv(&receiver);
                    ready.ready();
                    receiver.recv()
                });
                parties.iter().for_each(|_| begins.recv().unwrap());
                place.pause();
                message
            });
            assert_eq!(sent, message.map(|_| ()));
            let mut received: Vec<_> = parties.into_iter().map(|party| party.join().ok()).collect();
            received.sort();
            assert_eq!(received, [None, None, None, message]);
            assert_eq!(receiver.recv(), Err(RecvError));
        }
    });
}

/// A message expression that lets its own sender go, the last one, sends nevertheless.
#[test]
fn a_message_may_replace_or_drop_its_sender() {
    everywhere(|place| {
        for capacity in 0..2 {
            let (sender, receiver) = bounded(capacity);
            let receiving = place.spawn(move || (receiver.recv(), receiver.recv()));
            let mut holder = Some(sender);
            select! {
                send(holder.as_ref().unwrap(), {
                    holder = None;
                    String::from("the last")
                }) -> sent => {
                    assert_eq!(sent, Ok(()));
                }
            }
            assert!(holder.is_none());
            assert_eq!(receiving.join(), (Ok(String::from("the last")), Err(RecvError)));
        }
        // And without a receiver at last, or without a message after all.
        let (sender, receiver) = bounded(1);
        let mut holder = Some((sender, receiver));
        select! {
            send(holder.as_ref().unwrap().0, {
                holder = None;
                String::from("too late")
            }) -> sent => {
                assert!(holder.is_none());
                assert_eq!(sent, Err(SendError(String::from("too late"))));
            }
        }
        let (sender, receiver) = bounded::<String>(1);
        let mut sender = Some(sender);
        let leave = |sender: &mut Option<_>| -> Option<()> {
            select! { send(sender.as_ref()?, { *sender = None; None? }) -> _ => unreachable!() }
        };
        assert_eq!(leave(&mut sender), None);
        assert_eq!(receiver.recv(), Err(RecvError));
    });
}

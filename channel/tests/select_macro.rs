//! The grammar of `select!`, and what its parts mean.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::Cell;
use std::time::{Duration, Instant};

use lisle_channel::{
    Receiver, RecvError, SendError, Sender, after, bounded, never, select, select_biased, unbounded,
};
use support::{LONG, everywhere};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn bodies_are_expressions_or_blocks_with_or_without_commas() {
    let (sender, receiver) = unbounded();
    let mut log = Vec::new();
    for n in 0..4 {
        sender.send(n).unwrap();
        select! {
            recv(receiver) -> message => log.push(message.unwrap()),
        }
        sender.send(n).unwrap();
        select! {
            recv(receiver,) -> message => { log.push(message.unwrap()) }
            default => { unreachable!() }
        }
        sender.send(n).unwrap();
        select! {
            default(SHORT,) => unreachable!(),
            recv(receiver) -> message => match message {
                Ok(message) => log.push(message),
                Err(RecvError) => unreachable!(),
            }
        }
        select! {
            default() => {}
            recv(receiver) -> _ => unreachable!()
        }
        select!(send(sender, n,) -> result => result.unwrap());
        select! [
            recv(never::<u8>()) -> _ => unreachable!(),
            recv(receiver) -> m => log.push(m.unwrap()),
        ];
    }
    assert_eq!(log, [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
}

#[test]
fn the_whole_has_the_value_of_the_body() {
    let (sender, receiver) = bounded(1);
    let sent = select! {
        send(sender, 3) -> result => result,
        recv(never::<()>()) -> _ => Err(SendError(0)),
    };
    assert_eq!(sent, Ok(()));
    let text = select! {
        recv(receiver) -> number => format!("{number:?}"),
        default => String::from("none"),
    };
    assert_eq!(text, "Ok(3)");
    let number: i32 = select!(default => 7) + select!(default(Duration::ZERO) => { 8 });
    assert_eq!(number, 15);
}

#[test]
fn patterns_take_the_result_apart() {
    let (sender, receiver) = unbounded();
    sender.send((1, "one")).unwrap();
    select! {
        recv(receiver) -> mut pair => {
            pair = pair.map(|(number, name)| (number + 1, name));
            assert_eq!(pair, Ok((2, "one")));
        }
    }
    select! {
        send(sender, (2, "two")) -> Ok(()) | Err(_) => {}
    }
}

/// `break`, `continue`, `return` and `?` belong to the surrounding code.
#[test]
fn control_flow_leaves_the_select() {
    fn first_even(receiver: &Receiver<i32>) -> Result<Option<i32>, RecvError> {
        loop {
            select! {
                recv(receiver) -> number => {
                    let number = number?;
                    if number % 2 == 1 {
                        continue;
                    }
                    if number > 100 {
                        break;
                    }
                    return Ok(Some(number));
                }
                default(LONG) => panic!("too slow"),
            }
        }
        Ok(None)
    }
    let (sender, receiver) = unbounded();
    [1, 3, 4, 5, 102].into_iter().for_each(|n| sender.send(n).unwrap());
    assert_eq!(first_even(&receiver), Ok(Some(4)));
    assert_eq!(first_even(&receiver), Ok(None));
    drop(sender);
    assert_eq!(first_even(&receiver), Err(RecvError));
    let mut rounds = 0;
    'outer: loop {
        for round in 0..3 {
            rounds += 1;
            select! {
                recv(never::<u8>()) -> _ => break,
                default => if round == 1 { continue 'outer },
            }
            if rounds > 6 {
                break 'outer;
            }
        }
    }
    assert_eq!(rounds, 7);
}

#[test]
fn channels_are_any_expressions_of_any_depth_of_reference() {
    struct Holder {
        receivers: Vec<Receiver<u8>>,
        sender: Option<Box<Sender<u8>>>,
    }
    let (sender, receiver) = unbounded();
    let holder = Holder { receivers: vec![receiver], sender: Some(Box::new(sender)) };
    select! {
        recv(holder.receivers[0]) -> _ => unreachable!(),
        send(holder.sender.as_ref().unwrap(), 1) -> result => result.unwrap(),
        recv(std::sync::Arc::new(never::<u8>())) -> _ => unreachable!(),
        recv(&&&never::<u8>()) -> _ => unreachable!(),
        recv({
            let (_, receiver) = unbounded::<u8>();
            std::mem::forget(receiver.clone());
            never::<u8>()
        }) -> _ => unreachable!(),
    }
    select! {
        recv(holder.receivers.last().unwrap_or(&never())) -> message => assert_eq!(message, Ok(1)),
        recv(after(LONG)) -> _ => unreachable!(),
    }
}

#[test]
fn channels_are_evaluated_in_order_and_the_message_when_it_is_sent() {
    let log = std::cell::RefCell::new(Vec::new());
    let note = |name| log.borrow_mut().push(name);
    let (sender, receiver) = bounded(1);
    let (other, _full) = bounded(0);
    select! {
        send({ note("s1"); &sender }, { note("m1"); 1 }) -> result => {
            note("b1");
            result.unwrap();
        }
        recv({ note("r"); never::<u8>() }) -> _ => unreachable!(),
        send({ note("s2"); &other }, { note("m2"); 2 }) -> _ => unreachable!(),
        default({ note("d"); SHORT }) => unreachable!(),
    }
    assert_eq!(*log.borrow(), ["s1", "r", "s2", "d", "m1", "b1"]);
    assert_eq!(receiver.len(), 1);
}

#[test]
fn a_message_is_moved_only_by_its_own_arm() {
    let (sender, _receiver) = bounded(0);
    let message = String::from("kept");
    let kept = select! {
        send(sender, message) -> _ => unreachable!(),
        default => message,
    };
    assert_eq!(kept, "kept");
}

#[test]
fn biased_takes_the_first_that_is_possible() {
    let (sender, receiver) = unbounded();
    let (_mute, silent) = unbounded::<i32>();
    (0..100).for_each(|n| sender.send(n).unwrap());
    for n in 0..100 {
        select_biased! {
            recv(silent) -> _ => unreachable!(),
            recv(receiver) -> message => assert_eq!(message, Ok(n)),
            send(sender, 0) -> _ => unreachable!(),
            default => unreachable!(),
        }
    }
    select_biased! {
        recv(silent) -> _ => unreachable!(),
        recv(receiver) -> _ => unreachable!(),
        default => {}
    }
}

#[test]
fn the_same_channel_may_stand_in_several_arms() {
    let (sender, receiver) = unbounded();
    let counts = [const { Cell::new(0) }; 3];
    let count = |arm: usize| counts[arm].set(counts[arm].get() + 1);
    for n in 0..1000 {
        sender.send(n).unwrap();
        select! {
            recv(receiver) -> message => { assert_eq!(message, Ok(n)); count(0) }
            recv(receiver) -> message => { assert_eq!(message, Ok(n)); count(1) }
            recv(receiver) -> message => { assert_eq!(message, Ok(n)); count(2) }
        }
    }
    assert!(counts.iter().all(|count| count.get() > 100), "{counts:?}");
}

#[test]
fn sending_and_receiving_on_one_channel_does_not_meet_itself() {
    let (sender, receiver) = bounded(0);
    select! {
        send(sender, 1) -> _ => unreachable!(),
        recv(receiver) -> _ => unreachable!(),
        default(SHORT) => {}
    }
    select! {
        recv(receiver) -> _ => unreachable!(),
        send(sender, 1) -> _ => unreachable!(),
        default => {}
    }
}

#[test]
fn timeouts_are_not_early() {
    everywhere(|_| {
        let begin = Instant::now();
        select! {
            recv(never::<u8>()) -> _ => unreachable!(),
            default(SHORT) => {}
        }
        assert!(begin.elapsed() >= SHORT);
        let begin = Instant::now();
        select!(default(SHORT) => ());
        assert!(begin.elapsed() >= SHORT);
    });
}

#[test]
fn a_select_in_a_select() {
    let (sender, receiver) = unbounded();
    sender.send(select! { default => select! { default => 5 } }).unwrap();
    select! {
        recv(select! { default => &receiver }) -> message => select! {
            send(sender, select!(default => message.unwrap() + 1)) -> result => result.unwrap(),
            recv(never::<u8>()) -> _ => unreachable!(),
        },
        recv(never::<u8>()) -> _ => select! { default => () },
    }
    assert_eq!(receiver.recv(), Ok(6));
}

/// As many arms as crossbeam-channel allows, without a `recursion_limit`, and a select inside.
#[test]
fn thirty_two_arms() {
    let (sender, r) = unbounded();
    for n in 0..1000 {
        sender.send(n).unwrap();
        let arm = select! {
            recv(r) -> m => (m, 0), recv(r) -> m => (m, 1), recv(r) -> m => (m, 2),
            recv(r) -> m => (m, 3), recv(r) -> m => { (m, 4) } recv(r) -> m => { (m, 5) }
            recv(r) -> m => (m, 6), recv(r) -> m => (m, 7), recv(r) -> m => (m, 8),
            recv(r) -> m => (m, 9), recv(r) -> m => (m, 10), recv(r) -> m => (m, 11),
            recv(r) -> m => (m, 12), recv(r) -> m => (m, 13), recv(r) -> m => (m, 14),
            recv(r) -> m => (m, 15), recv(r) -> m => (m, 16), recv(r) -> m => (m, 17),
            recv(r) -> m => (m, 18), recv(r) -> m => (m, 19), recv(r) -> m => (m, 20),
            recv(r) -> m => (m, 21), recv(r) -> m => (m, 22), recv(r) -> m => (m, 23),
            recv(r) -> m => (m, 24), recv(r) -> m => (m, 25), recv(r) -> m => (m, 26),
            recv(r) -> m => (m, 27), recv(r) -> m => (m, 28), recv(r) -> m => (m, 29),
            recv(r) -> m => (m, 30),
            recv(r) -> m => select! { recv(never::<u8>()) -> _ => (m, 0), default => (m, 31) },
            default => unreachable!(),
        };
        assert_eq!(arm.0, Ok(n));
        assert!(arm.1 < 32);
    }
}

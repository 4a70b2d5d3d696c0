//! Selects that wait, win, lose and are fair.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lisle_channel::{
    Receiver, RecvError, Select, SendError, Sender, TrySendError, bounded, never, select, unbounded,
};
use support::{LONG, everywhere, everywhere_with, on_one_worker};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn a_parked_select_is_served_by_each_of_its_operations() {
    everywhere_with(|ground, sender, receiver| {
        let (other, from_other) = bounded(0);
        let (to_gone, gone) = bounded(0);
        let party = ground.spawn(move || {
            [(); 3].map(|()| {
                select! {
                    recv(receiver) -> message => { assert_eq!(message, Ok(7)); 0 }
                    send(other, 8) -> result => { result.unwrap(); 1 }
                    send(to_gone, 9) -> result => { assert_eq!(result, Err(SendError(9))); 2 }
                }
            })
        });
        ground.pause();
        assert_eq!(from_other.recv(), Ok(8));
        ground.pause();
        sender.send(7).unwrap();
        while !sender.is_empty() {
            ground.pause();
        }
        drop(gone);
        assert_eq!(party.join(), [1, 0, 2]);
    });
}

#[test]
fn a_losing_select_leaves_nothing_behind() {
    // A select that was served through one channel, or gave up, is in no other list any more.
    everywhere(|ground| {
        let channels: [(Sender<u32>, Receiver<u32>); 4] = std::array::from_fn(|_| bounded(0));
        for n in 0..20 {
            let handles = channels.clone();
            let party = ground.spawn(move || {
                select! {
                    recv(handles[0].1) -> m => m.unwrap(),
                    recv(handles[1].1) -> m => m.unwrap(),
                    recv(handles[2].1) -> m => m.unwrap(),
                    send(handles[3].0, n) -> r => { r.unwrap(); 100 }
                    default(if n % 2 == 0 { LONG } else { Duration::from_micros(50) }) => 200,
                }
            });
            ground.pause();
            if n % 2 == 0 {
                channels[n as usize % 3].0.send(n).unwrap();
                assert_eq!(party.join(), n);
            } else {
                assert_eq!(party.join(), 200);
            }
            for (sender, receiver) in &channels {
                assert_eq!(sender.try_send(0), Err(TrySendError::Full(0)));
                assert!(receiver.try_recv().is_err());
            }
        }
    });
}

#[test]
fn selects_pair_up_with_each_other() {
    const ROUNDS: usize = 2_000;
    everywhere(|ground| {
        // Both list the two channels, in opposite order, sending into one and receiving from the
        // other.
        let (to_a, from_a) = bounded(0);
        let (to_b, from_b) = bounded(0);
        let play = |to: Sender<usize>, from: Receiver<usize>, biased: bool| {
            move || {
                let mut sent = 0;
                for n in 0..ROUNDS {
                    let mut select = if biased { Select::new_biased() } else { Select::new() };
                    let send = select.send(&to);
                    select.recv(&from);
                    let operation = select.select_timeout(LONG).unwrap();
                    if operation.index() == send {
                        operation.send(&to, n).unwrap();
                        sent += 1;
                    } else {
                        assert_eq!(operation.recv(&from), Ok(n));
                    }
                }
                sent
            }
        };
        for biased in [false, true] {
            let other = ground.spawn(play(to_b.clone(), from_a.clone(), biased));
            let sent = play(to_a.clone(), from_b.clone(), biased)();
            assert_eq!(sent + other.join(), ROUNDS);
        }
    });
}

#[test]
fn many_selects_on_the_same_channels_lose_and_double_nothing() {
    const PARTIES: usize = 4;
    const EACH: usize = 500;
    for capacity in [Some(0), Some(1), Some(3), None] {
        everywhere(|ground| {
            let channels: Vec<(Sender<usize>, Receiver<usize>)> =
                (0..3).map(|_| capacity.map_or_else(unbounded, bounded)).collect();
            let received =
                Arc::new((0..PARTIES * EACH).map(|_| AtomicUsize::new(0)).collect::<Vec<_>>());
            let mut parties = Vec::new();
            for party in 0..PARTIES {
                let senders: Vec<_> = channels.iter().map(|(sender, _)| sender.clone()).collect();
                parties.push(ground.spawn(move || {
                    for n in 0..EACH {
                        let mut select = Select::new();
                        for sender in &senders {
                            select.send(sender);
                        }
                        let operation = select.select();
                        let sender = &senders[operation.index()];
                        operation.send(sender, party * EACH + n).unwrap();
                    }
                }));
            }
            for _ in 0..PARTIES {
                let receivers: Vec<_> = channels.iter().map(|(_, r)| r.clone()).collect();
                let received = received.clone();
                parties.push(ground.spawn(move || {
                    let mut open = Select::new();
                    for receiver in &receivers {
                        open.recv(receiver);
                    }
                    for _ in 0..receivers.len() {
                        loop {
                            let operation = open.select_timeout(LONG).unwrap();
                            let index = operation.index();
                            match operation.recv(&receivers[index]) {
                                Ok(n) => received[n].fetch_add(1, Ordering::Relaxed),
                                Err(RecvError) => break open.remove(index),
                            };
                        }
                    }
                }));
            }
            drop(channels);
            parties.into_iter().for_each(|party| party.join());
            assert!(received.iter().all(|count| count.load(Ordering::Relaxed) == 1));
        });
    }
}

#[test]
fn a_disconnected_channel_is_selected_and_says_so() {
    everywhere_with(|ground, sender: Sender<u8>, receiver| {
        let (to_gone, gone) = bounded(0);
        let party = ground.spawn(move || {
            let received = select! { recv(receiver) -> m => m, default(LONG) => Ok(0) };
            let sent = select! { send(to_gone, 1) -> r => r, default(LONG) => Ok(()) };
            (received, sent)
        });
        ground.pause();
        drop(sender);
        ground.pause();
        drop(gone);
        assert_eq!(party.join(), (Err(RecvError), Err(SendError(1))));
    });
}

#[test]
fn a_message_is_made_while_the_receiver_waits() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let (to_maker, ingredients) = bounded(0);
        let maker = ground.spawn(move || {
            select! {
                send(sender, ingredients.recv().unwrap() + 1) -> result => result.unwrap(),
                recv(never::<u8>()) -> _ => unreachable!(),
            }
        });
        let taker = ground.spawn(move || receiver.recv_timeout(LONG));
        to_maker.send(41).unwrap();
        assert_eq!(taker.join(), Ok(42));
        maker.join();
    });
}

#[test]
fn try_recv_waits_for_what_a_select_has_promised() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let selecting = ground.spawn(move || {
            for n in 0..100 {
                select! {
                    send(sender, n) -> result => result.unwrap(),
                    recv(never::<u8>()) -> _ => unreachable!(),
                }
            }
        });
        for n in 0..100 {
            let message = loop {
                match receiver.try_recv() {
                    Ok(message) => break message,
                    Err(error) => assert!(error.is_empty()),
                }
                ground.pause();
            };
            assert_eq!(message, n);
        }
        selecting.join();
    });
}

#[test]
fn a_place_is_kept_for_a_send_that_was_selected() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(1);
        let mut select = Select::new();
        select.send(&sender);
        let operation = select.select();
        assert_eq!((sender.try_send(0), sender.capacity()), (Err(TrySendError::Full(0)), Some(1)));
        assert!(receiver.try_recv().is_err());
        operation.send(&sender, 1).unwrap();
        assert_eq!(receiver.try_recv(), Ok(1));
        // And given to a receiver that waits already.
        let operation = select.select();
        let task = lisle_scheduler::spawn({
            let receiver = receiver.clone();
            move || receiver.recv()
        });
        lisle_scheduler::yield_now();
        operation.send(&sender, 2).unwrap();
        assert_eq!(task.join().unwrap(), Ok(2));
        // The receivers may be gone by then.
        let operation = select.select();
        drop(receiver);
        assert_eq!(operation.send(&sender, 3), Err(SendError(3)));
    });
}

#[test]
fn fifo_among_parked_selects_and_others() {
    on_one_worker(|| {
        let (sender, receiver) = bounded(0);
        let tasks: Vec<_> = (0..9)
            .map(|n| {
                let receiver = receiver.clone();
                lisle_scheduler::spawn(move || match n % 3 {
                    0 => receiver.recv().unwrap(),
                    1 => select! {
                        recv(receiver) -> m => m.unwrap(),
                        recv(never::<u8>()) -> _ => unreachable!(),
                    },
                    _ => select! { recv(receiver) -> m => m.unwrap(), default(LONG) => 99 },
                })
            })
            .collect();
        lisle_scheduler::yield_now();
        for n in 0..9 {
            sender.try_send(n).unwrap();
        }
        assert!(tasks.into_iter().map(|task| task.join().unwrap()).eq(0..9));
    });
}

#[test]
fn no_ready_operation_starves() {
    const ROUNDS: usize = 6_000;
    // Two that are ready and two that are not: whatever their places, both get their share.
    for ready in [[0, 1], [0, 2], [1, 2], [2, 3], [0, 3]] {
        let mut counts = [0_usize; 4];
        let (sender, receiver) = unbounded();
        let quiet = never::<usize>();
        for n in 0..ROUNDS {
            sender.send(n).unwrap();
            let mut select = Select::new();
            for place in 0..4 {
                select.recv(if ready.contains(&place) { &receiver } else { &quiet });
            }
            let operation = select.select();
            counts[operation.index()] += 1;
            assert_eq!(operation.recv(&receiver), Ok(n));
        }
        for place in ready {
            // Far outside of what chance does to 6,000 fair throws.
            assert!(counts[place].abs_diff(ROUNDS / 2) < ROUNDS / 10, "{ready:?}: {counts:?}");
        }
    }
}

/// Nor does one of several at the same end of a channel, whether its party waits or comes to one
/// that waits.
#[test]
fn operations_on_one_channel_are_served_alike() {
    const ROUNDS: usize = 4_000;
    let fair = |counts: [usize; 4]| {
        assert!(counts.iter().all(|count| *count > ROUNDS / 10), "{counts:?}");
    };
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let sending = ground.spawn(move || {
            let mut counts = [0; 4];
            for _ in 0..ROUNDS {
                select! {
                    send(sender, ()) -> _ => counts[0] += 1,
                    send(sender, ()) -> _ => counts[1] += 1,
                    send(sender, ()) -> _ => counts[2] += 1,
                    send(sender, ()) -> _ => counts[3] += 1,
                }
            }
            counts
        });
        let mut counts = [0; 4];
        for _ in 0..ROUNDS {
            select! {
                recv(receiver) -> _ => counts[0] += 1,
                recv(receiver) -> _ => counts[1] += 1,
                recv(receiver) -> _ => counts[2] += 1,
                recv(receiver) -> _ => counts[3] += 1,
            }
        }
        fair(counts);
        fair(sending.join());
    });
}

#[test]
fn large_and_odd_messages_pass() {
    #[derive(Clone, PartialEq, Debug)]
    #[repr(align(64))]
    struct Aligned(u8);
    fn pass<T: Send + Clone + PartialEq + std::fmt::Debug + 'static>(message: T) {
        everywhere(|ground| {
            for capacity in [0, 1] {
                let (sender, receiver) = bounded(capacity);
                let other = ground.spawn({
                    let message = message.clone();
                    move || {
                        for _ in 0..10 {
                            select! {
                                send(sender, message.clone()) -> r => r.unwrap(),
                                recv(never::<u8>()) -> _ => (),
                            }
                        }
                    }
                });
                for _ in 0..10 {
                    select! {
                        recv(receiver) -> m => assert_eq!(m.as_ref(), Ok(&message)),
                        default(LONG) => panic!(),
                    }
                }
                other.join();
            }
        });
    }
    pass(());
    pass(Aligned(5));
    pass(vec![1, 2, 3]);
    pass([7_u64; 1000]);
    pass(Box::new([String::from("x")]));
}

#[test]
fn the_end_of_the_runtime_unwinds_selects() {
    let token = Arc::new(());
    let (sender, receiver) = bounded(0);
    let (ask, asked) = bounded::<()>(0);
    on_one_worker(|| {
        for _ in 0..100 {
            let (receiver, token) = (receiver.clone(), token.clone());
            lisle_scheduler::spawn(move || {
                let _token = token;
                select! { recv(receiver) -> _ => (), recv(never::<u8>()) -> _ => () }
            });
        }
        // One whose message never comes, and the receiver that waits for it.
        let (promised, promise) = bounded(0);
        let (asked, sending) = (asked.clone(), token.clone());
        lisle_scheduler::spawn(move || {
            let _token = sending;
            select! { send(promised, asked.recv()) -> _ => (), recv(never::<u8>()) -> _ => () }
        });
        let receiving = token.clone();
        lisle_scheduler::spawn(move || {
            let _token = receiving;
            promise.recv()
        });
        for _ in 0..3 {
            lisle_scheduler::yield_now();
        }
    });
    assert_eq!(Arc::strong_count(&token), 1);
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)), "nobody is left in the list");
    assert!(ask.try_send(()).is_err());
}

#[test]
fn a_deadlock_report_says_which_task_selects_and_where() {
    let builder = lisle_scheduler::Runtime::builder()
        .foreign_threads(lisle_scheduler::ForeignThreads::NeverWake);
    let mut line = 0;
    let deadlock = builder
        .run(|| {
            line = line!() + 1;
            select! { recv(never::<u8>()) -> _ => (), recv(never::<u8>()) -> _ => () }
        })
        .unwrap_err();
    let task = &deadlock.tasks()[0];
    assert_eq!(task.reason().as_str(), "selecting");
    assert_eq!((task.parked_at().file(), task.parked_at().line()), (file!(), line));
}

/// Everybody offers its name on a channel on which everybody also listens; they pair up.
#[test]
fn selects_that_send_and_receive_on_one_channel_pair_up() {
    const PARTIES: usize = 6;
    const ROUNDS: usize = 200;
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let parties: Vec<_> = (0..PARTIES)
            .map(|name| {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                ground.spawn(move || {
                    let (mut sent, mut received) = (0, 0);
                    // A party that is left over at the end gives up after a while.
                    while sent + received < ROUNDS {
                        select! {
                            send(sender, name) -> result => { result.unwrap(); sent += 1 }
                            recv(receiver) -> other => {
                                assert_ne!(other, Ok(name), "nobody meets itself");
                                received += 1;
                            }
                            default(SHORT * 10) => break,
                        }
                    }
                    (sent, received)
                })
            })
            .collect();
        let (sent, received) = parties.into_iter().fold((0, 0), |sum, party| {
            let (sent, received) = party.join();
            (sum.0 + sent, sum.1 + received)
        });
        assert_eq!(sent, received);
    });
}

#[test]
fn select_is_shared_like_the_peers() {
    fn shared<T: Send + Sync + Clone + Default + std::fmt::Debug>() {}
    shared::<Select<'_>>();
    assert_eq!(format!("{:?}", Select::new()), "Select { .. }");
    let (sender, receiver) = unbounded();
    let mut select = Select::new();
    select.send(&sender);
    let operation = select.select();
    assert_eq!(format!("{operation:?}"), "SelectedOperation { .. }");
    operation.send(&sender, 1).unwrap();
    drop(receiver);
}

/// Whether the threads are fresh or the tasks are: each of them selects once.
#[test]
fn the_first_choices_of_fresh_parties_differ() {
    fn choose() -> usize {
        let channels = [(); 4].map(|()| bounded(1));
        channels.iter().for_each(|(sender, _)| sender.send(()).unwrap());
        let mut select = Select::new();
        let [(_, a), (_, b), (_, c), (_, d)] = &channels;
        for receiver in [a, b, c, d] {
            select.recv(receiver);
        }
        let operation = select.select();
        let index = operation.index();
        operation.recv(&channels[index].1).unwrap();
        index
    }
    everywhere(|ground| {
        let mut counts = [0; 4];
        for _ in 0..200 {
            counts[ground.spawn(choose).join()] += 1;
        }
        assert!(counts.iter().all(|count| *count > 20), "{counts:?}");
    });
}

//! A select that gives up says that there was a moment at which nothing was possible.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_channel::{
    Receiver, Select, Sender, at, bounded, never, select, select_biased, tick, unbounded,
};
use support::on_workers;

/// A message that is sent into one of two channels before it is taken out of the other, and back:
/// one of them has a message at every moment.
struct Mover {
    stop: Arc<AtomicBool>,
    senders: [Sender<u32>; 2],
    receivers: [Receiver<u32>; 2],
}

impl Mover {
    fn new() -> Self {
        let (one, other) = (bounded(2), unbounded());
        one.0.send(0).unwrap();
        Self { stop: Arc::default(), senders: [one.0, other.0], receivers: [one.1, other.1] }
    }

    /// Moves the message to and fro until it is told to stop.
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            for (to, from) in [(1, 0), (0, 1)] {
                self.senders[to].send(0).unwrap();
                self.receivers[from].recv().unwrap();
            }
        }
    }
}

/// `look` tells whether it has found one that is ready, without taking anything away, while a plain
/// thread moves the message. So many silent channels stand between the two that the message can
/// move while they are looked at.
fn finds_the_message(look: impl Fn(&mut Select) -> bool) {
    const LOOKS: usize = 20_000;
    let mover = Mover::new();
    let silent = [(); 200].map(|()| unbounded::<u32>());
    let far = at(Instant::now() + support::LONG);
    thread::scope(|scope| {
        scope.spawn(|| mover.run());
        let mut select = Select::new_biased();
        select.recv(&mover.receivers[0]);
        silent.iter().for_each(|(_, receiver)| _ = select.recv(receiver));
        select.recv(&far);
        select.recv(&mover.receivers[1]);
        let missed = (0..LOOKS).filter(|_| !look(&mut select)).count();
        mover.stop.store(true, Ordering::Relaxed);
        assert_eq!(missed, 0, "of {LOOKS} times");
    });
}

#[test]
fn try_ready_finds_what_moves() {
    finds_the_message(|select| select.try_ready().is_ok());
}

#[test]
fn ready_finds_what_moves_when_its_time_is_over() {
    finds_the_message(|select| select.ready_timeout(Duration::ZERO).is_ok());
}

const ROUNDS: usize = if cfg!(debug_assertions) { 2_000 } else { 20_000 };

/// A message that its receiver takes away and its sender replaces before: `look` takes one if it
/// finds one. The two parties begin each round together.
fn takes_a_message(
    rounds: usize,
    spawn: impl Fn(Box<dyn FnOnce() + Send>),
    look: impl Fn(&Receiver<u32>, &Receiver<u32>) -> bool,
) {
    let (begin, begins) = bounded::<()>(0);
    let (end, ends) = bounded::<()>(0);
    let (to_one, one) = bounded(1);
    let (to_other, other) = unbounded();
    let moved_from = one.clone();
    spawn(Box::new(move || {
        for () in begins {
            to_other.send(2).unwrap();
            let _ = moved_from.try_recv();
            end.send(()).unwrap();
        }
    }));
    let mut missed = 0;
    for _ in 0..rounds {
        to_one.send(1).unwrap();
        begin.send(()).unwrap();
        missed += usize::from(!look(&one, &other));
        ends.recv().unwrap();
        let _ = (one.try_recv(), other.try_recv());
    }
    assert_eq!(missed, 0, "of {rounds} times");
}

fn takes_a_message_everywhere(look: impl Fn(&Receiver<u32>, &Receiver<u32>) -> bool + Copy) {
    takes_a_message(ROUNDS, |body| drop(thread::spawn(body)), look);
    for workers in [1, 2, 4] {
        on_workers(workers, || {
            takes_a_message(ROUNDS, |body| drop(lisle_scheduler::spawn(body)), look);
        });
    }
}

#[test]
fn try_select_takes_what_moves() {
    takes_a_message_everywhere(|one, other| {
        let mut select = Select::new();
        let first = select.recv(one);
        select.recv(other);
        match select.try_select() {
            Err(_) => false,
            Ok(operation) if operation.index() == first => operation.recv(one).is_ok(),
            Ok(operation) => operation.recv(other).is_ok(),
        }
    });
}

#[test]
fn default_is_not_taken_beside_what_moves() {
    takes_a_message_everywhere(|one, other| {
        select! {
            recv(other) -> message => message.is_ok(),
            recv(one) -> message => message.is_ok(),
            default => false,
        }
    });
}

#[test]
fn a_timeout_is_not_over_beside_what_moves() {
    takes_a_message_everywhere(|one, other| {
        select_biased! {
            recv(other) -> message => message.is_ok(),
            recv(one) -> message => message.is_ok(),
            default(Duration::ZERO) => false,
        }
    });
}

/// A clone takes ticks away meanwhile. Both what there is and that there is nothing are found again
/// and again.
#[test]
fn clocks_are_looked_at_like_channels() {
    let ticks = tick(Duration::from_micros(20));
    let stop = AtomicBool::new(false);
    let (mut taken, mut nothing) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                ticks.recv().unwrap();
            }
        });
        while taken < 100 || nothing < 100 {
            select! {
                recv(ticks) -> tick => { tick.unwrap(); taken += 1 }
                recv(never::<u8>()) -> _ => unreachable!(),
                default => nothing += 1,
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

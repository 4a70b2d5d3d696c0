//! Random dialogues of two parties that wait for each other, on our channels and on
//! crossbeam-channel's. What each party says is fixed by the seed; in which way it is sent and
//! received is drawn, too. Whatever the way, both sides of both libraries hear the same.
#![cfg(not(lisle_loom))]

mod support;

use std::time::{Duration, Instant};

use support::{LONG, Random, everywhere};

const STEPS: usize = 60;
const TINY: Duration = Duration::from_micros(20);

macro_rules! players {
    ($name:ident, $channel:ident) => {
        mod $name {
            use super::*;
            use $channel::{Receiver, Select, Sender, never, select};

            pub struct Party {
                pub first: bool,
                pub sender: Sender<usize>,
                pub receiver: Receiver<usize>,
            }

            pub fn parties(capacity: Option<usize>) -> [Party; 2] {
                let channel = || capacity.map_or_else($channel::unbounded, $channel::bounded);
                let ((to_second, from_first), (to_first, from_second)) = (channel(), channel());
                [
                    Party { first: true, sender: to_second, receiver: from_second },
                    Party { first: false, sender: to_first, receiver: from_first },
                ]
            }

            impl Party {
                /// Says or hears each word. The first party leaves when the dialogue is over, and
                /// the second one notices.
                pub fn play(self, seed: u64, capacity: Option<usize>) -> Vec<String> {
                    let mut random = Random::new(seed);
                    let mut log = Vec::new();
                    for word in 0..STEPS {
                        let first_speaks = random.below(2) == 0;
                        let saying = random.below(8);
                        let hearing = match random.below(8) {
                            // Two that only try never meet in a rendezvous.
                            4 | 6 if saying == 4 => 0,
                            way => way,
                        };
                        log.push(if first_speaks == self.first {
                            self.say(word, saying)
                        } else {
                            self.hear(hearing)
                        });
                    }
                    if !self.first {
                        log.push(self.hear(random.below(8)));
                        log.push(format!("{:?}", self.receiver.recv()));
                        // Where there is a place, a word may have gone before the other one.
                        if capacity == Some(0) {
                            log.push(self.say(STEPS, random.below(8)));
                            log.push(format!("{:?}", self.sender.try_send(STEPS)));
                        }
                    }
                    log
                }

                fn say(&self, word: usize, way: usize) -> String {
                    let sender = &self.sender;
                    let said = match way {
                        0 => sender.send(word).ok(),
                        1 => sender.send_timeout(word, LONG).ok(),
                        2 => sender.send_deadline(word, Instant::now() + LONG).ok(),
                        3 => loop {
                            match sender.send_timeout(word, TINY) {
                                Err(error) if error.is_timeout() => {}
                                result => break result.ok(),
                            }
                        },
                        4 => loop {
                            match sender.try_send(word) {
                                Err(error) if error.is_full() => lisle_scheduler::yield_now(),
                                result => break result.ok(),
                            }
                        },
                        5 => select! {
                            recv(never::<u8>()) -> _ => unreachable!(),
                            send(sender, word) -> result => result.ok(),
                            default(LONG) => unreachable!(),
                        },
                        6 => loop {
                            select! {
                                send(sender, word) -> result => break result.ok(),
                                default(TINY) => {}
                            }
                        },
                        _ => {
                            let mut list = Select::new();
                            list.send(sender);
                            list.select().send(sender, word).ok()
                        }
                    };
                    format!("said {word}: {said:?}")
                }

                fn hear(&self, way: usize) -> String {
                    let receiver = &self.receiver;
                    let heard = match way {
                        0 => receiver.recv().ok(),
                        1 => receiver.recv_timeout(LONG).ok(),
                        2 => receiver.iter().next(),
                        3 => loop {
                            match receiver.recv_timeout(TINY) {
                                Err(error) if error.is_timeout() => {}
                                result => break result.ok(),
                            }
                        },
                        4 => loop {
                            match receiver.try_recv() {
                                Err(error) if error.is_empty() => lisle_scheduler::yield_now(),
                                result => break result.ok(),
                            }
                        },
                        5 => select! {
                            recv(receiver) -> word => word.ok(),
                            recv(never::<u8>()) -> _ => unreachable!(),
                        },
                        6 => {
                            let mut list = Select::new();
                            list.recv(receiver);
                            loop {
                                list.ready_timeout(TINY).unwrap_or_default();
                                match receiver.try_recv() {
                                    Err(error) if error.is_empty() => {}
                                    result => break result.ok(),
                                }
                            }
                        }
                        _ => {
                            let mut list = Select::new();
                            list.recv(receiver);
                            list.select().recv(receiver).ok()
                        }
                    };
                    format!("heard {heard:?}")
                }
            }
        }
    };
}

players!(ours, lisle_channel);
players!(theirs, crossbeam_channel);

#[test]
fn random_dialogues_agree_with_crossbeam_channel() {
    let base = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    println!("seeds from {base}");
    for capacity in [Some(0), Some(1), Some(3), None] {
        for seed in base..base + 10 {
            let [first, second] = theirs::parties(capacity);
            let second = std::thread::spawn(move || second.play(seed, capacity));
            let expected = (first.play(seed, capacity), second.join().unwrap());
            everywhere(|ground| {
                let [first, second] = ours::parties(capacity);
                let second = ground.spawn(move || second.play(seed, capacity));
                let heard = (first.play(seed, capacity), second.join());
                assert_eq!(heard, expected, "seed {seed}, capacity {capacity:?}");
            });
        }
    }
}

//! `after`, `at`, `tick` and `never`.
#![cfg(not(lisle_loom))]

mod support;

use std::time::{Duration, Instant};

use crossbeam_channel as peer;
use lisle_channel::{
    Receiver, RecvTimeoutError, Select, TryRecvError, after, at, bounded, never, select, tick,
};
use support::{LONG, everywhere, on_one_worker};

const SHORT: Duration = Duration::from_millis(5);

#[test]
fn after_delivers_its_time_once_and_not_before() {
    everywhere(|_| {
        assert_eq!(after(LONG).try_recv(), Err(TryRecvError::Empty));
        let begin = Instant::now();
        let receiver = after(SHORT);
        let time = receiver.recv().unwrap();
        assert!(time >= begin + SHORT && Instant::now() >= time);
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
        assert_eq!(receiver.clone().recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    });
}

#[test]
fn at_delivers_the_time_that_was_asked_for() {
    everywhere(|_| {
        for when in [Instant::now(), Instant::now() + SHORT] {
            let receiver = at(when);
            assert_eq!(receiver.recv_timeout(LONG), Ok(when));
            assert!(Instant::now() >= when);
        }
    });
}

#[test]
fn one_of_several_clones_gets_the_message() {
    everywhere(|ground| {
        let receiver = after(SHORT);
        let (done, results) = bounded(3);
        let parties: Vec<_> = (0..3)
            .map(|_| {
                let (receiver, done) = (receiver.clone(), done.clone());
                ground.spawn(move || done.send(receiver.recv_timeout(SHORT * 4).is_ok()).unwrap())
            })
            .collect();
        assert_eq!([(); 3].map(|()| results.recv().unwrap()).iter().filter(|ok| **ok).count(), 1);
        parties.into_iter().for_each(|party| party.join());
    });
}

#[test]
fn a_receive_may_give_up_before_the_time() {
    everywhere(|_| {
        for receiver in [after(LONG), tick(LONG), never()] {
            let begin = Instant::now();
            assert_eq!(receiver.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
            assert!(begin.elapsed() >= SHORT);
            let past = receiver.recv_deadline(begin);
            assert_eq!(past, Err(RecvTimeoutError::Timeout));
        }
        let due = at(Instant::now());
        assert!(due.recv_deadline(Instant::now()).is_ok());
    });
}

#[test]
fn ticks_are_a_period_apart_for_waiting_receivers() {
    everywhere(|_| {
        let begin = Instant::now();
        let ticks = tick(SHORT);
        let times: Vec<_> = ticks.iter().take(4).collect();
        assert!(times[0] >= begin + SHORT);
        // Each was sent at least a period after the one before, and exactly so if its receiver
        // was there in time.
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SHORT));
        assert!(Instant::now() >= times[3]);
    });
}

#[test]
fn a_tick_that_was_not_received_holds_up_the_next() {
    everywhere(|_| {
        let ticks = tick(SHORT);
        let (_mute, silence) = bounded::<()>(0);
        assert!(silence.recv_timeout(SHORT * 3).is_err());
        assert_eq!(ticks.len(), 1);
        let before = Instant::now();
        assert!(ticks.try_recv().unwrap() < before);
        assert!(ticks.recv().unwrap() >= before + SHORT, "the next is sent a period later");
    });
}

#[test]
fn several_receivers_share_the_ticks() {
    everywhere(|ground| {
        let ticks = tick(SHORT);
        let parties: Vec<_> = (0..3)
            .map(|_| {
                let ticks = ticks.clone();
                ground.spawn(move || ticks.recv().unwrap())
            })
            .collect();
        let mut times: Vec<_> = parties.into_iter().map(|party| party.join()).collect();
        times.sort();
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SHORT), "{times:?}");
    });
}

#[test]
fn a_time_beyond_all_time_never_comes() {
    for receiver in [after(Duration::MAX), tick(Duration::MAX), never()] {
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        assert_eq!(receiver.capacity(), Some(0));
        assert!(receiver.same_channel(&never()));
    }
    const NEVER: Receiver<u8> = never();
    assert!(NEVER.is_empty());
}

#[test]
fn timers_count_like_the_peers() {
    macro_rules! counts {
        ($channel:ident) => {{
            let now = Instant::now();
            let (pending, due) = ($channel::at(now + LONG), $channel::at(now));
            let (ticking, quiet) = ($channel::tick(Duration::ZERO), $channel::never());
            let taken = $channel::at(now);
            taken.recv().unwrap();
            let all = [pending, due, ticking, quiet, taken, $channel::tick(LONG)];
            let clones = all.clone();
            let counts = all.iter().map(|r| (r.len(), r.is_empty(), r.is_full(), r.capacity()));
            let same = all.iter().flat_map(|a| clones.iter().map(|b| a.same_channel(b)));
            (counts.collect::<Vec<_>>(), same.collect::<Vec<_>>(), format!("{all:?}"))
        }};
    }
    assert_eq!(counts!(lisle_channel), counts!(peer));
}

#[test]
fn a_timer_ends_a_select() {
    everywhere(|_| {
        let (_mute, silent) = bounded::<u8>(0);
        let begin = Instant::now();
        let when = begin + SHORT;
        let chosen = select! {
            recv(silent) -> _ => unreachable!(),
            recv(after(LONG)) -> _ => unreachable!(),
            recv(at(when)) -> time => time,
            recv(tick(LONG)) -> _ => unreachable!(),
            default(LONG) => unreachable!(),
        };
        assert_eq!(chosen, Ok(when));
        assert!(Instant::now() >= when);
        // And does not keep it from its own end.
        let begin = Instant::now();
        select! {
            recv(after(LONG)) -> _ => unreachable!(),
            recv(tick(LONG)) -> _ => unreachable!(),
            default(SHORT) => {}
        }
        assert!(begin.elapsed() >= SHORT);
    });
}

#[test]
fn a_message_comes_before_the_timeout() {
    everywhere(|ground| {
        let (sender, receiver) = bounded(0);
        let sending = ground.spawn(move || sender.send(1).unwrap());
        select! {
            recv(receiver) -> message => assert_eq!(message, Ok(1)),
            recv(after(LONG)) -> _ => unreachable!(),
        }
        sending.join();
    });
}

#[test]
fn a_timer_taken_by_another_one_does_not_end_a_select() {
    everywhere(|ground| {
        let timer = after(SHORT);
        let parties: Vec<_> = (0..2)
            .map(|_| {
                let timer = timer.clone();
                ground.spawn(move || {
                    select! { recv(timer) -> time => time.ok(), default(SHORT * 4) => None }
                })
            })
            .collect();
        let times: Vec<_> = parties.into_iter().filter_map(|party| party.join()).collect();
        assert_eq!(times.len(), 1);
    });
}

#[test]
fn ticks_in_a_select() {
    everywhere(|_| {
        let ticks = tick(SHORT);
        let mut times = Vec::new();
        while times.len() < 4 {
            select! {
                recv(ticks) -> time => times.push(time.unwrap()),
                recv(after(LONG)) -> _ => unreachable!(),
            }
        }
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= SHORT), "{times:?}");
    });
}

#[test]
fn ready_knows_timers() {
    everywhere(|_| {
        let (early, late) = (after(SHORT), after(LONG));
        let mut select = Select::new();
        select.recv(&late);
        assert!(select.try_ready().is_err());
        let index = select.recv(&early);
        assert_eq!(select.ready(), index);
        assert!(early.try_recv().is_ok());
        assert!(select.ready_timeout(SHORT).is_err());
    });
}

#[test]
fn a_cancelled_task_leaves_its_timer() {
    for timer in [after(LONG), tick(LONG), never()] {
        on_one_worker(|| {
            let blocked = timer.clone();
            lisle_scheduler::spawn(move || blocked.recv());
            lisle_scheduler::yield_now();
        });
        assert_eq!(timer.try_recv(), Err(TryRecvError::Empty));
    }
}

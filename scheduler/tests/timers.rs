//! Sleeping, and waits with a deadline, as many as come together. Single waits are in `parking`.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use lisle_scheduler::park::Wake;
use lisle_scheduler::{run, sleep, sleep_until, spawn, spawn_local, yield_now};
use support::random::Random;
use support::{Bell, Log, NoteDrop, on_each_worker, run_in_order, run_on};

/// Runs `body` on a plain thread and in a task.
fn on_both(body: impl Fn()) {
    body();
    run(&body);
}

fn seed() -> u64 {
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = time.as_nanos() as u64;
    println!("seed {seed}");
    seed
}

#[test]
fn a_sleep_is_never_too_short() {
    on_both(|| {
        for micros in [0, 1, 10, 100, 1_000, 5_000] {
            let (start, duration) = (Instant::now(), Duration::from_micros(micros));
            sleep(duration);
            assert!(start.elapsed() >= duration);
            let deadline = Instant::now() + duration;
            sleep_until(deadline);
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_time_that_has_passed_takes_no_turn() {
    on_both(|| {
        sleep_until(Instant::now());
        sleep_until(Instant::now().checked_sub(Duration::from_secs(1)).unwrap());
    });
    run_in_order(|| {
        let log = Log::new();
        let note = log.clone();
        let other = spawn(move || note.add("other"));
        sleep_until(Instant::now());
        log.add("slept");
        other.join().unwrap();
        log.expect(&["slept", "other"]);
    });
}

#[test]
fn a_sleep_of_no_time_takes_one_turn() {
    run_in_order(|| {
        let log = Log::new();
        let note = log.clone();
        let other = spawn(move || {
            note.add("other");
            yield_now();
            note.add("other again");
        });
        sleep(Duration::ZERO);
        log.add("slept");
        other.join().unwrap();
        log.expect(&["other", "slept", "other again"]);
    });
}

/// Those that sleep the longest come first, so each timer is set before all others. Every four have
/// the same deadline: then the first to go to sleep goes on first.
#[test]
fn sleepers_go_on_in_the_order_of_their_deadlines() {
    const SLEEPERS: u64 = 2_000;
    let offset = |n| Duration::from_nanos(100 * ((SLEEPERS - n) / 4));
    // All have to be asleep before the first deadline. On a busy machine that may take a while.
    for lead in [10, 100, 1_000, 10_000].map(Duration::from_millis) {
        let log = Log::<(Duration, u64)>::new();
        let in_time = run_in_order(|| {
            let first = Instant::now() + lead;
            let sleepers: Vec<_> = (0..SLEEPERS)
                .map(|n| {
                    let log = log.clone();
                    spawn(move || {
                        sleep_until(first + offset(n));
                        assert!(Instant::now() >= first + offset(n));
                        log.add((offset(n), n));
                    })
                })
                .collect();
            yield_now();
            let in_time = Instant::now() < first;
            sleepers.into_iter().for_each(|sleeper| sleeper.join().unwrap());
            in_time
        });
        let entries = log.take();
        assert_eq!(entries.len() as u64, SLEEPERS);
        if in_time {
            return assert!(entries.is_sorted());
        }
    }
    panic!("the machine is too busy to put 2,000 tasks to sleep in ten seconds");
}

/// A deadline and a wake that comes with a deadline of its own, the same one.
#[test]
fn a_deadline_and_a_wake_at_the_same_moment_make_one_end() {
    const ROUNDS: u64 = 3_000;
    run_in_order(|| {
        for round in 0..ROUNDS {
            let bell = Bell::new();
            let deadline = Instant::now() + Duration::from_micros(20 + round % 40);
            let wait = {
                let bell = bell.clone();
                move || bell.wait_until(Some(deadline)) == Wake::Unparked
            };
            let ring = move || {
                sleep_until(deadline);
                bell.ring()
            };
            let (waiter, ringer) = if round % 2 == 0 {
                let waiter = spawn(wait);
                (waiter, spawn(ring))
            } else {
                let ringer = spawn(ring);
                (spawn(wait), ringer)
            };
            assert_eq!(waiter.join().unwrap(), ringer.join().unwrap(), "round {round}");
        }
    });
}

/// The woken task stands in the queue when its deadline passes, and another one starts to wait
/// before its turn has come. What the one takes back must not be the other's.
#[test]
fn a_timer_that_fires_after_the_wake_leaves_others_alone() {
    // The worker looks at the clock every 64 turns. In some rounds that is where it matters.
    const ROUNDS: u64 = 130;
    support::sys::die_in(100);
    run_in_order(|| {
        for round in 0..ROUNDS {
            let bell = Bell::new();
            let deadline = Instant::now() + Duration::from_micros(100);
            let theirs = bell.clone();
            let woken = spawn(move || theirs.wait_until(Some(deadline)));
            (0..=round % 65).for_each(|_| yield_now());
            let other = spawn(|| {
                let deadline = Instant::now() + Duration::from_micros(100);
                Bell::new().wait_until(Some(deadline))
            });
            let heard = bell.ring();
            while Instant::now() < deadline {}
            let expected = if heard { Wake::Unparked } else { Wake::TimedOut };
            assert_eq!(woken.join().unwrap(), expected);
            assert_eq!(other.join().unwrap(), Wake::TimedOut);
        }
    });
}

/// Tasks of two workers wait for a random time each, while bells are rung at random on both. Every
/// wait comes to one end, on which both parties agree, and none ends early by itself.
#[test]
fn random_waits_and_wakes_on_two_workers_agree() {
    const WORKERS: usize = 2;
    const BELLS: usize = 40;
    const WAITS: usize = 100;
    let seed = seed();
    let bells: Vec<_> = (0..WORKERS * BELLS).map(|_| Bell::new()).collect();
    let wait_often = |bell: Bell, mut random: Random| {
        let mut woken = 0;
        for _ in 0..WAITS {
            let deadline = Instant::now() + random.a_moment();
            match bell.wait_until(Some(deadline)) {
                Wake::TimedOut => assert!(Instant::now() >= deadline),
                Wake::Unparked => woken += 1,
                Wake::Failed => unreachable!("the runtime waits for all"),
            }
        }
        woken
    };
    let run_worker = move |worker: usize| {
        let mut random = Random::new(seed.wrapping_add(worker as u64));
        let waiters: Vec<_> = bells[worker * BELLS..][..BELLS]
            .iter()
            .map(|bell| {
                let (bell, random) = (bell.clone(), Random::new(random.next()));
                spawn_local(move || wait_often(bell, random))
            })
            .collect();
        let mut rung = 0;
        while !waiters.iter().all(|waiter| waiter.is_finished()) {
            rung += usize::from(bells[random.below(bells.len())].ring());
            // Gives deadlines a chance.
            if random.one_in(3) {
                sleep(random.a_moment() / 20);
            } else {
                yield_now();
            }
        }
        let woken: usize = waiters.into_iter().map(|waiter| waiter.join().unwrap()).sum();
        (rung, woken)
    };
    let ended = run_on(WORKERS, move || {
        let workers = on_each_worker(WORKERS, run_worker);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let counts = ended.unwrap();
    let rung: usize = counts.iter().map(|count| count.0).sum();
    let woken: usize = counts.iter().map(|count| count.1).sum();
    assert_eq!(rung, woken, "seed {seed}");
}

#[test]
fn sleeping_tasks_are_given_up_with_their_runtime() {
    const SLEEPERS: usize = 3_000;
    for workers in [1, 2] {
        let log = Log::<usize>::new();
        let theirs = log.clone();
        let asleep = Arc::new(AtomicUsize::new(0));
        let ended = run_on(workers, move || {
            let durations = [Duration::from_secs(3_600), Duration::MAX, Duration::from_secs(60)];
            for n in 0..SLEEPERS {
                let (note, asleep) = (NoteDrop(theirs.clone(), n), asleep.clone());
                drop(spawn(move || {
                    let _note = note;
                    asleep.fetch_add(1, Ordering::Release);
                    sleep(durations[n % durations.len()]);
                    unreachable!("nobody has slept for a minute");
                }));
            }
            while asleep.load(Ordering::Acquire) < SLEEPERS {
                yield_now();
            }
        });
        ended.unwrap();
        let mut unwound = log.take();
        unwound.sort_unstable();
        assert!(unwound.into_iter().eq(0..SLEEPERS));
    }
}

/// Many time-outs that do not come, one after the other, while others are pending.
#[test]
fn deadlines_of_waits_that_were_woken_are_forgotten() {
    run_in_order(|| {
        let soon = Instant::now() + Duration::from_millis(20);
        let pending: Vec<_> =
            (0..100).map(|n| spawn(move || sleep_until(soon + Duration::from_micros(n)))).collect();
        let bell = Bell::new();
        let theirs = bell.clone();
        let waiter = spawn(move || {
            let far = Duration::from_secs(3_600);
            (0..20_000).all(|_| theirs.wait_until(Some(Instant::now() + far)) == Wake::Unparked)
        });
        (0..20_000).for_each(|_| bell.ring_until_heard());
        assert!(waiter.join().unwrap());
        pending.into_iter().for_each(|task| task.join().unwrap());
    });
}

/// A thread without tasks has no timers and sleeps by itself.
#[test]
fn a_thread_times_out_and_is_woken_like_a_task() {
    let bell = Bell::new();
    assert_eq!(bell.wait_until(Some(Instant::now())), Wake::TimedOut);
    let theirs = bell.clone();
    let waiter = thread::spawn(move || {
        let far = Instant::now() + Duration::from_secs(3_600);
        theirs.wait_until(Some(far))
    });
    run(|| bell.ring_until_heard());
    assert_eq!(waiter.join().unwrap(), Wake::Unparked);
}

//! Random programs over all locks and meeting points at once. Their parties are cancelled, and give
//! up by time-outs and regions, at random moments. Nothing is lost and nobody is forgotten.
//!
//! `LISLE_SYNC_STRESS_SECONDS` makes the programs go on, with other seeds, for so long.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lisle::sync::{
    Barrier, Condvar, Mutex, Notify, OnceLock, RwLock, RwLockWriteGuard, Semaphore, WaitGroup,
    broadcast, watch,
};
use lisle::task::{Cancelled, JoinHandle, is_cancelled};
use lisle::{spawn, timeout, yield_now};

use crate::ground::on_workers;

const PERMITS: usize = 3;
const ROUNDS: usize = 60;
const PARTIES: usize = 6;

/// What all parties of a program share.
struct Shared {
    mutex: Mutex<usize>,
    lock: RwLock<usize>,
    semaphore: Semaphore,
    /// Whether a token is there, and how many were taken.
    tokens: Mutex<(bool, usize)>,
    token_added: Condvar,
    token_taken: Condvar,
    notify: Notify,
    answer: Notify,
    answers: AtomicUsize,
    barrier: Barrier,
    cells: [OnceLock<usize>; 4],
    /// How many are where one party at a time may be, and where several may be.
    in_mutex: AtomicUsize,
    in_writer: AtomicUsize,
    in_reader: AtomicUsize,
    permits_out: AtomicUsize,
    is_over: AtomicBool,
}

/// Parties that are somewhere, until this is dropped.
struct Inside<'a>(&'a AtomicUsize, usize);

impl<'a> Inside<'a> {
    /// There are `parties` more, and no more than `most` all in all.
    fn enter(number: &'a AtomicUsize, parties: usize, most: usize) -> Self {
        assert!(number.fetch_add(parties, Ordering::SeqCst) + parties <= most);
        Self(number, parties)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, Ordering::SeqCst);
    }
}

/// Numbers that follow from a seed: xorshift.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % limit
    }

    /// From no time at all to some microseconds.
    fn soon(&mut self) -> Duration {
        Duration::from_micros(self.below(30))
    }

    fn pause(&mut self) {
        (0..self.below(3)).for_each(|_| yield_now());
    }
}

impl Shared {
    fn new() -> Self {
        Self {
            mutex: Mutex::new(0),
            lock: RwLock::new(0),
            semaphore: Semaphore::new(PERMITS),
            tokens: Mutex::new((false, 0)),
            token_added: Condvar::new(),
            token_taken: Condvar::new(),
            notify: Notify::new(),
            answer: Notify::new(),
            answers: AtomicUsize::new(0),
            barrier: Barrier::new(2),
            cells: Default::default(),
            in_mutex: AtomicUsize::new(0),
            in_writer: AtomicUsize::new(0),
            in_reader: AtomicUsize::new(0),
            permits_out: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    fn lock_mutex(&self, random: &mut Random) {
        let guard = match random.below(4) {
            0 => self.mutex.try_lock(),
            1 => self.mutex.lock_timeout(random.soon()),
            _ => Some(self.mutex.lock()),
        };
        if let Some(mut guard) = guard {
            let _inside = Inside::enter(&self.in_mutex, 1, 1);
            *guard += 1;
            random.pause();
        }
    }

    fn read(&self, random: &mut Random) {
        let guard = match random.below(4) {
            0 => self.lock.try_read(),
            1 => self.lock.read_timeout(random.soon()),
            _ => Some(self.lock.read()),
        };
        if let Some(guard) = guard {
            let _inside = Inside::enter(&self.in_reader, 1, usize::MAX);
            let value = *guard;
            random.pause();
            assert_eq!((*guard, self.in_writer.load(Ordering::SeqCst)), (value, 0));
        }
    }

    fn write(&self, random: &mut Random) {
        let guard = match random.below(4) {
            0 => self.lock.try_write(),
            1 => self.lock.write_timeout(random.soon()),
            _ => Some(self.lock.write()),
        };
        let Some(mut guard) = guard else { return };
        let inside = Inside::enter(&self.in_writer, 1, 1);
        assert_eq!(self.in_reader.load(Ordering::SeqCst), 0);
        *guard += 1;
        let value = *guard;
        random.pause();
        drop(inside);
        if random.below(2) == 0 {
            let reader = RwLockWriteGuard::downgrade(guard);
            random.pause();
            assert_eq!(*reader, value);
        }
    }

    fn take_permits(&self, random: &mut Random) {
        let wanted = 1 + random.below(PERMITS as u64) as usize;
        let permit = match random.below(4) {
            0 => self.semaphore.try_acquire_many(wanted).ok(),
            1 => self.semaphore.acquire_many_timeout(wanted, random.soon()).ok(),
            _ => Some(self.semaphore.acquire_many(wanted).unwrap()),
        };
        if permit.is_some() {
            let _inside = Inside::enter(&self.permits_out, wanted, PERMITS);
            random.pause();
        }
    }

    /// Waits for a token, and tells when it has one.
    fn take_token(&self, random: &mut Random) {
        let mut tokens = self.tokens.lock();
        let waits = |tokens: &mut (bool, usize)| !tokens.0 && !self.is_over.load(Ordering::SeqCst);
        match random.below(2) {
            0 => drop(self.token_added.wait_timeout_while(&mut tokens, random.soon(), waits)),
            _ => self.token_added.wait_while(&mut tokens, waits),
        }
        if std::mem::take(&mut tokens.0) {
            tokens.1 += 1;
            self.token_taken.notify_one();
        }
    }

    fn add_token(&self) {
        let mut tokens = self.tokens.lock();
        tokens.0 = true;
        self.token_added.notify_one();
        self.token_taken.wait_while(&mut tokens, |tokens| tokens.0);
    }

    /// Waits for a notification, and answers it.
    fn be_notified(&self, random: &mut Random) {
        let notified = match random.below(2) {
            0 => self.notify.wait_timeout(random.soon()),
            _ => {
                let notified = self.notify.notified();
                self.is_over.load(Ordering::SeqCst) || {
                    notified.wait();
                    true
                }
            }
        };
        if notified && !self.is_over.load(Ordering::SeqCst) {
            self.answers.fetch_add(1, Ordering::SeqCst);
            self.answer.notify_one();
        }
    }

    fn notify(&self) {
        let before = self.answers.load(Ordering::SeqCst);
        self.notify.notify_one();
        while self.answers.load(Ordering::SeqCst) == before {
            self.answer.wait();
        }
    }

    /// Makes a value, unless another party does, or the caller is cut short.
    fn initialise(&self, random: &mut Random) {
        let n = random.below(4) as usize;
        let value = self.cells[n].get_or_init(|| {
            random.pause();
            n
        });
        assert_eq!(*value, n);
    }

    fn act(&self, random: &mut Random) {
        match random.below(8) {
            0 => self.lock_mutex(random),
            1 => self.read(random),
            2 => self.write(random),
            3 => self.take_permits(random),
            4 => self.take_token(random),
            5 => self.be_notified(random),
            6 => self.initialise(random),
            _ => drop(self.barrier.wait_timeout(random.soon())),
        }
    }

    /// Waits for one thing again and again, until the program is over. One party of each kind is
    /// never cut short: all others may wait for other things.
    fn wait_patiently(&self, wait: fn(&Self, &mut Random), mut random: Random) {
        while !self.is_over.load(Ordering::SeqCst) {
            wait(self, &mut random);
        }
    }

    /// Acts until the program is over.
    fn live(&self, mut random: Random) {
        while !self.is_over.load(Ordering::SeqCst) {
            let mut theirs = random.clone();
            random.below(2);
            if random.below(3) == 0 {
                let _ = timeout(random.soon(), || self.act(&mut theirs));
            } else {
                self.act(&mut theirs);
            }
        }
    }

    fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        drop(self.tokens.lock()); // a waiter that has looked before waits by now
        self.token_added.notify_all();
        self.notify.notify_waiters();
    }
}

/// Listens to both kinds of channel until no sender is left, also when it is to be cut short.
fn listen(
    mut news: broadcast::Receiver<usize>,
    mut level: watch::Receiver<usize>,
    mut random: Random,
) -> (usize, usize) {
    let (mut heard, mut last) = (0, 0);
    loop {
        let heard_now = match random.below(3) {
            0 => timeout(random.soon(), || news.recv().map_err(Into::into)).unwrap_or(Err(LATE)),
            1 => news.recv_timeout(random.soon()),
            _ => news.recv().map_err(Into::into),
        };
        match heard_now {
            Ok(number) => {
                assert_eq!(number, heard);
                heard += 1;
            }
            Err(broadcast::RecvTimeoutError::Lagged(missed)) => heard += missed as usize,
            Err(broadcast::RecvTimeoutError::Timeout) => {}
            Err(broadcast::RecvTimeoutError::Closed) => break,
        }
        let _ = timeout(random.soon(), || level.changed());
        let now = *level.borrow_and_update();
        assert!(now >= last);
        last = now;
    }
    let now = *level.borrow();
    assert!(now >= last);
    (heard, now)
}

const LATE: broadcast::RecvTimeoutError = broadcast::RecvTimeoutError::Timeout;

/// One program: parties of all kinds, some of which are cancelled and replaced in each round.
fn play(workers: usize, seed: u64) {
    let shared = Arc::new(Shared::new());
    let mut random = Random::new(seed);
    on_workers(workers, || {
        let group = WaitGroup::new();
        let start = |seed: u64| {
            let (shared, member) = (shared.clone(), group.clone());
            spawn(move || {
                let _member = member;
                shared.live(Random::new(seed));
            })
        };
        let (news, heard) = broadcast::channel(4);
        let (level, seen) = watch::channel(0);
        let listeners: Vec<_> = (0..2)
            .map(|n| {
                let (news, level) = (heard.resubscribe(), seen.clone());
                spawn(move || listen(news, level, Random::new(seed ^ n)))
            })
            .collect();
        drop((heard, seen));
        let patient = [Shared::take_token, Shared::be_notified].map(|wait| {
            let (shared, random) = (shared.clone(), Random::new(random.below(u64::MAX)));
            spawn(move || shared.wait_patiently(wait, random))
        });
        let on_thread = std::thread::spawn({
            let (shared, seed) = (shared.clone(), random.below(u64::MAX));
            move || shared.live(Random::new(seed))
        });
        let mut parties: Vec<JoinHandle<()>> =
            (0..PARTIES).map(|_| start(random.below(u64::MAX))).collect();
        let mut cancelled = Vec::new();
        for round in 0..ROUNDS {
            random.pause();
            let unlucky = random.below(PARTIES as u64) as usize;
            parties[unlucky].cancel();
            let next = start(random.below(u64::MAX));
            cancelled.push(std::mem::replace(&mut parties[unlucky], next));
            shared.add_token();
            shared.notify();
            assert_eq!(news.send(round), Ok(2));
            level.send(round).unwrap();
        }
        shared.end();
        drop(news);
        group.wait();
        assert!(!is_cancelled());
        for task in cancelled {
            // The last ones may not have waited any more.
            let ended = task.join().or_else(|panic| panic.downcast::<Cancelled>().map(drop));
            ended.expect("it is cancelled or has ended well");
        }
        parties.into_iter().chain(patient).for_each(|party| party.join().unwrap());
        for listener in listeners {
            assert_eq!(listener.join().unwrap(), (ROUNDS, ROUNDS - 1));
        }
        level.closed();
        lisle::blocking(|| on_thread.join().unwrap());
    });
    let shared = Arc::into_inner(shared).expect("all parties are gone");
    assert!(!shared.mutex.is_locked() && !shared.lock.is_locked());
    assert_eq!(shared.semaphore.available_permits(), PERMITS);
    assert_eq!(*shared.tokens.lock(), (false, ROUNDS));
    assert!(shared.answers.load(Ordering::SeqCst) >= ROUNDS);
    assert!(shared.barrier.wait_timeout(Duration::ZERO).is_none(), "nobody is counted");
    for number in [&shared.in_mutex, &shared.in_writer, &shared.in_reader, &shared.permits_out] {
        assert_eq!(number.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn random_programs_with_cancellations_and_time_outs() {
    let seconds = std::env::var("LISLE_SYNC_STRESS_SECONDS").ok();
    let end = seconds.map(|seconds| {
        Instant::now() + Duration::from_secs(seconds.parse().expect("a number of seconds"))
    });
    for seed in 1.. {
        for workers in [1, 2, 4] {
            let played = catch_unwind(AssertUnwindSafe(|| play(workers, seed)));
            assert!(played.is_ok(), "with seed {seed} and {workers} workers");
        }
        if end.map_or(seed == 3, |end| Instant::now() >= end) {
            break;
        }
    }
}

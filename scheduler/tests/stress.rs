//! Random programs on one to four workers: trees of tasks that spawn, yield, talk, time out, sleep,
//! panic, are joined, forgotten, cancelled, cut short and given up, with plain threads among them.
//!
//! Every message arrives once or comes back, every value is dropped once, and the run returns.
//!
//! A failure names the seed of its program. `LISLE_STRESS_SEED` runs that program alone, again and
//! again, since the threads meet differently each time. `LISLE_STRESS_SECONDS` is how long it all
//! takes.
#![cfg(not(lisle_loom))]

mod support;

use std::env;
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::process;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::{
    Builder, CancelHandle, Cancelled, ForeignThreads, JoinHandle, Runtime, cancellable,
    check_cancelled, scope, shield, sleep, timeout, yield_now,
};
use support::channel::Channel;
use support::random::Random;
use support::{Bell, OnDrop};

/// What all parties of a program share.
struct World {
    channels: Vec<Channel<Message>>,
    /// A task that takes one rings it.
    bells: Channel<Bell>,
    handles: Channel<JoinHandle<u64>>,
    /// Any party may take one, to cancel that task.
    stops: Channel<CancelHandle>,
    tasks_left: AtomicI64,
    /// Values that have been made and not been dropped.
    alive: AtomicI64,
    next_message: AtomicU64,
    unsent: AtomicU64,
    received: AtomicU64,
    over: AtomicBool,
}

/// Something that must be dropped once.
struct Token {
    world: Arc<World>,
    dropped: AtomicBool,
}

impl Token {
    fn new(world: &Arc<World>) -> Self {
        world.alive.fetch_add(1, Ordering::Relaxed);
        Self { world: world.clone(), dropped: AtomicBool::new(false) }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if self.dropped.swap(true, Ordering::Relaxed) {
            eprintln!("a value was dropped twice");
            process::abort();
        }
        self.world.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Message {
    number: u64,
    /// Derived from the number, to notice one that was mixed up with another.
    check: Box<u64>,
    token: Token,
}

impl World {
    fn new(random: &mut Random) -> Self {
        const CAPACITIES: [usize; 6] = [0, 0, 1, 3, 50, usize::MAX];
        let channels = (0..1 + random.below(5))
            .map(|_| Channel::bounded(CAPACITIES[random.below(CAPACITIES.len())]))
            .collect();
        Self {
            channels,
            bells: Channel::unbounded(),
            handles: Channel::unbounded(),
            stops: Channel::unbounded(),
            tasks_left: AtomicI64::new(10 + random.below(300) as i64),
            alive: AtomicI64::new(0),
            next_message: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }
}

fn send(world: &Arc<World>, random: &mut Random) {
    let number = world.next_message.fetch_add(1, Ordering::Relaxed);
    let message = Message { number, check: Box::new(!number), token: Token::new(world) };
    let channel = &world.channels[random.below(world.channels.len())];
    // Not sent if the sender is given up while it waits: then this is dropped.
    let not_sent = OnDrop(|| {
        world.unsent.fetch_add(1, Ordering::Relaxed);
    });
    match channel.send_timeout(message, random.a_moment()) {
        Ok(()) => std::mem::forget(not_sent),
        Err(message) => {
            assert_eq!(message.number, number, "one's own message comes back");
            drop(message.token);
        }
    }
}

fn receive(world: &Arc<World>, random: &mut Random) {
    let channel = &world.channels[random.below(world.channels.len())];
    if let Some(message) = channel.recv_timeout(random.a_moment()) {
        take(world, message);
    }
}

fn take(world: &World, message: Message) {
    assert_eq!(*message.check, !message.number, "a message is what was sent");
    world.received.fetch_add(1, Ordering::Relaxed);
    drop(message.token);
}

/// A payload that says that all is well.
struct PlannedPanic;

fn join(task: JoinHandle<u64>) {
    match task.join() {
        Ok(result) => assert_eq!(result, result_of_a_task()),
        Err(panic) => {
            if !panic.is::<PlannedPanic>() && !panic.is::<Cancelled>() {
                resume_unwind(panic);
            }
        }
    }
}

fn result_of_a_task() -> u64 {
    hint::black_box(0x0115_1e00)
}

fn new_task(
    world: &Arc<World>,
    random: &mut Random,
) -> Option<(Builder, impl FnOnce() -> u64 + Send + use<>)> {
    if world.tasks_left.fetch_sub(1, Ordering::Relaxed) <= 0 {
        return None;
    }
    let (seed, ours, token) = (random.next(), world.clone(), Token::new(world));
    let mut builder = Builder::new();
    if random.one_in(10) {
        builder = builder.stack_size(40_000 << random.below(6));
    }
    if random.one_in(10) {
        builder = builder.name("named");
    }
    let body = move || {
        let _token = token;
        task(&ours, Random::new(seed))
    };
    Some((builder, body))
}

fn spawn_child(world: &Arc<World>, random: &mut Random) -> Option<JoinHandle<u64>> {
    let (builder, body) = new_task(world, random)?;
    let task = match random.below(8) {
        0 => builder.spawn_local(body),
        _ => builder.spawn(body),
    };
    Some(task.expect("there is memory enough"))
}

/// What a task does. It returns, panics as planned, or is given up.
fn task(world: &Arc<World>, mut random: Random) -> u64 {
    let (home, _frame) = (thread::current().id(), Token::new(world));
    let pinned = Rc::new(());
    let mut children = Vec::new();
    for _ in 0..random.below(12) {
        match random.below(24) {
            0..=3 => send(world, &mut random),
            4..=7 => receive(world, &mut random),
            8..=9 => (0..random.below(20)).for_each(|_| yield_now()),
            10..=13 => children.extend(spawn_child(world, &mut random)),
            14 => drop(children.pop()),
            15 => children.pop().map_or((), join),
            16 => sleep(random.a_moment() / 4),
            17 => hand_over(world, &mut random, &mut children),
            18 => ring_or_wait(world, &mut random),
            19 => cancel_some(world, &mut random, &children),
            20..=21 => in_a_region(world, &mut random),
            22 => in_a_scope(world, &mut random),
            _ => compute(&mut random),
        }
        assert_eq!(thread::current().id(), home, "a started task stays");
        drop(pinned.clone());
    }
    if random.one_in(15) {
        let token = Token::new(world);
        let _waits = OnDrop(|| {
            let _token = &token;
            let _ = Bell::new().wait_until(Some(Instant::now()));
        });
        resume_unwind(Box::new(PlannedPanic));
    }
    if random.one_in(25) {
        // Until it is given up.
        Bell::new().wait();
        unreachable!("nobody rings");
    }
    if random.one_in(2) {
        children.drain(..).filter(|_| !random.one_in(4)).for_each(join_with_patience);
    }
    result_of_a_task()
}

/// Joins a task if it is over soon; some wait until they are given up.
fn join_with_patience(task: JoinHandle<u64>) {
    for _ in 0..20 {
        if task.is_finished() {
            return join(task);
        }
        yield_now();
    }
}

/// Gives a handle to the next to ask, or takes one.
fn hand_over(world: &Arc<World>, random: &mut Random, children: &mut Vec<JoinHandle<u64>>) {
    match children.pop() {
        Some(child) => drop(world.handles.send_timeout(child, Duration::ZERO)),
        None => {
            children.extend(world.handles.recv_timeout(random.a_moment() / 8));
        }
    }
}

/// Cancels a task of one's own or another's, or lets others do it.
fn cancel_some(world: &Arc<World>, random: &mut Random, children: &[JoinHandle<u64>]) {
    match children.last() {
        Some(child) if random.one_in(2) => child.cancel(),
        Some(child) => {
            assert!(world.stops.send_timeout(child.cancel_handle(), Duration::ZERO).is_ok())
        }
        None => cancel_anybody(world),
    }
}

fn cancel_anybody(world: &Arc<World>) {
    if let Some(stop) = world.stops.recv_timeout(Duration::ZERO) {
        stop.cancel();
    }
}

/// Talks for a while, and is cut short.
fn in_a_region(world: &Arc<World>, random: &mut Random) {
    let (length, inner) = (random.a_moment() / 4, random.a_moment() / 8);
    let _ = timeout(length, || {
        let _token = Token::new(world);
        send(world, random);
        let _ = cancellable(|token| {
            if random.one_in(3) {
                token.cancel();
            }
            let _ = timeout(inner, || receive(world, random));
            receive(world, random);
        });
        shield(|| send(world, random));
    });
}

/// Tasks that borrow, some of which are cancelled, with or without the rest.
fn in_a_scope(world: &Arc<World>, random: &mut Random) {
    let token = Token::new(world);
    let outcome = timeout(random.a_moment(), || {
        scope(|s| {
            for _ in 0..random.below(4) {
                let (borrowed, mut theirs) = (&token, Random::new(random.next()));
                let task = s.spawn(move || {
                    let _token = Token::new(&borrowed.world);
                    receive(world, &mut theirs);
                    send(world, &mut theirs);
                });
                if random.one_in(3) {
                    task.cancel();
                }
            }
            if random.one_in(3) {
                s.cancel();
            }
        });
    });
    assert!(outcome.is_ok() || !token.dropped.load(Ordering::Relaxed));
}

/// Rings for somebody, or waits until somebody rings or patience ends, whichever is first.
fn ring_or_wait(world: &Arc<World>, random: &mut Random) {
    if let Some(bell) = world.bells.recv_timeout(Duration::ZERO) {
        bell.ring();
    } else {
        let bell = Bell::new();
        assert!(world.bells.send_timeout(bell.clone(), Duration::ZERO).is_ok());
        let _ = bell.wait_until(Some(Instant::now() + random.a_moment()));
        check_cancelled();
    }
}

fn compute(random: &mut Random) {
    let until = Instant::now() + random.a_moment() / 4;
    while Instant::now() < until {
        hint::spin_loop();
    }
}

/// A plain thread takes part until main has ended.
fn outsider(world: &Arc<World>, background: &Runtime, mut random: Random) {
    let _frame = Token::new(world);
    while !world.over.load(Ordering::Acquire) {
        match random.below(9) {
            0..=2 => send(world, &mut random),
            3..=5 => receive(world, &mut random),
            6 => ring_or_wait(world, &mut random),
            7 => {
                cancel_anybody(world);
                in_a_region(world, &mut random);
            }
            _ => help(world, background, &mut random),
        }
    }
}

/// Takes a handle, or hands a task to the runtime that was started.
fn help(world: &Arc<World>, background: &Runtime, random: &mut Random) {
    if random.one_in(2) {
        drop(world.handles.recv_timeout(Duration::ZERO));
    } else if let Some((builder, body)) = new_task(world, random) {
        let task = builder.spawn_on(background.handle(), body).expect("there is memory enough");
        let _ = world.handles.send_timeout(task, Duration::ZERO);
    }
}

/// Runs one program, and checks afterwards.
fn program(seed: u64) {
    let mut random = Random::new(seed);
    let world = Arc::new(World::new(&mut random));
    let outsiders = random.below(3);
    let mut settings = || {
        Runtime::builder()
            .workers(1 + random.below(4))
            .spin(Duration::from_micros([0, 1, 50][random.below(3)]))
            .foreign_threads(match outsiders {
                0 => ForeignThreads::NeverWake,
                _ => ForeignThreads::MayWake,
            })
    };
    let (entered, background) = (settings(), Arc::new(settings().start().unwrap()));
    let outsiders: Vec<_> = (0..outsiders)
        .map(|_| {
            let (ours, theirs) = (world.clone(), Random::new(random.next()));
            let background = background.clone();
            thread::spawn(move || outsider(&ours, &background, theirs))
        })
        .collect();
    let main_panics = random.one_in(10);
    let main = || {
        for _ in 0..1 + random.below(20) {
            match random.below(8) {
                0 => send(&world, &mut random),
                1 => receive(&world, &mut random),
                2 => ring_or_wait(&world, &mut random),
                3 => yield_now(),
                4..=5 => spawn_child(&world, &mut random).map_or((), drop),
                _ => spawn_child(&world, &mut random).map_or((), join_with_patience),
            }
        }
        if main_panics {
            resume_unwind(Box::new(PlannedPanic));
        }
    };
    match catch_unwind(AssertUnwindSafe(|| entered.run(main))) {
        Ok(ended) => ended.expect("main waits for no longer than a moment"),
        Err(panic) if main_panics && panic.is::<PlannedPanic>() => {}
        Err(panic) => resume_unwind(panic),
    }
    world.over.store(true, Ordering::Release);
    outsiders.into_iter().for_each(|outsider| outsider.join().unwrap());
    drop(background);
    check(&world);
}

/// Nobody is left but the world.
fn check(world: &World) {
    for channel in &world.channels {
        while let Some(message) = channel.recv_timeout(Duration::ZERO) {
            take(world, message);
        }
    }
    while let Some(task) = world.handles.recv_timeout(Duration::ZERO) {
        assert!(task.is_finished(), "a run has left a task behind");
        drop(task);
    }
    assert_eq!(world.alive.load(Ordering::Relaxed), 0, "values that were not dropped");
    let sent = world.next_message.load(Ordering::Relaxed) - world.unsent.load(Ordering::Relaxed);
    assert_eq!(world.received.load(Ordering::Relaxed), sent, "messages");
}

fn number_from(variable: &str) -> Option<u64> {
    let value = env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} must be a number, but is {value:?}")))
}

/// Ends the process if a program takes ten thousand times as long as it should.
fn watch(current: Arc<AtomicU64>, done: Arc<AtomicUsize>) {
    thread::spawn(move || {
        loop {
            let before = done.load(Ordering::Relaxed);
            thread::sleep(Duration::from_secs(100));
            if done.load(Ordering::Relaxed) == before {
                let seed = current.load(Ordering::Relaxed);
                eprintln!("the program hangs: LISLE_STRESS_SEED={seed}");
                process::abort();
            }
        }
    });
}

#[test]
fn random_programs() {
    let only = number_from("LISLE_STRESS_SEED");
    let seconds = number_from("LISLE_STRESS_SECONDS").unwrap_or(5);
    let first = only.unwrap_or_else(|| {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        time.as_nanos() as u64 >> 8
    });
    let (current, done) = (Arc::new(AtomicU64::new(first)), Arc::new(AtomicUsize::new(0)));
    watch(current.clone(), done.clone());
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        let seed = current.load(Ordering::Relaxed);
        let failed = OnDrop(|| eprintln!("the program failed: LISLE_STRESS_SEED={seed}"));
        program(seed);
        std::mem::forget(failed);
        done.fetch_add(1, Ordering::Relaxed);
        if only.is_none() {
            current.fetch_add(1, Ordering::Relaxed);
        }
    }
    println!("{} programs from seed {first} on", done.load(Ordering::Relaxed));
}

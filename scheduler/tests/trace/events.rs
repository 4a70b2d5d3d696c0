//! One trace that has every kind of event, each of which the JSON tells.

use std::collections::BTreeSet;
use std::hint;
use std::io::{Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lisle::channel::{Sender, bounded, unbounded};
use lisle::deadlock::ForeignThreads;
use lisle::net::UnixStream;
use lisle::task::Builder;
use lisle::trace::{Recorder, counter, span, start};
use lisle::{Runtime, blocking, metrics, sleep, timeout, yield_now};

use crate::{alone, assert_slices_are_nested, field, json, lines};

/// Whether this build and this machine can carry.
fn carries() -> bool {
    let built = cfg!(all(
        target_arch = "x86_64",
        target_env = "gnu",
        not(lisle_switch = "ucontext"),
        not(lisle_sanitize = "address"),
        not(lisle_sanitize = "thread"),
        not(lisle_sanitize = "valgrind"),
    ));
    // SAFETY: the call has no conditions.
    built && unsafe { libc::getauxval(libc::AT_HWCAP2) } & 2 != 0
}

fn kernel_thread() -> i32 {
    // SAFETY: the call has no conditions.
    unsafe { libc::gettid() }
}

/// Two tasks on two workers of the runtime 'pair' meet a thousand times. Returns on how many of the
/// kernel's threads each of the two has run: more than one if its worker was carried.
fn exchange() -> usize {
    const ROUNDS: u64 = 1000;
    /// By then both workers know that something is recorded.
    const FIRST: u64 = 300;
    let pair = Runtime::builder().workers(2).name("pair").carry(true);
    let threads = pair.foreign_threads(ForeignThreads::NeverWake).run(|| {
        let (ask, requests) = bounded(0);
        let (answers, hear) = bounded(0);
        let begun = Arc::new(AtomicBool::new(false));
        let begins = begun.clone();
        let answer = move || {
            begins.store(true, Ordering::Release);
            let mut threads = BTreeSet::new();
            for round in requests {
                if round >= FIRST {
                    threads.insert(kernel_thread());
                }
                answers.send(round).unwrap();
            }
            threads
        };
        let answerer = Builder::new().name("answerer").spawn(answer).unwrap();
        // Only another worker can start it, as this one's thread does not wait here.
        while !begun.load(Ordering::Acquire) {
            hint::spin_loop();
        }
        let mut threads = BTreeSet::new();
        for round in 0..ROUNDS {
            ask.send(round).unwrap();
            assert_eq!(hear.recv(), Ok(round));
            if round >= FIRST {
                threads.insert(kernel_thread());
            }
        }
        drop(ask);
        threads.len().max(answerer.join().unwrap().len())
    });
    threads.unwrap()
}

/// Begins to record, and has a task stolen and, where that can be, a worker carried.
fn record_an_exchange() -> Recorder {
    let begun = Instant::now();
    loop {
        let recorder = start().unwrap();
        // On a busy machine it may be over without carrying.
        if exchange() > 1 || !carries() {
            return recorder;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was carried");
    }
}

/// All that one worker, of the runtime 'single', has to tell. The result keeps a task waiting until
/// the runtime ends.
fn all_that_one_worker_does() -> Sender<()> {
    let named = |name: &str| Builder::new().name(name);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    let (from_outside, to_inside) = bounded(1);
    let (open, gate) = mpsc::channel();
    let (never, silence) = unbounded::<()>();
    let quiet = silence.clone();
    let reader = named("reader").spawn(move || far.read(&mut [0; 8]).unwrap()).unwrap();
    let called = named("called").spawn(move || to_inside.recv().unwrap()).unwrap();
    let caller = named("caller").spawn(|| blocking(move || gate.recv().unwrap())).unwrap();
    let yielder = named("yielder").spawn(yield_now).unwrap();
    let spanner = named("spanner").spawn(|| span("of a user", || counter("jobs", 2.5))).unwrap();
    let sleeper = named("sleeper").spawn(sleep_until_the_worker_has).unwrap();
    let limit = Duration::from_millis(1);
    let limited = named("limited").spawn(move || timeout(limit, || silence.recv()).is_err());
    // It still waits when the runtime ends.
    drop(named("left").spawn(move || quiet.recv()).unwrap());
    // Each has its first turn.
    yield_now();
    near.write_all(b"word").unwrap();
    assert_eq!(reader.join().unwrap(), 4);
    let outside = thread::spawn(move || from_outside.send(8).unwrap());
    assert_eq!(called.join().unwrap(), 8);
    open.send(7).unwrap();
    assert_eq!(caller.join().unwrap(), 7);
    yielder.join().unwrap();
    spanner.join().unwrap();
    sleeper.join().unwrap();
    assert!(limited.unwrap().join().unwrap());
    outside.join().unwrap();
    never
}

/// Until a timer has woken this task, and the worker has slept. On a slow machine a short pause may
/// be over before.
fn sleep_until_the_worker_has() {
    let mut pause = Duration::from_millis(1);
    let has_slept = || {
        let total = metrics().unwrap().total();
        total.sleeps > 0 && total.fired_timers > 0
    };
    while !has_slept() {
        sleep(pause);
        pause *= 2;
    }
}

#[test]
fn one_trace_tells_of_every_kind_of_event() {
    let _alone = alone();
    let recorder = record_an_exchange();
    let single = Runtime::builder().workers(1).name("single");
    drop(single.run(all_that_one_worker_does).unwrap());
    let trace = recorder.stop();
    assert_eq!(trace.lost(), 0);
    let json = json(&trace);
    assert_slices_are_nested(&json);

    let lane = |title: &str| {
        let title = format!(r#""name":"{title}""#);
        field(lines(&json, &[r#""thread_name""#, &title])[0], "tid")
    };
    let on = |lane: &str| format!(r#""tid":{lane},"#);
    let pair = [on(lane("pair worker 0")), on(lane("pair worker 1"))];
    let single = on(lane("single worker 0"));

    // What goes on between workers.
    let steals = lines(&json, &[r#""name":"steals""#, &pair[1], r#""of worker":0"#]);
    assert_eq!(steals.len(), 1, "{json}");
    if carries() {
        let carried = |by: usize| {
            let name = format!(r#""name":"carries worker {}""#, 1 - by);
            lines(&json, &[&name, r#""ph":"B""#, &pair[by]]).len()
        };
        assert!(carried(0) + carried(1) > 0, "{json}");
    }

    // A task is spawned by another, which an arrow says, and begins, runs and ends.
    let turns = |task: &str| {
        let edges = |phase| format!(r#"'{task}'","cat":"turn","ph":"{phase}""#);
        let begins = lines(&json, &[&edges("B"), &*single]).len();
        let ends = lines(&json, &[&edges("E"), &*single]);
        assert_eq!(ends.len(), begins, "{json}");
        for end in &ends {
            assert!(end.contains(r#""spawned at":"scheduler/tests/trace/events.rs:"#), "{end}");
        }
        assert!(ends.last().unwrap().contains(r#""end":"ends""#), "{json}");
        ends
    };
    for arrow in ["spawns", "wakes"] {
        for end in ["s", "f"] {
            let parts = [&format!(r#""name":"{arrow}""#), &format!(r#""ph":"{end}""#), &*single];
            assert!(!lines(&json, &parts).is_empty(), "{arrow} {end}: {json}");
        }
    }

    // A task waits, for what and where, and goes on, because of what.
    for (task, reason, wake) in [
        ("reader", "reading from a Unix socket", r#""woken by":"a descriptor""#),
        ("called", "receiving from a channel", r#""woken by":"another thread""#),
        ("caller", "waiting for a blocking call", r#""woken by":"another thread""#),
        ("sleeper", "sleeping", r#""woken by":"a timer""#),
        ("limited", "receiving from a channel", r#""woken by":"a cancellation""#),
        ("left", "receiving from a channel", r#""cancelled by":"#),
    ] {
        let waits = format!(r#""end":"waits","for":"{reason}","at":"scheduler/tests/trace/events"#);
        let [.., before, last] = &turns(task)[..] else { panic!("{task}: {json}") };
        assert!(before.contains(&waits) && last.contains(wake), "{task}: {before}\n{last}");
    }
    let by_task = lines(&json, &["'main'", r#""ph":"E""#, &single, r#""woken by":""#, "'reader'"]);
    assert!(!by_task.is_empty(), "{json}");
    let yields = turns("yielder");
    assert_eq!(yields.len(), 2, "{yields:?}");
    assert!(yields[0].contains(r#""end":"lets others run""#), "{yields:?}");

    // The worker idles; others work for its tasks; the user's own.
    assert!(!lines(&json, &[r#""name":"asleep""#, &single]).is_empty(), "{json}");
    let outside = on(lane("other threads"));
    let calls = lines(&json, &[r#""name":"blocking call""#, "'caller'", &outside]);
    assert_eq!(calls.len(), 1, "{json}");
    let process = format!(r#""pid":{},"#, std::process::id());
    assert!(json.lines().all(|line| line.contains(&process)), "{json}");
    let spans = lines(&json, &[r#""name":"of a user""#, r#""cat":"span""#, &single]);
    assert_eq!(spans.len(), 2, "{json}");
    let counts = lines(&json, &[r#""name":"jobs""#, r#""ph":"C""#, r#""args":{"value":2.5}"#]);
    assert_eq!(counts.len(), 1, "{json}");
}

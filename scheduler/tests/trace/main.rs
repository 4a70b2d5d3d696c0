//! Traces: what is recorded, and how it is written.
#![cfg(not(lisle_loom))]

mod events;
#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use lisle_scheduler::park::{Object, Reason, Wait, park};
use lisle_scheduler::trace::{AlreadyRecording, Trace, counter, flight_recorder, span, start};
use lisle_scheduler::{Builder, Runtime, blocking, metrics, sleep, spawn, spawn_local, yield_now};
use support::{Bell, in_child};

/// There is one recorder a process, so these tests come one after the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn json(trace: &Trace) -> String {
    let mut json = Vec::new();
    trace.write_json(&mut json).unwrap();
    String::from_utf8(json).unwrap()
}

/// The lines of the JSON that contain all of these.
fn lines<'a>(json: &'a str, all: &[&str]) -> Vec<&'a str> {
    json.lines().filter(|line| all.iter().all(|part| line.contains(part))).collect()
}

/// The value of a field of an event, which has a line of its own.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let value = line.split(&format!(r#""{name}":"#)).nth(1).unwrap();
    value.split([',', '}']).next().unwrap()
}

/// On each lane time goes forward, and what has begun last ends first, as viewers demand.
fn assert_slices_are_nested(json: &str) {
    let mut lanes: HashMap<&str, (f64, Vec<&str>)> = HashMap::new();
    for line in json.lines() {
        let (begins, ends) = (line.contains(r#""ph":"B""#), line.contains(r#""ph":"E""#));
        if !begins && !ends {
            continue;
        }
        let (last, open) = lanes.entry(field(line, "tid")).or_default();
        let at: f64 = field(line, "ts").parse().unwrap();
        assert!(at >= *last, "{line}\n{json}");
        *last = at;
        if begins {
            open.push(field(line, "name"));
        } else {
            assert_eq!(open.pop(), Some(field(line, "name")), "{line}\n{json}");
        }
    }
    assert!(lanes.values().all(|(_, open)| open.is_empty()), "{json}");
}

#[test]
fn turns_say_why_they_end_and_who_has_woken() {
    let _alone = alone();
    let recorder = start().unwrap();
    let ids = Runtime::builder().workers(1).name("told").run(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        let sleeper = Builder::new().name("sleeper").spawn(move || theirs.wait()).unwrap();
        let local = spawn_local(yield_now);
        yield_now();
        assert!(bell.ring());
        let id = sleeper.task().id();
        sleeper.join().unwrap();
        local.join().unwrap();
        // On a slow machine one that is too short is over before the worker sleeps.
        let mut pause = Duration::from_millis(1);
        while metrics().unwrap().total().sleeps == 0 {
            sleep(pause);
            pause *= 2;
        }
        id
    });
    let id = ids.unwrap();
    let json = json(&recorder.stop());
    let sleeper = format!(r#""name":"task {id} 'sleeper'""#);
    assert_slices_are_nested(&json);
    let turns = lines(&json, &[&sleeper, r#""ph":"E""#]);
    assert_eq!(turns.len(), 2, "{json}");
    assert!(
        turns[0].contains(r#""end":"waits","for":"waiting for a bell","at":"scheduler/tests/"#)
    );
    assert!(turns[0].contains(r#""spawned at":"scheduler/tests/trace/main.rs:"#), "{json}");
    assert!(turns[1].contains(r#""end":"ends""#), "{json}");
    assert!(turns[1].contains(r#""woken by":""#) && turns[1].contains("'main'"), "{json}");
    assert!(!lines(&json, &[r#""end":"lets others run""#]).is_empty(), "{json}");
    assert!(!lines(&json, &["'main'", r#""woken by":"a timer""#]).is_empty(), "{json}");
    assert!(!lines(&json, &[r#""name":"told worker 0""#]).is_empty(), "{json}");
    assert!(!lines(&json, &[r#""name":"asleep""#]).is_empty(), "{json}");
    for (what, begins) in [("wakes", "s"), ("wakes", "f"), ("spawns", "s"), ("spawns", "f")] {
        let (name, ph) = (format!(r#""name":"{what}""#), format!(r#""ph":"{begins}""#));
        assert!(!lines(&json, &[&name, &ph]).is_empty(), "{json}");
    }
}

/// It is asked in the middle of a switch, which a panic must not unwind.
#[test]
fn a_description_that_panics_ends_the_process() {
    struct Bad;
    impl Object for Bad {
        fn reason(&self) -> Reason {
            panic!("out of words");
        }
    }
    let ended = in_child("a_description_that_panics_ends_the_process", &[], || {
        let _recorder = start().unwrap();
        let caught = Runtime::builder().workers(1).run(|| {
            yield_now();
            let bell = Bell::new();
            catch_unwind(AssertUnwindSafe(|| {
                park(Wait::on(&Bad), None, |mine| bell.put(mine), || bell.take())
            }))
            .is_err()
        });
        drop(caught);
    });
    ended.assert_aborted();
    ended.assert_says("lisle: the description of a wait panicked");
}

#[test]
fn each_turn_is_there_whatever_the_worker_does_between() {
    const TASKS: usize = 50;
    const TURNS: usize = 200;
    let _alone = alone();
    for workers in [1, 2, 4] {
        let recorder = start().unwrap();
        let ran = Runtime::builder().workers(workers).run(|| {
            let tasks: Vec<_> =
                (0..TASKS).map(|_| spawn(|| (1..TURNS).for_each(|_| yield_now()))).collect();
            tasks.into_iter().for_each(|task| task.join().unwrap());
        });
        ran.unwrap();
        let trace = recorder.stop();
        assert_eq!(trace.lost(), 0);
        // A worker that has not looked around yet has turns that are not recorded, but this one
        // and those that start later have.
        assert!(trace.turns() >= TASKS * TURNS, "{} with {workers} workers", trace.turns());
        let json = json(&trace);
        let ends = lines(&json, &[r#""cat":"turn""#, r#""end":"ends""#]).len();
        assert!(ends >= TASKS, "{ends} with {workers} workers");
    }
}

#[test]
fn spans_and_counters_of_tasks_and_threads() {
    let _alone = alone();
    assert_eq!(span("nothing records", || 3), 3);
    let recorder = start().unwrap();
    Runtime::builder()
        .workers(1)
        .run(|| {
            let other = Builder::new().name("other").spawn(|| {
                span("outer", || {
                    yield_now();
                    span("inner", || counter("jobs", 2.5));
                });
                let panicked = catch_unwind(AssertUnwindSafe(|| {
                    span("panics", || std::panic::resume_unwind(Box::new(())))
                }));
                assert!(panicked.is_err());
            });
            other.unwrap().join().unwrap();
        })
        .unwrap();
    thread::spawn(|| span("thread", || counter("jobs", f64::NAN))).join().unwrap();
    let json = json(&recorder.stop());
    assert_slices_are_nested(&json);
    // The task yields in one of them, which is on no worker's lane therefore.
    for (name, [begin, end]) in
        [("outer", ["b", "e"]), ("inner", ["B", "E"]), ("panics", ["B", "E"])]
    {
        let edges = lines(&json, &[&format!(r#""name":"{name}""#)]);
        assert_eq!(edges.len(), 2, "{json}");
        assert!(edges[0].contains(&format!(r#""ph":"{begin}""#)), "{json}");
        assert!(edges[1].contains(&format!(r#""ph":"{end}""#)), "{json}");
        assert_eq!(edges[0].contains("'other'"), begin == "b", "{json}");
    }
    assert_eq!(lines(&json, &[r#""name":"thread""#]).len(), 2, "{json}");
    assert_eq!(lines(&json, &[r#""ph":"C""#, r#"{"value":2.5}"#]).len(), 1, "{json}");
    assert_eq!(lines(&json, &[r#""ph":"C""#, r#"{"value":0}"#]).len(), 1, "{json}");
    assert!(!json.contains("nothing records"));
}

#[test]
fn there_is_one_recorder_at_a_time() {
    let _alone = alone();
    let first = start().unwrap();
    assert_eq!(start().unwrap_err(), AlreadyRecording);
    assert_eq!(flight_recorder(Duration::MAX, 0).unwrap_err(), AlreadyRecording);
    drop(first);
    drop(flight_recorder(Duration::MAX, usize::MIN).unwrap());
    assert_eq!(start().unwrap().stop().turns(), 0);
}

#[test]
fn a_flight_recorder_keeps_the_last_part() {
    let _alone = alone();
    let recorder = flight_recorder(Duration::from_secs(3600), 16 << 10).unwrap();
    let yields = |n| {
        let one = Runtime::builder().workers(1);
        one.run(move || (0..n).for_each(|_| yield_now())).unwrap();
    };
    yields(10_000);
    let trace = recorder.snapshot();
    assert!(trace.lost() > 9_000 && (100..1000).contains(&trace.turns()), "{trace:?}");
    yields(10);
    assert!(recorder.snapshot().turns() > trace.turns(), "it goes on");
    drop(recorder);
    let nothing = flight_recorder(Duration::ZERO, 1 << 20).unwrap();
    yields(100);
    let trace = nothing.stop();
    assert!(trace.turns() <= 1 && trace.lost() >= 99, "{trace:?}");
}

/// Those that run already take part, and those that have not started yet; when it is over, nobody
/// does.
#[test]
fn a_recording_begins_and_ends_while_tasks_run() {
    let _alone = alone();
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let bell = Bell::new();
    let theirs = bell.clone();
    let waits = Builder::new().name("early").spawn_on(runtime.handle(), move || theirs.wait());
    support::block_until(|| bell.is_awaited());
    for _ in 0..3 {
        let recorder = start().unwrap();
        let tasks: Vec<_> = (0..100).map(|_| runtime.spawn(yield_now)).collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
        let trace = recorder.snapshot();
        assert!(trace.turns() > 0);
        drop(recorder);
        runtime.spawn(yield_now).join().unwrap();
    }
    let recorder = start().unwrap();
    // Workers that sleep are knocked at, and then take part.
    runtime.spawn(|| ()).join().unwrap();
    assert!(bell.ring());
    waits.unwrap().join().unwrap();
    let json = json(&recorder.stop());
    assert!(json.contains("'early'"), "{json}");
}

#[test]
fn the_page_has_all_data_in_it() {
    let _alone = alone();
    let recorder = start().unwrap();
    let odd = "</script>\"\\\u{2028}";
    let ran = Runtime::builder().workers(1).name(odd).run(|| {
        Builder::new().name("</script>").spawn(|| ()).unwrap().join().unwrap();
    });
    ran.unwrap();
    let mut page = Vec::new();
    recorder.stop().write_html(&mut page).unwrap();
    let page = String::from_utf8(page).unwrap();
    assert_eq!(page.matches("</script>").count(), 2, "texts do not end a script");
    assert!(page.contains(r#"{"lost":0,"lanes":[{"title":"\u003c/script>\"\\\u2028 worker 0""#));
    assert!(!page.contains("http"), "it needs no network");
}

#[test]
fn a_snapshot_may_be_taken_by_many_while_all_write() {
    let _alone = alone();
    let recorder = Arc::new(flight_recorder(Duration::from_secs(1), 4 << 10).unwrap());
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let recorder = recorder.clone();
            runtime.spawn(move || {
                for n in 0..2000 {
                    yield_now();
                    if n % 100 == 0 {
                        assert!(recorder.snapshot().turns() < 10_000);
                    }
                }
            })
        })
        .collect();
    tasks.into_iter().for_each(|task| task.join().unwrap());
}

/// Wakes across workers, tasks that are stolen, calls on other threads, descriptors.
#[test]
fn what_goes_on_between_workers_is_told() {
    let _alone = alone();
    let recorder = start().unwrap();
    let ran = Runtime::builder().workers(2).name("pair").run(|| {
        let bell = Bell::new();
        let theirs = bell.clone();
        // Nobody else could start it than the worker whose thread does not wait here.
        let started = Arc::new(AtomicBool::new(false));
        let flag = started.clone();
        let far = Builder::new().name("far").spawn(move || {
            flag.store(true, Ordering::Release);
            theirs.wait();
        });
        support::block_until(|| started.load(Ordering::Acquire) && bell.is_awaited());
        assert!(bell.ring());
        far.unwrap().join().unwrap();
        assert_eq!(blocking(|| 7), 7);
    });
    ran.unwrap();
    let json = json(&recorder.stop());
    let steals = lines(&json, &[r#""name":"steals""#, r#""ph":"i""#, r#""of worker":0"#]);
    assert!(!steals.is_empty(), "{json}");
    assert_slices_are_nested(&json);
    let far = lines(&json, &[r#"'far'","cat":"turn","ph":"E""#]);
    assert_eq!(far.len(), 2, "{json}");
    assert!(far[1].contains(r#""woken by":""#) && far[1].contains("'main'"), "{json}");
    // The arrow from the one lane to the other.
    let starts = lines(&json, &[r#""name":"wakes""#, r#""ph":"s""#]);
    let ends = lines(&json, &[r#""name":"wakes""#, r#""ph":"f""#]);
    let crosses = starts.iter().zip(&ends).any(|(start, end)| {
        assert_eq!(field(start, "id"), field(end, "id"), "{json}");
        field(start, "tid") != field(end, "tid")
    });
    assert!(crosses, "{json}");
    let calls = lines(&json, &[r#""name":"blocking call""#, "'main'"]);
    assert_eq!(calls.len(), 1, "{json}");
}

#[test]
fn a_flight_recorder_knows_the_names_of_tasks_that_began_long_ago() {
    let _alone = alone();
    let recorder = flight_recorder(Duration::MAX, 4 << 10).unwrap();
    let trace = Runtime::builder().workers(1).run(|| {
        let long = "a name that is longer than sixteen bytes";
        let old = Builder::new().name(long).spawn_local(|| (0..2000).for_each(|_| yield_now()));
        (0..1000).for_each(|_| yield_now());
        let trace = recorder.snapshot();
        old.unwrap().join().unwrap();
        trace
    });
    let trace = trace.unwrap();
    assert!(trace.lost() > 1000, "{trace:?}");
    let json = json(&trace);
    let told = lines(&json, &["'a name that is longer than sixteen bytes'", r#""spawned at""#]);
    assert!(!told.is_empty(), "{json}");
}

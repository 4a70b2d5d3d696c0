//! Dumps: every task is in them, in the right state, and nothing changes by them.
#![cfg(not(lisle_loom))]

mod support;

use std::collections::HashSet;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;
use std::{iter, mem};

use lisle_runtime::{no_suspend, switch};
use lisle_scheduler::park::{Awaited, Held, Object, Reason, Wait, park};
use lisle_scheduler::{
    Builder, Dump, DumpOptions, JoinHandle, Runtime, RuntimeDump, TaskState, cancellable, current,
    dump, run, sleep, spawn, spawn_local, yield_now,
};
use support::{Bell, Log, OnDrop, block_until, in_child, run_in_order};

/// The part of a dump that is about the runtime of this name. Other tests have theirs.
#[track_caller]
fn of<'a>(dump: &'a Dump, name: &str) -> &'a RuntimeDump {
    let found = dump.runtimes().iter().find(|runtime| runtime.name() == name);
    found.unwrap_or_else(|| panic!("{name} is missing in {dump}"))
}

fn states(dump: &RuntimeDump) -> Vec<(Option<&str>, TaskState)> {
    dump.tasks().map(|task| (task.task().name(), task.state())).collect()
}

fn named(name: &str) -> Builder {
    Builder::new().name(name)
}

#[test]
fn each_state_is_told() {
    let builder = Runtime::builder().workers(1).name("states");
    let (dump, bell) = builder
        .run(|| {
            let bell = Bell::new();
            let theirs = bell.clone();
            let _waits = named("waits").spawn(move || theirs.wait()).unwrap();
            let _ready = named("ready").spawn(yield_now).unwrap();
            yield_now();
            let _new = named("new").spawn(|| ()).unwrap();
            let _local = named("local").spawn_local(|| ()).unwrap();
            (dump(), bell)
        })
        .unwrap();
    let dump = of(&dump, "states");
    let mut states = states(dump);
    states.sort_unstable();
    let expected = [
        (Some("local"), TaskState::NotStarted),
        (Some("main"), TaskState::Running),
        (Some("new"), TaskState::NotStarted),
        (Some("ready"), TaskState::Ready),
        (Some("waits"), TaskState::Waiting),
    ];
    assert_eq!(states, expected);
    assert_eq!((dump.task_count(), dump.workers(), dump.busy_workers().len()), (5, 1, 0));
    assert!(dump.tasks().all(|task| task.worker() == Some(0) && task.backtrace().is_none()));
    for task in dump.tasks() {
        assert_eq!(
            task.wait().map(|wait| wait.reason()),
            match task.state() {
                TaskState::Waiting => Some(Bell::REASON),
                _ => None,
            }
        );
        assert_eq!(task.spawned_at().file(), file!());
    }
    drop(bell);
}

#[test]
fn tasks_that_are_alike_are_told_together() {
    const TASKS: usize = 12;
    let builder = Runtime::builder().workers(1).name("alike");
    let (dump, ids) = builder
        .run(|| {
            let bells: Vec<_> = (0..TASKS).map(|_| Bell::new()).collect();
            let tasks = bells.iter().map(Bell::clone).map(|bell| spawn(move || bell.wait()));
            let ids: Vec<_> = tasks.map(|task| task.task().id()).collect();
            yield_now();
            (DumpOptions::new().tasks_per_group(3).capture(), ids)
        })
        .unwrap();
    let text = of(&dump, "alike").to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..2], ["runtime 'alike': 13 tasks on 1 worker", ""], "{text}");
    assert!(lines[2].starts_with("12 tasks: waiting for a bell"), "{text}");
    assert!(lines[3].starts_with("    at scheduler/tests/dump.rs:"), "{text}");
    assert!(lines[4].starts_with("    spawned at scheduler/tests/dump.rs:"), "{text}");
    let these = format!("    these are {}, {}, {} and 9 more", ids[0], ids[1], ids[2]);
    assert_eq!(lines[5..7], [&*these, ""], "{text}");
    assert!(lines[7].starts_with("task ") && lines[7].ends_with(" 'main': running"), "{text}");
    assert_eq!(lines.len(), 9, "{text}");
}

/// Also those that are deferred, and those that stand behind them.
#[test]
fn none_of_many_new_tasks_is_missing_and_their_order_stays() {
    const TASKS: usize = 10_000;
    let order_with = |dumps| {
        let log = Log::new();
        run_in_order(|| {
            let note = |n| {
                let log = log.clone();
                move || log.add(n)
            };
            let tasks: Vec<_> = (0..TASKS).map(|n| spawn(note(n))).collect();
            let local = spawn_local(note(TASKS));
            if dumps {
                let me = current().unwrap().id();
                let dump = DumpOptions::new().tasks_per_group(usize::MAX).capture();
                let mine = dump
                    .runtimes()
                    .iter()
                    .find(|runtime| runtime.tasks().any(|task| task.task().id() == me));
                let mine = mine.unwrap();
                assert_eq!(mine.task_count(), TASKS + 2);
                let ids: HashSet<_> = mine.tasks().map(|task| task.task().id()).collect();
                assert!(tasks.iter().all(|task| ids.contains(&task.task().id())));
                assert!(ids.contains(&local.task().id()));
            }
            tasks.into_iter().chain([local]).for_each(|task| task.join().unwrap());
        });
        log.take()
    };
    assert!(order_with(true) == order_with(false));
}

#[test]
fn many_tasks_are_counted_and_few_described() {
    const TASKS: usize = if cfg!(debug_assertions) { 5_000 } else { 50_000 };
    let builder = Runtime::builder().workers(2).name("many");
    let dump = builder.run(|| {
        let bell = Bell::new();
        for _ in 0..TASKS {
            drop(spawn(|| Bell::new().wait()));
        }
        while lisle_scheduler::metrics().unwrap().total().parked_tasks < TASKS as u64 {
            sleep(Duration::from_millis(1));
        }
        drop(bell);
        dump()
    });
    let dump = dump.unwrap();
    let dump = of(&dump, "many");
    assert_eq!(dump.task_count(), TASKS + 1);
    assert_eq!(dump.groups()[0].task_count(), TASKS);
    assert_eq!(dump.groups()[0].tasks().len(), 1000);
    assert!(dump.groups()[0].parked_for().0 <= dump.groups()[0].parked_for().1);
}

#[test]
fn a_busy_worker_is_named_with_its_task() {
    let runtime = Runtime::builder().workers(1).name("busy").start().unwrap();
    let (begun, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (began, until) = (begun.clone(), over.clone());
    let task = named("computes").spawn_on(runtime.handle(), move || {
        began.store(true, Ordering::Release);
        block_until(|| until.load(Ordering::Acquire));
    });
    block_until(|| begun.load(Ordering::Acquire));
    let waiting: Vec<_> = (0..3).map(|_| runtime.spawn(|| ())).collect();
    // A failure does not leave the task computing, for which the runtime would wait.
    let stop = OnDrop(|| over.store(true, Ordering::Release));
    // On a machine that is held up, the thread may not come to answer in time.
    let is_named = |dump: &Dump| {
        let busy = of(dump, "busy").busy_workers();
        busy.iter().all(|busy| busy.running().is_some())
    };
    let dump = iter::repeat_with(dump).find(is_named).unwrap();
    let dump = of(&dump, "busy");
    let [busy] = dump.busy_workers() else { panic!("{dump}") };
    assert_eq!((busy.worker(), busy.thread()), (0, "busy-0"));
    assert_eq!(busy.running().unwrap().name(), Some("computes"));
    assert_eq!(dump.task_count(), 3, "those that nobody has taken yet: {dump}");
    assert!(dump.tasks().all(|task| task.worker().is_none()));
    assert!(dump.to_string().contains("worker 0 (thread busy-0) is busy with task "), "{dump}");
    drop(stop);
    task.unwrap().join().unwrap();
    waiting.into_iter().for_each(|task| task.join().unwrap());
}

/// A thread that has waited for its tasks is asked by the task of another.
#[test]
fn tasks_of_several_workers_dump_at_the_same_time() {
    run(|| {
        let runtime = Runtime::builder().workers(2).name("both").start().unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let tasks: Vec<_> = (0..2)
            .map(|_| {
                let barrier = barrier.clone();
                runtime.spawn(move || {
                    barrier.wait();
                    dump()
                })
            })
            .collect();
        for task in tasks {
            let dump = task.join().unwrap();
            assert!(of(&dump, "both").task_count() >= 1, "{dump}");
        }
    });
}

/// What thieves take meanwhile is run once all the same.
#[test]
fn nothing_is_lost_while_dumps_are_made() {
    const TASKS: usize = if cfg!(debug_assertions) { 5_000 } else { 20_000 };
    let (ran, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let until = over.clone();
    let dumper = thread::spawn(move || {
        while !until.load(Ordering::Acquire) {
            drop(dump());
        }
    });
    let theirs = ran.clone();
    Runtime::builder()
        .workers(4)
        .run(move || {
            let tasks: Vec<_> = (0..TASKS)
                .map(|n| {
                    if n % 64 == 0 {
                        yield_now();
                    }
                    let ran = theirs.clone();
                    spawn(move || ran.fetch_add(1, Ordering::Relaxed))
                })
                .collect();
            tasks.into_iter().for_each(|task| assert!(task.join().unwrap() < TASKS));
        })
        .unwrap();
    over.store(true, Ordering::Release);
    dumper.join().unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), TASKS);
}

#[inline(never)]
fn waits_deep_inside(bell: &Bell) {
    bell.wait();
    // Something comes after it, or an optimised call would be a jump.
    black_box(bell);
}

#[inline(never)]
fn makes_a_dump() -> Dump {
    black_box(DumpOptions::new().backtraces(true).capture())
}

#[test]
fn backtraces_show_how_a_wait_was_reached() {
    let builder = Runtime::builder().workers(1).name("deep");
    let (dump, bell) = builder
        .run(|| {
            let bell = Bell::new();
            let theirs = bell.clone();
            drop(spawn(move || waits_deep_inside(&theirs)));
            yield_now();
            drop(spawn(|| ()));
            (makes_a_dump(), bell)
        })
        .unwrap();
    let dump = of(&dump, "deep");
    for task in dump.tasks() {
        let text = task.backtrace().map(ToString::to_string);
        match task.state() {
            TaskState::NotStarted => assert!(text.is_none()),
            TaskState::Running => assert!(text.unwrap().contains("makes_a_dump")),
            _ if switch::BACKEND == "ucontext" => assert!(text.is_none()),
            _ => assert!(text.unwrap().contains("waits_deep_inside")),
        }
    }
    if switch::BACKEND != "ucontext" {
        assert!(dump.to_string().contains("waits_deep_inside"));
    }
    drop(bell);
}

#[test]
fn it_can_be_made_where_no_task_may_wait() {
    let builder = Runtime::builder().workers(2).name("inside");
    let (inside, unwinding) = builder
        .run(|| {
            let inside = no_suspend(dump);
            let unwinding = Log::new();
            let theirs = unwinding.clone();
            let ended = cancellable(|token| {
                let _dumps = OnDrop(|| theirs.add(dump()));
                token.cancel();
                yield_now();
            });
            assert!(ended.is_err());
            (inside, unwinding.take().pop().unwrap())
        })
        .unwrap();
    for dump in [inside, unwinding] {
        let me = of(&dump, "inside").tasks().find(|task| task.task().name() == Some("main"));
        assert_eq!(me.unwrap().state(), TaskState::Running, "{dump}");
    }
}

#[test]
fn a_panic_hook_and_a_plain_thread_may_make_one() {
    let told = catch_unwind(AssertUnwindSafe(|| {
        run(|| {
            let _dumps = OnDrop(|| drop(dump()));
            std::panic::resume_unwind(Box::new("on"))
        })
    }));
    assert_eq!(told.unwrap_err().downcast_ref(), Some(&"on"));
    drop(dump());
}

#[test]
fn json_has_the_same() {
    let builder = Runtime::builder().workers(1).name("a \"name\"");
    let dump = builder
        .run(|| {
            drop(named("waits").spawn(|| Bell::new().wait()).unwrap());
            yield_now();
            dump()
        })
        .unwrap();
    let json = dump.to_json();
    assert!(json.contains(r#"{"name":"a \"name\"","workers":1,"busy":[],"groups":["#), "{json}");
    assert!(json.contains(r#""state":"waiting","spawned_at":"scheduler/tests/dump.rs:"#), "{json}");
    assert!(json.contains(r#""reason":"waiting for a bell","at":""#), "{json}");
    assert!(json.contains(r#","name":"waits","worker":0,"for":"#), "{json}");
    let count = |char| json.matches(char).count();
    assert_eq!((count('{'), count('[')), (count('}'), count(']')));
}

/// A lock that is held by the task of this number, for reports alone.
struct HeldBy(u64);

impl Object for HeldBy {
    fn reason(&self) -> Reason {
        Reason::new("waiting for a lock of a test")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        say(Awaited::Release(Held::new(self.0, "locked", Location::caller(), 1)));
    }
}

fn wait_for(holder: u64) {
    let held = HeldBy(holder);
    let _ = park(Wait::on(&held), None, mem::forget, || None);
}

/// The hints of a dump, when there are some: a wait has to be a little old.
fn hints() -> Vec<String> {
    loop {
        let dump = dump();
        if !dump.hints().is_empty() {
            let told = dump.to_string();
            assert!(dump.hints().iter().all(|hint| told.contains(&hint.to_string())), "{told}");
            assert!(dump.to_json().contains(r#""hints":["hint: "#));
            return dump.hints().iter().map(ToString::to_string).collect();
        }
        sleep(Duration::from_millis(1));
    }
}

/// Runs `body` in a child that ends while tasks wait for ever.
fn while_others_hang(name: &str, workers: usize, body: impl FnOnce()) {
    let ended = in_child(name, &[], || {
        Runtime::builder()
            .workers(workers)
            .run(|| {
                body();
                std::process::exit(0);
            })
            .unwrap();
    });
    ended.assert_success();
}

#[test]
fn tasks_that_join_each_other_are_hinted_at() {
    while_others_hang("tasks_that_join_each_other_are_hinted_at", 2, || {
        let slots = [Bell::new(), Bell::new()];
        let handles: Arc<[Mutex<Option<JoinHandle<()>>>; 2]> = Arc::default();
        let joins = |me: usize, bell: Bell| {
            let handles = handles.clone();
            move || {
                bell.wait();
                let other = handles[1 - me].lock().unwrap().take();
                drop(other.map(JoinHandle::join));
            }
        };
        let first = named("first").spawn(joins(0, slots[0].clone())).unwrap();
        let second = named("second").spawn(joins(1, slots[1].clone())).unwrap();
        let (one, two) = (first.task().id(), second.task().id());
        *handles[0].lock().unwrap() = Some(first);
        *handles[1].lock().unwrap() = Some(second);
        assert!(dump().hints().is_empty());
        slots.iter().for_each(Bell::ring_until_heard);
        let words = format!(
            "hint: tasks wait for each other: {one} 'first' for {two} 'second' for {one} 'first'"
        );
        assert_eq!(hints(), [words]);
    });
}

#[test]
fn locks_whose_holders_wait_or_are_gone_are_hinted_at() {
    while_others_hang("locks_whose_holders_wait_or_are_gone_are_hinted_at", 1, || {
        let number = || current().unwrap().id().to_string().parse::<u64>().unwrap();
        let gone = spawn_local(number).join().unwrap();
        // One that computes, and one that is woken, will let go.
        let main = number();
        spawn_local(move || wait_for(main));
        yield_now();
        assert!(dump().hints().is_empty());
        spawn_local(move || wait_for(number()));
        spawn_local(move || wait_for(gone));
        yield_now();
        let hints = hints();
        let [own, abandoned] = &hints[..] else { panic!("{hints:?}") };
        assert!(own.ends_with(" waits for itself"), "{own}");
        let words = format!(" waits for a lock that task {gone} has taken\n    at ");
        assert!(abandoned.contains(&words), "{abandoned}");
    });
}

#[test]
fn a_busy_worker_shows_where_its_other_tasks_are() {
    let runtime = Runtime::builder().workers(1).name("shows").start().unwrap();
    let (begun, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (began, until) = (begun.clone(), over.clone());
    let bell = Bell::new();
    let task = named("computes").spawn_on(runtime.handle(), {
        let bell = bell.clone();
        move || {
            let waits = named("waits").spawn_local(move || bell.wait()).unwrap();
            let many = [(); 3].map(|()| spawn_local(|| sleep(Duration::from_secs(3600))));
            let yields = named("yields").spawn_local(yield_now).unwrap();
            yield_now();
            let later = [(); 2].map(|()| spawn(|| ()));
            began.store(true, Ordering::Release);
            block_until(|| until.load(Ordering::Acquire));
            waits.join().unwrap();
            many.into_iter().for_each(|task| task.cancel());
            yields.join().unwrap();
            later.into_iter().for_each(|task| task.join().unwrap());
        }
    });
    block_until(|| begun.load(Ordering::Acquire));
    let stop = OnDrop(|| over.store(true, Ordering::Release));
    let shows = |dump: &Dump| of(dump, "shows").busy_workers().iter().any(|b| b.described() > 0);
    let dump = iter::repeat_with(dump).find(shows).unwrap();
    let dump = of(&dump, "shows");
    let [busy] = dump.busy_workers() else { panic!("{dump}") };
    assert_eq!(busy.running().unwrap().name(), Some("computes"));
    assert_eq!((busy.described(), dump.task_count()), (5, 5), "{dump}");

    let one = |name| dump.tasks().find(|task| task.task().name() == Some(name)).unwrap();
    let waits = one("waits").wait().unwrap();
    assert_eq!(one("waits").state(), TaskState::Waiting);
    assert!(waits.parked_at().file().ends_with("dump.rs"), "{dump}");
    assert_eq!(one("yields").state(), TaskState::Ready);
    assert!(dump.tasks().all(|task| task.worker() == Some(0)));
    let sleeping = dump.groups().iter().find(|group| group.task_count() == 3).unwrap();
    assert!(sleeping.parked_at().unwrap().file().ends_with("dump.rs"), "{dump}");
    let text = dump.to_string();
    let shown = "\n    and shows where 5 other tasks are that have started; 2 have not\n";
    assert!(text.contains(shown), "{text}");
    assert!(text.contains("3 tasks: waiting, or woken since its worker is busy for "), "{text}");
    drop(stop);
    bell.ring_until_heard();
    task.unwrap().join().unwrap();
}

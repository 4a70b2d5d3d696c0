//! What gdb says of tasks by the script `lisle-gdb.py`, in a process and in its core file. Needs
//! gdb, and says so if there is none.
#![cfg(not(lisle_loom))]

mod support;

use std::hint::{black_box, spin_loop};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs, process};

use lisle_runtime::switch;
use lisle_scheduler::{Builder, Runtime, spawn, yield_now};
use support::{Bell, block_until};

#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn lisle_test_stops_here(value: u32) -> u32 {
    black_box(value) + 1
}

#[inline(never)]
fn second(then: &dyn Fn()) {
    then();
    black_box(());
}

#[inline(never)]
fn first(then: &dyn Fn()) {
    second(&|| then());
    black_box(());
}

#[inline(never)]
fn computes(has_begun: &AtomicBool) {
    has_begun.store(true, Ordering::Release);
    loop {
        spin_loop();
    }
}

fn named(name: &str) -> Builder {
    Builder::new().name(name)
}

/// Has tasks in all states, and stops.
fn debugged() {
    let other = Runtime::builder().workers(1).name("other").start().unwrap();
    let bell = Bell::new();
    let theirs = bell.clone();
    let _far = named("far").spawn_on(other.handle(), move || first(&|| theirs.wait())).unwrap();
    block_until(|| bell.is_awaited());
    let ran = Runtime::builder().workers(2).name("own").run(|| {
        let has_begun = Arc::new(AtomicBool::new(false));
        let flag = has_begun.clone();
        let _busy = named("busy").spawn(move || computes(&flag)).unwrap();
        block_until(|| has_begun.load(Ordering::Acquire));
        let bell = Bell::new();
        let _waits = named("waits").spawn_local(move || first(&|| bell.wait())).unwrap();
        let _ready = named("ready").spawn_local(|| first(&yield_now)).unwrap();
        let _ended = named("ended").spawn_local(|| ()).unwrap();
        let forgotten = spawn(|| ());
        let _ = forgotten.join();
        let _new = named("new").spawn_local(|| ()).unwrap();
        first(&|| _ = black_box(lisle_test_stops_here(1)));
    });
    drop(ran);
}

/// What gdb says when it is told this. `None` if it cannot be used, with the reason on standard
/// output.
fn gdb(commands: &[&str], program: &[&str], child: bool) -> Option<String> {
    let script = concat!("source ", env!("CARGO_MANIFEST_DIR"), "/lisle-gdb.py");
    let mut gdb = Command::new("gdb");
    gdb.args(["--batch", "-nx", "-ex", "set width 0", "-ex", script]);
    commands.iter().for_each(|command| _ = gdb.args(["-ex", command]));
    gdb.arg("--args").arg(env::current_exe().unwrap()).args(program).stdin(Stdio::null());
    if child {
        gdb.env(CHILD, "1");
    }
    let Ok(output) = gdb.output() else {
        println!("skipped: gdb is not installed");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    if complaints.contains("Operation not permitted") {
        println!("skipped: gdb may not trace a process here");
        return None;
    }
    assert!(!complaints.contains("Python Exception"), "{said}\n{complaints}");
    assert!(!complaints.contains("Backtrace stopped"), "{said}\n{complaints}");
    Some(format!("{said}{complaints}"))
}

const CHILD: &str = "LISLE_TEST_DEBUGGED";

/// What is said of the task with this name, from its title on.
#[track_caller]
fn part<'a>(said: &'a str, name: &str) -> &'a str {
    let title = format!("'{name}': ");
    let start = said.find(&title).unwrap_or_else(|| panic!("{name} is missing in {said}"));
    let part = &said[start + title.len()..];
    &part[..part.find("\ntask ").unwrap_or(part.len())]
}

/// What is said of tasks, by `task all backtrace`.
#[track_caller]
fn assert_all_told(said: &str) {
    let stories = [
        ("main", "running on thread ", "'own' worker 0"),
        ("busy", "running on thread ", "'own' worker 1"),
        ("waits", "waits waiting for a bell, at ", "'own' worker 0"),
        ("ready", "ready, spawned at ", "'own' worker 0"),
        ("ended", "ended, spawned at ", ""),
        ("new", "not started, spawned at ", "'own' worker 0"),
        ("far", "waits waiting for a bell, at ", "'other' worker 0"),
    ];
    for (name, story, worker) in stories {
        let part = part(said, name);
        let story = story.trim_end_matches("on thread ").trim_end();
        assert!(part.starts_with(story) && part.contains(worker), "{name}: {part}");
        assert!(part.contains("tests/debugger.rs:"), "{name}: {part}");
    }
    assert_eq!(said.matches("\ntask ").count() + 1, stories.len(), "{said}");
    let frames = |name: &str| part(said, name).lines().filter(|line| line.starts_with('#'));
    assert_eq!(frames("ended").chain(frames("new")).count(), 0, "{said}");
    if switch::BACKEND == "ucontext" {
        return;
    }
    for (name, calls) in [
        ("main", ["lisle_test_stops_here", "second", "first", "trampoline"]),
        ("busy", ["computes", "run", "task_main", "trampoline"]),
        ("waits", ["wait", "second", "first", "trampoline"]),
        ("ready", ["yield", "second", "first", "trampoline"]),
        ("far", ["wait", "second", "first", "trampoline"]),
    ] {
        let mut frames = frames(name);
        for call in calls {
            assert!(frames.any(|frame| frame.contains(call)), "{name} lacks {call}: {said}");
        }
        assert_eq!(frames.count(), 0, "{name} has frames beyond its base: {said}");
    }
}

#[test]
fn gdb_lists_and_unwinds_all_tasks() {
    if env::var_os(CHILD).is_some() {
        debugged();
        unreachable!("the debugger ends this process");
    }
    if env::var_os("LISLE_TEST_RUNNER").is_some() || cfg!(lisle_sanitize = "address") {
        println!("skipped: an emulated program cannot be debugged like that");
        return;
    }
    let core = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("core.{}", process::id()));
    let save = format!("task core {}", core.display());
    let list = "echo list:\\n";
    let live = gdb(
        &[
            "set breakpoint pending on",
            "break lisle_test_stops_here",
            "run",
            list,
            "task all backtrace",
            list,
            "info tasks",
            list,
            "backtrace",
            &save,
        ],
        &["gdb_lists_and_unwinds_all_tasks", "--exact", "--nocapture", "--test-threads=1"],
        true,
    );
    let Some(live) = live else { return };
    let parts: Vec<_> = live.split("list:\n").collect();
    assert_eq!(parts.len(), 4, "{live}");
    assert_all_told(parts[1].trim_start());
    assert!(part(parts[2], "main").starts_with("running on thread "), "{live}");
    assert!(part(parts[2], "busy").starts_with("running on thread "), "{live}");
    assert!(parts[3].starts_with("#0  ") && parts[3].contains("stops_here"), "it is as before");
    let file = format!("core-file {}", core.display());
    let dead = gdb(&[&file, list, "task all backtrace", list, "task 0"], &[], false).unwrap();
    fs::remove_file(core).unwrap();
    let parts: Vec<_> = dead.split("list:\n").collect();
    assert_all_told(parts[1].trim_start());
    assert!(parts[2].contains("there is no task '0'"), "{dead}");
}

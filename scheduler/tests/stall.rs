//! Tasks that all wait while other threads live: what is said, and which threads count.
#![cfg(not(lisle_loom))]

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use lisle_scheduler::{Builder, ForeignThreads, Runtime, RuntimeBuilder, hold, sleep};
use support::{Bell, Said, block_until, in_child, on_each_worker};

fn with_notice(workers: usize) -> RuntimeBuilder {
    Runtime::builder().workers(workers).stall_notice(Duration::from_millis(20))
}

/// A thread rings the bells when the notice has come, and not before.
#[test]
fn everybody_is_told_of_when_nothing_has_happened_for_long() {
    let name = "everybody_is_told_of_when_nothing_has_happened_for_long";
    let ended = in_child(name, &[], || {
        for workers in [1, 2, 4] {
            let said = Said::begin(name);
            let bells: Vec<_> = (0..=workers).map(|_| Bell::new()).collect();
            let theirs = bells.clone();
            let builder = with_notice(workers).name("quiet");
            thread::scope(|scope| {
                scope.spawn(|| {
                    let last_words = " 'main': waiting for a bell";
                    block_until(|| said.text().contains(last_words));
                    block_until(|| theirs.iter().all(Bell::is_awaited));
                    theirs.iter().for_each(|bell| assert!(bell.ring()));
                });
                let done = builder.run(|| {
                    let waiting = bells.clone();
                    let tasks = on_each_worker(workers, move |n| waiting[n].wait());
                    bells[workers].wait();
                    tasks.into_iter().for_each(|task| task.join().unwrap());
                });
                done.unwrap();
            });
            let text = said.text();
            let head = "lisle: all tasks of runtime 'quiet' have waited for 20ms, and only another \
                        thread could wake them\n\ntask ";
            assert!(text.starts_with(head), "{text}");
            assert_eq!(text.matches("lisle: ").count(), 1, "{text}");
            let others = if workers == 1 { "task " } else { &format!("{workers} tasks") };
            assert!(text.contains(&format!("\n\n{others}")), "{text}");
        }
    });
    ended.assert_success();
}

/// A started runtime is idle for longer than that, which is no stall, and then has one task.
#[test]
fn a_started_runtime_gives_notice_of_its_tasks() {
    let name = "a_started_runtime_gives_notice_of_its_tasks";
    let ended = in_child(name, &[], || {
        for workers in [1, 2] {
            let said = Said::begin(name);
            let runtime = with_notice(workers).name("quiet").start().unwrap();
            runtime.spawn(|| sleep(Duration::from_millis(60))).join().unwrap();
            thread::sleep(Duration::from_millis(60));
            let bell = Bell::new();
            let theirs = bell.clone();
            let task = runtime.spawn(move || theirs.wait());
            block_until(|| said.text().contains(": waiting for a bell"));
            assert!(bell.ring());
            task.join().unwrap();
            assert_eq!(said.text().matches("lisle: ").count(), 1, "{}", said.text());
        }
    });
    ended.assert_success();
}

/// Somebody has something to do within any 20 ms, or will have by a timer.
#[test]
fn nothing_is_said_while_something_happens() {
    let ended = in_child("nothing_is_said_while_something_happens", &[], || {
        for workers in [1, 2] {
            let settings = || Runtime::builder().workers(workers);
            // A timer, however late, and however short the patience.
            let impatient = settings().stall_notice(Duration::ZERO);
            impatient.run(|| sleep(Duration::from_millis(30))).unwrap();
            // Nobody asks for it.
            let bell = Bell::new();
            let theirs = bell.clone();
            let ringer = thread::spawn(move || {
                thread::sleep(Duration::from_millis(30));
                block_until(|| theirs.ring());
            });
            settings().run(|| bell.wait()).unwrap();
            ringer.join().unwrap();
        }
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_runtime_without_reports_gives_no_notice() {
    let ended = in_child("a_runtime_without_reports_gives_no_notice", &[], || {
        let bell = Bell::new();
        let theirs = bell.clone();
        let ringer = thread::spawn(move || {
            thread::sleep(Duration::from_millis(30));
            block_until(|| theirs.ring());
        });
        let settings = Runtime::builder().deadlock_detection(false);
        settings.stall_notice(Duration::ZERO).run(|| bell.wait()).unwrap();
        ringer.join().unwrap();
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

fn for_tests(workers: usize) -> RuntimeBuilder {
    let settings = Runtime::builder().foreign_threads(ForeignThreads::LaterMayWake);
    settings.workers(workers)
}

/// The harness has a thread of its own at least.
#[test]
fn threads_that_are_older_than_the_run_put_no_report_off() {
    let ended = in_child("threads_that_are_older_than_the_run_put_no_report_off", &[], || {
        for workers in [1, 2, 4] {
            let outcome = for_tests(workers).run(|| {
                drop(on_each_worker(workers, |_| Bell::new().wait()));
                Bell::new().wait();
            });
            assert_eq!(outcome.unwrap_err().tasks().len(), workers + 1);
        }
    });
    ended.assert_success();
}

#[test]
fn a_thread_that_was_started_later_puts_the_report_off_until_it_has_ended() {
    let name = "a_thread_that_was_started_later_puts_the_report_off_until_it_has_ended";
    let ended = in_child(name, &[], || {
        for workers in [1, 2, 4] {
            let over = AtomicBool::new(false);
            let (bell, never) = (Bell::new(), Bell::new());
            thread::scope(|scope| {
                let (over, rung) = (&over, bell.clone());
                let outcome = for_tests(workers).run(|| {
                    scope.spawn(move || {
                        block_until(|| rung.ring());
                        thread::sleep(Duration::from_millis(10));
                        over.store(true, Ordering::Release);
                    });
                    bell.wait();
                    let waiter = Builder::new().name("waiter").spawn(move || never.wait());
                    waiter.unwrap().join().unwrap();
                });
                assert!(over.load(Ordering::Acquire), "not while it could wake somebody");
                assert_eq!(outcome.unwrap_err().tasks().len(), 2);
            });
        }
    });
    ended.assert_success();
}

/// A clock that is held for long says by what, once.
#[test]
fn a_virtual_clock_that_stands_says_what_holds_it() {
    let name = "a_virtual_clock_that_stands_says_what_holds_it";
    let ended = in_child(name, &[], || {
        for workers in [1, 2] {
            let said = Said::begin(name);
            let builder = with_notice(workers).virtual_time(true).name("cron");
            let done = builder.run(|| {
                let held = hold();
                let said = thread::spawn(move || {
                    block_until(|| said.text().contains(" 'main': sleeping"));
                    drop(held);
                    said
                });
                sleep(Duration::from_secs(3600));
                said
            });
            let text = done.unwrap().join().unwrap().text();
            let head = "lisle: the virtual clock of runtime 'cron' has stood for 20ms, and tasks \
                        wait for it. It is held by 1 blocking call or `time::hold`\n\ntask ";
            assert!(text.starts_with(head), "{text}");
            assert_eq!(text.matches("lisle: ").count(), 1, "{text}");
        }
    });
    ended.assert_success();
}

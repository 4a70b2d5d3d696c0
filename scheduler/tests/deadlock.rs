//! Deadlocks: reported when there is one, never when there is none, and in full.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use lisle_scheduler::park::{Awaited, Handles, Object, Reason, Unparker, Wait, Wake, park};
use lisle_scheduler::{
    Builder, Deadlock, Runtime, current, run, sleep, spawn, spawn_local, yield_now,
};
use support::{Bell, Log, NoteDrop, alone_in_child, run_alone, sys};

/// The text of a report without the times, each of which must be a number of seconds.
fn without_times(report: &str) -> String {
    let mut lines = Vec::new();
    for line in report.lines() {
        match line.rsplit_once(" for ") {
            Some((what, time)) if time.ends_with(" s") => {
                let seconds = time.strip_suffix(" s").expect(time);
                let seconds = seconds.strip_prefix("up to ").unwrap_or(seconds);
                assert!(seconds.parse::<f64>().unwrap() >= 0.0);
                assert_eq!(seconds.split_once('.').unwrap().1.len(), 3, "{time}");
                lines.push(what.to_owned());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n")
}

/// The line that contains `mark` in this file.
fn line_of(mark: &str) -> usize {
    let needle = format!("// here: {mark}");
    let place = include_str!("deadlock.rs").lines().position(|line| line.ends_with(&needle));
    place.expect(mark) + 1
}

#[test]
fn the_report_says_who_waits_for_what_and_where() {
    let mut ids = Vec::new();
    #[rustfmt::skip]
    let deadlock = run_alone(|| { // here: main spawned
        ids.push(current().unwrap().id());
        let named = Builder::new().name("waiter").spawn(|| { // here: named spawned
            Bell::new().wait(); // here: named waits
        }).unwrap();
        ids.push(named.task().id());
        let plain = spawn(|| Bell::new().wait()); // here: plain both
        ids.push(plain.task().id());
        let local = spawn_local(move || plain.join().unwrap()); // here: local both
        ids.push(local.task().id());
        drop(spawn(|| ()));
        local.join().unwrap(); // here: main waits
    })
    .unwrap_err();
    let at = |mark| format!("{}:{}:", file!(), line_of(mark));
    let (main, waiter, plain, local) = (ids[0], ids[1], ids[2], ids[3]);
    let expected = [
        "deadlock: all tasks are asleep and nothing can wake them".to_owned(),
        String::new(),
        format!("task {main} 'main': joining a task"),
        format!("    at {}", at("main waits")),
        format!("    spawned at {}", at("main spawned")),
        format!("    waits for task {local}"),
        String::new(),
        format!("task {waiter} 'waiter': waiting for a bell"),
        format!("    at {}", at("named waits")),
        format!("    spawned at {}", at("named spawned")),
        String::new(),
        format!("task {plain}: waiting for a bell"),
        format!("    at {}", at("plain both")),
        format!("    spawned at {}", at("plain both")),
        String::new(),
        format!("task {local}: joining a task"),
        format!("    at {}", at("local both")),
        format!("    spawned at {}", at("local both")),
        format!("    waits for task {plain}"),
    ];
    let report = without_times(&deadlock.to_string());
    let lines: Vec<_> = report.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{report}");
    for (line, expected) in lines.iter().zip(&expected) {
        assert!(line.starts_with(expected.as_str()), "{line:?} is not {expected:?}");
    }

    for (task, id) in deadlock.tasks().iter().zip(ids) {
        assert_eq!(task.task().id(), id, "oldest first");
        assert_eq!(task.spawned_at().file(), file!());
        assert_eq!(task.parked_at().file(), file!());
    }
    assert_eq!(deadlock.tasks()[1].task().name(), Some("waiter"));
    assert_eq!(deadlock.tasks()[1].reason(), Bell::REASON);
    assert_eq!(deadlock.tasks()[1].parked_at().line() as usize, line_of("named waits"));
}

#[test]
fn tasks_that_wait_alike_are_told_of_together() {
    const MANY: usize = 3000;
    let deadlock = run_alone(|| {
        for _ in 0..MANY {
            drop(spawn(|| Bell::new().wait()));
        }
        for n in 0..3 {
            drop(Builder::new().name(format!("n{n}")).spawn(|| Bell::new().wait()));
        }
        // A task that waits elsewhere for the same reason is reported alone.
        Bell::new().wait();
    });
    let deadlock = deadlock.unwrap_err();
    assert_eq!(deadlock.tasks().len(), 1 + MANY + 3, "each task can be had");

    let text = deadlock.to_string();
    let groups: Vec<Vec<&str>> =
        text.split("\n\n").skip(1).map(|group| group.lines().collect()).collect();
    let id = |task: usize| deadlock.tasks()[task].task().id();
    assert_eq!(groups.len(), 3, "{text}");
    let main = format!("task {} 'main': waiting for a bell", id(0));
    assert!(groups[0][0].starts_with(&main), "{text}");
    assert_eq!(groups[0].len(), 3, "{text}");

    assert!(groups[1][0].starts_with("3,000 tasks: waiting for a bell"), "{text}");
    assert_eq!(groups[1][1], format!("    at {}", deadlock.tasks()[MANY].parked_at()));
    assert_eq!(groups[1][2], format!("    spawned at {}", deadlock.tasks()[MANY].spawned_at()));
    let first: Vec<_> = (1..9).map(|task| id(task).to_string()).collect();
    assert_eq!(groups[1][3], format!("    these are {} and 2,992 more", first.join(", ")));
    assert_eq!(groups[1].len(), 4, "{text}");

    assert!(groups[2][0].starts_with("3 tasks: waiting for a bell"), "{text}");
    assert_eq!(groups[2][1], format!("    at {}", deadlock.tasks()[MANY + 1].parked_at()));
    let [n0, n1, n2] = [1, 2, 3].map(|task| id(MANY + task));
    assert_eq!(groups[2][3], format!("    these are {n0} 'n0', {n1} 'n1', {n2} 'n2'"));
}

#[test]
fn tasks_of_a_group_wait_for_as_long_as_the_first_and_the_last() {
    let deadlock = run_alone(|| {
        for millis in [0, 20] {
            sleep(Duration::from_millis(millis));
            drop(spawn(|| Bell::new().wait()));
        }
        yield_now();
        sleep(Duration::from_millis(20));
        Bell::new().wait();
    });
    let text = deadlock.unwrap_err().to_string();
    let times = text.split_once("2 tasks: waiting for a bell for ").unwrap().1;
    let (least, most) = times.lines().next().unwrap().split_once(" to ").unwrap();
    let seconds = |text: &str| text.trim_end_matches(" s").parse::<f64>().unwrap();
    assert!(seconds(least) >= 0.02 && seconds(most) >= 0.04, "{text}");
}

/// Most often it has only just begun here.
#[test]
fn a_wait_of_no_time_is_told_of_without_one() {
    let text = run_alone(|| Bell::new().wait()).unwrap_err().to_string();
    assert!(!text.contains("0.000"), "{text}");
    let crowd = run_alone(|| {
        drop(spawn(|| Bell::new().wait()));
        sleep(Duration::from_millis(3));
        drop(spawn(|| Bell::new().wait()));
        Bell::new().wait();
    });
    let text = crowd.unwrap_err().to_string();
    assert!(!text.contains("0.000"), "{text}");
}

/// Something with two ends: a party that waits at one has a handle to it.
struct Pipe {
    own: &'static str,
    other: &'static str,
    alive: usize,
    address: usize,
}

impl Object for Pipe {
    fn reason(&self) -> Reason {
        Reason::new("waiting at a pipe")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        say(Awaited::Handles(Handles::new(self.address, self.own, self.other, self.alive)));
    }
}

#[track_caller]
fn wait_at(own: &'static str, other: &'static str, alive: usize, address: usize) {
    let pipe = Pipe { own, other, alive, address };
    let bell = Bell::new();
    let _ = park(Wait::on(&pipe), None, |mine| bell.put(mine), || bell.take());
}

#[test]
fn the_report_says_what_is_left_at_the_other_end_and_which_task_has_it() {
    let deadlock = run_alone(|| {
        for (n, alive) in [1, 5, 2].into_iter().enumerate() {
            drop(spawn(move || wait_at("reader", "writer", alive, 100 + n)));
        }
        let writer = Builder::new().name("scribe").spawn(|| wait_at("writer", "reader", 1, 102));
        drop(writer);
        wait_at("reader", "writer", 1, 200);
    });
    let deadlock = deadlock.unwrap_err();
    let text = deadlock.to_string();
    let told: Vec<_> = text.lines().filter(|line| line.contains("alive")).collect();
    let (reader, scribe) = (deadlock.tasks()[3].task().id(), deadlock.tasks()[4].task().id());
    let expected = [
        "    1 writer is alive".to_owned(),
        format!("    1 to 5 writers are alive, held by task {scribe} 'scribe'"),
        format!("    1 reader is alive, held by task {reader}"),
    ];
    assert_eq!(told, expected, "{text}");

    let [Awaited::Handles(last)] = deadlock.tasks()[3].awaited() else { panic!("{text}") };
    assert_eq!((last.kind(), last.alive()), ("writer", 2));
    assert_eq!(last.held_by()[0].name(), Some("scribe"));
}

#[test]
fn a_wait_may_name_another_place_than_its_call() {
    let place = Location::caller();
    let deadlock = run_alone(|| {
        let bell = Bell::new();
        let _ =
            park(Wait::on(&Bell::REASON).at(place), None, |mine| bell.put(mine), || bell.take());
    });
    assert_eq!(deadlock.unwrap_err().tasks()[0].parked_at(), place);
}

#[test]
fn a_description_that_panics_ends_the_process() {
    struct Bad;
    impl Object for Bad {
        fn reason(&self) -> Reason {
            panic!("out of words");
        }
    }
    let ended = alone_in_child("a_description_that_panics_ends_the_process", &[], || {
        let _ = run_alone(|| {
            let bell = Bell::new();
            let _ = park(Wait::on(&Bad), None, |mine| bell.put(mine), || bell.take());
        });
    });
    ended.assert_aborted();
    ended.assert_says("lisle: the description of a wait panicked");
}

#[test]
fn the_time_covers_the_whole_wait() {
    let parked = std::cell::Cell::new(None);
    let deadlock = run_alone(|| {
        drop(spawn(|| Bell::new().wait()));
        yield_now();
        parked.set(Some(Instant::now()));
        // A timer holds the report up.
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(Bell::new().wait_until(Some(deadline)), Wake::TimedOut);
        Bell::new().wait();
    })
    .unwrap_err();
    let waited = deadlock.tasks()[1].parked_for();
    assert!(waited >= Duration::from_millis(20), "{waited:?}");
    // It may be a little too long, but not by more than this task has existed.
    assert!(deadlock.tasks()[0].parked_for() <= waited);
}

#[test]
fn everything_has_ended_when_the_report_is_there() {
    let log = Log::<&str>::new();
    let theirs = log.clone();
    let deadlock: Result<(), Deadlock> = run_alone(|| {
        let (main, task, deep) = (
            NoteDrop(theirs.clone(), "main"),
            NoteDrop(theirs.clone(), "task"),
            NoteDrop(theirs.clone(), "spawned while unwinding"),
        );
        drop(spawn(move || {
            let _task = task;
            let _spawns = support::OnDrop({
                let mut deep = Some(deep);
                move || drop(deep.take().map(|deep| spawn(move || drop(deep))))
            });
            Bell::new().wait();
        }));
        let _main = main;
        Bell::new().wait();
        unreachable!("nobody rings");
    });
    assert_eq!(deadlock.unwrap_err().tasks().len(), 2);
    let mut noted = log.take();
    noted.sort_unstable();
    assert_eq!(noted, ["main", "spawned while unwinding", "task"]);
    assert_eq!(run_alone(|| 3).unwrap(), 3);
}

#[test]
fn a_deadlock_is_reported_even_if_main_catches_its_unwinding() {
    let deadlock = run_alone(|| {
        assert_eq!(Bell::new().wait_until(None), Wake::Failed);
        5
    });
    assert_eq!(deadlock.unwrap_err().tasks().len(), 1);
}

#[test]
fn a_destructor_that_waits_for_ever_is_part_of_a_deadlock() {
    let deadlock = run_alone(|| {
        let result = support::OnDrop(|| Bell::new().wait());
        drop(Builder::new().name("dropper").spawn(move || result));
        Bell::new().wait();
    });
    let deadlock = deadlock.unwrap_err();
    assert_eq!(deadlock.tasks().len(), 2, "{deadlock}");
    assert_eq!(deadlock.tasks()[1].task().name(), Some("dropper"));
}

#[test]
fn a_pending_deadline_is_no_deadlock() {
    let done = run_alone(|| {
        let (bell, ringer) = (Bell::new(), Bell::new());
        let (theirs, timer) = (bell.clone(), ringer.clone());
        drop(spawn(move || {
            let deadline = Instant::now() + Duration::from_millis(5);
            assert_eq!(timer.wait_until(Some(deadline)), Wake::TimedOut);
            assert!(theirs.ring());
        }));
        bell.wait();
    });
    done.unwrap();
}

#[test]
fn a_wake_in_the_inbox_is_no_deadlock() {
    let done = run_alone(|| {
        for _ in 0..100 {
            let bell = Bell::new();
            let theirs = bell.clone();
            drop(spawn(move || {
                // When this returns the wake is posted, and then everybody is parked.
                thread::spawn(move || assert!(theirs.ring())).join().unwrap();
            }));
            bell.wait();
        }
    });
    done.unwrap();
}

#[test]
fn a_task_whose_wake_is_under_way_is_no_deadlock() {
    let done = run_alone(|| {
        let held = std::cell::RefCell::new(None::<Unparker>);
        let (retracting, told) = mpsc::channel();
        let (to_thread, unparkers) = mpsc::channel::<Unparker>();
        let thread = thread::spawn(move || {
            told.recv().unwrap();
            unparkers.recv().unwrap().unpark();
        });
        let wake = park(
            Bell::REASON,
            Some(Instant::now()),
            |unparker| held.replace(Some(unparker)).map_or((), |_| unreachable!()),
            || {
                to_thread.send(held.take().unwrap()).unwrap();
                retracting.send(()).unwrap();
                None
            },
        );
        assert_eq!(wake, Wake::Unparked);
        thread.join().unwrap();
    });
    done.unwrap();
}

#[test]
fn run_panics_with_the_report() {
    let ended = alone_in_child("run_panics_with_the_report", &[], || {
        run(|| {
            drop(Builder::new().name("waiter").spawn(|| Bell::new().wait()));
            let _main = support::OnDrop(|| eprintln!("main is unwound"));
            Bell::new().wait();
        });
    });
    ended.assert_panicked();
    ended
        .assert_says("deadlock: all tasks are asleep and nothing can wake them\n\ntask 1 'main': ");
    ended.assert_says("\n\ntask 2 'waiter': waiting for a bell");
    ended.assert_says(&format!("panicked at {}:", file!()));
    let unwound = ended.stderr.find("main is unwound").expect("main's destructors run");
    assert!(unwound < ended.stderr.find("deadlock:").unwrap(), "before the report");
    assert_eq!(ended.stderr.matches("panicked at").count(), 1, "{}", ended.stderr);
}

#[test]
fn the_default_reports_on_the_only_thread() {
    let ended = alone_in_child("the_default_reports_on_the_only_thread", &[], || {
        let deadlock = Runtime::builder().run(|| Bell::new().wait()).unwrap_err();
        assert_eq!(deadlock.tasks().len(), 1);
    });
    ended.assert_success();
}

/// A thread unknown to Lisle holds the bell. While it lives, nothing is said.
#[test]
fn another_thread_puts_the_report_off() {
    let ended = alone_in_child("another_thread_puts_the_report_off", &[], || {
        run(|| {
            let bell = Bell::new();
            let ringer = bell.clone();
            let ringer = thread::spawn(move || {
                // Several times as long as the worker takes to look at the threads.
                let start = Instant::now();
                while start.elapsed() < Duration::from_millis(30) || !ringer.ring() {
                    thread::yield_now();
                }
            });
            bell.wait();
            ringer.join().unwrap();
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

#[test]
fn the_report_comes_when_the_last_other_thread_has_ended() {
    let name = "the_report_comes_when_the_last_other_thread_has_ended";
    let ended = alone_in_child(name, &[], || {
        let ended = Arc::new(AtomicBool::new(false));
        let flag = ended.clone();
        let deadlock = Runtime::builder().run(|| {
            let bells: Vec<_> = (0..3).map(|_| Bell::new()).collect();
            let rung = bells[0].clone();
            drop(thread::spawn(move || {
                while !rung.ring() {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(20));
                flag.store(true, Ordering::Release);
            }));
            bells[0].wait();
            bells[1].wait();
        });
        assert!(ended.load(Ordering::Acquire), "not while the thread could still wake it");
        assert_eq!(deadlock.unwrap_err().tasks().len(), 1);
    });
    ended.assert_success();
}

/// The thread of `main` stays in the kernel's list until all others have ended.
#[test]
fn the_report_comes_when_the_first_thread_has_ended() {
    let ended = alone_in_child("the_report_comes_when_the_first_thread_has_ended", &[], || {
        thread::spawn(|| {
            let deadlock = Runtime::builder().run(|| Bell::new().wait()).unwrap_err();
            std::process::exit(if deadlock.tasks().len() == 1 { 7 } else { 1 });
        });
        sys::end_this_thread();
    });
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
}

/// The thread may end at any moment around its last wake.
#[test]
fn a_thread_that_rings_and_ends_is_never_taken_for_a_deadlock() {
    let name = "a_thread_that_rings_and_ends_is_never_taken_for_a_deadlock";
    let ended = alone_in_child(name, &[], || {
        run(|| {
            for _ in 0..1000 {
                let bell = Bell::new();
                let ringer = bell.clone();
                drop(thread::spawn(move || {
                    while !ringer.ring() {
                        thread::yield_now();
                    }
                }));
                bell.wait();
            }
        });
    });
    ended.assert_success();
}

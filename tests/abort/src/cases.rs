//! The cases.

use std::mem::forget;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lisle::channel::{Select, bounded, select, unbounded};
use lisle::coroutine::{Coroutine, CoroutineState, Generator, ScopedCoroutine, Yielder};
use lisle::deadlock::ForeignThreads;
use lisle::task::Cancelled;
use lisle::{Runtime, sleep, spawn, spawn_local, yield_now};

use crate::Case;
use crate::End::{Aborts, Says, Silent};

pub fn all() -> Vec<Case> {
    vec![
        ("tasks_that_wait_are_left_behind", tasks_that_wait, Silent),
        ("a_closure_that_has_not_run_is_dropped", unstarted, Silent),
        ("a_task_that_has_only_to_finish_does", finishing, Silent),
        ("one_that_is_left_behind_is_in_no_ones_way", no_waiter_stays, Silent),
        ("a_runtime_that_is_dropped_ends", dropped_runtime, Silent),
        ("a_task_drops_its_own_runtime", own_runtime, Silent),
        ("runtimes_end_again_and_again", again_and_again, Silent),
        ("thread_locals_of_a_left_task_stay", thread_locals_stay, Silent),
        ("a_dropped_coroutine_is_leaked", dropped_coroutine, Silent),
        ("a_generator_may_be_left_early", early_generator, Silent),
        ("a_scope_whose_body_has_returned_ends", finished_scope, Silent),
        (
            "a_scope_whose_body_is_suspended_aborts",
            suspended_scope,
            Aborts(&["lisle: a coroutine that borrows is suspended where its scope ends"]),
        ),
        ("a_deadlock_of_run_keeps_its_report", deadlock_of_run, Aborts(DEADLOCK)),
        ("a_deadlock_of_a_runtime_keeps_its_report", deadlock_of_runtime, Aborts(DEADLOCK)),
        ("a_panic_says_so", panicking, Aborts(&["panicked at src/cases.rs", "no such luck"])),
        (
            "a_wait_inside_no_suspend_says_so",
            inside_no_suspend,
            Aborts(&["cannot wait or yield inside no_suspend"]),
        ),
        (
            "a_forgotten_operation_leaves_its_partner_behind",
            forgotten_operation,
            Says(&["lisle: task 2, spawned at src/cases.rs", "is left behind receiving"]),
        ),
    ]
}

const DEADLOCK: &[&str] = &[
    "deadlock: all tasks are asleep and nothing can wake them",
    "'main': receiving from a channel",
    "main cannot be unwound, since the program is built with panic = \"abort\"",
];

/// Says so if it is dropped, which no case expects.
struct Never;

impl Drop for Never {
    fn drop(&mut self) {
        eprintln!("a destructor has run");
    }
}

fn run_on<R>(workers: usize, main: impl FnOnce() -> R) -> R {
    Runtime::builder().workers(workers).run(main).unwrap()
}

fn tasks_that_wait() {
    for workers in [1, 2, 4] {
        let answer = run_on(workers, || {
            let (full, silent) = bounded::<u32>(0);
            for kind in 0..7 {
                let (full, silent) = (full.clone(), silent.clone());
                drop(spawn(move || {
                    let _never = Never;
                    match kind {
                        0 => {
                            let _ = silent.recv();
                        }
                        1 => select! { recv(silent) -> _ => {}, recv(silent) -> _ => {} },
                        2 => sleep(Duration::from_secs(1000)),
                        3 => {
                            let _ = silent.recv_timeout(Duration::from_secs(1000));
                        }
                        4 => loop {
                            yield_now();
                        },
                        5 => drop(spawn(|| sleep(Duration::from_secs(1000))).join()),
                        _ => drop(Select::new().ready_timeout(Duration::from_secs(1000))),
                    }
                    forget(full);
                }));
            }
            (0..100).for_each(|_| yield_now());
            42
        });
        assert_eq!(answer, 42);
    }
}

fn unstarted() {
    let dropped = Arc::new(AtomicUsize::new(0));
    struct Counts(Arc<AtomicUsize>);
    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    run_on(1, || {
        for _ in 0..100 {
            let counts = Counts(dropped.clone());
            drop(spawn(move || drop(counts)));
        }
    });
    assert_eq!(dropped.load(Ordering::Relaxed), 100);
}

/// A task that has no need to wait any more goes on to its end, and drops what it has.
fn finishing() {
    static ENDED: AtomicBool = AtomicBool::new(false);
    struct Ends;
    impl Drop for Ends {
        fn drop(&mut self) {
            ENDED.store(true, Ordering::Relaxed);
        }
    }
    run_on(2, || {
        let (started, has_started) = bounded(1);
        drop(spawn(move || {
            let _ends = Ends;
            started.send(()).unwrap();
            thread::sleep(Duration::from_millis(20));
        }));
        has_started.recv().unwrap();
    });
    assert!(ENDED.load(Ordering::Relaxed));
}

/// A task that is left behind does not take messages as a dead receiver.
fn no_waiter_stays() {
    let (sender, receiver) = bounded::<u32>(0);
    let theirs = receiver.clone();
    run_on(1, || {
        drop(spawn_local(move || theirs.recv()));
        yield_now();
    });
    assert!(sender.try_send(1).is_err());
    let ours = thread::spawn(move || receiver.recv());
    sender.send(2).unwrap();
    assert_eq!(ours.join().unwrap(), Ok(2));
}

fn dropped_runtime() {
    let runtime = Runtime::builder().workers(2).start().unwrap();
    let (started, all_started) = unbounded();
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let started = started.clone();
            runtime.spawn(move || {
                let _never = Never;
                started.send(()).unwrap();
                sleep(Duration::from_secs(1000));
            })
        })
        .collect();
    (0..10).for_each(|_| all_started.recv().unwrap());
    drop(runtime);
    for task in tasks {
        assert!(task.join().unwrap_err().is::<Cancelled>());
    }
}

fn own_runtime() {
    let runtime = Arc::new(Runtime::builder().workers(2).start().unwrap());
    let theirs = runtime.clone();
    let (done, is_done) = unbounded();
    drop(runtime.spawn(move || {
        drop(theirs);
        done.send(()).unwrap();
        sleep(Duration::from_secs(1000));
    }));
    drop(runtime);
    is_done.recv().unwrap();
}

fn again_and_again() {
    for round in 0..50 {
        let task = run_on(2, || {
            let (_, silent) = bounded::<u32>(0);
            drop(spawn(move || (silent.recv(), sleep(Duration::from_secs(1000)))));
            (0..10).for_each(|_| yield_now());
            spawn(move || round).join().unwrap()
        });
        assert_eq!(task, round);
    }
}

fn thread_locals_stay() {
    static STARTED: AtomicBool = AtomicBool::new(false);
    struct Local;
    impl Drop for Local {
        fn drop(&mut self) {
            eprintln!("the thread-locals are gone");
        }
    }
    thread_local!(static LOCAL: Local = const { Local });
    let runtime = Runtime::builder().workers(1).start().unwrap();
    drop(runtime.spawn(|| {
        LOCAL.with(|_| {
            STARTED.store(true, Ordering::Release);
            sleep(Duration::from_secs(1000));
        })
    }));
    while !STARTED.load(Ordering::Acquire) {
        thread::yield_now();
    }
    drop(runtime);
}

fn dropped_coroutine() {
    let fresh = Coroutine::new(|_: &Yielder<(), (), ()>, ()| ());
    assert!(fresh.into_stack().is_some(), "it has not begun");
    let coroutine = Coroutine::new(|yielder: &Yielder<(), u8, ()>, ()| {
        let _never = Never;
        yielder.suspend(1);
    });
    assert_eq!(coroutine.resume(()), CoroutineState::Yielded(1));
    assert!(coroutine.into_stack().is_none());
    for _ in 0..1000 {
        let coroutine = Coroutine::new(|yielder: &Yielder<(), u8, ()>, ()| {
            yielder.suspend(1);
        });
        coroutine.resume(());
    }
}

fn early_generator() {
    let numbers = Generator::new(|out| {
        for n in 0.. {
            out.suspend(n);
        }
    });
    assert_eq!(numbers.take(3).sum::<i32>(), 3);
}

fn finished_scope() {
    let words = ["a".to_string(), "bc".to_string()];
    let lengths: Vec<_> = Generator::scope(
        |out| words.iter().for_each(|word| out.suspend(word.len())),
        |items| items.collect(),
    );
    assert_eq!(lengths, [1, 2]);
}

fn suspended_scope() {
    let number = 7;
    ScopedCoroutine::scope(
        |yielder: &Yielder<(), i32, ()>, ()| yielder.suspend(number),
        |coroutine| coroutine.resume(()),
    );
    println!("the scope was left");
}

fn deadlock_of_run() {
    lisle::run(|| {
        let (_sender, receiver) = bounded::<u32>(0);
        let _ = receiver.recv();
    });
}

fn deadlock_of_runtime() {
    let text = String::from("borrowed");
    let builder = Runtime::builder().workers(2).foreign_threads(ForeignThreads::NeverWake);
    let outcome = builder.run(|| {
        let (_sender, receiver) = bounded::<u32>(0);
        let _ = receiver.recv();
        text.len()
    });
    println!("{outcome:?}");
}

fn panicking() {
    lisle::run(|| spawn(|| panic!("no such luck")).join().unwrap_err());
}

fn inside_no_suspend() {
    lisle::run(|| lisle::no_suspend(yield_now));
}

fn forgotten_operation() {
    run_on(1, || {
        let (sender, receiver) = bounded::<u32>(0);
        drop(spawn(move || receiver.recv()));
        yield_now();
        let mut select = Select::new();
        select.send(&sender);
        forget(select.select());
    });
}

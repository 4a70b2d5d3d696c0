//! `run` and `Runtime`: what goes in and comes out, one after the other and side by side.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_scheduler::{Runtime, current, run, spawn, spawn_local, yield_now};
use support::{Bell, run_alone, run_in_order};

#[test]
fn main_may_borrow_and_return_what_it_borrows() {
    let text = String::from("a text on the caller's stack");
    let counter = Cell::new(0);
    let mut list = vec![1, 2];
    let word: &str = run(|| {
        yield_now();
        counter.set(counter.get() + 1);
        list.push(spawn(|| 3).join().unwrap());
        text.split(' ').nth(1).unwrap()
    });
    assert_eq!((word, counter.get(), list), ("text", 1, vec![1, 2, 3]));
}

#[test]
fn main_need_not_be_send() {
    let shared = Rc::new(RefCell::new(Vec::new()));
    let back = run(|| {
        let theirs = shared.clone();
        spawn_local(move || theirs.borrow_mut().push(1)).join().unwrap();
        shared.clone()
    });
    assert!(Rc::ptr_eq(&shared, &back));
    assert_eq!(*back.borrow(), [1]);
}

#[test]
fn the_panic_of_main_comes_out_as_it_is() {
    #[derive(Debug, PartialEq)]
    struct Oops(Vec<u8>);

    let panic = catch_unwind(|| run(|| panic_any(Oops(vec![1, 2, 3])))).unwrap_err();
    assert_eq!(*panic.downcast::<Oops>().unwrap(), Oops(vec![1, 2, 3]));
    let builder = Runtime::builder();
    let panic = catch_unwind(AssertUnwindSafe(|| {
        builder.clone().run(|| {
            yield_now();
            panic_any(Oops(vec![4]))
        })
    }));
    assert_eq!(*panic.unwrap_err().downcast::<Oops>().unwrap(), Oops(vec![4]));
    assert!(!thread::panicking());
    assert_eq!(builder.run(|| 5).unwrap(), 5, "the builder can be used again");
}

#[test]
fn the_panic_of_a_task_that_main_passes_on_comes_out() {
    let panic = catch_unwind(|| {
        run(|| spawn(|| panic_any(17_u64)).join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
    });
    assert_eq!(*panic.unwrap_err().downcast::<u64>().unwrap(), 17);
}

#[test]
fn run_inside_a_task_panics_and_says_what_to_do() {
    const TEXT: &str = "lisle::run was called inside a task: spawn and join a task instead";
    run(|| {
        let nested = catch_unwind(|| run(|| unreachable!("it does not run")));
        let panic = nested.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&TEXT));
        let nested = catch_unwind(|| {
            let _ = Runtime::builder().run(|| unreachable!("it does not run"));
        });
        assert!(nested.is_err());
        let task = spawn(|| run(|| ()));
        assert!(task.join().is_err());
        // Nothing of the outer runtime has been disturbed.
        assert_eq!(current().unwrap().name(), Some("main"));
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    });
}

#[test]
fn a_thread_that_a_task_started_may_run_its_own() {
    let outer = run(|| {
        let inner = thread::spawn(|| run(|| spawn(|| 2).join().unwrap()));
        inner.join().unwrap() + spawn(|| 1).join().unwrap()
    });
    assert_eq!(outer, 3);
}

#[test]
fn runtimes_follow_one_another() {
    let builder = Runtime::builder();
    for round in 0..500 {
        let tasks = round % 20;
        let sum: usize = builder
            .clone()
            .run(|| {
                let tasks: Vec<_> = (0..tasks).map(|n| spawn(move || n)).collect();
                tasks.into_iter().map(|task| task.join().unwrap()).sum()
            })
            .unwrap();
        assert_eq!(sum, (0..tasks).sum());
    }
}

#[test]
fn runtimes_run_side_by_side() {
    let threads: Vec<_> = (0..8_usize)
        .map(|n| {
            thread::spawn(move || {
                let home = thread::current().id();
                for _ in 0..20 {
                    let count = Rc::new(Cell::new(0));
                    run(|| {
                        let tasks: Vec<_> = (0..100)
                            .map(|_| {
                                let count = count.clone();
                                spawn_local(move || {
                                    for _ in 0..n {
                                        yield_now();
                                    }
                                    assert_eq!(thread::current().id(), home);
                                    count.set(count.get() + 1);
                                })
                            })
                            .collect();
                        tasks.into_iter().for_each(|task| task.join().unwrap());
                    });
                    assert_eq!(count.get(), 100);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|one| one.join().unwrap());
}

/// A task may be joined, and woken, from a runtime on another thread.
#[test]
fn handles_cross_from_one_runtime_to_another() {
    run(|| {
        for n in 0..50 {
            let (bell, joined) = (Bell::new(), Bell::new());
            let (ringer, done) = (bell.clone(), joined.clone());
            let task = spawn(move || {
                bell.wait();
                n
            });
            let other = thread::spawn(move || {
                run(|| {
                    ringer.ring_until_heard();
                    let value = task.join().unwrap();
                    done.ring_until_heard();
                    value
                })
            });
            joined.wait();
            assert_eq!(other.join().unwrap(), n);
        }
    });
}

#[test]
fn all_tasks_see_one_set_of_thread_locals() {
    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
        static LIST: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    }
    run_in_order(|| {
        let tasks: Vec<_> = (0..50)
            .map(|n| {
                spawn(move || {
                    COUNT.set(COUNT.get() + 1);
                    yield_now();
                    LIST.with_borrow_mut(|list| list.push(n));
                })
            })
            .collect();
        tasks.into_iter().for_each(|task| task.join().unwrap());
    });
    assert_eq!(COUNT.get(), 50);
    LIST.with_borrow(|list| assert!(list.iter().copied().eq(0..50)));
}

/// A handle kept in a thread-local is dropped when its thread ends, long after the runtime.
#[test]
fn a_handle_may_be_the_last_thing_that_a_thread_drops() {
    thread_local! {
        static KEPT: RefCell<Option<lisle_scheduler::JoinHandle<Count>>> =
            const { RefCell::new(None) };
    }
    struct Count(Arc<AtomicUsize>);
    impl Drop for Count {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let drops = Arc::new(AtomicUsize::new(0));
    let count = Count(drops.clone());
    let kept = drops.clone();
    let thread = thread::spawn(move || {
        run_in_order(|| {
            let task = spawn(move || count);
            yield_now();
            KEPT.set(Some(task));
        });
        assert_eq!(kept.load(Ordering::Relaxed), 0);
    });
    thread.join().unwrap();
    assert_eq!(drops.load(Ordering::Relaxed), 1);
}

/// A destructor of a thread-local may enter a runtime.
#[test]
fn a_thread_that_ends_may_run() {
    struct RunsLate(Arc<AtomicUsize>);
    impl Drop for RunsLate {
        fn drop(&mut self) {
            let value = run(|| spawn(|| 7).join().unwrap());
            self.0.store(value, Ordering::Relaxed);
        }
    }
    thread_local! {
        static LATE: RefCell<Option<RunsLate>> = const { RefCell::new(None) };
    }
    let value = Arc::new(AtomicUsize::new(0));
    let late = RunsLate(value.clone());
    thread::spawn(move || LATE.set(Some(late))).join().unwrap();
    assert_eq!(value.load(Ordering::Relaxed), 7);
}

/// A thread cannot have such a name, and a worker's thread is started in the middle of a switch.
#[test]
fn a_thread_name_with_a_zero_byte_is_refused() {
    let error = Runtime::builder().thread_name("a\0b").start().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "the name of a thread cannot contain a zero byte");
}

/// If main cannot even start, its closure is dropped outside of any task, and nothing is left over.
#[test]
fn a_main_that_gets_no_stack_is_dropped_on_a_plain_thread() {
    struct Looks(Arc<AtomicUsize>);
    impl Drop for Looks {
        fn drop(&mut self) {
            assert!(current().is_none());
            yield_now();
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let looked = Arc::new(AtomicUsize::new(0));
    let looks = Looks(looked.clone());
    let builder = Runtime::builder().stack_size(usize::MAX);
    let failed = catch_unwind(AssertUnwindSafe(|| builder.run(move || drop(looks))));
    let text = *failed.unwrap_err().downcast::<String>().unwrap();
    assert!(text.starts_with("no address space for another stack"), "{text}");
    assert_eq!(looked.load(Ordering::Relaxed), 1);
    assert_eq!(run_alone(|| 1).unwrap(), 1);
}

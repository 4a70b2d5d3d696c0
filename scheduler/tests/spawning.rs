//! Spawning: values, names, numbers, stacks of every size, many tasks, and places without a
//! runtime.
#![cfg(not(lisle_loom))]

mod support;

use std::cell::RefCell;
use std::collections::HashSet;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use lisle_runtime::stack::{GuardKind, StackSize};
use lisle_scheduler::{
    Builder, JoinHandle, Runtime, TaskId, current, spawn, spawn_local, yield_now,
};
use support::run_in_order;

#[test]
fn a_task_returns_its_value_or_the_very_payload_of_its_panic() {
    #[derive(Debug, PartialEq)]
    struct Oops(Box<u32>);

    run_in_order(|| {
        assert_eq!(spawn(|| String::from("value")).join().unwrap(), "value");
        let failed = spawn(|| -> u8 { panic_any(Oops(Box::new(7))) });
        let bystander = spawn(|| 1);
        assert_eq!(*failed.join().unwrap_err().downcast::<Oops>().unwrap(), Oops(Box::new(7)));
        assert_eq!(bystander.join().unwrap(), 1);
        let local = spawn_local(|| panic!("{} luck", black_box("no")));
        let payload = local.join().unwrap_err();
        assert_eq!(*payload.downcast::<String>().unwrap(), "no luck");
    });
}

#[test]
fn what_is_not_send_stays_here() {
    run_in_order(|| {
        let shared = Rc::new(RefCell::new(vec![1]));
        let theirs = shared.clone();
        let task = spawn_local(move || {
            theirs.borrow_mut().push(2);
            theirs
        });
        let back = task.join().unwrap();
        assert!(Rc::ptr_eq(&back, &shared));
        assert_eq!(*shared.borrow(), [1, 2]);
    });
}

#[test]
fn a_task_knows_its_name_and_so_does_its_handle() {
    run_in_order(|| {
        for name in [None, Some(""), Some("worker"), Some("ünï 'quoted'\n\0")] {
            let mut builder = Builder::new();
            if let Some(name) = name {
                builder = builder.name(name);
            }
            let task = builder.clone().spawn(|| current().unwrap()).unwrap();
            let outside = task.task();
            let inside = task.join().unwrap();
            assert_eq!(inside.name(), name);
            assert_eq!(outside.name(), name);
            assert_eq!(inside.id(), outside.id());
        }
        assert_eq!(current().unwrap().name(), Some("main"));
        assert_eq!(spawn(|| current().unwrap()).join().unwrap().name(), None);
    });
}

#[test]
fn numbers_grow_in_a_runtime_and_are_unique_in_the_process() {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(|| {
                run_in_order(|| {
                    let mut ids = vec![current().unwrap().id()];
                    // More than a runtime takes from the process at once.
                    for n in 0..70_000 {
                        let task = spawn(|| {});
                        ids.push(task.task().id());
                        if n % 1000 == 0 {
                            yield_now();
                        }
                    }
                    ids
                })
            })
        })
        .collect();
    let ids: Vec<Vec<TaskId>> = threads.into_iter().map(|one| one.join().unwrap()).collect();
    for ids in &ids {
        assert!(ids.is_sorted_by(|a, b| a < b));
    }
    let all: HashSet<_> = ids.iter().flatten().collect();
    assert_eq!(all.len(), 4 * 70_001);
}

/// Goes deeper until `depth` bytes of stack lie between `base` and here; returns how often.
#[inline(never)]
fn descend(base: usize, depth: usize) -> usize {
    let here = black_box([0_u8; 256]);
    if base - here.as_ptr().addr() >= depth {
        return usize::from(here[0]);
    }
    1 + descend(base, depth) + usize::from(black_box(here)[255])
}

/// Uses `depth` bytes of the caller's stack.
fn use_stack(depth: usize) -> bool {
    let base = black_box([0_u8; 16]);
    descend(base.as_ptr().addr(), depth) > 0
}

#[test]
fn odd_stack_sizes_are_rounded_up() {
    run_in_order(|| {
        for bytes in [0, 1, 4095, 4097, 33_333, 100_001, (1 << 20) - 1] {
            let depth = StackSize::new(bytes).bytes() - 4096 - 12 * 1024;
            for _ in 0..3 {
                let task = Builder::new().stack_size(bytes).spawn(move || use_stack(depth));
                assert!(task.unwrap().join().unwrap(), "{bytes}");
            }
        }
    });
}

#[test]
fn a_large_stack_can_be_used_to_its_end() {
    const SIZE: usize = 16 << 20;
    run_in_order(|| {
        let tasks: Vec<_> = (0..3)
            .map(|_| {
                let builder = Builder::new().stack_size(SIZE);
                builder.spawn(|| use_stack(SIZE - 64 * 1024)).unwrap()
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap()));
    });
}

#[test]
fn the_default_stack_can_be_used_to_its_end() {
    run_in_order(|| {
        let depth = StackSize::default().bytes() - 4096 - 12 * 1024;
        assert!(use_stack(depth), "main");
        // The second task of each pair starts on the stack that the first leaves.
        let tasks: Vec<_> = (0..6).map(|_| spawn(move || use_stack(depth))).collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap()));
    });
}

#[test]
fn the_size_of_a_runtime_holds_for_main_and_its_tasks() {
    let builder = Runtime::builder().stack_size(2 << 20);
    let depth = (2 << 20) - 64 * 1024;
    let deep = builder.run(|| use_stack(depth) && spawn(move || use_stack(depth)).join().unwrap());
    assert!(deep.unwrap());
}

/// Tasks that come and go on stacks of several sizes do not disturb what lies on the others'.
#[test]
fn stacks_of_several_sizes_are_reused_only_when_they_are_free() {
    run_in_order(|| {
        let tasks: Vec<_> = (0..2000_usize)
            .map(|n| {
                let builder = match n % 5 {
                    0 => Builder::new().stack_size(64 * 1024),
                    1 => Builder::new().stack_size(128 * 1024),
                    // The runtime's own size, asked for.
                    2 => Builder::new().stack_size(StackSize::default().bytes()),
                    _ => Builder::new(),
                };
                let body = move || {
                    let mine = black_box([n; 512]);
                    for _ in 0..n % 4 {
                        yield_now();
                    }
                    mine.iter().all(|word| *word == n)
                };
                builder.spawn(body).unwrap()
            })
            .collect();
        assert!(tasks.into_iter().all(|task| task.join().unwrap()));
    });
}

/// As many as there can be: guards made by `mprotect` take memory maps, which are few.
fn crowd() -> usize {
    match GuardKind::of_process().unwrap() {
        GuardKind::Install => 100_000,
        GuardKind::Mprotect => 10_000,
    }
}

#[test]
fn a_hundred_thousand_tasks_at_once() {
    let tasks = crowd();
    run_in_order(|| {
        let handles: Vec<_> = (0..tasks).map(|n| spawn(move || n)).collect();
        let sum: usize = handles.into_iter().map(|task| task.join().unwrap()).sum();
        assert_eq!(sum, tasks * (tasks - 1) / 2);

        let ended = Arc::new(AtomicUsize::new(0));
        for _ in 0..tasks {
            let ended = ended.clone();
            drop(spawn(move || {
                ended.fetch_add(1, Ordering::Relaxed);
            }));
        }
        yield_now();
        assert_eq!(ended.load(Ordering::Relaxed), tasks);
    });
}

#[test]
fn tasks_spawn_tasks() {
    fn leaves(depth: u32) -> u64 {
        if depth == 0 {
            return 1;
        }
        let halves = [spawn(move || leaves(depth - 1)), spawn(move || leaves(depth - 1))];
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    }
    assert_eq!(run_in_order(|| leaves(12)), 1 << 12);

    fn chain(left: u32) -> JoinHandle<u32> {
        spawn(move || if left == 0 { 0 } else { chain(left - 1).join().unwrap() + 1 })
    }
    assert_eq!(run_in_order(|| chain(2000).join().unwrap()), 2000);

    fn relay(left: u32, ended: Arc<AtomicUsize>) {
        match left {
            0 => ended.store(1, Ordering::Relaxed),
            _ => drop(spawn(move || relay(left - 1, ended))),
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    run_in_order(|| {
        relay(10_000, ended.clone());
        while ended.load(Ordering::Relaxed) == 0 {
            yield_now();
        }
    });
}

#[test]
fn a_plain_thread_has_no_place_for_a_local_task() {
    const TEXT: &str = "a local task can be spawned by a task only: this thread runs none. Call it \
                        inside lisle::run, or use spawn";
    let owned = Arc::new(());
    let theirs = owned.clone();
    let error = Builder::new().spawn_local(move || drop(theirs)).unwrap_err();
    assert_eq!(error.to_string(), TEXT);
    assert_eq!(Arc::strong_count(&owned), 1, "the closure is dropped");
    let panic = catch_unwind(|| drop(spawn_local(|| ()))).unwrap_err();
    assert_eq!(*panic.downcast::<String>().unwrap(), TEXT);
    // The same after a runtime has ended here, and on a thread beside one.
    run_in_order(|| {
        let beside = thread::spawn(|| Builder::new().spawn_local(|| ()).unwrap_err().to_string());
        assert_eq!(beside.join().unwrap(), TEXT);
    });
    assert_eq!(Builder::new().spawn_local(|| ()).unwrap_err().to_string(), TEXT);
}

#[test]
fn a_plain_thread_yields_and_is_no_task() {
    assert!(current().is_none());
    yield_now();
    run_in_order(|| thread::spawn(|| assert!(current().is_none())).join().unwrap());
    assert!(current().is_none());
    let failed = catch_unwind(AssertUnwindSafe(|| run_in_order(|| panic_any(1))));
    assert!(failed.is_err() && current().is_none());
}

#[test]
fn handles_go_wherever_results_may_go() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<JoinHandle<Vec<u8>>>();
    is_sync::<JoinHandle<Rc<u8>>>();
    is_send::<lisle_scheduler::park::Unparker>();
}

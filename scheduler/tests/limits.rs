//! Too little of something: a spawn fails with a word of advice, and everything else goes on.
#![cfg(not(lisle_loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use lisle_scheduler::{Builder, JoinHandle, Runtime, run, spawn, spawn_local, yield_now};
use support::sys::{forbid_threads, limit_address_space, memory, unlimit_address_space};
use support::{Bell, in_child, run_in_order};

/// Tasks that wait, each with its bell.
#[derive(Default)]
struct Crowd {
    bells: Vec<Bell>,
    tasks: Vec<JoinHandle<usize>>,
}

impl Crowd {
    /// One more, or the reason why not.
    fn grow(&mut self, builder: Builder) -> Result<(), String> {
        let (n, bell) = (self.tasks.len(), Bell::new());
        let theirs = bell.clone();
        let task = builder.spawn(move || {
            theirs.wait();
            n
        });
        self.tasks.push(task.map_err(|error| error.to_string())?);
        self.bells.push(bell);
        Ok(())
    }

    /// Grows until it cannot; the reason.
    fn grow_to_the_limit(&mut self, builder: &Builder, most: usize) -> String {
        while self.tasks.len() < most {
            if let Err(text) = self.grow(builder.clone()) {
                return text;
            }
        }
        panic!("{most} tasks did not reach the limit");
    }

    /// Lets all of them end.
    fn leave(self) {
        self.bells.iter().for_each(Bell::ring_until_heard);
        for (n, task) in self.tasks.into_iter().enumerate() {
            assert_eq!(task.join().unwrap(), n);
        }
    }
}

#[test]
fn an_impossible_stack_is_an_error() {
    run_in_order(|| {
        let bystander = spawn(|| {
            yield_now();
            1
        });
        let owned = Arc::new(());
        for bytes in [usize::MAX, isize::MAX as usize, 1 << 60, 1 << 50] {
            let builder = Builder::new().name("too large").stack_size(bytes);
            let theirs = owned.clone();
            let error = builder.clone().spawn(move || drop(theirs)).unwrap_err();
            let text = error.to_string();
            assert!(text.starts_with("no address space for another stack of "), "{text}");
            assert!(text.contains("take smaller stacks"), "{text}");
            assert_eq!(Arc::strong_count(&owned), 1, "the closure is dropped");
            assert_eq!(builder.spawn_local(|| ()).unwrap_err().to_string(), text);
            yield_now();
        }
        assert_eq!(bystander.join().unwrap(), 1);
        assert_eq!(spawn(|| 2).join().unwrap(), 2);
    });
}

/// The first spawn outside of any runtime needs a thread, and the user may have no more.
#[test]
fn a_thread_that_cannot_be_had_is_named_with_its_limits() {
    let name = "a_thread_that_cannot_be_had_is_named_with_its_limits";
    let ended = in_child(name, &[], || {
        if !forbid_threads() {
            return eprintln!("skipped: threads cannot be forbidden here");
        }
        let error = Builder::new().spawn(|| ()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
        let text = error.to_string();
        let begin =
            "no thread could be started for a worker of the runtime \"lisle\": Resource temp";
        assert!(text.starts_with(begin), "{text}");
        for limit in ["RLIMIT_NPROC", "ulimit -u", "pids.max", "kernel.threads-max"] {
            assert!(text.contains(limit), "{text}");
        }
    });
    ended.assert_success();
}

#[test]
fn what_tasks_have_used_goes_back_while_none_works() {
    const COUNT: usize = 20_000;
    let name = "what_tasks_have_used_goes_back_while_none_works";
    let ended = in_child(name, &[], || {
        let runtime = Runtime::builder().workers(2).start().unwrap();
        let before = [memory("VmRSS:"), memory("VmPTE:")];
        let crowd = runtime.spawn(|| {
            let mut crowd = Crowd::default();
            for n in 0..COUNT {
                crowd.grow(Builder::new()).unwrap();
                if n % 1000 == 0 {
                    yield_now();
                }
            }
            yield_now();
            assert!(memory("VmRSS:") > COUNT * 4);
            crowd.leave();
        });
        crowd.join().unwrap();
        // Some time the workers find that they have nothing to do; the harness ends a wait in vain.
        loop {
            let [resident, tables] = [memory("VmRSS:"), memory("VmPTE:")];
            if resident < before[0] + COUNT / 2 && tables < before[1] + 1024 {
                break;
            }
            std::thread::yield_now();
        }
    });
    ended.assert_success();
}

#[test]
fn what_tasks_have_used_goes_back_at_the_end_of_the_run() {
    const COUNT: usize = 20_000;
    let name = "what_tasks_have_used_goes_back_at_the_end_of_the_run";
    let ended = in_child(name, &[], || {
        let before = [memory("VmRSS:"), memory("VmPTE:")];
        run_in_order(|| {
            let mut crowd = Crowd::default();
            (0..COUNT).for_each(|_| crowd.grow(Builder::new()).unwrap());
            yield_now();
            assert!(memory("VmRSS:") > COUNT * 4);
            crowd.leave();
        });
        let [resident, tables] = [memory("VmRSS:"), memory("VmPTE:")];
        assert!(resident < before[0] + COUNT / 2, "{resident} KiB after {before:?}");
        assert!(tables < before[1] + 1024, "{tables} KiB after {before:?}");
    });
    ended.assert_success();
}

#[test]
fn spawn_panics_with_the_text_of_the_error() {
    let builder = Runtime::builder().workers(1).stack_size(1 << 30);
    let ended = in_child("spawn_panics_with_the_text_of_the_error", &[], move || {
        let done = builder.run(|| {
            limit_address_space(512 << 20);
            let mut crowd = Crowd::default();
            let text = crowd.grow_to_the_limit(&Builder::new(), 1000);
            assert!(text.starts_with("no address space for another stack of 1073741824"), "{text}");
            let panics = [
                catch_unwind(|| drop(spawn(|| ()))).unwrap_err(),
                catch_unwind(|| drop(spawn_local(|| ()))).unwrap_err(),
            ];
            for panic in panics {
                assert_eq!(*panic.downcast::<String>().unwrap(), text);
            }
            crowd.leave();
        });
        done.unwrap();
    });
    ended.assert_success();
    // A panic is located where `spawn` was called.
    assert_eq!(ended.stderr.matches(&format!("panicked at {}:", file!())).count(), 2);
}

/// Up to the limit and back, again and again: each time as many tasks fit.
#[test]
fn the_limit_of_address_space_is_an_error_and_nothing_leaks() {
    let name = "the_limit_of_address_space_is_an_error_and_nothing_leaks";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            limit_address_space(200 << 20);
            let builder = Builder::new().stack_size(16 << 20);
            let mut first = None;
            for _ in 0..20 {
                let mut crowd = Crowd::default();
                let text = crowd.grow_to_the_limit(&builder, 1000);
                assert!(text.starts_with("no address space for another stack"), "{text}");
                assert!(text.contains("RLIMIT_AS (ulimit -v)"), "{text}");
                assert!(crowd.tasks.len() > 4, "{}", crowd.tasks.len());
                assert!(crowd.tasks.len() >= *first.get_or_insert(crowd.tasks.len()));
                assert!(builder.clone().spawn(|| ()).is_err(), "still");
                crowd.leave();
            }
            unlimit_address_space();
            let mut crowd = Crowd::default();
            (0..100).for_each(|_| crowd.grow(builder.clone()).unwrap());
            crowd.leave();
        });
    });
    ended.assert_success();
    assert_eq!(ended.stderr, "");
}

/// The same with stacks of the default size, which are promised when a task is spawned.
#[test]
fn the_limit_of_address_space_holds_for_promised_stacks() {
    let name = "the_limit_of_address_space_holds_for_promised_stacks";
    let ended = in_child(name, &[], || {
        run_in_order(|| {
            limit_address_space(200 << 20);
            for round in 0..5 {
                let mut crowd = Crowd::default();
                let builder = if round % 2 == 0 { Builder::new() } else { Builder::new().spread() };
                let text = crowd.grow_to_the_limit(&builder, 100_000);
                assert!(text.starts_with("no address space for another stack"), "{text}");
                assert!(crowd.tasks.len() > 100, "{}", crowd.tasks.len());
                // Every task that was accepted can start.
                crowd.leave();
            }
        });
    });
    ended.assert_success();
}

#[test]
fn main_may_be_what_does_not_fit() {
    let ended = in_child("main_may_be_what_does_not_fit", &[], || {
        limit_address_space(64 << 20);
        let large = Runtime::builder().workers(1).stack_size(1 << 30);
        let failed = catch_unwind(AssertUnwindSafe(|| large.run(|| unreachable!("no stack"))));
        let text = *failed.unwrap_err().downcast::<String>().unwrap();
        assert!(text.starts_with("no address space for another stack"), "{text}");
        assert_eq!(run_in_order(|| spawn(|| 1).join().unwrap()), 1);
    });
    ended.assert_success();
}

#[test]
fn a_size_that_cannot_be_read_is_named() {
    let variables = [("LISLE_STACK_SIZE", "garbage")];
    let ended = in_child("a_size_that_cannot_be_read_is_named", &variables, || {
        let error = Runtime::builder().start().unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("LISLE_STACK_SIZE=garbage "), "{error}");
        // A runtime that is told a size does not look.
        let told = Runtime::builder().workers(1).stack_size(64 * 1024);
        assert_eq!(told.run(|| 1).unwrap(), 1);
        run(|| unreachable!("it does not start"));
    });
    ended.assert_panicked();
    ended.assert_says(&format!("panicked at {}:", file!()));
    ended.assert_says("\nLISLE_STACK_SIZE=garbage is not a stack size");
}

/// A million bytes of stack, for one call.
#[inline(never)]
fn large_frame() -> u8 {
    std::hint::black_box([1_u8; 1_000_000])[999_999]
}

#[test]
fn the_variable_sets_the_size() {
    let variables = [("LISLE_STACK_SIZE", "4M")];
    let ended = in_child("the_variable_sets_the_size", &variables, || {
        run_in_order(|| {
            assert_eq!(large_frame(), 1);
            assert_eq!(spawn(large_frame).join().unwrap(), 1);
        });
    });
    ended.assert_success();
}

/// Guards by `mprotect` take two memory maps each, of which a process can have a limited number.
#[test]
fn the_limit_of_memory_maps_is_an_error_that_names_it() {
    let maps = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
    let maps: usize = maps.trim().parse().unwrap();
    if maps > 200_000 {
        println!("skipped: this system allows {maps} memory maps");
        return;
    }
    let variables = [("LISLE_STACK_GUARD", "mprotect")];
    let ended = in_child("the_limit_of_memory_maps_is_an_error_that_names_it", &variables, || {
        run_in_order(|| {
            for _ in 0..2 {
                let mut crowd = Crowd::default();
                let text = crowd.grow_to_the_limit(&Builder::new(), maps);
                assert!(text.starts_with("no guard page for another stack"), "{text}");
                assert!(text.contains("raise vm.max_map_count"), "{text}");
                assert!(crowd.tasks.len() > maps / 4, "{}", crowd.tasks.len());
                crowd.leave();
                assert_eq!(spawn(|| 1).join().unwrap(), 1);
            }
        });
    });
    ended.assert_success();
}

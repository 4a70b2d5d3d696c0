//! Many stacks, and what happens when the kernel gives no more.

mod support;

use std::fs;
use std::io;
use std::panic::catch_unwind;
use std::ptr;
use std::thread;

use lisle_runtime::Generator;
use lisle_runtime::stack::{GuardKind, Stack, StackCache, StackSize};
use support::stack::{in_child, writable};

/// A line of `/proc/self/status`, in KiB.
fn status(field: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn maps() -> usize {
    fs::read_to_string("/proc/self/maps").unwrap().lines().count()
}

fn guards_are_installed() -> bool {
    let installed = GuardKind::of_process().unwrap() == GuardKind::Install;
    if !installed {
        println!("skipped: this kernel has no guard pages to install");
    }
    installed
}

fn assert_sound(stack: &Stack) {
    assert!(!writable(stack.guard().start));
    assert!(!writable(stack.guard().end - 16));
    assert!(writable(stack.bottom().addr()));
    assert!(writable(stack.top().addr() - 16));
}

/// Reserves and takes stacks until there are no more.
fn exhaust(cache: &mut StackCache) -> (Vec<Stack>, io::Error) {
    let mut stacks = Vec::with_capacity(1 << 20);
    loop {
        match cache.reserve() {
            Ok(()) => stacks.push(cache.take().unwrap()),
            Err(error) => return (stacks, error),
        }
    }
}

#[test]
fn a_hundred_thousand_stacks_need_no_setting() {
    const COUNT: usize = 100_000;
    let name = "a_hundred_thousand_stacks_need_no_setting";
    in_child(name, &[], || {
        if !guards_are_installed() {
            return;
        }
        let (tables, map_count) = (status("VmPTE"), maps());
        let mut cache = StackCache::new(StackSize::DEFAULT);
        for _ in 0..COUNT {
            cache.reserve().unwrap();
        }
        let promised = status("VmPTE") - tables;
        assert!(promised < 1024, "promises alone took {promised} KiB of page tables");

        let resident = status("VmRSS");
        let stacks: Vec<_> = (0..COUNT).map(|_| cache.take().unwrap()).collect();
        let touched = status("VmRSS") - resident;
        assert!(touched < 16 * 1024, "{touched} KiB resident without a use");
        assert!(maps() < map_count + 100, "{} maps", maps());
        stacks.iter().step_by(997).for_each(assert_sound);
    })
    .assert_success();
}

#[test]
fn the_map_limit_is_named_and_ends_with_the_stacks_that_reached_it() {
    let name = "the_map_limit_is_named_and_ends_with_the_stacks_that_reached_it";
    in_child(name, &[("LISLE_STACK_GUARD", "mprotect")], || {
        let limit = fs::read_to_string("/proc/sys/vm/max_map_count").unwrap();
        let limit: usize = limit.trim().parse().unwrap();
        if limit > 1 << 21 {
            println!("skipped: vm.max_map_count is {limit}");
            return;
        }
        let mut cache = StackCache::new(StackSize::MIN);
        let (mut stacks, error) = exhaust(&mut cache);
        let said = error.to_string();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{said}");
        assert!(said.contains("vm.max_map_count"), "{said}");
        assert!(said.contains(&format!("{} of them in use", stacks.len())), "{said}");
        assert!(stacks.len() > limit / 2 - 1000, "{said}");

        // The rest of the process still works, and so do the stacks.
        thread::spawn(|| ()).join().unwrap();
        stacks.iter().step_by(997).for_each(assert_sound);
        assert!(cache.reserve().is_err());
        assert!(Stack::allocate(StackSize::MIN).is_err());

        for stack in stacks.drain(..10) {
            cache.put(stack);
        }
        for _ in 0..10 {
            cache.reserve().unwrap();
        }
        assert!(cache.reserve().is_err());
        for stack in stacks.drain(..5000) {
            cache.put(stack);
        }
        assert_sound(&Stack::allocate(StackSize::MIN).unwrap());
        eprintln!("{said}");
    })
    .assert_success();
}

/// Whether there is address space for anything else.
fn can_map(bytes: usize) -> bool {
    let (access, kind) = (libc::PROT_READ, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: makes a mapping that nobody uses, and removes it.
    unsafe {
        let mapping = libc::mmap(ptr::null_mut(), bytes, access, kind, -1, 0);
        mapping != libc::MAP_FAILED && libc::munmap(mapping, bytes) == 0
    }
}

fn limit_address_space(bytes: u64) {
    // SAFETY: the calls read and change a setting of this process.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        assert_eq!(libc::getrlimit(libc::RLIMIT_AS, &mut limit), 0);
        limit.rlim_cur = bytes.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(libc::RLIMIT_AS, &limit), 0);
    }
}

#[test]
fn a_process_out_of_data_is_told_of_that_limit() {
    let name = "a_process_out_of_data_is_told_of_that_limit";
    in_child(name, &[], || {
        let bytes = (status("VmData") as u64 * 1024) + (64 << 20);
        let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
        // SAFETY: the call changes a setting of this process.
        assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_DATA, &limit) }, 0);
        let (stacks, error) = exhaust(&mut StackCache::new(StackSize::DEFAULT));
        let said = error.to_string();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{said}");
        assert!(said.contains("raise RLIMIT_DATA (ulimit -d)"), "{said}");
        assert!(!said.contains("RLIMIT_AS"), "{said}");
        assert!(said.contains(&format!("{} of them in use", stacks.len())), "{said}");
        stacks.iter().for_each(assert_sound);
    })
    .assert_success();
}

/// One at a time, each of another size.
#[test]
fn many_sizes_take_no_more_than_few() {
    in_child("many_sizes_take_no_more_than_few", &[], || {
        let before = ["VmSize", "VmPTE"].map(status);
        for pages in 16..6000 {
            let stack = Stack::allocate(StackSize::new(pages * 4096)).unwrap();
            assert!(stack.size().bytes() >= pages * 4096);
        }
        let [space, tables] = ["VmSize", "VmPTE"].map(status);
        assert!(space - before[0] < 1 << 20, "{} KiB of addresses", space - before[0]);
        assert!(tables - before[1] < 1 << 10, "{} KiB of page tables", tables - before[1]);
    })
    .assert_success();
}

/// Idle stacks of other sizes are given up for those that are wanted.
#[test]
fn idle_stacks_of_one_size_do_not_keep_another_from_being_made() {
    let name = "idle_stacks_of_one_size_do_not_keep_another_from_being_made";
    in_child(name, &[], || {
        limit_address_space((status("VmSize") as u64 * 1024) + (256 << 20));
        let use_some = |size: usize| {
            let stacks: Vec<_> =
                (0..(100 << 20) / size).map(|_| Stack::allocate(StackSize::new(size))).collect();
            stacks.into_iter().for_each(|stack| assert_sound(&stack.unwrap()));
        };
        for kib in [64, 128, 256, 512, 1024, 64] {
            use_some(kib << 10);
        }
    })
    .assert_success();
}

#[test]
fn an_invalid_size_is_reported_where_a_coroutine_is_made() {
    let name = "an_invalid_size_is_reported_where_a_coroutine_is_made";
    in_child(name, &[("LISLE_STACK_SIZE", "junk")], || {
        for _ in 0..2 {
            let panic = catch_unwind(|| Generator::new(|out| out.suspend(1)).next()).unwrap_err();
            let said = panic.downcast_ref::<String>().unwrap();
            assert!(said.contains("LISLE_STACK_SIZE=junk is not a stack size"), "{said}");
        }
        // It is not asked for there.
        let sized = Generator::with_stack_size(1 << 20, |out| out.suspend(1));
        assert_eq!(sized.collect::<Vec<_>>(), [1]);
    })
    .assert_success();
}

#[test]
fn a_process_out_of_address_space_says_so_and_goes_on() {
    let name = "a_process_out_of_address_space_says_so_and_goes_on";
    in_child(name, &[], || {
        limit_address_space((status("VmSize") as u64 * 1024) + (64 << 20));
        let mut cache = StackCache::new(StackSize::DEFAULT);
        let (mut stacks, error) = exhaust(&mut cache);
        let said = error.to_string();
        assert_eq!(error.kind(), io::ErrorKind::OutOfMemory, "{said}");
        for part in ["RLIMIT_AS", "LISLE_STACK_SIZE", "262144 bytes"] {
            assert!(said.contains(part), "{said}");
        }
        assert!(said.contains(&format!("{} of them in use", stacks.len())), "{said}");
        assert!(stacks.len() > 100, "{said}");

        assert!(cache.reserve().is_err());
        assert!(Stack::allocate(StackSize::new(1 << 30)).is_err());
        stacks.iter().for_each(assert_sound);
        assert!(can_map(512 * 1024));

        cache.put(stacks.pop().unwrap());
        cache.reserve().unwrap();
        assert!(cache.reserve().is_err());
        cache.cancel_reservation();
        cache.reserve().unwrap();

        limit_address_space(u64::MAX);
        for _ in 0..10_000 {
            cache.reserve().unwrap();
        }
        assert_sound(&cache.take().unwrap());
    })
    .assert_success();
}

#[test]
fn locked_memory_is_explained() {
    in_child("locked_memory_is_explained", &[], || {
        if !guards_are_installed() {
            return;
        }
        let mut cache = StackCache::new(StackSize::MIN);
        cache.reserve().unwrap();
        // SAFETY: locks the memory that the process has now.
        if unsafe { libc::mlockall(libc::MCL_CURRENT) } != 0 {
            println!("skipped: memory cannot be locked here");
            return;
        }
        let said = cache.take().unwrap_err().to_string();
        assert!(said.contains("mlockall"), "{said}");
        assert!(said.contains("LISLE_STACK_GUARD=mprotect"), "{said}");
        // SAFETY: undoes the above.
        unsafe { libc::munlockall() };
        assert_sound(&cache.take().unwrap());
    })
    .assert_success();
}

#[test]
fn an_unknown_kind_of_guard_is_an_error() {
    let name = "an_unknown_kind_of_guard_is_an_error";
    in_child(name, &[("LISLE_STACK_GUARD", "moat")], || {
        for error in [
            Stack::allocate(StackSize::DEFAULT).unwrap_err(),
            StackCache::new(StackSize::DEFAULT).reserve().unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let said = error.to_string();
            assert!(said.contains("LISLE_STACK_GUARD=moat"), "{said}");
            assert!(said.contains("install or mprotect"), "{said}");
        }
    })
    .assert_success();
}

#[test]
fn the_size_comes_from_the_environment() {
    let name = "the_size_comes_from_the_environment";
    in_child(name, &[("LISLE_STACK_SIZE", "2MiB")], || {
        assert_eq!(StackSize::from_env().unwrap().bytes(), 2 << 20);
    })
    .assert_success();
}

#[test]
fn threads_never_get_the_same_stack_at_a_time() {
    // Bytes are marked with the owner's number and must still be there when the stack is given up.
    let sizes = [32, 40].map(|kib| StackSize::new(kib * 1024));
    thread::scope(|scope| {
        for owner in 1..=4_u8 {
            scope.spawn(move || {
                let mut cache = StackCache::new(sizes[0]);
                for round in 0..200 {
                    let mut held = Vec::new();
                    for index in 0..20 {
                        held.push(Stack::allocate(sizes[index % 2]).unwrap());
                        cache.reserve().unwrap();
                        held.push(cache.take().unwrap());
                    }
                    let marks = |stack: &Stack| [stack.bottom(), stack.top().wrapping_sub(1)];
                    for mark in held.iter().flat_map(marks) {
                        // SAFETY: a usable byte of a stack that we hold and do not run on.
                        unsafe { mark.write_volatile(owner) };
                    }
                    thread::yield_now();
                    for mark in held.iter().flat_map(marks) {
                        // SAFETY: as above.
                        assert_eq!(unsafe { mark.read_volatile() }, owner);
                    }
                    if round % 2 == 0 {
                        held.drain(..).for_each(|stack| cache.put(stack));
                    }
                    if round % 50 == 49 {
                        cache = StackCache::new(sizes[0]);
                    }
                }
            });
        }
    });
}

//! What stacks cost in memory, by the kernel's own account of each page.

mod support;

use lisle_runtime::stack::{Stack, StackCache, StackSize};
use support::stack::in_child;

const PAGE: usize = 4096;

/// How many pages of a stack are in memory.
fn resident(stack: &Stack) -> usize {
    let bottom = stack.bottom();
    let mut pages = vec![0_u8; (stack.top().addr() - bottom.addr()) / PAGE];
    // SAFETY: the range is mapped, and the vector has a byte for each of its pages.
    let failed = unsafe {
        libc::mincore(bottom.cast(), stack.top().addr() - bottom.addr(), pages.as_mut_ptr())
    };
    assert_eq!(failed, 0);
    pages.iter().filter(|page| **page & 1 == 1).count()
}

/// Writes to the `pages` highest pages, as a task that goes deep does.
fn go_deep(stack: &Stack, pages: usize) {
    for page in 1..=pages {
        // SAFETY: the stack is ours, and larger than that.
        unsafe { stack.top().wrapping_sub(page * PAGE).write(1) };
    }
}

fn take(cache: &mut StackCache, count: usize) -> Vec<Stack> {
    let take = |_| {
        cache.reserve().unwrap();
        cache.take().unwrap()
    };
    (0..count).map(take).collect()
}

#[test]
fn a_stack_costs_the_pages_that_were_touched() {
    let stack = Stack::allocate(StackSize::DEFAULT).unwrap();
    assert_eq!(resident(&stack), 0);
    go_deep(&stack, 1);
    assert_eq!(resident(&stack), 1);
    go_deep(&stack, 20);
    assert_eq!(resident(&stack), 20);
}

#[test]
fn idle_stacks_beyond_the_bound_are_given_back() {
    const COUNT: usize = 5000;
    const WARM: usize = 1024;
    in_child("idle_stacks_beyond_the_bound_are_given_back", &[], || {
        let mut cache = StackCache::new(StackSize::DEFAULT);
        let stacks = take(&mut cache, COUNT);
        stacks.iter().for_each(|stack| go_deep(stack, 3));
        assert_eq!(stacks.iter().map(resident).sum::<usize>(), 3 * COUNT);
        stacks.into_iter().for_each(|stack| cache.put(stack));
        assert!(cache.len() <= WARM, "{} are kept", cache.len());

        // All of the stacks again: the warm ones, and those that were given back.
        let stacks = take(&mut cache, COUNT);
        let left: usize = stacks.iter().map(resident).sum();
        assert!(left <= 3 * WARM, "{left} pages are left of {}", 3 * COUNT);
    })
    .assert_success();
}

/// A line of `/proc/self/status`, in KiB.
fn status(field: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn addresses_and_page_tables_of_unused_stacks_go_back() {
    const COUNT: usize = 20_000;
    in_child("addresses_and_page_tables_of_unused_stacks_go_back", &[], || {
        let before = ["VmSize", "VmPTE"].map(status);
        let mut cache = StackCache::new(StackSize::DEFAULT);
        for round in 0..3 {
            let mut stacks = take(&mut cache, COUNT);
            stacks.iter().for_each(|stack| go_deep(stack, 1));
            assert!(status("VmSize") - before[0] > COUNT * 256);
            if round == 1 {
                // One of them stays, and so does its region.
                let last = stacks.pop().unwrap();
                drop(stacks);
                cache = StackCache::new(StackSize::DEFAULT);
                assert_eq!(resident(&last), 1);
            }
        }
        drop(cache);
        let [space, tables] = ["VmSize", "VmPTE"].map(status);
        assert!(space - before[0] < 64 << 10, "{} KiB of addresses", space - before[0]);
        assert!(tables - before[1] < 1 << 10, "{} KiB of page tables", tables - before[1]);
    })
    .assert_success();
}

/// The deep one is used again and again, and lies idle in between.
#[test]
fn a_stack_that_once_went_deep_does_not_keep_its_pages() {
    in_child("a_stack_that_once_went_deep_does_not_keep_its_pages", &[], || {
        let mut cache = StackCache::new(StackSize::DEFAULT);
        let stack = take(&mut cache, 1).pop().unwrap();
        let top = stack.top();
        go_deep(&stack, 50);
        cache.put(stack);
        for _ in 0..20_000 {
            let stack = take(&mut cache, 1).pop().unwrap();
            assert_eq!(stack.top(), top, "the last one is the next one");
            go_deep(&stack, 1);
            cache.put(stack);
        }
        let stack = take(&mut cache, 1).pop().unwrap();
        let pages = resident(&stack);
        assert!((1..=4).contains(&pages), "{pages} pages");
    })
    .assert_success();
}

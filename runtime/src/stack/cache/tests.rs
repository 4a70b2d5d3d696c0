//! What a cache promises to its worker.

use std::thread;

use super::super::regions;
use super::*;

/// Tests share the pool, so each has a size of its own, of those that there are.
fn cache(kib: usize) -> StackCache {
    StackCache::new(StackSize::new(kib * 1024))
}

fn reserve_and_take(cache: &mut StackCache, count: usize) -> Vec<Stack> {
    for _ in 0..count {
        cache.reserve().unwrap();
    }
    (0..count).map(|_| cache.take().unwrap()).collect()
}

fn mark(stack: &Stack) -> [*mut u8; 2] {
    let marks = [stack.bottom(), stack.top().wrapping_sub(1)];
    // SAFETY: both are usable bytes of a stack that nobody runs on.
    marks.iter().for_each(|mark| unsafe { mark.write(7) });
    marks
}

fn read(marks: [*mut u8; 2]) -> [u8; 2] {
    // SAFETY: the stacks are in use, or others of their region are; nobody runs on them.
    marks.map(|mark| unsafe { mark.read() })
}

#[test]
fn the_stack_returned_last_is_taken_first() {
    let mut cache = cache(32);
    let mut stacks = reserve_and_take(&mut cache, 3);
    let tops: Vec<_> = stacks.iter().map(Stack::top).collect();
    stacks.drain(..).for_each(|stack| cache.put(stack));
    let again = reserve_and_take(&mut cache, 3);
    let again: Vec<_> = again.iter().map(Stack::top).rev().collect();
    assert_eq!(again, tops);
}

#[test]
fn stacks_do_not_overlap() {
    let mut cache = cache(40);
    let mut stacks = reserve_and_take(&mut cache, 100);
    stacks.sort_by_key(Stack::top);
    for pair in stacks.windows(2) {
        assert!(pair[0].top().addr() <= pair[1].guard().start);
    }
}

#[test]
fn every_reservation_is_good_for_a_stack_whatever_happens_in_between() {
    let mut cache = cache(48);
    let mut reserved = 0;
    let mut held = Vec::new();
    // A fixed mixture of the four operations, with a preference that shifts from reserving to
    // taking to returning.
    let mut state = 1_u32;
    for step in 0..200_000_usize {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match (state >> 24) as usize * 4 / 256 + step / 25_000 % 3 {
            0 | 1 if reserved < 5000 => {
                cache.reserve().unwrap();
                reserved += 1;
            }
            2 | 3 if reserved > 0 => {
                held.push(cache.take().unwrap());
                reserved -= 1;
            }
            4 if reserved > 0 && step.is_multiple_of(3) => {
                cache.cancel_reservation();
                reserved -= 1;
            }
            _ => held.pop().into_iter().for_each(|stack| cache.put(stack)),
        }
        assert!(cache.len() <= cache.limit);
        assert!(cache.promised + cache.credit <= cache.len() + cache.quota.count());
    }
    held.extend((0..reserved).map(|_| cache.take().unwrap()));
}

#[test]
fn more_than_the_limit_goes_to_the_pool_without_its_memory() {
    let mut cache = cache(56);
    let count = cache.limit + 1;
    let mut stacks = reserve_and_take(&mut cache, count + 1);
    cache.hand_back(cache.len());
    // It keeps the region, which another test could find to be free.
    let _neighbour = stacks.remove(1);
    let cold = mark(&stacks[0]);
    let warm = mark(&stacks[count - 1]);
    for stack in stacks {
        cache.put(stack);
    }
    assert_eq!(cache.len(), count - count.div_ceil(2));
    assert_eq!(read(cold), [0, 0]);
    assert_eq!(read(warm), [7, 7]);
}

#[test]
fn what_backs_a_reservation_is_not_lost_to_the_pool() {
    let mut cache = cache(80);
    let count = cache.limit + 1;
    let mut stacks = reserve_and_take(&mut cache, count);
    cache.hand_back(cache.len());
    let last = stacks.pop().unwrap();
    stacks.drain(..).for_each(|stack| cache.put(stack));
    assert_eq!(cache.len(), cache.limit);
    let mut reserved = 0;
    while cache.spare() > 0 {
        cache.reserve().unwrap();
        reserved += 1;
    }
    cache.put(last);
    assert!(cache.len() < cache.limit && cache.limit <= reserved);
    assert_eq!(cache.spare(), 0);
    stacks.extend((0..reserved).map(|_| cache.take().unwrap()));
}

#[test]
fn trimming_leaves_the_top() {
    let mut cache = cache(96);
    let stack = reserve_and_take(&mut cache, 1).pop().unwrap();
    let marks = mark(&stack);
    cache.put(stack);
    cache.trim();
    assert_eq!(read(marks), [0, 7]);
}

#[test]
fn an_idle_stack_is_trimmed_while_warmer_ones_are_reused() {
    let mut cache = cache(112);
    let mut stacks = reserve_and_take(&mut cache, 2);
    let deep = mark(&stacks[0]);
    cache.hand_back(cache.len());
    stacks.drain(..).for_each(|stack| cache.put(stack));
    for _ in 0..2 * TRIM_INTERVAL {
        let stack = reserve_and_take(&mut cache, 1).pop().unwrap();
        cache.put(stack);
    }
    assert_eq!(read(deep), [0, 7]);
}

#[test]
fn a_rest_leaves_what_is_in_use_and_what_was_reserved() {
    let mut cache = cache(384);
    let mut stacks = reserve_and_take(&mut cache, 500);
    let marks = mark(&stacks[0]);
    stacks.drain(1..).for_each(|stack| cache.put(stack));
    for _ in 0..100 {
        cache.reserve().unwrap();
    }
    cache.rest();
    assert!(cache.is_empty());
    assert_eq!((cache.promised, cache.credit, cache.quota.count()), (100, 0, 100));
    assert_eq!(read(marks), [7, 7]);
    stacks.extend((0..100).map(|_| cache.take().unwrap()));
    cache.reserve().unwrap();
    stacks.push(cache.take().unwrap());
}

#[test]
fn a_rest_gives_regions_back() {
    let mut cache = cache(448);
    let size = cache.size();
    let stacks = reserve_and_take(&mut cache, 2000);
    let places: Vec<_> = stacks.iter().map(|stack| stack.bottom().addr()).collect();
    let listed = |place: &&usize| {
        // Another test may have mapped something else there.
        let room = regions::locate(**place);
        room.is_some_and(|room| (room.bottom, room.top) == (**place, **place + size.bytes()))
    };
    assert_eq!(places.iter().filter(listed).count(), 2000);
    stacks.into_iter().for_each(|stack| cache.put(stack));
    cache.rest();
    let left = pool::room(size);
    assert!(left * size.bytes() <= 16 << 20, "{left} are left");
    // Another test's cache may have taken the regions, and be about to give them back.
    while places.iter().filter(listed).count() > left {
        thread::yield_now();
    }
}

#[test]
fn a_stack_of_another_size_is_accepted_and_not_kept() {
    let mut cache = cache(128);
    let stack = Stack::allocate(StackSize::new(160 * 1024)).unwrap();
    cache.put(stack);
    assert!(cache.is_empty());
}

#[test]
#[should_panic(expected = "no stack is reserved")]
fn taking_without_a_reservation_panics() {
    let _ = cache(192).take();
}

#[test]
#[should_panic(expected = "no stack is reserved")]
fn cancelling_without_a_reservation_panics() {
    cache(224).cancel_reservation();
}

#[test]
fn dropped_caches_leave_nothing_in_use() {
    let size = StackSize::new(320 * 1024);
    let mut cache = StackCache::new(size);
    let stacks = reserve_and_take(&mut cache, 40);
    cache.reserve().unwrap();
    assert!(pool::in_use(size) >= 41);
    drop(cache);
    assert_eq!(pool::in_use(size), 40);
    drop(stacks);
    assert_eq!(pool::in_use(size), 0);
}

//! The links, with numbers for keys and letters for payloads. That waiters wait is tested by
//! `tests/wait_queue.rs`.

use std::collections::VecDeque;

use super::{Chain, Taken, WaitQueue, Waiter};

type Numbered = Waiter<char, u32>;
type Queue = WaitQueue<char, u32>;

fn waiters(letters: &str) -> Vec<Numbered> {
    letters.chars().map(Waiter::new).collect()
}

/// Pushes all of them, with their indices for keys.
fn push_all(queue: &mut Queue, waiters: &[Numbered]) {
    for (waiter, key) in waiters.iter().zip(0..) {
        // SAFETY: they stay where they are until the test ends, and with it the queue.
        unsafe { queue.push(waiter, key) };
    }
}

fn remove(queue: &mut Queue, waiter: &Numbered) -> Option<u32> {
    // SAFETY: there is one queue.
    unsafe { queue.remove(waiter) }
}

fn parts(mut taken: Taken<char, u32>) -> (char, u32) {
    (taken.with(|letter| *letter), taken.into_key())
}

fn keys(chain: Chain<char, u32>) -> Vec<u32> {
    chain.map(Taken::into_key).collect()
}

#[test]
fn the_first_comes_first() {
    let waiters = waiters("abc");
    let mut queue = Queue::new();
    assert!(queue.is_empty() && queue.pop().is_none());
    push_all(&mut queue, &waiters);
    assert!(!queue.is_empty());
    let popped: Vec<_> = std::iter::from_fn(|| queue.pop()).map(parts).collect();
    assert_eq!(popped, [('a', 0), ('b', 1), ('c', 2)]);
    assert!(queue.is_empty());
}

#[test]
fn a_waiter_can_leave_from_anywhere_and_only_once() {
    for leaving in 0..3 {
        let waiters = waiters("abc");
        let mut queue = Queue::new();
        push_all(&mut queue, &waiters);
        assert_eq!(remove(&mut queue, &waiters[leaving]), Some(leaving as u32));
        assert_eq!(remove(&mut queue, &waiters[leaving]), None);
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).map(Taken::into_key).collect();
        assert_eq!(left, (0..3).filter(|key| *key != leaving as u32).collect::<Vec<_>>());
    }
}

#[test]
fn the_only_waiter_leaves_an_empty_queue() {
    let waiters = waiters("a");
    let mut queue = Queue::new();
    push_all(&mut queue, &waiters);
    assert_eq!(remove(&mut queue, &waiters[0]), Some(0));
    assert!(queue.is_empty() && queue.pop().is_none());
}

#[test]
fn a_waiter_that_never_began_to_wait_has_nothing_to_take_back() {
    assert_eq!(remove(&mut Queue::new(), &waiters("a")[0]), None);
}

#[test]
fn a_waiter_that_was_taken_out_cannot_leave() {
    let waiters = waiters("abc");
    let mut queue = Queue::new();
    push_all(&mut queue, &waiters);
    let first = queue.pop().expect("three wait");
    assert_eq!(remove(&mut queue, &waiters[0]), None);
    let rest = queue.take_all();
    assert_eq!(remove(&mut queue, &waiters[1]), None);
    assert_eq!(remove(&mut queue, &waiters[2]), None);
    assert_eq!(parts(first), ('a', 0));
    assert_eq!(keys(rest), [1, 2]);
}

#[test]
fn a_waiter_can_come_back_at_either_end() {
    let waiters = waiters("abc");
    let mut queue = Queue::new();
    push_all(&mut queue, &waiters);
    let (first, second) = (queue.pop().map(parts), queue.pop().map(parts));
    assert_eq!((first, second), (Some(('a', 0)), Some(('b', 1))));
    // SAFETY: they were taken out, and stay.
    unsafe {
        queue.push(&waiters[0], 7);
        queue.push_front(&waiters[1], 8);
    }
    assert_eq!(keys(queue.take_all()), [8, 2, 7]);
    // SAFETY: as above.
    unsafe {
        queue.push_front(&waiters[2], 9);
        queue.push(&waiters[0], 10);
    }
    assert_eq!(keys(queue.take_all()), [9, 10]);
}

#[test]
fn what_the_other_side_writes_is_found_when_the_wait_is_over() {
    let mut waiter = Waiter::new('a');
    let mut queue = Queue::new();
    // SAFETY: the waiter stays until it was taken out.
    unsafe { queue.push(&waiter, 0) };
    queue.pop().expect("it waits").with(|letter| *letter = 'z');
    assert_eq!(*waiter.payload(), 'z');
}

#[test]
fn an_unwanted_first_waiter_stays_and_may_be_changed() {
    let waiters = waiters("ab");
    let mut queue = Queue::new();
    push_all(&mut queue, &waiters);
    let unwanted = queue.pop_if(|key, letter| {
        *letter = 'c';
        *key == 1
    });
    assert!(unwanted.is_none());
    assert_eq!(queue.pop_if(|key, letter| (*key, *letter) == (0, 'c')).map(parts), Some(('c', 0)));
    assert_eq!(queue.pop().map(parts), Some(('b', 1)));
}

#[test]
fn some_are_taken_and_the_others_keep_their_order() {
    let waiters = waiters("abcdef");
    let mut queue = Queue::new();
    push_all(&mut queue, &waiters);
    assert!(queue.take(0).is_empty());
    assert!(queue.any(|key| *key == 5) && !queue.any(|key| *key == 6));
    assert_eq!(keys(queue.take_if(2, |key| key % 2 == 1)), [1, 3]);
    assert_eq!(keys(queue.take(2)), [0, 2]);
    assert_eq!(keys(queue.take_all()), [4, 5]);
    assert!(queue.is_empty());
}

#[test]
fn a_chain_that_is_dropped_drops_its_keys() {
    let dropped = std::cell::Cell::new(0);
    struct Key<'a>(&'a std::cell::Cell<u32>);
    impl Drop for Key<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let waiters = [(); 3].map(Waiter::new);
    let mut queue = WaitQueue::new();
    for waiter in &waiters {
        // SAFETY: they stay until their keys are dropped.
        unsafe { queue.push(waiter, Key(&dropped)) };
    }
    let mut chain = queue.take_all();
    drop(chain.next());
    assert_eq!(dropped.get(), 1);
    drop(chain);
    assert_eq!(dropped.get(), 3);
}

/// Random programs agree with a `VecDeque`.
#[test]
fn agrees_with_a_list() {
    let mut state = 0x9E37_79B9_u64;
    let mut random = move |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let waiters = waiters("abcdefgh");
    let mut queue = Queue::new();
    let mut list: VecDeque<u32> = VecDeque::new();
    for _ in 0..if cfg!(debug_assertions) { 20_000 } else { 200_000 } {
        let index = random(waiters.len());
        let key = index as u32;
        let at = list.iter().position(|other| *other == key);
        match (random(7), at) {
            (0 | 1, None) => {
                // SAFETY: it is in no queue, says the list, and stays.
                unsafe { queue.push(&waiters[index], key) };
                list.push_back(key);
            }
            (2, None) => {
                // SAFETY: as above.
                unsafe { queue.push_front(&waiters[index], key) };
                list.push_front(key);
            }
            (0..=2, at) => {
                assert_eq!(remove(&mut queue, &waiters[index]), at.map(|_| key));
                list.retain(|other| *other != key);
            }
            (3 | 4, _) => assert_eq!(queue.pop().map(Taken::into_key), list.pop_front()),
            (5, _) => {
                let count = random(3);
                let taken: Vec<_> = list.drain(..count.min(list.len())).collect();
                assert_eq!(keys(queue.take(count)), taken);
            }
            _ => {
                let taken: Vec<_> = list.iter().copied().filter(|key| key % 2 == 0).collect();
                list.retain(|key| key % 2 != 0);
                assert_eq!(keys(queue.take_if(usize::MAX, |key| key % 2 == 0)), taken);
            }
        }
        assert_eq!(queue.is_empty(), list.is_empty());
        assert_eq!(queue.any(|other| *other == key), list.contains(&key));
    }
}

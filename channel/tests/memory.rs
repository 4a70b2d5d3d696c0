//! Memory, counted by the allocator: what a channel holds, and that nothing leaks.
#![cfg(not(lisle_loom))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lisle_channel::{bounded, never, select, unbounded};
use support::on_one_worker;

struct Counting;

thread_local! {
    static LIVE_BYTES: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.set(LIVE_BYTES.get() + layout.size() as isize);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.set(LIVE_BYTES.get() - layout.size() as isize);
        // SAFETY: the pointer came from `alloc` above, that is, from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn live_bytes() -> isize {
    LIVE_BYTES.get()
}

#[test]
fn an_idle_channel_holds_160_bytes_at_most() {
    let before = live_bytes();
    let rendezvous = bounded::<[u64; 100]>(0);
    assert!(live_bytes() - before <= 160);
    let growing = unbounded::<[u64; 100]>();
    assert!(live_bytes() - before <= 2 * 160);
    drop((rendezvous, growing));
    assert_eq!(live_bytes(), before);
}

#[test]
fn an_unbounded_channel_gives_memory_back() {
    const MESSAGES: isize = 100_000;
    let (sender, receiver) = unbounded();
    let before = live_bytes();
    for n in 0..MESSAGES {
        sender.send(n).unwrap();
    }
    let full = live_bytes() - before;
    assert!(full >= 8 * MESSAGES);
    assert!(full <= 10 * MESSAGES, "{full} bytes for {MESSAGES} messages of 8");
    assert_eq!(receiver.try_iter().take(MESSAGES as usize / 2).count() as isize, MESSAGES / 2);
    assert!(live_bytes() - before <= 10 * MESSAGES / 2);
    assert_eq!(receiver.try_iter().count() as isize, MESSAGES / 2);
    assert!(live_bytes() - before <= 1024, "{}", live_bytes() - before);
}

#[test]
fn an_operation_allocates_nothing() {
    on_one_worker(|| {
        let (ping, pinged) = bounded(0);
        let (pong, ponged) = unbounded();
        let other = lisle_scheduler::spawn(move || {
            for n in pinged {
                pong.send(n).unwrap();
            }
        });
        let mut round = |n| {
            ping.send(n).unwrap();
            assert_eq!(ponged.recv(), Ok(n));
        };
        (0..100).for_each(&mut round);
        let before = (ALLOCATIONS.get(), live_bytes());
        (0..100_000).for_each(&mut round);
        assert_eq!((ALLOCATIONS.get(), live_bytes()), before);
        drop(ping);
        other.join().unwrap();
    });
}

#[test]
fn nothing_leaks_or_grows_under_many_operations() {
    const ROUNDS: usize = if cfg!(debug_assertions) { 50_000 } else { 2_000_000 };
    let before = live_bytes();
    on_one_worker(|| {
        // Five operations a round, on every kind of channel, parked and not, plain and selected.
        let (first, firsts) = bounded(0);
        let (second, seconds) = bounded(3);
        let (third, thirds) = unbounded();
        let other = lisle_scheduler::spawn(move || {
            let mut boxes = 0;
            loop {
                let message: Result<Box<usize>, _> = select! {
                    recv(firsts) -> message => message,
                    recv(seconds) -> message => message,
                    recv(never::<()>()) -> _ => unreachable!(),
                };
                match message {
                    Ok(message) => third.send(message).unwrap(),
                    Err(_) => return boxes,
                }
                boxes += 1;
            }
        });
        let mut round = |n: usize| {
            let message = Box::new(n);
            select! {
                send(first, message) -> result => result.unwrap(),
                send(second, message) -> result => result.unwrap(),
            }
            assert_eq!(*thirds.recv().unwrap(), n);
        };
        (0..1000).for_each(&mut round);
        let (allocations, live) = (ALLOCATIONS.get(), live_bytes());
        (0..ROUNDS).for_each(&mut round);
        assert_eq!((ALLOCATIONS.get(), live_bytes()), (allocations + ROUNDS, live));
        drop((first, second));
        assert_eq!(other.join().unwrap(), 1000 + ROUNDS);
    });
    assert!(live_bytes() - before <= 64 * 1024, "{}", live_bytes() - before);
}

#[test]
fn a_select_allocates_only_for_large_messages() {
    on_one_worker(|| {
        let (small, smalls) = bounded::<[u64; 8]>(0);
        let (large, larges) = bounded::<[u64; 9]>(0);
        let other = lisle_scheduler::spawn(move || {
            loop {
                select! {
                    recv(smalls) -> message => if message.is_err() { return },
                    recv(larges) -> message => if message.is_err() { return },
                }
            }
        });
        small.send([0; 8]).unwrap();
        large.send([0; 9]).unwrap();
        let before = ALLOCATIONS.get();
        (0..100).for_each(|_| small.send([0; 8]).unwrap());
        assert_eq!(ALLOCATIONS.get() - before, 0);
        let live = live_bytes();
        (0..100).for_each(|_| large.send([0; 9]).unwrap());
        lisle_scheduler::yield_now();
        assert!(ALLOCATIONS.get() - before <= 101);
        assert_eq!(live_bytes(), live);
        drop((small, large));
        other.join().unwrap();
    });
}

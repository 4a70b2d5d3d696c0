//! Memory, counted by the allocator: what a channel holds, and that nothing leaks.
#![cfg(not(lisle_loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lisle_channel::{bounded, unbounded};

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
fn an_idle_channel_holds_136_bytes_at_most() {
    let before = live_bytes();
    let rendezvous = bounded::<[u64; 100]>(0);
    assert!(live_bytes() - before <= 136);
    let growing = unbounded::<[u64; 100]>();
    assert!(live_bytes() - before <= 2 * 136);
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
    lisle_scheduler::run(|| {
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

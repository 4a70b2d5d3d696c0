//! ThreadSanitizer is silent where it should be, and finds a race between coroutines of two
//! threads. Everything else is checked by running the other tests under it.
#![cfg(lisle_sanitize = "thread")]

mod support;

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use lisle_runtime::{Coroutine, Yielder};
use support::stack::{Ended, in_child};

/// A number without protection.
struct Bare(UnsafeCell<u64>);

// SAFETY: it is not safe, and that is what is to be found out.
unsafe impl Sync for Bare {}

static NUMBER: Bare = Bare(UnsafeCell::new(0));

/// Two threads have a coroutine each, and both coroutines add to the number: if `order` says so,
/// the second when the first has.
fn add_in_two_threads(name: &str, order: Ordering) -> Ended {
    in_child(name, &[], || {
        static TURN: AtomicU32 = AtomicU32::new(0);
        let add = move |turn: u32| {
            let coroutine = Coroutine::new(move |yielder: &Yielder<(), (), ()>, ()| {
                yielder.suspend(());
                while TURN.load(order) != turn {
                    std::hint::spin_loop();
                }
                // SAFETY: see above.
                unsafe { *NUMBER.0.get() += 1 };
                TURN.fetch_add(1, order);
            });
            coroutine.resume(());
            coroutine.resume(());
        };
        let other = thread::spawn(move || add(1));
        add(0);
        other.join().unwrap();
    })
}

#[test]
fn a_race_in_coroutines_of_two_threads_is_found() {
    let name = "a_race_in_coroutines_of_two_threads_is_found";
    let ended = add_in_two_threads(name, Ordering::Relaxed);
    assert_ne!(ended.code, Some(0));
    assert!(ended.stderr.contains("data race"), "{}", ended.stderr);
}

#[test]
fn what_is_in_order_is_not_reported() {
    let name = "what_is_in_order_is_not_reported";
    let ended = add_in_two_threads(name, Ordering::SeqCst);
    ended.assert_success();
    assert_eq!(ended.stderr.matches("WARNING: ThreadSanitizer").count(), 0, "{}", ended.stderr);
}

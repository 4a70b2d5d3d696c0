//! A lock that is held for some dozens of instructions and never over a wait.
//!
//! Taking it is one atomic exchange, and letting go a plain store: the lock does not know whether a
//! thread waits, so a waiter has to try again by itself. It spins a little, then yields to other
//! threads, and at last sleeps between its attempts, so that it never keeps a preempted holder from
//! running, whatever their priorities.
//!
//! A lock that parks its waiters has to find out in each release whether there are any, by a second
//! atomic exchange. On x86-64 that is 5 ns of a message's 15.

use std::time::Duration;

use crossbeam_utils::Backoff;

use super::atomic::{AtomicBool, Ordering};

/// The lock alone, without what it guards.
#[derive(Debug)]
pub struct RawBrief {
    held: AtomicBool,
}

/// How long a waiter sleeps between attempts once spinning and yielding have failed.
const PAUSE: Duration = Duration::from_micros(50);

impl RawBrief {
    #[inline]
    fn acquire(&self) {
        if !self.try_acquire() {
            self.acquire_later();
        }
    }

    #[inline]
    fn try_acquire(&self) -> bool {
        // Acquire pairs with the release of the holder before: all that it has written is seen.
        self.held.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn acquire_later(&self) {
        let backoff = Backoff::new();
        loop {
            if cfg!(lisle_loom) {
                super::thread::yield_now();
                if self.try_acquire() {
                    return;
                }
                continue;
            }
            // Looks without writing, which would take the line away from the holder.
            if !self.held.load(Ordering::Relaxed) && self.try_acquire() {
                return;
            }
            if backoff.is_completed() {
                std::thread::sleep(PAUSE);
            } else {
                backoff.snooze();
            }
        }
    }

    /// The caller holds the lock.
    #[inline]
    fn release(&self) {
        self.held.store(false, Ordering::Release);
    }
}

/// A mutex for what is touched briefly.
#[cfg(not(lisle_loom))]
pub type BriefMutex<T> = parking_lot::lock_api::Mutex<RawBrief, T>;
/// Its guard.
#[cfg(not(lisle_loom))]
pub type BriefMutexGuard<'a, T> = parking_lot::lock_api::MutexGuard<'a, RawBrief, T>;

// SAFETY: `held` goes from false to true in one exchange, so one party at a time has the lock.
#[cfg(not(lisle_loom))]
unsafe impl parking_lot::lock_api::RawMutex for RawBrief {
    const INIT: Self = Self { held: AtomicBool::new(false) };

    type GuardMarker = parking_lot::lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        self.acquire();
    }

    #[inline]
    fn try_lock(&self) -> bool {
        self.try_acquire()
    }

    #[inline]
    unsafe fn unlock(&self) {
        self.release();
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::thread;

    #[test]
    fn guards_a_value_against_more_threads_than_cores() {
        const ROUNDS: usize = 20_000;
        let list = Arc::new(BriefMutex::new((0_usize, 0_usize)));
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let list = list.clone();
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        let mut guard = list.lock();
                        guard.0 += 1;
                        assert_eq!(guard.0, guard.1 + 1);
                        guard.1 += 1;
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(*list.lock(), (8 * ROUNDS, 8 * ROUNDS));
    }

    /// The holder is kept from running for long: the waiter sleeps meanwhile and gets the lock
    /// afterwards.
    #[test]
    fn a_long_wait_ends_with_the_lock() {
        let value = Arc::new(BriefMutex::new(1));
        let held = value.lock();
        let waiter = thread::spawn({
            let value = value.clone();
            move || *value.lock()
        });
        assert!(value.try_lock().is_none());
        thread::sleep(Duration::from_millis(5));
        drop(held);
        assert_eq!(waiter.join().unwrap(), 1);
    }

    #[test]
    fn a_panic_of_the_holder_releases_it() {
        let value = BriefMutex::new(1);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _held = value.lock();
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert_eq!(*value.lock(), 1);
    }
}

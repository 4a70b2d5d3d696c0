use super::*;
use crate::primitive::Arc;
use crate::primitive::cell::UnsafeCell;

/// Two threads change what the lock guards: not at the same time, and each sees the change
/// before its own.
///
/// Seen to fail: when `release` is Relaxed, or the exchange of `try_acquire` is, a causality
/// violation on the cell.
#[test]
fn one_at_a_time() {
    struct Shared {
        lock: RawBrief,
        count: UnsafeCell<u32>,
    }
    // SAFETY: the count is touched by the holder of the lock alone.
    unsafe impl Sync for Shared {}

    fn add(shared: &Shared) {
        shared.lock.acquire();
        // SAFETY: this thread holds the lock.
        shared.count.with_mut(|count| unsafe { *count += 1 });
        shared.lock.release();
    }

    loom::model(|| {
        let lock = RawBrief { held: AtomicBool::new(false) };
        let shared = Arc::new(Shared { lock, count: UnsafeCell::new(0) });
        let other = loom::thread::spawn({
            let shared = shared.clone();
            move || add(&shared)
        });
        add(&shared);
        other.join().unwrap();
        add(&shared);
        // SAFETY: the other has ended.
        shared.count.with(|count| assert_eq!(unsafe { *count }, 3));
    });
}

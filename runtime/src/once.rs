//! What is done or decided once in a process, in a way that a fork child can rely on.
//!
//! std's `Once` and `OnceLock` make others wait for the thread that initialises. A fork at that
//! moment leaves the child without this thread, and waiting for ever.

use std::process;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::thread;

/// A step that is done once, as by `std::sync::Once`. If the thread that was doing it did not come
/// along with a fork, the child does it again.
pub(crate) struct Step(AtomicU32);

const TO_DO: u32 = 0;
/// No process has this number. Any other value is that of the process in which the step is under
/// way.
const DONE: u32 = u32::MAX;

impl Step {
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(TO_DO))
    }

    /// Returns when the step is done, by this call or another. `step` must not panic, and must bear
    /// that it is done again after it was done in part, or wholly, in the process that forked.
    pub(crate) fn call_once(&self, step: impl FnOnce()) {
        // Acquire pairs with the release below: what the step has done is seen.
        while self.0.load(Ordering::Acquire) != DONE {
            if self.begin() {
                step();
                return self.0.store(DONE, Ordering::Release);
            }
            thread::yield_now();
        }
    }

    /// False if another thread of this process has begun.
    #[cold]
    fn begin(&self) -> bool {
        let me = process::id();
        let state = self.0.load(Ordering::Relaxed);
        let is_free = state != DONE && state != me;
        is_free && self.0.compare_exchange(state, me, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// A value that is decided by the first call of [`set`](Self::set).
pub(crate) struct FirstSet<T: 'static>(AtomicPtr<T>);

impl<T: Sync> FirstSet<T> {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    pub(crate) fn set(&self, value: &'static T) {
        let value = ptr::from_ref(value).cast_mut();
        // That it fails means that the value is decided.
        let _ =
            self.0.compare_exchange(ptr::null_mut(), value, Ordering::Release, Ordering::Relaxed);
    }

    /// Takes no lock, so a signal handler may call it.
    pub(crate) fn get(&self) -> Option<&'static T> {
        // SAFETY: the pointer is null or came from a shared reference that lives for ever.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::os::unix::process::parent_id;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_step_is_done_once_and_all_callers_find_it_done() {
        for _ in 0..100 {
            let (step, done) = (Step::new(), AtomicUsize::new(0));
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        step.call_once(|| {
                            thread::yield_now();
                            done.store(done.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                        });
                        assert_eq!(done.load(Ordering::Relaxed), 1);
                    });
                }
            });
        }
    }

    #[test]
    fn a_fork_child_does_a_step_that_another_thread_of_its_parent_had_begun() {
        let step = Step(AtomicU32::new(parent_id()));
        let mut done = false;
        step.call_once(|| done = true);
        assert!(done);
        step.call_once(|| unreachable!("it is done"));
    }

    #[test]
    fn the_first_value_stays() {
        let value = FirstSet::new();
        assert_eq!(value.get(), None);
        value.set(&1);
        value.set(&2);
        assert_eq!(value.get(), Some(&1));
    }
}

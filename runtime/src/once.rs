//! What is done or decided once in a process, in a way that a fork child can rely on.
//!
//! std's `Once` and `OnceLock` make others wait for the thread that initialises. A fork at that
//! moment leaves the child without this thread, and waiting for ever.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};
use std::thread;

/// A step that is done once, as by `std::sync::Once`. If the thread that was doing it did not come
/// along with a fork, the child does it again.
pub(crate) struct Step(AtomicU32);

const TO_DO: u32 = 0;
/// No thread has this number. Any other value is that of the thread which does the step.
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

    /// False if another thread of this process has begun. To ask for the thread and not for the
    /// process is what tells a child in a namespace of its own, which may have its parent's number.
    #[cold]
    fn begin(&self) -> bool {
        // SAFETY: the call has no conditions.
        let me = unsafe { libc::gettid() }.unsigned_abs();
        let state = self.0.load(Ordering::Relaxed);
        // The calling thread does not wait for itself, so the number is that of one in the parent.
        let is_free = state != DONE && (state == TO_DO || state == me || !is_of_ours(state));
        is_free && self.0.compare_exchange(state, me, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// Whether this process has a thread of this number.
fn is_of_ours(thread: u32) -> bool {
    // SAFETY: no signal is sent.
    let answer = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) };
    answer == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
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
    use std::sync::mpsc;

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
        // SAFETY: the call has no conditions.
        let mine = unsafe { libc::gettid() }.unsigned_abs();
        // In a namespace of its own the child may have the number of the thread that had begun.
        for beginner in [parent_id(), mine] {
            let step = Step(AtomicU32::new(beginner));
            let mut done = false;
            step.call_once(|| done = true);
            assert!(done);
            step.call_once(|| unreachable!("it is done"));
        }
    }

    #[test]
    fn a_thread_is_of_this_process_until_it_ends() {
        let ((told, number), (end, ends)) = (mpsc::channel(), mpsc::channel::<()>());
        let other = thread::spawn(move || {
            // SAFETY: the call has no conditions.
            told.send(unsafe { libc::gettid() }.unsigned_abs()).unwrap();
            ends.recv().unwrap_err();
        });
        let number = number.recv().unwrap();
        assert!(is_of_ours(number));
        assert!(!is_of_ours(parent_id()));
        drop(end);
        other.join().unwrap();
        // The kernel may take a moment longer than the thread's last word.
        while is_of_ours(number) {
            thread::yield_now();
        }
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

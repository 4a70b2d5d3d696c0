//! What the kernel says of a thread of this process: how long it has had a processor, and whether
//! it waits. Any thread may ask.

use std::fs;
use std::time::Duration;

/// A thread. When it has ended, nothing is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thread {
    clock: libc::clockid_t,
    number: libc::pid_t,
}

impl Thread {
    /// The calling thread. `None` if its clock cannot be had.
    pub(crate) fn this() -> Option<Self> {
        let mut clock = 0;
        // SAFETY: the calling thread is there, and the call writes to `clock`.
        let error = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &mut clock) };
        // SAFETY: the call has no conditions.
        (error == 0).then(|| Self { clock, number: unsafe { libc::gettid() } })
    }

    /// How long it has had a processor since it began. One system call.
    pub(crate) fn time(self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes to `time`. It fails if there is no such clock.
        let error = unsafe { libc::clock_gettime(self.clock, &mut time) };
        (error == 0).then(|| Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
    }

    /// Whether it has a processor, or would take one if it got it. False if it waits in the kernel.
    pub(crate) fn is_runnable(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", self.number));
        stat.is_ok_and(|stat| state(&stat) == Some('R'))
    }
}

/// The state in the text of a `stat` file. The name of the thread stands before it in parentheses,
/// which it may contain, too.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;

    #[test]
    fn a_state_is_found_behind_any_name() {
        assert_eq!(state("12 (name) R 1 2 3"), Some('R'));
        assert_eq!(state("12 (a) R (b)) S 1 2 3"), Some('S'));
        assert_eq!(state("12"), None);
        assert_eq!(state(""), None);
    }

    #[test]
    fn a_thread_that_computes_uses_time_and_one_that_waits_does_not() {
        let ((told, number), (go_on, goes_on)) = (channel(), channel::<()>());
        let waiter = thread::spawn(move || {
            told.send(Thread::this().unwrap()).unwrap();
            let _ = goes_on.recv();
        });
        let (this, other) = (Thread::this().unwrap(), number.recv().unwrap());
        while other.is_runnable() {
            thread::yield_now();
        }
        let before = (this.time().unwrap(), other.time().unwrap());
        while this.time().unwrap() < before.0 + Duration::from_millis(1) {}
        assert!(this.is_runnable());
        assert_eq!(other.time(), Some(before.1));
        drop(go_on);
        waiter.join().unwrap();
    }
}

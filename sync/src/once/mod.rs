//! What is initialised once: [`Once`], [`OnceLock`], [`LazyLock`].

mod lazy_lock;
mod once_lock;
mod raw;

use std::panic::Location;
use std::time::{Duration, Instant};

use lisle_scheduler::park::Wake;

pub use self::lazy_lock::LazyLock;
pub use self::once_lock::OnceLock;
use self::raw::RawOnce;
use crate::waiting::{cannot_wait, deadline_in};

/// Runs a closure once, although several tasks or threads come to do so.
///
/// The interface is that of `std::sync::Once`, but it is not poisoned: a closure that is unwound,
/// by a panic or by a cancellation, counts as not run, and the next party runs its own, first one
/// that waits already. The closure may wait.
///
/// Waiting for another party's closure is no cancellation point, as it is none for a lock. A
/// closure that comes back to its own `Once` is a panic.
///
/// # Examples
///
/// ```
/// use lisle::sync::Once;
/// use std::time::Duration;
///
/// static SETUP: Once = Once::new();
///
/// lisle::run(|| {
///     let tasks = [(); 3].map(|()| {
///         lisle::spawn(|| {
///             SETUP.call_once(|| lisle::sleep(Duration::from_millis(1))); // the others wait
///             assert!(SETUP.is_completed());
///         })
///     });
///     tasks.into_iter().for_each(|task| task.join().unwrap());
/// });
/// ```
#[derive(Debug)]
pub struct Once(RawOnce);

impl Once {
    const_fn! {
        /// One for which no closure has run.
        pub fn new() -> Self {
            Self(RawOnce::new())
        }
    }

    /// Runs `f` if no closure was run yet, and waits for one that another party runs. Afterwards
    /// one has run to its end.
    ///
    /// # Panics
    ///
    /// With the panic of `f`. If `f` comes back here. Unwinds a task that would have to wait while
    /// its runtime ends, and panics if it would have to wait inside
    /// [`no_suspend`](fn@lisle_runtime::no_suspend).
    #[inline]
    #[track_caller]
    pub fn call_once(&self, f: impl FnOnce()) {
        if !self.0.is_done()
            && let Some(initialising) = self.0.begin("Once", Location::caller())
        {
            f();
            initialising.finish();
        }
    }

    /// Whether a closure has run to its end.
    #[inline]
    #[track_caller]
    pub fn is_completed(&self) -> bool {
        self.0.is_done_now()
    }

    /// Waits until a closure has run to its end, without bringing one.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is cancelled.
    #[track_caller]
    pub fn wait(&self) {
        if self.0.wait(None, Location::caller()) != Wake::Unparked {
            cannot_wait("a Once");
        }
    }

    /// As [`wait`](Self::wait), but no longer than `timeout`. Whether a closure has run by then.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.0.wait(deadline_in(timeout), Location::caller()) == Wake::Unparked
    }

    /// As [`wait`](Self::wait), but not beyond `deadline`. Whether a closure has run by then.
    ///
    /// # Panics
    ///
    /// As [`wait`](Self::wait).
    #[track_caller]
    pub fn wait_until(&self, deadline: Instant) -> bool {
        self.0.wait(Some(deadline), Location::caller()) == Wake::Unparked
    }
}

unwind_safe!(Once);

impl Default for Once {
    fn default() -> Self {
        Self::new()
    }
}

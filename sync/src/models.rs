//! What the loom models of this crate share. Their parties are plain threads.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use lisle_runtime::internal::primitive::{Arc, cell};
use lisle_scheduler::park::Place;
use loom::thread;

/// Any place of a call.
#[track_caller]
pub(crate) fn here() -> Place {
    Location::caller()
}

/// Calls `f` with what is shared, in another thread.
pub(crate) fn in_a_thread<T: 'static, R: 'static>(
    shared: &Arc<T>,
    f: impl FnOnce(&T) -> R + 'static,
) -> thread::JoinHandle<R> {
    let shared = shared.clone();
    thread::spawn(move || f(&shared))
}

/// Polls a future whose waker wakes nobody.
pub(crate) fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A number that is guarded by what is modelled: loom fails when accesses overlap.
pub(crate) struct Number(cell::UnsafeCell<u32>);

// SAFETY: loom checks that accesses do not overlap.
unsafe impl Send for Number {}
// SAFETY: as above.
unsafe impl Sync for Number {}

impl Number {
    pub(crate) fn new(number: u32) -> Self {
        Self(cell::UnsafeCell::new(number))
    }

    pub(crate) fn get(&self) -> u32 {
        // SAFETY: loom checks that nobody writes meanwhile.
        self.0.with(|number| unsafe { *number })
    }

    pub(crate) fn add(&self, more: u32) {
        // SAFETY: loom checks that nobody else has access meanwhile.
        self.0.with_mut(|number| unsafe { *number += more });
    }

    /// Takes 1 off, unless it is 0. Whether it did.
    pub(crate) fn take_one(&self) -> bool {
        // SAFETY: as above.
        self.0.with_mut(|number| unsafe {
            let any = *number > 0;
            *number -= u32::from(any);
            any
        })
    }
}

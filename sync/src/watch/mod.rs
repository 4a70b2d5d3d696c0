//! A value of which all receivers see the latest version.
//!
//! The interface is that of tokio's `watch`. A sender puts a new value in the place of the old one;
//! a receiver looks at it whenever it likes, and can wait until it has changed. Versions that come
//! and go between two looks are not seen.
//!
//! **Cancellation.** A wait is a cancellation point, which loses nothing: what a receiver has
//! not seen it sees at its next look. In a destructor of a cancelled task it fails as if no sender
//! were left.
//!
//! # Examples
//!
//! ```
//! use lisle::sync::watch;
//!
//! lisle::run(|| {
//!     let (level, mut watched) = watch::channel(1);
//!     let watcher = lisle::spawn(move || {
//!         let mut seen = vec![*watched.borrow()];
//!         while watched.changed().is_ok() {
//!             seen.push(*watched.borrow_and_update());
//!         }
//!         seen // until the last sender was dropped
//!     });
//!     lisle::yield_now();
//!     level.send(2).unwrap();
//!     drop(level);
//!     assert_eq!(watcher.join().unwrap(), [1, 2]);
//! });
//! ```

mod error;
#[cfg(all(test, lisle_loom))]
mod models;
mod receiver;
mod sender;

use std::fmt;
use std::ops::Deref;
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU64, Ordering};
use lisle_scheduler::park::{Place, Wake};

pub use self::error::{RecvError, RecvTimeoutError, SendError};
pub use self::receiver::Receiver;
pub use self::sender::Sender;
use crate::ends::{Ends, State};
use crate::rwlock::{RwLock, RwLockReadGuard};
use crate::waiting::spend_at;

/// Makes a channel whose first value is `init`, which its receiver counts as seen.
///
/// # Examples
///
/// ```
/// let (sender, mut receiver) = lisle::sync::watch::channel("old");
/// assert_eq!(receiver.has_changed(), Ok(false));
/// sender.send("new").unwrap();
/// assert_eq!(receiver.has_changed(), Ok(true));
/// assert_eq!(*receiver.borrow_and_update(), "new");
/// ```
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(init);
    let receiver = sender.first_receiver();
    (sender, receiver)
}

struct Shared<T> {
    value: RwLock<T>,
    /// How often the value was changed. Rises while it is locked for writing.
    version: AtomicU64,
    ends: Ends<()>,
}

/// The value, while it cannot be changed.
pub struct Ref<'a, T> {
    value: RwLockReadGuard<'a, T>,
    has_changed: bool,
}

impl<T> Ref<'_, T> {
    /// Whether the receiver had not seen this value before. False for a sender.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Shared<T> {
    /// Of a channel with one sender and no receiver.
    fn new(init: T) -> Self {
        Self { value: RwLock::new(init), version: AtomicU64::new(0), ends: Ends::new(()) }
    }

    fn version(&self) -> u64 {
        // Acquire is not needed for the value, which has a lock; it orders what was done before.
        self.version.load(Ordering::Acquire)
    }

    /// Locks the value, and tells its version.
    #[track_caller]
    fn read(&self) -> (RwLockReadGuard<'_, T>, u64) {
        let value = self.value.read();
        let version = self.version();
        (value, version)
    }

    /// Changes the value, and lets receivers know if `change` says that it did.
    #[track_caller]
    fn change<R>(&self, change: impl FnOnce(&mut T) -> (R, bool)) -> R {
        let mut value = self.value.write();
        let (result, has_changed) = change(&mut value);
        if has_changed {
            self.version.fetch_add(1, Ordering::Release);
        }
        drop(value);
        if has_changed {
            let receiving = self.ends.lock().take_receiving();
            receiving.wake();
        }
        result
    }

    /// Waits until the value is of another version than `seen`, and returns that.
    fn changed(
        &self,
        seen: u64,
        deadline: Option<Instant>,
        place: Place,
    ) -> Result<u64, RecvTimeoutError> {
        loop {
            let wake = self.wait_for_other_than(seen, deadline, place);
            // In this order: the last sender may have sent something before it went.
            let is_closed = wake == Wake::Failed || self.ends.lock().senders() == 0;
            let version = self.version();
            match wake {
                _ if version != seen => return Ok(version),
                Wake::TimedOut => return Err(RecvTimeoutError::Timeout),
                _ if is_closed => return Err(RecvTimeoutError::Closed),
                // The wake-up was for a change that the receiver saw before it began to wait.
                _ => {}
            }
        }
    }

    fn wait_for_other_than(&self, seen: u64, deadline: Option<Instant>, place: Place) -> Wake {
        spend_at(place);
        let is_over = |senders| self.version() != seen || senders == 0;
        if is_over(self.ends.lock().senders()) {
            return Wake::Unparked;
        }
        let is_over = |state: &_| is_over(State::senders(state));
        self.ends.receive("watching a value", is_over, deadline, place)
    }
}

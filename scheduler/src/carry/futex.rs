//! Where a thread waits while it runs no identity.

use std::sync::atomic::{AtomicU32, Ordering};

use super::system::{self, Moment};
use crate::carry::protocol::Waiting;

/// A count of rings, for which one thread waits.
pub(super) struct Futex(AtomicU32);

impl Waiting for Futex {
    fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn rings(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }

    fn ring(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
        system::wake(&self.0);
    }

    fn wait(&self, rings: u32, until: Moment) {
        system::wait(&self.0, rings, until);
    }
}

//! When a worker gives back the memory that it keeps at hand for tasks to come.
//!
//! It does so when it has started and ended no task for a while: in its sleep, which has a time-out
//! for that, or before one. A worker that has nothing to give back sleeps without a time-out,
//! which would cost the system most of a microsecond at each sleep.

use std::cell::Cell;
use std::time::Instant;

use lisle_runtime::stack::StockUse;

use super::Worker;
use crate::post::LONG_SLEEP;

/// What a worker knows of the use that is made of its stacks.
pub(super) struct Stock {
    last_use: Cell<StockUse>,
    /// Since when there has been no other use, on the worker's clock; `None` if all was given back
    /// since then.
    since: Cell<Option<Instant>>,
}

impl Stock {
    pub(super) fn new() -> Self {
        Self { last_use: Cell::default(), since: Cell::new(None) }
    }
}

impl Worker {
    /// What the sleep that begins now calls if it becomes a long one.
    pub(super) fn rest_to_come(&self) -> Option<impl FnOnce()> {
        // What a model does must not depend on a clock.
        if cfg!(lisle_loom) {
            return None;
        }
        let (stock, now) = (&self.stock, self.clock.get());
        let last_use = self.stacks.borrow().last_use();
        if stock.last_use.replace(last_use) != last_use || self.has_retired() {
            stock.since.set(Some(now));
        }
        if stock.since.get().is_some_and(|since| now.saturating_duration_since(since) >= LONG_SLEEP)
        {
            self.rest();
        }
        stock.since.get().map(|_| || self.rest())
    }

    fn rest(&self) {
        self.release_retired();
        self.stacks.borrow_mut().rest();
        self.stock.last_use.set(self.stacks.borrow().last_use());
        self.stock.since.set(None);
    }

    fn has_retired(&self) -> bool {
        let retired = self.retired.take();
        let has_some = retired.is_some();
        self.retired.set(retired);
        has_some
    }

    /// Returns the stack that was kept because its task still ran on it to end. The caller runs on
    /// another.
    pub(crate) fn release_retired(&self) {
        drop(self.retired.take());
    }
}

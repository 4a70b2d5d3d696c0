//! What wakes a future that waits for a timer channel: a task that sleeps.

use std::task::{Context, Waker};
use std::time::Instant;

use lisle_scheduler::{CancelOnDrop, sleep_until, spawn};

use super::receive::Waiting;

/// A call of a waker at a time. Dropped, it is called off.
pub(super) struct Alarm {
    due: Instant,
    waker: Waker,
    _task: CancelOnDrop<()>,
}

/// Calls the waker at its end, also if its runtime ends before the time has come: then the poll
/// that follows sets another alarm.
struct Ring(Option<Waker>);

impl Drop for Ring {
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

impl Waiting {
    /// Lets the waker be called when the time has come, if it ever does.
    pub(super) fn wait_for_clock(&mut self, due: Option<Instant>, context: &Context<'_>) {
        let Some(due) = due else { return *self = Self::Idle };
        let is_set = |alarm: &Alarm| alarm.due == due && alarm.waker.will_wake(context.waker());
        if !matches!(self, Self::Timed(alarm) if is_set(alarm)) {
            *self = Self::Timed(Alarm::set(due, context.waker().clone()));
        }
    }
}

impl Alarm {
    fn set(due: Instant, waker: Waker) -> Self {
        let ring = Ring(Some(waker.clone()));
        let task = spawn(move || {
            let _ring = ring;
            sleep_until(due);
        });
        Self { due, waker, _task: task.cancel_on_drop() }
    }
}

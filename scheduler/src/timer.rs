//! The pending deadlines of one worker. Owner only: no lock, no thread.

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::time::Instant;

use crate::task::Control;

/// Deadlines in the order in which they fall due. A timer that is not needed any more is removed at
/// once, in logarithmic time.
#[derive(Default)]
pub(crate) struct Timers {
    pending: BTreeMap<TimerKey, NonNull<Control>>,
    next_serial: u64,
}

/// Orders by deadline, then by age. The serial number makes keys unique.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    deadline: Instant,
    serial: u64,
}

impl Timers {
    pub(crate) fn insert(&mut self, deadline: Instant, task: NonNull<Control>) -> TimerKey {
        let key = TimerKey { deadline, serial: self.next_serial };
        self.next_serial += 1;
        self.pending.insert(key, task);
        key
    }

    /// Removes a timer if it has not been taken by `pop_due`.
    pub(crate) fn remove(&mut self, key: TimerKey) {
        self.pending.remove(&key);
    }

    /// The oldest task whose deadline is not later than `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<NonNull<Control>> {
        let first = self.pending.first_entry()?;
        (first.key().deadline <= now).then(|| first.remove())
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.pending.first_key_value().map(|(key, _)| key.deadline)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;
    use std::time::Duration;

    fn task(n: usize) -> NonNull<Control> {
        NonNull::new(std::ptr::without_provenance_mut(n * align_of::<Control>())).unwrap()
    }

    #[test]
    fn falls_due_in_order_and_never_early() {
        let mut timers = Timers::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        timers.insert(at(20), task(2));
        timers.insert(at(10), task(1));
        timers.insert(at(20), task(3));
        assert_eq!(timers.next_deadline(), Some(at(10)));
        assert_eq!(timers.pop_due(at(9)), None);
        assert_eq!(timers.pop_due(at(20)), Some(task(1)));
        assert_eq!(timers.pop_due(at(20)), Some(task(2)));
        assert_eq!(timers.pop_due(at(20)), Some(task(3)));
        assert!(timers.is_empty());
    }

    #[test]
    fn a_removed_timer_is_gone_and_its_neighbours_stay() {
        let mut timers = Timers::default();
        let now = Instant::now();
        let first = timers.insert(now, task(1));
        timers.insert(now, task(2));
        timers.remove(first);
        timers.remove(first);
        assert_eq!(timers.pop_due(now), Some(task(2)));
        assert_eq!(timers.pop_due(now), None);
    }
}

//! Timers by themselves: order, removal, bounds, and a long random history against a model.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::*;

fn task(n: usize) -> Alarm {
    Alarm(NonNull::new(std::ptr::without_provenance_mut(n * align_of::<Control>())).unwrap())
}

/// Timers, and a clock that starts at their epoch. The tasks are numbers.
struct Fixture {
    timers: Timers,
    start: Instant,
}

impl Fixture {
    fn new() -> Self {
        let timers = Timers::new(Instant::now());
        Self { start: timers.epoch, timers }
    }

    fn at(&self, nanoseconds: u64) -> Instant {
        self.start + Duration::from_nanos(nanoseconds)
    }

    fn set(&mut self, nanoseconds: u64, number: usize) -> Timer {
        self.timers.insert(self.at(nanoseconds), task(number))
    }

    fn pop(&mut self, nanoseconds: u64) -> Option<usize> {
        let due = self.timers.pop_due(self.at(nanoseconds))?;
        Some(due.address().addr() / align_of::<Control>())
    }

    /// All that are due, in order.
    fn pop_all(&mut self, nanoseconds: u64) -> Vec<usize> {
        std::iter::from_fn(|| self.pop(nanoseconds)).collect()
    }

    fn assert_consistent(&self) {
        let Timers { heap, places, alarms, .. } = &self.timers;
        assert_eq!(places.len(), alarms.len());
        for (place, entry) in heap.iter().enumerate() {
            assert_eq!(places[entry.slot()] as usize, place);
            assert!(place == 0 || heap[parent(place)] < *entry);
        }
    }
}

#[test]
fn falls_due_in_order_and_never_early() {
    let mut f = Fixture::new();
    assert!(f.timers.is_empty());
    assert_eq!(f.timers.next_deadline(), None);
    let timers = [f.set(20, 2), f.set(10, 1), f.set(30, 3)];
    assert!(!f.timers.is_empty());
    assert_eq!(f.timers.next_deadline(), Some(f.at(10)));
    assert_eq!(f.pop(9), None);
    assert_eq!(f.pop(10), Some(1));
    assert_eq!(f.pop(19), None);
    assert_eq!(f.timers.next_deadline(), Some(f.at(20)));
    assert_eq!(f.pop_all(30), [2, 3]);
    assert!(f.timers.is_empty());
    timers.into_iter().for_each(|timer| f.timers.remove(timer));
    assert_eq!(f.pop(u64::MAX), None);
}

#[test]
fn equal_deadlines_fall_due_in_the_order_of_setting() {
    let mut f = Fixture::new();
    // Leaves the slots in the reverse order.
    let earlier: Vec<_> = (1..=1_000).map(|n| f.set(0, n)).collect();
    earlier.into_iter().for_each(|timer| f.timers.remove(timer));
    let timers: Vec<_> = (1..=1_000).map(|n| f.set(7 + n as u64 % 2, n)).collect();
    // What is removed from between does not disturb the others.
    for (n, timer) in (1..).zip(timers) {
        if n % 10 == 0 {
            f.timers.remove(timer);
        }
    }
    let expected = |rest| (1..=1_000).filter(move |n| n % 2 == rest && n % 10 != 0);
    assert!(f.pop_all(100).into_iter().eq(expected(0).chain(expected(1))));
}

#[test]
fn any_timer_can_be_removed_and_the_others_stay_in_order() {
    const COUNT: usize = 60;
    for removed in 1..=COUNT {
        let mut f = Fixture::new();
        // 7 has no common factor with 61: each deadline once, in a mixed order.
        let deadline = |n: usize| (n * 7 % (COUNT + 1)) as u64;
        let mut timers: Vec<_> = (1..=COUNT).map(|n| f.set(deadline(n), n)).collect();
        f.timers.remove(timers.swap_remove(removed - 1));
        f.assert_consistent();
        let mut expected: Vec<_> = (1..=COUNT).filter(|&n| n != removed).collect();
        expected.sort_by_key(|&n| deadline(n));
        assert_eq!(f.pop_all(1_000), expected);
    }
}

/// A wake may come between the timer's firing and the end of the wait, and new timers, too.
#[test]
fn a_fired_timer_keeps_its_slot_until_it_is_removed() {
    let mut f = Fixture::new();
    let first = f.set(1, 1);
    assert_eq!(f.pop(1), Some(1));
    let second = f.set(2, 2);
    f.timers.remove(first);
    let third = f.set(3, 3);
    f.assert_consistent();
    assert_eq!(f.pop_all(3), [2, 3]);
    f.timers.remove(second);
    f.timers.remove(third);
}

#[test]
fn slots_are_used_again() {
    let mut f = Fixture::new();
    let kept = f.set(5, 1);
    for n in 0..1_000 {
        let timer = f.set(n, 2);
        if n % 3 == 0 {
            f.pop(n);
        }
        f.timers.remove(timer);
    }
    assert_eq!(f.timers.places.len(), 2);
    f.timers.remove(kept);
    assert!(f.timers.is_empty());
}

#[test]
fn a_deadline_before_the_epoch_is_due_at_once() {
    let mut f = Fixture::new();
    let long_ago = f.start.checked_sub(Duration::from_secs(1)).unwrap();
    let timer = f.timers.insert(long_ago, task(1));
    assert_eq!(f.pop(0), Some(1));
    f.timers.remove(timer);
}

#[test]
fn a_deadline_that_no_clock_will_show_is_not_due() {
    let mut f = Fixture::new();
    let latest = (0..64).rev().fold(f.start, |latest, power| {
        latest.checked_add(Duration::from_secs(1 << power)).unwrap_or(latest)
    });
    let timers = [f.timers.insert(latest, task(1)), f.set(u64::MAX, 2), f.set(1, 3)];
    assert_eq!(f.pop(1), Some(3));
    assert_eq!(f.pop(u64::MAX - 1), None);
    assert_eq!(f.timers.next_deadline(), Some(f.at(u64::MAX)));
    timers.into_iter().for_each(|timer| f.timers.remove(timer));
}

#[test]
fn a_count_that_starts_anew_mixes_up_no_deadlines() {
    let mut f = Fixture::new();
    f.timers.next_serial = u32::MAX - 1;
    let timers: Vec<_> = (1..=9).map(|n| f.set(n as u64 % 3, n)).collect();
    f.assert_consistent();
    for time in 0..3 {
        let mut due = f.pop_all(time);
        due.sort_unstable();
        assert!(due.into_iter().eq((1..=9).filter(|n| *n as u64 % 3 == time)));
    }
    timers.into_iter().for_each(|timer| f.timers.remove(timer));
}

#[test]
fn a_million_timers_take_56_bytes_each_at_most() {
    const COUNT: usize = 1_000_000;
    let mut f = Fixture::new();
    let timers: Vec<_> = (1..=COUNT).map(|n| f.set((n * 7_919 % COUNT) as u64, n)).collect();
    let Timers { heap, places, alarms, .. } = &f.timers;
    let bytes = heap.capacity() * size_of::<Entry>()
        + places.capacity() * size_of::<u32>()
        + alarms.capacity() * size_of::<Alarm>();
    assert!(bytes <= 56 * COUNT, "{bytes} bytes");
    f.assert_consistent();
    timers.into_iter().for_each(|timer| f.timers.remove(timer));
    assert!(f.timers.is_empty());
}

/// A small generator of numbers (xorshift, after Marsaglia).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % limit
    }
}

/// 100,000 random steps against an ordered map from deadline and age to the task.
#[test]
fn a_random_history_agrees_with_the_model() {
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64;
    println!("seed {seed}");
    let mut random = Random(seed | 1);
    let mut f = Fixture::new();
    let mut model = BTreeSet::new();
    let mut held: Vec<(Timer, (u64, usize))> = Vec::new();
    let mut now = 0;
    for number in 1..=100_000 {
        // Phases in which the number of timers grows, and such in which it falls.
        let growing = (number / 5_000) % 2 == 0;
        match random.below(8) {
            step if step < if growing { 5 } else { 2 } => {
                // Few different deadlines, some of them in the past.
                let deadline = (now + random.below(2_000)).saturating_sub(200) / 10 * 10;
                held.push((f.set(deadline, number), (deadline, number)));
                model.insert((deadline, number));
            }
            5 => now += random.below(if growing { 4 } else { 40 }),
            6 => {
                let due = model.first().copied().filter(|&(deadline, _)| deadline <= now);
                assert_eq!(f.pop(now), due.map(|(_, number)| number));
                due.map(|key| model.remove(&key));
            }
            _ if !held.is_empty() => {
                let any = random.below(held.len() as u64) as usize;
                let (timer, key) = held.swap_remove(any);
                f.timers.remove(timer);
                model.remove(&key);
            }
            _ => {}
        }
        let first = model.first().map(|&(deadline, _)| f.at(deadline));
        assert_eq!(f.timers.next_deadline(), first);
        assert_eq!(f.timers.is_empty(), model.is_empty());
        if number % 100 == 0 {
            f.assert_consistent();
        }
    }
    let rest: Vec<_> = model.into_iter().map(|(_, number)| number).collect();
    assert_eq!(f.pop_all(u64::MAX - 1), rest);
}

#[test]
fn timers_that_are_due_before_a_bundle_wait_for_it_unless_there_is_only_one() {
    let mut fixture = Fixture::new();
    let next = |fixture: &Fixture, bundle| fixture.timers.next_bundle(fixture.at(bundle));
    assert_eq!(next(&fixture, 100), None);
    let first = fixture.set(50, 1);
    assert_eq!(next(&fixture, 100), Some(fixture.at(50)), "it is the only one");
    let later: Vec<_> = (200..205).map(|due| fixture.set(due, 2)).collect();
    assert_eq!(next(&fixture, 199), Some(fixture.at(50)), "the others are later");
    assert_eq!(next(&fixture, 200), Some(fixture.at(200)));
    assert_eq!(next(&fixture, 300), Some(fixture.at(300)));
    assert_eq!(next(&fixture, 0), Some(fixture.at(50)), "the bundle is over");
    let deepest = fixture.set(60, 3);
    assert_eq!(next(&fixture, 60), Some(fixture.at(60)), "wherever it stands in the heap");
    later.into_iter().chain([first, deepest]).for_each(|timer| fixture.timers.remove(timer));
}

//! The pending deadlines of one worker. Owner only: no lock, no thread.
//!
//! They stand in a heap in which each entry has up to four children, none of which is due before
//! it. An entry is one number, so that two are compared at once. Beside the heap lies a table of
//! slots, one for each wait: it says where the wait's entry stands now, so that it can be taken out
//! of the middle, and which task it wakes, or which region of a task it ends. Both are dense: a
//! timer that moves touches nothing on the stack of its task.
//!
//! Invariants: `places[slot]` is the index of the entry in the heap that names `slot`; or `FIRED`,
//! if the wait has not noticed yet that its timer is gone; or, in a free slot, the next free one.

#[cfg(all(test, not(lisle_loom)))]
mod tests;

use std::ptr::NonNull;
use std::time::{Duration, Instant};

use crate::cancel::Region;
use crate::task::Control;

/// Deadlines in the order in which they fall due, and equal ones in the order in which they were
/// set. (The count that tells which was set first starts anew after 2^32 timers.)
///
/// Setting a timer, removing it and taking the first one cost logarithmic time at most, and the
/// first two constant time if the deadline is later than most. A removed timer leaves nothing
/// behind. The memory of the largest number of timers that were pending at once is kept.
pub(crate) struct Timers {
    epoch: Instant,
    heap: Vec<Entry>,
    places: Vec<u32>,
    alarms: Vec<Alarm>,
    /// The first free slot, or `NONE`.
    free: u32,
    next_serial: u32,
}

/// A pending or fired timer. Its owner gives it back once, by `remove`, when the wait is over.
#[must_use = "a timer that is not removed fires at a task that no longer waits for it"]
pub(crate) struct Timer {
    slot: u32,
}

/// What a timer calls when it fires, as an address with a bit that says what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alarm(NonNull<Control>);

/// What a timer calls.
pub(crate) enum Whose<'a> {
    /// A task whose wait is over.
    Wait(&'a Control),
    Region(&'a Region),
}

const OF_REGION: usize = 1;

const _: () = assert!(align_of::<Region>() > OF_REGION && align_of::<Control>() > OF_REGION);

impl Alarm {
    #[inline(always)]
    pub(crate) fn of_wait(task: &Control) -> Self {
        Self(NonNull::from(task))
    }

    pub(crate) fn of_region(region: &Region) -> Self {
        Self(NonNull::from(region).cast().map_addr(|address| address | OF_REGION))
    }

    #[inline(always)]
    pub(crate) fn address(self) -> *const u8 {
        self.0.as_ptr().cast_const().cast()
    }

    /// # Safety
    ///
    /// It is still there.
    #[inline(always)]
    pub(crate) unsafe fn whose<'a>(self) -> Whose<'a> {
        let address = self.0.as_ptr();
        // SAFETY: the caller's promise.
        unsafe {
            if address.addr() & OF_REGION == 0 {
                Whose::Wait(&*address)
            } else {
                let region = address.map_addr(|address| address & !OF_REGION);
                Whose::Region(&*region.cast())
            }
        }
    }
}

const CHILDREN: usize = 4;

/// In place of a slot: there is none.
const NONE: u32 = u32::MAX;
/// In place of a place: the timer is not in the heap any more.
const FIRED: u32 = u32::MAX;

/// A deadline in nanoseconds since the epoch, a serial number and a slot, from the high bits to the
/// low ones. So entries compare by deadline, then by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u128);

impl Entry {
    fn new(deadline: u64, serial: u32, slot: u32) -> Self {
        Self(u128::from(deadline) << 64 | u128::from(serial) << 32 | u128::from(slot))
    }

    fn deadline(self) -> u64 {
        (self.0 >> 64) as u64
    }

    fn slot(self) -> usize {
        self.0 as u32 as usize
    }
}

impl Timers {
    /// No timers. None will be due before `epoch`.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            heap: Vec::new(),
            places: Vec::new(),
            alarms: Vec::new(),
            free: NONE,
            next_serial: 0,
        }
    }

    #[inline(always)]
    pub(crate) fn insert(&mut self, deadline: Instant, alarm: Alarm) -> Timer {
        let slot = self.take_slot(alarm);
        let entry = Entry::new(self.since_epoch(deadline), self.next_serial, slot);
        self.next_serial = self.next_serial.wrapping_add(1);
        let last = self.heap.len();
        self.heap.push(entry);
        if last == 0 {
            self.put(0, entry);
        } else {
            self.rise(last, entry);
        }
        Timer { slot }
    }

    /// Ends a timer, whether it has fired or not.
    #[inline(always)]
    pub(crate) fn remove(&mut self, timer: Timer) {
        let place = std::mem::replace(&mut self.places[timer.slot as usize], self.free);
        self.free = timer.slot;
        if place != FIRED {
            self.take_out(place as usize);
        }
    }

    /// What the first timer calls, if that is due: its deadline is not later than `now`. The timer
    /// has then fired.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Alarm> {
        let first = *self.heap.first()?;
        if self.since_epoch(now) < first.deadline() {
            return None;
        }
        self.take_out(0);
        self.places[first.slot()] = FIRED;
        Some(self.alarms[first.slot()])
    }

    /// When the first timer is due.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.heap.first().map(|first| self.epoch + Duration::from_nanos(first.deadline()))
    }

    /// When to wake for the first timer: when it is due, or at `bundle` if that is later and
    /// another timer is due by then, too.
    pub(crate) fn next_bundle(&self, bundle: Instant) -> Option<Instant> {
        let (_, others) = self.heap.split_first()?;
        let bundled = self.since_epoch(bundle);
        // None is due before all of these.
        let mut next_ones = others.iter().take(CHILDREN);
        let are_several = next_ones.any(|next| next.deadline() <= bundled);
        if are_several { Some(bundle) } else { self.next_deadline() }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// Whatever was before the epoch is due at once, and whatever comes 584 years after it or
    /// later, which is more than the number can tell, comes then.
    #[inline]
    fn since_epoch(&self, instant: Instant) -> u64 {
        let time = instant.saturating_duration_since(self.epoch);
        let whole = time.as_secs().checked_mul(1_000_000_000);
        whole.and_then(|whole| whole.checked_add(time.subsec_nanos().into())).unwrap_or(u64::MAX)
    }

    /// A slot for `alarm`, whose place is still to be written.
    #[inline]
    fn take_slot(&mut self, alarm: Alarm) -> u32 {
        let slot = self.free;
        if slot == NONE {
            return self.add_slot(alarm);
        }
        self.free = self.places[slot as usize];
        self.alarms[slot as usize] = alarm;
        slot
    }

    #[cold]
    fn add_slot(&mut self, alarm: Alarm) -> u32 {
        let slot = u32::try_from(self.places.len()).ok().filter(|&slot| slot != NONE);
        let slot = slot.expect("a worker has fewer tasks than 2^32");
        self.places.push(FIRED);
        self.alarms.push(alarm);
        slot
    }

    /// Takes the entry at `hole` out of the heap. The last one fills the hole.
    #[inline]
    fn take_out(&mut self, hole: usize) {
        let last = self.heap.pop().expect("there is an entry at the hole");
        if hole == self.heap.len() {
            return;
        }
        if hole > 0 && last < self.heap[parent(hole)] {
            self.rise(hole, last);
        } else {
            self.sink(hole, last);
        }
    }

    /// Fills `hole` with `entry`, or with a parent that is due later, whose place is the next hole.
    #[inline]
    fn rise(&mut self, mut hole: usize, entry: Entry) {
        while hole > 0 {
            let above = self.heap[parent(hole)];
            if above <= entry {
                break;
            }
            self.put(hole, above);
            hole = parent(hole);
        }
        self.put(hole, entry);
    }

    /// Fills `hole` with `entry`, or with the first of the children if that is due earlier, whose
    /// place is the next hole.
    fn sink(&mut self, mut hole: usize, entry: Entry) {
        while let Some((child, below)) = self.first_child(hole) {
            if entry <= below {
                break;
            }
            self.put(hole, below);
            hole = child;
        }
        self.put(hole, entry);
    }

    /// The child that is due first, and its place.
    #[inline]
    fn first_child(&self, place: usize) -> Option<(usize, Entry)> {
        let start = CHILDREN * place + 1;
        // All four are compared in pairs, which leaves the processor nothing to guess.
        if let Some(&[a, b, c, d]) = self.heap.get(start..start + CHILDREN) {
            let front = if b < a { (start + 1, b) } else { (start, a) };
            let back = if d < c { (start + 3, d) } else { (start + 2, c) };
            return Some(if back.1 < front.1 { back } else { front });
        }
        let children = self.heap.iter().copied().enumerate().skip(start);
        children.min_by_key(|&(_, entry)| entry)
    }

    #[inline]
    fn put(&mut self, place: usize, entry: Entry) {
        self.heap[place] = entry;
        // Slots are numbered by 32 bits, and so are as many places.
        self.places[entry.slot()] = place as u32;
    }
}

fn parent(place: usize) -> usize {
    (place - 1) / CHILDREN
}

//! The events of one worker: the latest ones, which any thread may read.
//!
//! The owner writes the words of an event, and then how many there are. A reader copies what it
//! finds, and then looks how far the owner has come meanwhile: what may have been overwritten does
//! not count. The fences make sure that a reader which sees a word of a later event also sees that
//! there are so many.

#[cfg(all(test, lisle_loom))]
mod models;

use lisle_runtime::internal::primitive::atomic::{AtomicU64, Ordering, fence};

use super::event::{WORDS, What, Words, stamped};
use super::ticks;

type Slot = [AtomicU64; WORDS];

pub(super) struct Ring {
    slots: Box<[Slot]>,
    /// How many events were written since the beginning. Only the owner writes it.
    written: AtomicU64,
}

/// What a reader has found.
pub(super) struct Copied {
    /// As they were written, oldest first.
    pub(super) events: Vec<Words>,
    /// How many were overwritten.
    pub(super) lost: u64,
}

impl Ring {
    /// A ring of this many bytes at most, but of some events at least.
    pub(super) fn new(bytes: usize) -> Self {
        let events = (bytes / (WORDS * size_of::<u64>())).max(64);
        Self::of(if events.is_power_of_two() { events } else { events.next_power_of_two() / 2 })
    }

    /// A ring of this many events, a power of two.
    fn of(capacity: usize) -> Self {
        Self { slots: slots(capacity), written: AtomicU64::new(0) }
    }

    /// How many events fit.
    pub(super) fn capacity(&self) -> u64 {
        self.slots.len() as u64
    }

    /// How many events were written since the beginning. For the owner.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Adds an event that happens now.
    ///
    /// Called by one thread at a time: of two, one would overwrite what the other writes.
    #[inline(always)]
    pub(super) fn push(&self, what: What) {
        let [head, a, b, c] = what.encode();
        self.write([stamped(head, ticks::now()), a, b, c]);
    }

    #[inline(always)]
    fn write(&self, words: Words) {
        let written = self.written.load(Ordering::Relaxed);
        // A reader that sees one of these words sees how many were written before.
        fence(Ordering::Release);
        let place = written as usize & (self.slots.len() - 1);
        // SAFETY: the number of slots is a power of two, and not 0.
        let slot = unsafe { self.slots.get_unchecked(place) };
        for (to, word) in slot.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.written.store(written.wrapping_add(1), Ordering::Release);
    }

    /// The events that are there.
    pub(super) fn copy(&self) -> Copied {
        let capacity = self.capacity();
        let written = self.written.load(Ordering::Acquire);
        let oldest = written.saturating_sub(capacity);
        let mut events: Vec<Words> = (oldest..written)
            .map(|number| {
                let slot = &self.slots[number as usize & (self.slots.len() - 1)];
                std::array::from_fn(|word| slot[word].load(Ordering::Relaxed))
            })
            .collect();
        fence(Ordering::Acquire);
        // The owner may be about to overwrite one more.
        let now = self.written.load(Ordering::Relaxed);
        let safe = (now + 1).saturating_sub(capacity).clamp(oldest, written);
        events.drain(..(safe - oldest) as usize);
        Copied { events, lost: safe }
    }
}

/// Slots in memory that the kernel need not provide before it is written, and then in large pages:
/// one of 4 KiB costs it more than the events that fit there take.
#[cfg(not(lisle_loom))]
fn slots(capacity: usize) -> Box<[Slot]> {
    const LARGE: usize = 2 << 20;
    // SAFETY: a slot is valid when it is zero.
    let slots = unsafe { Box::<[Slot]>::new_zeroed_slice(capacity).assume_init() };
    let range = slots.as_ptr_range();
    let start = range.start.cast::<u8>().map_addr(|start| start.next_multiple_of(LARGE));
    let length = range.end.addr().saturating_sub(start.addr()) / LARGE * LARGE;
    if length > 0 {
        // SAFETY: the range is inside of the slots, and keeps what is in it. That the kernel does
        // not know the advice makes no difference.
        unsafe { libc::madvise(start.cast_mut().cast(), length, libc::MADV_HUGEPAGE) };
    }
    slots
}

#[cfg(lisle_loom)]
fn slots(capacity: usize) -> Box<[Slot]> {
    (0..capacity).map(|_| Default::default()).collect()
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn wake(task: u64) -> What {
        What::Wake { task, by: task, cause: super::super::Cause::Task }
    }

    fn events(words: &[Words]) -> impl Iterator<Item = What> {
        // SAFETY: a ring gives back what was encoded.
        words.iter().map(|&words| unsafe { What::decode(words) })
    }

    #[test]
    fn the_latest_events_stay() {
        let ring = Ring::new(0);
        assert!(ring.copy().events.is_empty());
        (0..200).for_each(|n| ring.push(wake(n)));
        let copied = ring.copy();
        assert_eq!(copied.events.len() as u64 + copied.lost, 200);
        assert!(events(&copied.events).eq((copied.lost..200).map(wake)));
        let first = copied.events[0][0];
        assert!(copied.events.is_sorted_by_key(|words| words[0].wrapping_sub(first)));
    }

    #[test]
    fn a_reader_sees_whole_events_while_the_owner_writes() {
        let (ring, over) = (Ring::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..200_000).for_each(|n| ring.push(wake(n)));
                over.store(true, Ordering::Release);
            });
            while !over.load(Ordering::Acquire) {
                let copied = ring.copy();
                let expected = (copied.lost..).map(wake);
                assert!(events(&copied.events).zip(expected).all(|(a, b)| a == b));
            }
        });
    }
}

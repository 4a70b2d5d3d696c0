//! The events of one worker: the latest ones, which any thread may read.
//!
//! The owner writes the words of an event, and then how many there are. A reader copies what it
//! finds, and then looks how far the owner has come meanwhile: what may have been overwritten does
//! not count. The fences make sure that a reader which sees a word of a later event also sees that
//! there are so many.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use super::event::{WORDS, What};
use super::ticks;

pub(super) struct Ring {
    slots: Box<[[AtomicU64; WORDS]]>,
    /// How many events were written since the beginning. Only the owner writes it.
    written: AtomicU64,
}

/// What a reader has found.
pub(super) struct Copied {
    /// The time of each event, in ticks.
    pub(super) events: Vec<(u64, What)>,
    /// How many were overwritten.
    pub(super) lost: u64,
}

impl Ring {
    /// A ring of this many bytes at most, but of some events at least.
    pub(super) fn new(bytes: usize) -> Self {
        let events = (bytes / (WORDS * size_of::<u64>())).max(64);
        let capacity =
            if events.is_power_of_two() { events } else { events.next_power_of_two() / 2 };
        let slots = (0..capacity).map(|_| Default::default()).collect();
        Self { slots, written: AtomicU64::new(0) }
    }

    /// Adds an event that happens now.
    ///
    /// Called by one thread at a time: of two, one would overwrite what the other writes.
    #[inline]
    pub(super) fn push(&self, what: What) {
        let mut words = what.encode();
        words[0] = ticks::now();
        let written = self.written.load(Ordering::Relaxed);
        // A reader that sees one of these words sees how many were written before.
        fence(Ordering::Release);
        let slot = &self.slots[written as usize & (self.slots.len() - 1)];
        for (to, word) in slot.iter().zip(words) {
            to.store(word, Ordering::Relaxed);
        }
        self.written.store(written.wrapping_add(1), Ordering::Release);
    }

    /// The events that are there, oldest first.
    pub(super) fn copy(&self) -> Copied {
        let capacity = self.slots.len() as u64;
        let written = self.written.load(Ordering::Acquire);
        let oldest = written.saturating_sub(capacity);
        let words: Vec<[u64; WORDS]> = (oldest..written)
            .map(|number| {
                let slot = &self.slots[number as usize & (self.slots.len() - 1)];
                std::array::from_fn(|word| slot[word].load(Ordering::Relaxed))
            })
            .collect();
        fence(Ordering::Acquire);
        // The owner may be about to overwrite one more.
        let now = self.written.load(Ordering::Relaxed);
        let safe = (now + 1).saturating_sub(capacity).max(oldest);
        let events = words.into_iter().skip((safe - oldest) as usize);
        // SAFETY: the owner has written all words of these, and has not begun to overwrite one.
        let events = events.map(|words| (words[0], unsafe { What::decode(words) })).collect();
        Copied { events, lost: safe }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn wake(task: u64) -> What {
        What::Wake { task, by: task, cause: super::super::Cause::Task }
    }

    #[test]
    fn the_latest_events_stay() {
        let ring = Ring::new(0);
        assert!(ring.copy().events.is_empty());
        (0..200).for_each(|n| ring.push(wake(n)));
        let Copied { events, lost } = ring.copy();
        assert_eq!(events.len() as u64 + lost, 200);
        assert!(events.iter().map(|event| event.1).eq((lost..200).map(wake)));
        assert!(events.is_sorted_by_key(|event| event.0));
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
                let Copied { events, lost } = ring.copy();
                let expected = (lost..).map(wake);
                assert!(events.iter().map(|event| event.1).zip(expected).all(|(a, b)| a == b));
            }
        });
    }
}

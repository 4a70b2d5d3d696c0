//! The stacks of one size that nobody uses, and the promises that were given on them.
//!
//! Invariant: `promised` is never more than [`Class::backing`], so a promise is always good for a
//! stack, except where a guard that is installed only then is refused.

use std::io;

use super::error;
use super::guard::{self, GuardKind};
use super::size::StackSize;
use super::slab::{self, Slot};

/// A region grows no larger than this, unless one stack does.
const MOST_BYTES: usize = 256 << 20;
/// The first region of a size grows no larger than this, unless one stack does.
const FIRST_BYTES: usize = 4 << 20;
/// How many guards `mprotect` makes at least at a time.
const PROTECT_BATCH: usize = 16;
/// How many of the guards just made are undone when the kernel refuses the next one: the process
/// needs some memory maps for other things.
const SPARE_MAPS: usize = 16;

/// The most stacks that are dealt with at once: mapped, promised, kept warm.
pub(super) fn batch_limit(size: StackSize) -> usize {
    (MOST_BYTES / size.bytes()).clamp(1, 1024)
}

/// Neighbouring slots whose guards are not made yet.
#[derive(Clone, Copy)]
pub(super) struct Fresh {
    pub first: Slot,
    pub count: usize,
}

/// The stacks of one size. Lives in the pool, under its lock.
pub(super) struct Class {
    size: StackSize,
    /// Stacks with guards and without memory; the last was returned last.
    idle: Vec<Slot>,
    fresh: Vec<Fresh>,
    fresh_slots: usize,
    promised: usize,
    /// Stacks that were handed out and not returned.
    issued: usize,
    next_region: usize,
}

impl Class {
    pub fn new(size: StackSize) -> Self {
        Self {
            size,
            idle: Vec::new(),
            fresh: Vec::new(),
            fresh_slots: 0,
            promised: 0,
            issued: 0,
            next_region: (FIRST_BYTES / size.bytes()).clamp(1, PROTECT_BATCH),
        }
    }

    /// Stacks that are spoken for.
    pub fn in_use(&self) -> usize {
        self.issued + self.promised
    }

    /// How many stacks could be taken in all. Guards that cost memory maps must be there already, so
    /// that a spawn notices when they run out; others are made when the stack is taken.
    fn backing(&self, kind: GuardKind) -> usize {
        match kind {
            GuardKind::Install => self.idle.len() + self.fresh_slots,
            GuardKind::Mprotect => self.idle.len(),
        }
    }

    /// Promises between one and `want` more stacks.
    pub fn promise(&mut self, want: usize, kind: GuardKind) -> io::Result<usize> {
        let grown = self.grow(self.promised + want, kind);
        let granted = want.min(self.backing(kind) - self.promised);
        self.promised += granted;
        match grown {
            Err(error) if granted == 0 => Err(error),
            _ => Ok(granted),
        }
    }

    pub fn withdraw_promises(&mut self, count: usize) {
        self.promised -= count;
    }

    /// What cannot be had is an error, but what was got until then stays.
    fn grow(&mut self, need: usize, kind: GuardKind) -> io::Result<()> {
        loop {
            let missing = need.saturating_sub(self.backing(kind));
            if missing == 0 {
                return Ok(());
            }
            if kind == GuardKind::Install || self.fresh.is_empty() {
                self.map(missing, kind)?;
            }
            if kind == GuardKind::Mprotect {
                self.protect(missing)?;
            }
        }
    }

    /// Maps a region: a large one, or, where there is no room for that, a smaller one.
    fn map(&mut self, missing: usize, kind: GuardKind) -> io::Result<()> {
        let most = batch_limit(self.size);
        let mut count = missing.max(self.next_region).min(most);
        let first = loop {
            match slab::map(self.size, count) {
                Ok(first) => break first,
                Err(_) if count > 1 => count /= 2,
                Err(source) => {
                    return Err(error::cannot_map(self.size, self.in_use(), kind, source));
                }
            }
        };
        self.next_region = (count * 2).min(most);
        self.return_fresh(Fresh { first, count });
        Ok(())
    }

    /// Makes up to about `missing` fresh slots idle.
    fn protect(&mut self, missing: usize) -> io::Result<()> {
        let Some(Fresh { first, count }) = self.cut_fresh(missing.max(PROTECT_BATCH)) else {
            return Ok(());
        };
        // SAFETY: the slots were cut from the fresh ones, so nobody else has them.
        let made = unsafe { guard::arm(GuardKind::Mprotect, first, self.size, count) };
        let (done, refusal) = match made {
            Ok(()) => (count, None),
            Err(refused) => {
                let undone = refused.done.min(SPARE_MAPS);
                let done = refused.done - undone;
                // SAFETY: `done + undone` slots were armed above, and nobody has them yet.
                unsafe { guard::unprotect(first.nth(done, self.size), self.size, undone) };
                (done, Some(refused.source))
            }
        };
        // SAFETY: `index < count`, so the slots are in the region.
        let armed = (0..done).map(|index| unsafe { first.nth(index, self.size) });
        self.idle.extend(armed);
        match refusal {
            None => Ok(()),
            Some(source) => {
                self.return_fresh(Fresh {
                    // SAFETY: `done < count`, since the kernel refused one of `count`.
                    first: unsafe { first.nth(done, self.size) },
                    count: count - done,
                });
                let kind = GuardKind::Mprotect;
                Err(error::cannot_guard(self.size, self.in_use(), kind, source))
            }
        }
    }

    /// Takes out up to `most` fresh slots that lie side by side.
    fn cut_fresh(&mut self, most: usize) -> Option<Fresh> {
        let range = self.fresh.pop()?;
        let count = range.count.min(most);
        self.fresh_slots -= range.count;
        if count < range.count {
            self.return_fresh(Fresh {
                // SAFETY: `count` is less than the number of slots in the range.
                first: unsafe { range.first.nth(count, self.size) },
                count: range.count - count,
            });
        }
        Some(Fresh { first: range.first, count })
    }

    fn return_fresh(&mut self, range: Fresh) {
        self.fresh_slots += range.count;
        self.fresh.push(range);
    }

    /// Hands out up to `most` idle stacks against as many promises. The one returned last comes last.
    pub fn take_idle(&mut self, most: usize) -> impl Iterator<Item = Slot> {
        let count = self.idle.len().min(most);
        self.promised -= count;
        self.issued += count;
        self.idle.drain(self.idle.len() - count..)
    }

    /// Hands out up to `most` slots that still lack their guards, against as many promises.
    pub fn take_fresh(&mut self, most: usize) -> Option<Fresh> {
        let fresh = self.cut_fresh(most)?;
        self.promised -= fresh.count;
        self.issued += fresh.count;
        Some(fresh)
    }

    /// Undoes [`Class::take_fresh`] for slots whose guards were refused.
    pub fn untake_fresh(&mut self, fresh: Fresh) {
        self.issued -= fresh.count;
        self.promised += fresh.count;
        self.return_fresh(fresh);
    }

    /// Takes stacks back, and promises `keep` of them anew.
    pub fn give(&mut self, slots: &[Slot], keep: usize) {
        debug_assert!(keep <= slots.len());
        self.issued -= slots.len();
        self.promised += keep;
        self.idle.extend_from_slice(slots);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_kept_by_fresh_slots_and_idle_stacks_alike() {
        let mut class = Class::new(StackSize::new(256 * 1024));
        assert_eq!(class.promise(5, GuardKind::Install).unwrap(), 5);
        let fresh = class.take_fresh(3).unwrap();
        assert_eq!((fresh.count, class.promised, class.issued), (3, 2, 3));
        let slots: Vec<_> = (0..3)
            // SAFETY: the range has three slots.
            .map(|index| unsafe { fresh.first.nth(index, class.size) })
            .collect();
        class.give(&slots[..2], 1);
        assert_eq!((class.promised, class.issued), (3, 1));
        assert_eq!(class.take_idle(5).collect::<Vec<_>>(), &slots[..2]);
        assert_eq!((class.promised, class.issued), (1, 3));
        class.withdraw_promises(1);
        assert_eq!(class.in_use(), 3);
    }

    #[test]
    fn slots_whose_guards_were_refused_can_be_taken_again() {
        let mut class = Class::new(StackSize::new(256 * 1024));
        class.promise(1, GuardKind::Install).unwrap();
        let fresh = class.take_fresh(1).unwrap();
        assert_eq!(class.promised, 0);
        class.untake_fresh(fresh);
        assert_eq!((class.promised, class.issued), (1, 0));
        assert_eq!(class.take_fresh(1).unwrap().first, fresh.first);
    }

    #[test]
    fn with_mprotect_a_promise_has_its_guard_already() {
        let mut class = Class::new(StackSize::new(256 * 1024));
        for _ in 0..100 {
            assert_eq!(class.promise(1, GuardKind::Mprotect).unwrap(), 1);
        }
        assert!(class.idle.len() >= 100);
        assert_eq!(class.take_idle(100).count(), 100);
        assert_eq!((class.promised, class.issued), (0, 100));
    }

    #[test]
    fn growth_that_fails_changes_nothing() {
        let mut class = Class::new(StackSize::new(usize::MAX));
        for _ in 0..2 {
            let error = class.promise(1, GuardKind::Install).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
            assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
            assert_eq!((class.in_use(), class.fresh_slots), (0, 0));
        }
    }
}

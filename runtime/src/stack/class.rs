//! The unused stacks of one size, and the promises that were given on them.
//!
//! Invariants: `promised` is never more than [`Class::backing`], so a promise is always good for a
//! stack, except where a guard that is installed only then is refused. And a slot is idle, or
//! fresh, or counted as `out` of its region, which is *free* if that is none of them.

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

/// While there is work, free regions are kept up to this many bytes of stacks, since mapping a
/// stack anew costs a third of its first use. These are 65,536 stacks of the default size, whose
/// page tables take 37 MB. When there are more, half of this is kept.
pub(super) const MOST_FREE: usize = 16 << 30;
/// The same while there is no work.
pub(super) const KEEP_IDLE: usize = 16 << 20;

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

/// A region, as its class keeps it.
struct Holding {
    first: Slot,
    count: usize,
    /// How many of its stacks are handed out.
    out: usize,
}

/// A region that its class has let go of.
pub(super) struct Surplus {
    pub first: Slot,
    pub count: usize,
    pub size: StackSize,
}

/// The stacks of one size. Lives in the pool, under its lock.
pub(super) struct Class {
    size: StackSize,
    /// In the order of their addresses.
    regions: Vec<Holding>,
    /// How many slots the free ones have.
    free_slots: usize,
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
    pub(super) fn new(size: StackSize) -> Self {
        Self {
            size,
            regions: Vec::new(),
            free_slots: 0,
            idle: Vec::new(),
            fresh: Vec::new(),
            fresh_slots: 0,
            promised: 0,
            issued: 0,
            next_region: first_region(size),
        }
    }

    /// Stacks that are handed out or promised.
    pub(super) fn in_use(&self) -> usize {
        self.issued + self.promised
    }

    /// Bytes of address space in its regions, and stacks that are handed out.
    pub(super) fn usage(&self) -> (usize, usize) {
        (self.room() * slab::stride(self.size), self.issued)
    }

    /// How many slots its regions have.
    pub(super) fn room(&self) -> usize {
        self.regions.iter().map(|region| region.count).sum()
    }

    /// How many stacks could be taken in all. Guards that cost memory maps must be there already,
    /// so that a spawn notices when they run out; others are made when the stack is taken.
    fn backing(&self, kind: GuardKind) -> usize {
        match kind {
            GuardKind::Install => self.idle.len() + self.fresh_slots,
            GuardKind::Mprotect => self.idle.len(),
        }
    }

    /// Promises between one and `want` more stacks.
    pub(super) fn promise(&mut self, want: usize, kind: GuardKind) -> io::Result<usize> {
        let grown = self.grow(self.promised + want, kind);
        let granted = want.min(self.backing(kind) - self.promised);
        self.promised += granted;
        match grown {
            Err(error) if granted == 0 => Err(error),
            _ => Ok(granted),
        }
    }

    pub(super) fn withdraw_promises(&mut self, count: usize) {
        self.promised -= count;
    }

    /// If it fails, what was gained before stays.
    fn grow(&mut self, need: usize, kind: GuardKind) -> io::Result<()> {
        loop {
            let missing = need.saturating_sub(self.backing(kind));
            if missing == 0 {
                return Ok(());
            }
            if kind == GuardKind::Install || self.fresh.is_empty() {
                self.map(missing)?;
            }
            if kind == GuardKind::Mprotect {
                self.protect(missing)?;
            }
        }
    }

    /// Maps a region: a large one, or, where there is no room for that, a smaller one.
    fn map(&mut self, missing: usize) -> io::Result<()> {
        let most = batch_limit(self.size);
        let mut count = missing.max(self.next_region).min(most);
        let first = loop {
            match slab::map(self.size, count) {
                Ok(first) => break first,
                Err(_) if count > 1 => count /= 2,
                Err(source) => {
                    return Err(error::cannot_map(self.size, self.in_use(), source));
                }
            }
        };
        self.next_region = (count * 2).min(most);
        let place = self.regions.partition_point(|region| region.first < first);
        self.regions.insert(place, Holding { first, count, out: 0 });
        self.free_slots += count;
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

    /// The region that a slot lies in.
    fn region_of(&mut self, slot: Slot) -> &mut Holding {
        let after = self.regions.partition_point(|region| region.first <= slot);
        &mut self.regions[after - 1]
    }

    /// Notes that `count` slots, all of the region of `slot`, are handed out.
    fn note_out(&mut self, slot: Slot, count: usize) {
        let region = self.region_of(slot);
        let left_free = if region.out == 0 { region.count } else { 0 };
        region.out += count;
        self.free_slots -= left_free;
        self.issued += count;
    }

    /// Notes that they have come back.
    fn note_back(&mut self, slot: Slot, count: usize) {
        let region = self.region_of(slot);
        region.out -= count;
        let now_free = if region.out == 0 { region.count } else { 0 };
        self.free_slots += now_free;
        self.issued -= count;
    }

    /// Hands out up to `most` idle stacks against as many promises. The one returned last comes
    /// last.
    pub(super) fn take_idle(&mut self, most: usize) -> impl Iterator<Item = Slot> {
        let count = self.idle.len().min(most);
        self.promised -= count;
        let rest = self.idle.len() - count;
        for index in rest..self.idle.len() {
            self.note_out(self.idle[index], 1);
        }
        self.idle.drain(rest..)
    }

    /// Hands out up to `most` slots that still lack their guards, against as many promises.
    pub(super) fn take_fresh(&mut self, most: usize) -> Option<Fresh> {
        let fresh = self.cut_fresh(most)?;
        self.promised -= fresh.count;
        self.note_out(fresh.first, fresh.count);
        Some(fresh)
    }

    /// Undoes [`Class::take_fresh`] for slots whose guards were refused.
    pub(super) fn untake_fresh(&mut self, fresh: Fresh) {
        self.note_back(fresh.first, fresh.count);
        self.promised += fresh.count;
        self.return_fresh(fresh);
    }

    /// Takes stacks back, and promises `keep` of them anew.
    pub(super) fn give(&mut self, slots: &[Slot], keep: usize) {
        debug_assert!(keep <= slots.len());
        for slot in slots {
            self.note_back(*slot, 1);
        }
        self.promised += keep;
        self.idle.extend_from_slice(slots);
    }

    /// Whether free regions have more than `keep` bytes.
    pub(super) fn has_surplus(&self, keep: usize) -> bool {
        self.free_slots > keep / self.size.bytes()
    }

    /// Takes free regions out, for the caller to unmap, until those that are left have no more than
    /// `keep` bytes, or are needed for promises.
    pub(super) fn take_surplus(&mut self, keep: usize, kind: GuardKind) -> Vec<Surplus> {
        let (size, keep) = (self.size, keep / self.size.bytes());
        let mut spare = self.backing(kind) - self.promised;
        let mut free_slots = self.free_slots;
        let mut taken = Vec::new();
        self.regions.retain(|region| {
            // With `mprotect` this is more than the region contributes to the backing, if some of
            // its slots are fresh.
            let leaves = region.out == 0 && free_slots > keep && spare >= region.count;
            if leaves {
                free_slots -= region.count;
                spare -= region.count;
                taken.push(Surplus { first: region.first, count: region.count, size });
            }
            !leaves
        });
        self.free_slots = free_slots;
        let is_left = |slot: Slot| {
            let after = taken.partition_point(|region| region.first <= slot);
            // SAFETY: the last slot of a region is in it.
            let ends_before =
                |region: &Surplus| unsafe { region.first.nth(region.count - 1, size) < slot };
            after == 0 || ends_before(&taken[after - 1])
        };
        self.idle.retain(|slot| is_left(*slot));
        self.fresh.retain(|fresh| is_left(fresh.first));
        self.idle.shrink_to(self.idle.len() * 2);
        self.fresh_slots = self.fresh.iter().map(|fresh| fresh.count).sum();
        if !taken.is_empty() {
            self.next_region = first_region(self.size);
        }
        taken
    }
}

/// How many stacks the first region of a size has.
fn first_region(size: StackSize) -> usize {
    (FIRST_BYTES / size.bytes()).clamp(1, PROTECT_BATCH)
}

#[cfg(test)]
mod tests;

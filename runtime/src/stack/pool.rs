//! The process-wide pool: where stacks come from and go back to, one [`Class`] a size.
//!
//! The pool is entered in batches; single stacks come from the worker's own cache. Kernel calls on
//! stacks that are handed out are made outside the lock.

use std::collections::BTreeMap;
use std::io;

use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};

use super::advice;
use super::class::{Class, Fresh, KEEP_IDLE, MOST_FREE, Surplus};
use super::guard::{self, GuardKind};
use super::size::StackSize;
use super::slab::{self, Slot};
use super::{Stack, error, fork};
use crate::sanitizer;

pub(super) struct Pool {
    generation: u32,
    classes: BTreeMap<StackSize, Class>,
}

/// Held across a fork, so that the child does not find it held for ever.
pub(super) static POOL: Mutex<Pool> = Mutex::new(Pool { generation: 0, classes: BTreeMap::new() });

fn pool() -> MutexGuard<'static, Pool> {
    // Before any thread can hold the lock.
    fork::watch();
    POOL.lock()
}

fn class(size: StackSize) -> MappedMutexGuard<'static, Class> {
    MutexGuard::map(pool(), |pool| {
        if pool.generation != fork::generation() {
            pool.generation = fork::generation();
            pool.classes.clear();
        }
        let class = pool.classes.entry(size);
        class.or_insert_with(|| Class::new(size))
    })
}

/// The right to take a number of stacks of one size from the pool. What is left of it when it is
/// dropped goes back.
#[derive(Debug)]
pub(super) struct Promises {
    size: StackSize,
    count: usize,
    generation: u32,
}

impl Promises {
    pub(super) fn none(size: StackSize) -> Self {
        Self { size, count: 0, generation: fork::generation() }
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Adds between one and `want` promises.
    pub(super) fn ask(&mut self, want: usize) -> io::Result<()> {
        self.check_process()?;
        let kind = GuardKind::of_process()?;
        let promised = class(self.size).promise(want, kind);
        self.count += match promised {
            Ok(count) => count,
            // Unused stacks of other sizes may hold what is missing.
            Err(_) => {
                tidy();
                class(self.size).promise(want, kind)?
            }
        };
        Ok(())
    }

    /// Gives `count` of the promises back.
    pub(super) fn give_up(&mut self, count: usize) {
        self.count -= count;
        if count > 0 && self.check_process().is_ok() {
            class(self.size).withdraw_promises(count);
        }
    }

    /// Takes between one and `want` stacks for as many promises; there must be one at least. After
    /// an error the promises are as before.
    pub(super) fn redeem(&mut self, want: usize, taken: &mut Vec<Stack>) -> io::Result<()> {
        self.check_process()?;
        let want = want.min(self.count);
        let before = taken.len();
        let mut class = class(self.size);
        taken.extend(class.take_idle(want).map(|slot| self.stack(slot)));
        let fresh = match taken.len() - before {
            0 => class.take_fresh(want),
            _ => None,
        };
        drop(class);
        let armed = fresh.map_or(Ok(()), |fresh| self.arm(fresh, taken));
        self.count -= taken.len() - before;
        armed
    }

    /// Makes the guards of slots that were handed out without.
    fn arm(&self, fresh: Fresh, taken: &mut Vec<Stack>) -> io::Result<()> {
        let Fresh { first, count } = fresh;
        let kind = GuardKind::of_process()?;
        // SAFETY: the pool has handed the slots to us alone.
        let (done, refusal) = match unsafe { guard::arm(kind, first, self.size, count) } {
            Ok(()) => (count, None),
            Err(refused) => (refused.done, Some(refused.source)),
        };
        // SAFETY: `index < count`, so the slots are in the region.
        let slots = (0..done).map(|index| unsafe { first.nth(index, self.size) });
        taken.extend(slots.map(|slot| self.stack(slot)));
        let Some(source) = refusal else {
            return Ok(());
        };
        let mut class = class(self.size);
        class.untake_fresh(Fresh {
            // SAFETY: `done < count`, since the kernel refused one of `count`.
            first: unsafe { first.nth(done, self.size) },
            count: count - done,
        });
        match done {
            0 => Err(error::cannot_guard(self.size, class.in_use(), kind, source)),
            _ => Ok(()),
        }
    }

    /// Returns stacks to the pool, and gets `keep` promises for them.
    pub(super) fn exchange(&mut self, slots: &[Slot], keep: usize) {
        if self.check_process().is_ok() {
            give(self.size, slots, keep);
            self.count += keep;
        }
    }

    fn stack(&self, slot: Slot) -> Stack {
        Stack { slot, size: self.size, generation: self.generation }
    }

    fn check_process(&self) -> io::Result<()> {
        if self.generation == fork::generation() {
            return Ok(());
        }
        Err(io::Error::other(
            "this process is a fork child, where the stacks of its parent are gone: \
             make a new stack cache",
        ))
    }
}

impl Drop for Promises {
    fn drop(&mut self) {
        self.give_up(self.count);
    }
}

/// One stack, without a cache.
pub(super) fn allocate(size: StackSize) -> io::Result<Stack> {
    let mut promise = Promises::none(size);
    promise.ask(1)?;
    let mut taken = Vec::with_capacity(1);
    promise.redeem(1, &mut taken)?;
    Ok(taken.pop().expect("a promise was redeemed"))
}

/// How many stacks are handed out or promised.
#[cfg(test)]
pub(super) fn in_use(size: StackSize) -> usize {
    class(size).in_use()
}

/// For how many stacks there is room in the regions.
#[cfg(test)]
pub(super) fn room(size: StackSize) -> usize {
    class(size).room()
}

/// The stacks of this process, of all sizes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Bytes of address space that are set apart for stacks.
    pub reserved: usize,
    /// Stacks that are handed out, to caches, too.
    pub stacks: usize,
}

/// How many stacks there are, and for how many there is room.
pub fn usage() -> Usage {
    let pool = pool();
    if pool.generation != fork::generation() {
        return Usage::default();
    }
    pool.classes.values().map(Class::usage).fold(Usage::default(), |sum, (reserved, stacks)| {
        Usage { reserved: sum.reserved + reserved, stacks: sum.stacks + stacks }
    })
}

/// Takes back stacks of this process, and promises `keep` of them to the caller.
pub(super) fn give(size: StackSize, slots: &[Slot], keep: usize) {
    release(size, slots, 0);
    let mut class = class(size);
    class.give(slots, keep);
    let surplus = surplus(&mut class, MOST_FREE, MOST_FREE / 2);
    drop(class);
    give_back(surplus);
}

/// Gives regions with no stack in use back to the kernel, except a few.
pub(super) fn tidy() {
    let mut pool = pool();
    if pool.generation != fork::generation() {
        return;
    }
    let classes = pool.classes.values_mut();
    let surplus: Vec<_> = classes.flat_map(|class| surplus(class, KEEP_IDLE, KEEP_IDLE)).collect();
    drop(pool);
    give_back(surplus);
}

/// What a class can do without: nothing unless it has more than `most` bytes, else all but `keep`.
fn surplus(class: &mut Class, most: usize, keep: usize) -> Vec<Surplus> {
    if sanitizer::KEEPS_REGIONS || !class.has_surplus(most) {
        return Vec::new();
    }
    match GuardKind::of_process() {
        Ok(kind) => class.take_surplus(keep, kind),
        Err(_) => Vec::new(),
    }
}

fn give_back(surplus: Vec<Surplus>) {
    for Surplus { first, count, size } in surplus {
        // SAFETY: the class has had the whole region, of which nobody else has any stack then, and
        // has taken it out of its books.
        unsafe { slab::unmap(first, size, count) };
    }
}

/// Gives the memory of stacks that the caller holds and nothing runs on back to the kernel, except
/// their highest `keep` bytes.
pub(super) fn release(size: StackSize, slots: &[Slot], keep: usize) {
    let mut ranges: Vec<_> = slots.iter().map(|slot| slot.usable(size, keep)).collect();
    ranges.retain(|range| range.iov_len > 0);
    // A refusal (locked memory) leaves the pages where they are, which harms nobody. SAFETY: the
    // caller holds the stacks and nobody runs on them, so their contents are not needed.
    let _ = unsafe { advice::advise(&ranges, libc::MADV_DONTNEED) };
}

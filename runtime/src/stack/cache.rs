//! [`StackCache`]: one worker's warm stacks.
//!
//! Invariant: `promised + credit <= warm.len() + quota.count()`, so every reservation is backed by
//! a warm stack or by a promise of the pool.

use std::io;

use super::class::batch_limit;
use super::pool::{self, Promises};
use super::size::StackSize;
use super::slab::Slot;
use super::{Stack, fork};

/// How many stacks, or promises, the first batch fetches; every further one fetches twice as many.
const FIRST_BATCH: usize = 16;
/// Once in this many reservations some stacks are trimmed.
const TRIM_INTERVAL: usize = 4096;
/// How many stacks are trimmed then.
const TRIM_BATCH: usize = 4;
/// What trimming leaves of a stack, counted from its top.
const TRIM_KEEP: usize = 16 * 1024;

/// A worker's own stock of stacks of one size, the last returned first.
///
/// A stack that was used just now has its pages in memory and probably in the processor's cache,
/// and a first touch of a page costs microseconds, so reuse beats everything else. The cache
/// belongs to one thread at a time; its usual paths neither lock nor make a system call.
///
/// A task **reserves** a stack when it is spawned and **takes** it when it starts: until then it
/// costs no stack, yet a spawn fails while the spawner can still handle that.
///
/// At most 1,024 stacks stay warm (fewer above 256 KiB each: 256 MiB of address space). When there
/// are more, half of them, the longest unused, go to the process-wide pool and their memory goes
/// to the kernel. A warm stack that once went deep is trimmed sooner or later while the cache is in
/// use, or by [`StackCache::trim`]. While it is not in use, [`StackCache::rest`] keeps less.
///
/// # Examples
///
/// ```
/// use lisle_runtime::stack::{StackCache, StackSize};
///
/// let mut cache = StackCache::new(StackSize::DEFAULT);
/// cache.reserve()?;
/// let stack = cache.take()?;
/// cache.put(stack);
/// assert!(cache.len() >= 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct StackCache {
    size: StackSize,
    /// Stacks of `size`, the last returned last.
    warm: Vec<Stack>,
    /// Reservations that are neither taken nor cancelled.
    promised: usize,
    /// Reservations that may be made before the accounts are reviewed.
    credit: usize,
    /// What the pool has promised to this cache.
    quota: Promises,
    /// How many stacks stay warm, and the largest batch.
    limit: usize,
    next_ask: usize,
    next_take: usize,
    /// How much credit may still be given before the next trimming.
    until_trim: usize,
    /// Where in `warm` it begins.
    next_trim: usize,
}

/// What changes whenever a stack of a [`StackCache`] is reserved or comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StockUse {
    reservations_left: usize,
    warm: usize,
}

impl StackCache {
    /// An empty cache for stacks of `size`. Takes nothing from the pool yet.
    pub fn new(size: StackSize) -> Self {
        let size = StackSize::new(size.bytes());
        let limit = batch_limit(size);
        Self {
            size,
            warm: Vec::new(),
            promised: 0,
            credit: 0,
            quota: Promises::none(size),
            limit,
            next_ask: FIRST_BATCH.min(limit),
            next_take: FIRST_BATCH.min(limit),
            until_trim: TRIM_INTERVAL,
            next_trim: 0,
        }
    }

    /// The size of the stacks.
    pub fn size(&self) -> StackSize {
        self.size
    }

    /// The number of stacks that are here, warm or just made.
    pub fn len(&self) -> usize {
        self.warm.len()
    }

    /// Whether no stack is here.
    pub fn is_empty(&self) -> bool {
        self.warm.is_empty()
    }

    /// The number of reservations that are neither taken nor cancelled.
    pub fn reserved(&self) -> usize {
        self.promised
    }

    /// What is different from now on once the cache has been used.
    pub fn last_use(&self) -> StockUse {
        StockUse { reservations_left: self.credit + self.until_trim, warm: self.warm.len() }
    }

    /// Promises one more stack, to be claimed by [`StackCache::take`].
    ///
    /// # Errors
    ///
    /// If the process has no address space or, where guards need them, no memory maps for another
    /// stack. The text says what to raise. Nothing has changed then, and a later call may succeed.
    #[inline]
    pub fn reserve(&mut self) -> io::Result<()> {
        if self.credit == 0 {
            self.review()?;
        }
        self.credit -= 1;
        self.promised += 1;
        Ok(())
    }

    /// Gives a reservation back that will not be taken.
    ///
    /// # Panics
    ///
    /// Panics if there is none.
    #[inline]
    pub fn cancel_reservation(&mut self) {
        assert!(self.promised > 0, "no stack is reserved");
        self.promised -= 1;
    }

    /// Claims a reserved stack: the one returned last, or a new one.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the guard of a new stack, for want of memory or because the
    /// memory of the process is locked. The reservation stays.
    ///
    /// # Panics
    ///
    /// Panics if no stack is reserved.
    #[inline]
    pub fn take(&mut self) -> io::Result<Stack> {
        assert!(self.promised > 0, "no stack is reserved");
        if self.warm.is_empty() {
            self.refill()?;
        }
        let stack = self.warm.pop().expect("a reservation is backed");
        self.promised -= 1;
        Ok(stack)
    }

    /// Takes back a stack that nothing runs on any more. One of another size goes to the pool.
    #[inline]
    pub fn put(&mut self, stack: Stack) {
        if stack.size != self.size {
            return drop(stack);
        }
        self.warm.push(stack);
        if self.warm.len() > self.limit {
            self.spill();
        }
    }

    /// Gives the memory of all warm stacks back to the kernel, except 16 KiB at the top of each.
    ///
    /// For a time when the worker has nothing to do: it costs about a microsecond a stack.
    pub fn trim(&mut self) {
        self.trim_range(0, self.warm.len());
    }

    /// Gives all stacks back to the process, and the process what it does not need to the kernel:
    /// for a worker that has been idle for long, and may stay so.
    ///
    /// No stack stays warm, since it would keep its whole region. It costs about a microsecond a
    /// stack.
    pub fn rest(&mut self) {
        self.hand_back(self.warm.len());
        self.warm = Vec::new();
        self.quota.give_up(self.spare().min(self.quota.count()));
        self.next_ask = FIRST_BATCH.min(self.limit);
        self.next_take = FIRST_BATCH.min(self.limit);
        pool::tidy();
    }

    /// Accounts for the last credit, and gives a new one.
    #[cold]
    fn review(&mut self) -> io::Result<()> {
        if self.until_trim == 0 {
            self.trim_some();
            self.until_trim = TRIM_INTERVAL;
        }
        if self.spare() == 0 {
            self.quota.ask(self.next_ask)?;
            self.next_ask = (self.next_ask * 2).min(self.limit);
        }
        let excess = self.spare().saturating_sub(2 * self.limit);
        self.quota.give_up(excess.min(self.quota.count()));
        self.credit = self.spare().min(self.until_trim);
        self.until_trim -= self.credit;
        Ok(())
    }

    /// Stacks, here or promised by the pool, that no reservation needs.
    fn spare(&self) -> usize {
        self.warm.len() + self.quota.count() - self.promised
    }

    #[cold]
    fn refill(&mut self) -> io::Result<()> {
        self.quota.redeem(self.next_take, &mut self.warm)?;
        self.next_take = (self.next_take * 2).min(self.limit);
        Ok(())
    }

    /// Returns the colder half of the stacks to the pool.
    #[cold]
    fn spill(&mut self) {
        self.hand_back(self.warm.len().div_ceil(2));
    }

    /// Returns the coldest `count` stacks to the pool, but not what backs reservations.
    fn hand_back(&mut self, count: usize) {
        let slots = live_slots(self.warm.drain(..count));
        let backed = self.warm.len() + self.quota.count();
        let keep = self.promised.saturating_sub(backed).min(slots.len());
        self.quota.exchange(&slots, keep);
        self.credit = 0;
        self.next_trim = 0;
    }

    /// Trims a few stacks, starting from the coldest, each time a few further: an idle stack that
    /// once went deep would otherwise keep its pages for as long as warmer ones are reused.
    fn trim_some(&mut self) {
        if self.next_trim >= self.warm.len() {
            self.next_trim = 0;
        }
        let end = self.warm.len().min(self.next_trim + TRIM_BATCH);
        self.trim_range(self.next_trim, end);
        self.next_trim = end;
    }

    fn trim_range(&self, start: usize, end: usize) {
        let now = fork::generation();
        let live = self.warm[start..end].iter().filter(|stack| stack.generation == now);
        let slots: Vec<_> = live.map(|stack| stack.slot).collect();
        pool::release(self.size, &slots, TRIM_KEEP);
    }
}

impl Drop for StackCache {
    fn drop(&mut self) {
        self.promised = 0;
        self.hand_back(self.warm.len());
        self.quota.give_up(self.quota.count());
        pool::tidy();
    }
}

/// The slots of those stacks that this process has.
fn live_slots(stacks: impl Iterator<Item = Stack>) -> Vec<Slot> {
    stacks.filter_map(Stack::into_slot).collect()
}

#[cfg(test)]
mod tests;

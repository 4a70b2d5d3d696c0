//! Stacks with guards, cheap enough for a million of them.
//!
//! One stack, drawn with high addresses above:
//!
//! ```text
//!    top() ──▶ ┌───────────────┐  aligned to the page
//!              │ first frames  │  touched: a page of memory
//!              │       ↓       │
//!              │               │  not touched: address space only
//! bottom() ──▶ ├───────────────┤
//!              │     guard     │  any access faults
//!              └───────────────┘
//! ```
//!
//! Stacks lie side by side in regions, which are mapped without memory behind them. A stack is made
//! by turning its lowest pages into a guard ([`GuardKind`]); nothing touches the others before it
//! is run on. A stack that is no longer needed is returned for reuse: warm to the [`StackCache`] of
//! a worker, or without its memory to a pool of the whole process. The pool gives a region back to
//! the kernel when it has all of its stacks and has others at hand.
//!
//! A program that runs into a guard has overflowed its stack. The process says whose it
//! was, and aborts.
//!
//! A `fork` child has no stacks but the one it was forked on. It may run another program, or end,
//! or start afresh with a new cache; it must not look at other stacks of its parent.

mod advice;
mod cache;
mod class;
pub(crate) mod describe;
mod error;
pub(crate) mod fork;
mod guard;
mod limits;
mod overflow;
pub(crate) mod pool;
mod regions;
pub(crate) mod signal_stack;
mod size;
mod slab;

use std::io;
use std::mem::offset_of;
use std::ops::Range;

pub use self::cache::{StackCache, StockUse};
pub use self::guard::GuardKind;
pub(crate) use self::signal_stack::prepare_thread;
pub use self::size::StackSize;
use self::slab::Slot;

/// A stack that nobody else has. The picture is in the [module documentation](self).
///
/// Its memory is zero, or what an earlier user left there. Dropping it returns it to the pool of
/// the process and its memory to the kernel; this must not happen while anything runs on it or is
/// suspended on it. Forgetting it is always sound: the stack is then never used again.
///
/// # Examples
///
/// ```
/// use lisle_runtime::stack::{Stack, StackSize};
///
/// let stack = Stack::allocate(StackSize::new(1 << 20))?;
/// assert_eq!(stack.top().addr() - stack.bottom().addr(), 1 << 20);
/// assert_eq!(stack.guard().end, stack.bottom().addr());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stack {
    slot: Slot,
    size: StackSize,
    /// Of the process that made it: in a fork child the stack is gone.
    generation: u32,
}

/// Where a debugger finds the lowest usable byte of a [`Stack`], null in a `None`, and the size.
pub const LAYOUT: [usize; 2] = [offset_of!(Stack, slot), offset_of!(Stack, size)];

impl Stack {
    /// A stack of `size` from the pool of the process: for sizes that no [`StackCache`] serves.
    ///
    /// # Errors
    ///
    /// If there is no address space for it, or the kernel refuses its guard. The text says what to
    /// raise.
    ///
    /// ```
    /// use lisle::coroutine::{Coroutine, Stack, StackSize, Yielder};
    ///
    /// let stack = Stack::allocate(StackSize::new(1 << 20))?;
    /// Coroutine::with_stack(stack, |_: &Yielder<(), (), ()>, ()| ()).resume(());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn allocate(size: StackSize) -> io::Result<Self> {
        pool::allocate(StackSize::new(size.bytes()))
    }

    /// The end of the stack, where it begins to grow downwards. Aligned to the page.
    ///
    /// ```
    /// use lisle::coroutine::{Stack, StackSize};
    ///
    /// let stack = Stack::allocate(StackSize::DEFAULT)?;
    /// assert_eq!(stack.top().addr() - stack.bottom().addr(), stack.size().bytes());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn top(&self) -> *mut u8 {
        self.slot.bottom().as_ptr().wrapping_add(self.size.bytes())
    }

    /// The lowest usable byte.
    ///
    /// ```
    /// use lisle::coroutine::{Stack, StackSize};
    ///
    /// let stack = Stack::allocate(StackSize::DEFAULT)?;
    /// assert!(stack.bottom() < stack.top());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn bottom(&self) -> *mut u8 {
        self.slot.bottom().as_ptr()
    }

    /// The addresses of the guard, just below [`Stack::bottom`].
    ///
    /// ```
    /// use lisle::coroutine::{Stack, StackSize};
    ///
    /// let stack = Stack::allocate(StackSize::DEFAULT)?;
    /// assert_eq!(stack.guard().end, stack.bottom().addr());
    /// # Ok::<_, std::io::Error>(())
    /// ```
    pub fn guard(&self) -> Range<usize> {
        let end = self.bottom().addr();
        end - slab::guard_size(self.size)..end
    }

    /// The size: what lies between [`Stack::bottom`] and [`Stack::top`].
    ///
    /// ```
    /// use lisle::coroutine::{Stack, StackSize};
    ///
    /// assert_eq!(Stack::allocate(StackSize::new(100_000))?.size(), StackSize::new(100_000));
    /// # Ok::<_, std::io::Error>(())
    /// ```
    #[inline]
    pub fn size(&self) -> StackSize {
        self.size
    }

    /// The slot of a stack that this process has.
    fn into_slot(self) -> Option<Slot> {
        let slot = (self.generation == fork::generation()).then_some(self.slot);
        std::mem::forget(self);
        slot
    }
}

/// Where a task should begin: up to 15 cache lines below the top of its stack, at another
/// distance for each of 16 neighbours.
///
/// Most of thousands of tasks wait at the same depth. If all began at the top of a page, their
/// frames would share a few sets of the processor's caches, and push each other out of them.
#[inline]
pub fn staggered_top(stack: &Stack) -> *mut u8 {
    const LINE: usize = 64;
    const NEIGHBOURS: usize = 16;
    let top = stack.top();
    // Neighbours lie an odd number of pages apart.
    let number = top.addr() >> 12;
    top.wrapping_sub(number % NEIGHBOURS * LINE)
}

/// The usable bytes of the stack that `address` lies on, if it is one of ours.
#[cfg(any(lisle_sanitize = "address", lisle_sanitize = "thread", lisle_sanitize = "valgrind"))]
pub(crate) fn bounds_at(address: usize) -> Option<Range<usize>> {
    regions::locate(address).map(|room| room.bottom..room.top)
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.generation == fork::generation() {
            pool::give(self.size, &[self.slot], 0);
        }
    }
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn tasks_of_neighbouring_stacks_begin_at_different_lines() {
        let stacks: Vec<Stack> =
            (0..16).map(|_| Stack::allocate(StackSize::MIN).unwrap()).collect();
        let shift = |stack: &Stack| stack.top().addr() - staggered_top(stack).addr();
        let shifts: HashSet<usize> = stacks.iter().map(shift).collect();
        assert!(shifts.iter().all(|shift| *shift < 1024 && shift.is_multiple_of(64)));
        // They need not all be neighbours, but most of them are.
        assert!(shifts.len() > 4, "{shifts:?}");
    }
}

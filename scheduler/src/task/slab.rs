//! Memory for control blocks: dense chunks, free lists, nothing returned to the allocator.
//!
//! A worker allocates and frees from a list of its own without synchronisation. Blocks that other
//! threads free, and those of workers that end, go to one list of the process. Memory stays with
//! the slab and is reused, so it grows to the largest number of tasks that were alive at once.

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::cell::RefCell;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::{Mutex, PoisonError};

use super::Control;
use crate::debugger;
use crate::per_process::PerProcess;

/// Control blocks a chunk: 12 KiB.
pub(crate) const CHUNK: usize = 64;
/// Free blocks that a worker keeps before it gives some to the process.
const KEEP: usize = 4 * CHUNK;

/// A free block, as a list entry.
struct Free(NonNull<Control>);

// SAFETY: a free block is plain memory that nobody uses.
unsafe impl Send for Free {}

static SHARED: PerProcess<Mutex<Vec<Free>>> = PerProcess::new();

fn shared() -> std::sync::MutexGuard<'static, Vec<Free>> {
    SHARED.get_or(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// One worker's free control blocks.
#[derive(Default)]
pub(crate) struct Slab {
    free: RefCell<Vec<Free>>,
}

impl Slab {
    /// Memory for one control block.
    #[inline]
    pub(crate) fn allocate(&self) -> NonNull<Control> {
        let free = self.free.borrow_mut().pop();
        free.unwrap_or_else(|| self.refill()).0
    }

    /// Memory for one control block, on a thread that is no worker of the team.
    pub(crate) fn allocate_shared() -> NonNull<Control> {
        let reused = shared().pop();
        reused.unwrap_or_else(|| Self::default().refill()).0
    }

    #[cold]
    fn refill(&self) -> Free {
        let mut free = self.free.borrow_mut();
        let mut shared = shared();
        let reused = shared.len().min(CHUNK);
        let from = shared.len() - reused;
        free.extend(shared.drain(from..));
        drop(shared);
        if free.is_empty() {
            let layout = Layout::array::<Control>(CHUNK).expect("a chunk is small");
            // SAFETY: the layout is not empty.
            let chunk = unsafe { alloc_zeroed(layout) }.cast::<Control>();
            let chunk = NonNull::new(chunk).unwrap_or_else(|| handle_alloc_error(layout));
            debugger::show_chunk(chunk);
            // SAFETY: the offsets stay inside the chunk. The lowest address is taken out first.
            free.extend((0..CHUNK).rev().map(|n| Free(unsafe { chunk.add(n) })));
        }
        free.pop().expect("just filled")
    }

    /// Takes a block back.
    ///
    /// # Safety
    ///
    /// It came from a slab, its contents are dropped, and nobody uses it.
    #[inline]
    pub(crate) unsafe fn free(&self, block: NonNull<Control>) {
        // SAFETY: the caller's promise.
        unsafe { mark_as_free(block) };
        let mut free = self.free.borrow_mut();
        free.push(Free(block));
        if free.len() > KEEP {
            give_half(&mut free);
        }
    }

    /// Takes a block back on a thread that is no worker.
    ///
    /// # Safety
    ///
    /// As for [`free`](Self::free).
    pub(crate) unsafe fn free_shared(block: NonNull<Control>) {
        // SAFETY: the caller's promise.
        unsafe { mark_as_free(block) };
        shared().push(Free(block));
    }
}

/// Has a debugger see that there is no task: its number is 0.
///
/// # Safety
///
/// As for [`Slab::free`].
#[inline(always)]
unsafe fn mark_as_free(block: NonNull<Control>) {
    // SAFETY: the number is in the block, which is nobody's.
    unsafe { block.byte_add(offset_of!(Control, id)).cast::<u64>().write(0) };
}

/// Gives the coldest half to the process.
#[cold]
fn give_half(free: &mut Vec<Free>) {
    let half = free.len() / 2;
    shared().extend(free.drain(..half));
}

impl Drop for Slab {
    fn drop(&mut self) {
        shared().append(self.free.get_mut());
    }
}

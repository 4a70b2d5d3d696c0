//! What becomes of stacks when the process forks.
//!
//! A child gets none of them, which makes `fork` some three times faster at 10,000 tasks, with two
//! exceptions: the stack that the forking thread is running on, without which the child could not
//! even return from `fork`, and one from which it has [borrowed](borrowing_from). In the child the
//! pool begins anew; older stacks and regions are recognised by their generation, and a child that
//! touches one is told so.

use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::RawMutex;
use parking_lot::lock_api::RawMutex as _;

use super::pool::POOL;
use super::regions::{self, CHANGES};
use crate::once::Step;
use crate::stack_pointer::stack_pointer;

static GENERATION: AtomicU32 = AtomicU32::new(0);

/// How many forks, since the first region was mapped, lie between this process and its first
/// ancestor.
#[inline]
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// The same, for what lies outside of stacks: from the first call on.
pub fn watched_generation() -> u32 {
    watch();
    generation()
}

/// From now on forks are handled.
pub(super) fn watch() {
    static WATCH: Step = Step::new();
    WATCH.call_once(|| {
        // SAFETY: the three functions do not allocate, and the locks that they take are never held
        // while a fork can be called. The call fails only for want of memory; a fork from a task
        // would then not work. A child may have to repeat it, see `LOANS`.
        unsafe { libc::pthread_atfork(Some(lend), Some(take_back), Some(begin_anew)) };
    });
}

thread_local! {
    /// How often `lend` was called for the fork that this thread makes: once, or more often if a
    /// process has registered the functions though its parent had.
    static LOANS: Cell<u32> = const { Cell::new(0) };
}

fn is_first_loan() -> bool {
    LOANS.replace(LOANS.get() + 1) == 0
}

fn is_last_return() -> bool {
    LOANS.set(LOANS.get() - 1);
    LOANS.get() == 0
}

thread_local! {
    /// An address on the stack from which the thread has borrowed; 0 if there is none.
    static LENDER: Cell<usize> = const { Cell::new(0) };
}

/// Runs `call`, which borrows from the stack on which `address` lies: if it forks, the child has
/// that stack too.
pub fn borrowing_from<R>(address: usize, call: impl FnOnce() -> R) -> R {
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LENDER.set(self.0);
        }
    }
    let _restore = Restore(LENDER.replace(address));
    call()
}

/// What is locked here is unlocked behind the fork: the child would find it held for ever by a
/// thread that it does not have.
unsafe extern "C" fn lend() {
    if !is_first_loan() {
        return;
    }
    std::mem::forget((POOL.lock(), CHANGES.lock()));
    advise_stacks(libc::MADV_DOFORK);
}

unsafe extern "C" fn take_back() {
    if !is_last_return() {
        return;
    }
    advise_stacks(libc::MADV_DONTFORK);
    // SAFETY: this thread has locked both in `lend`.
    unsafe {
        CHANGES.force_unlock();
        POOL.force_unlock();
    }
}

unsafe extern "C" fn begin_anew() {
    if !is_last_return() {
        return;
    }
    GENERATION.fetch_add(1, Ordering::Relaxed);
    // SAFETY: the only thread of the child has locked both in `lend`. Those that wait for them are
    // threads of the parent, to be forgotten and not to be woken.
    unsafe {
        forget_waiters(CHANGES.raw());
        forget_waiters(POOL.raw());
    }
}

/// # Safety
///
/// Nobody else uses the lock.
unsafe fn forget_waiters(lock: &RawMutex) {
    // SAFETY: the lock is an atomic integer, which may be written through a shared reference, and
    // nobody else does so now.
    unsafe { ptr::from_ref(lock).cast_mut().write(RawMutex::INIT) };
}

fn advise_stacks(advice: libc::c_int) {
    for room in [stack_pointer(), LENDER.get()].into_iter().filter_map(regions::locate) {
        let start = ptr::with_exposed_provenance_mut(room.start);
        // SAFETY: the range is the room of one stack, and the advice changes only what a fork does
        // with it. Should the kernel refuse, the child ends at once by a fault.
        unsafe { libc::madvise(start, room.top - room.start, advice) };
    }
}

//! The end of a thread's thread-locals while tasks still run on the thread.
//!
//! `std::process::exit`, called by a task, destroys the thread-locals of its thread, the youngest
//! first, on the stack of that task. Other tasks are suspended meanwhile, perhaps with references
//! to what is destroyed; a destructor that waited would let them go on. So from a certain moment no
//! task of the thread is suspended any more: waits end at once, as if the other side were gone, and
//! yields do nothing.
//!
//! That moment is when the youngest of our own marks is destroyed. The C library keeps one list for
//! the thread, last in, first out, and does not report additions. So marks are set now and then,
//! ever more seldom. A destructor that waits goes unnoticed only in a thread-local that is younger
//! than the last mark; to avoid that is left to the user.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::ptr;

use lisle_runtime::internal::never_suspend_again;

use super::with_current;

unsafe extern "C" {
    static __dso_handle: u8;

    /// Has a function called when the thread-locals of the calling thread are destroyed that have
    /// one.
    fn __cxa_thread_atexit_impl(
        function: unsafe extern "C" fn(*mut c_void),
        argument: *mut c_void,
        image: *const u8,
    ) -> c_int;
}

thread_local! {
    static OCCASIONS: Cell<u64> = const { Cell::new(0) };
    static GONE: Cell<bool> = const { Cell::new(false) };
}

/// This many occasions are all taken: most thread-locals are young when the thread is.
const ALL_TAKEN: u64 = 64;

/// Occasions to set a mark. Later ones are taken if they are the 128th, the 256th and so on of this
/// thread. A worker counts down to the next one that is taken.
pub(super) struct Occasions {
    left: Cell<u64>,
    /// What `left` was when the thread's count was right.
    span: Cell<u64>,
}

impl Occasions {
    pub(super) const fn new() -> Self {
        Self { left: Cell::new(1), span: Cell::new(1) }
    }

    /// One has come.
    #[inline(always)]
    pub(super) fn pass(&self) {
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0 {
            self.take();
        }
    }

    #[cold]
    #[inline(never)]
    fn take(&self) {
        let occasions = self.count();
        // The thread of a model outlives it.
        if !cfg!(lisle_loom) {
            // SAFETY: the function ignores its argument, and belongs to this image. If there is no
            // memory for it, there is no mark.
            unsafe { __cxa_thread_atexit_impl(note_end, ptr::null_mut(), &raw const __dso_handle) };
        }
        self.span.set(span_after(occasions));
        self.left.set(self.span.get());
    }

    /// Adds what has passed to the thread's count, and returns that.
    fn count(&self) -> u64 {
        let passed = self.span.get() - self.left.get();
        OCCASIONS.set(OCCASIONS.get() + passed);
        self.span.set(self.left.get());
        OCCASIONS.get()
    }

    /// The worker begins, in its thread.
    pub(super) fn begin(&self) {
        self.span.set(span_after(OCCASIONS.get()));
        self.left.set(self.span.get());
        self.pass();
    }

    /// The worker has ended.
    pub(super) fn end(&self) {
        self.count();
    }
}

/// After how many more the next is taken.
fn span_after(occasions: u64) -> u64 {
    if occasions < ALL_TAKEN { 1 } else { (occasions + 1).next_power_of_two() - occasions }
}

unsafe extern "C" fn note_end(_: *mut c_void) {
    // A thread on which no task runs any more waits as threads do.
    if with_current(|worker| worker.is_some()) && !GONE.replace(true) {
        never_suspend_again();
    }
}

/// Whether a task that wants to wait or yield calls from the destructor of a thread-local. Asked
/// inside sections, where tasks must not be suspended.
#[cold]
pub(super) fn are_gone() -> bool {
    GONE.get()
}

#[cfg(all(test, not(lisle_loom)))]
mod tests {
    use super::*;

    #[test]
    fn workers_of_a_thread_take_its_first_occasions_and_then_powers_of_two() {
        let takes = |passes: u64| {
            let occasions = Occasions::new();
            occasions.begin();
            let begins_with_a_mark = occasions.left.get() == occasions.span.get();
            let others = (0..passes).filter(|_| {
                occasions.pass();
                occasions.left.get() == occasions.span.get()
            });
            let taken = others.count() + usize::from(begins_with_a_mark);
            occasions.end();
            taken
        };
        std::thread::spawn(move || {
            assert_eq!(takes(ALL_TAKEN - 2), ALL_TAKEN as usize - 1);
            assert_eq!(takes(1), 1, "the beginning is the last of the first");
            assert_eq!((takes(30), takes(31)), (0, 1), "the 128th, counted over both");
            assert_eq!(takes(900), 3, "up to 1,024");
        })
        .join()
        .unwrap();
    }
}

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

/// An occasion to set a mark. Later ones are taken if they are the 128th, the 256th and so on of
/// this thread.
pub(super) fn mark() {
    let occasions = OCCASIONS.with(|occasions| {
        occasions.set(occasions.get() + 1);
        occasions.get()
    });
    // The thread of a model outlives it.
    if (occasions <= ALL_TAKEN || occasions.is_power_of_two()) && !cfg!(lisle_loom) {
        // SAFETY: the function ignores its argument, and belongs to this image. If there is no
        // memory for it, there is no mark.
        unsafe { __cxa_thread_atexit_impl(note_end, ptr::null_mut(), &raw const __dso_handle) };
    }
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

//! Sections of code that must not be left by a suspension.

use std::cell::Cell;

use crate::primitive;
use crate::stack_pointer::stack_pointer;

primitive::thread_local! {
    /// How many `no_suspend` calls the running stack is inside of.
    static DEPTH: Cell<u32> = Cell::new(0)
}

primitive::thread_local! {
    /// An address in the frame of the innermost of these calls, which tells on whose stack it is.
    static INNERMOST: Cell<usize> = Cell::new(0)
}

/// Runs `section`, in which the caller may not be suspended: to park, to yield to other tasks, or
/// to suspend a coroutine that was entered before the section panics.
///
/// It is for code that holds something of the thread's, so that no other task of the thread may run
/// meanwhile: the initialiser of a `thread_local!`, the closure of a scoped thread-local, a panic
/// hook. A coroutine that is resumed inside the section may suspend, since that comes back into it.
///
/// # Examples
///
/// ```should_panic
/// use lisle::coroutine::Coroutine;
///
/// let coroutine = Coroutine::new(|yielder, ()| lisle::no_suspend(|| yielder.suspend(1)));
/// coroutine.resume(()); // panics: a coroutine cannot be suspended inside no_suspend
/// ```
#[inline(always)]
pub fn no_suspend<R>(section: impl FnOnce() -> R) -> R {
    struct Leave {
        outer: usize,
    }
    impl Drop for Leave {
        #[inline]
        fn drop(&mut self) {
            DEPTH.with(|depth| depth.set(depth.get() - 1));
            INNERMOST.with(|innermost| innermost.set(self.outer));
        }
    }
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let _leave = Leave { outer: INNERMOST.with(|innermost| innermost.replace(stack_pointer())) };
    section()
}

/// Puts all that this thread will ever do into a section.
#[doc(hidden)]
pub fn never_suspend_again() {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
}

/// How many sections the caller is in. For schedulers, which panic rather than switch if it is not
/// 0.
#[doc(hidden)]
#[inline]
pub fn no_suspend_depth() -> u32 {
    DEPTH.with(Cell::get)
}

/// Where the innermost section is, if the caller is in one.
pub(crate) fn innermost_section() -> usize {
    INNERMOST.with(Cell::get)
}

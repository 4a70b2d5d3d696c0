//! Sections of code that must not be left by a suspension.

use std::cell::Cell;

use crate::primitive;
use crate::stack_pointer::stack_pointer;

primitive::thread_local! {
    /// An address in the frame of the innermost call of `no_suspend`, which tells on whose stack
    /// that is; 0 outside of all.
    static INNERMOST: Cell<usize> = Cell::new(0)
}

/// Stands for a section that is on no stack.
const NOWHERE: usize = usize::MAX;

/// Runs `section`, in which the caller may not be suspended: to park, to yield to other tasks, or
/// to suspend a coroutine that was entered before the section panics.
///
/// It is for code that holds something of the thread's, so that no other task of the thread may run
/// meanwhile: the initialiser of a `thread_local!`, the closure of a scoped thread-local, a panic
/// hook. A coroutine that is resumed inside the section may suspend, since that comes back into it.
///
/// # Examples
///
/// An initialiser that must not wait:
///
/// ```
/// fn load() -> u32 {
///     6 * 7 // a wait in here, a `recv` say, would panic in a task
/// }
///
/// thread_local!(static ANSWER: u32 = lisle::no_suspend(load));
///
/// lisle::run(|| assert_eq!(ANSWER.with(|answer| *answer), 42));
/// ```
///
/// A coroutine cannot leave the section:
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
            INNERMOST.with(|innermost| innermost.set(self.outer));
        }
    }
    let _leave = Leave { outer: INNERMOST.with(|innermost| innermost.replace(stack_pointer())) };
    section()
}

/// Opens a section that never ends: from now on nothing on this thread may suspend.
pub fn never_suspend_again() {
    if !in_section() {
        INNERMOST.with(|innermost| innermost.set(NOWHERE));
    }
}

/// Whether the caller is in a section. For schedulers, which panic there rather than switch.
#[inline]
pub fn in_section() -> bool {
    innermost_section() != 0
}

/// Where the innermost section is, if the caller is in one.
#[inline]
pub(crate) fn innermost_section() -> usize {
    INNERMOST.with(Cell::get)
}

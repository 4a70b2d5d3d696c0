//! Sections of code out of which a coroutine may not be suspended, although its task may wait.
//!
//! The sections that are open on a thread are in a list, since tasks leave theirs in any order.

use std::cell::Cell;
use std::ptr;

use crate::primitive;
use crate::stack_pointer::stack_pointer;

primitive::thread_local! {
    /// The section that was entered last on this thread and is still open; null if there is none.
    static LAST: Cell<*const Section> = Cell::new(ptr::null())
}

/// An open section, in the frame that has entered it.
struct Section {
    /// An address on the stack of that frame. A sanitizer may keep the section itself elsewhere.
    address: usize,
    earlier: Cell<*const Section>,
    later: Cell<*const Section>,
}

/// Runs `section`, which lasts until it returns or unwinds on this stack. A coroutine that was
/// entered before cannot be suspended inside: that panics. One that is resumed inside can be
/// suspended, since that comes back into the section. To wait, and so let other tasks run, is
/// allowed.
#[inline(never)]
pub fn attached<R>(section: impl FnOnce() -> R) -> R {
    struct Leave<'a>(&'a Section);
    impl Drop for Leave<'_> {
        fn drop(&mut self) {
            let Section { earlier, later, .. } = self.0;
            // SAFETY: sections in the list are open, so that their frames are alive, and all are of
            // this thread: what runs in one goes to no other thread before it has left it.
            match unsafe { later.get().as_ref() } {
                Some(later) => later.earlier.set(earlier.get()),
                None => LAST.with(|last| last.set(earlier.get())),
            }
            // SAFETY: as above.
            if let Some(earlier) = unsafe { earlier.get().as_ref() } {
                earlier.later.set(later.get());
            }
        }
    }
    let this = Section {
        address: stack_pointer(),
        earlier: Cell::new(LAST.with(Cell::get)),
        later: Cell::new(ptr::null()),
    };
    // SAFETY: as above.
    if let Some(earlier) = unsafe { this.earlier.get().as_ref() } {
        earlier.later.set(&this);
    }
    LAST.with(|last| last.set(&this));
    let _leave = Leave(&this);
    section()
}

/// Not 0 if any section is open on the calling thread, perhaps another task's.
#[inline]
pub(crate) fn last_attached() -> usize {
    LAST.with(Cell::get).addr()
}

/// Whether a section is open that was entered on the `room` bytes of stack below `top`.
#[cold]
pub(crate) fn is_attached<T>(top: *const T, room: usize) -> bool {
    let mut section = LAST.with(Cell::get);
    // SAFETY: as in `attached`.
    while let Some(open) = unsafe { section.as_ref() } {
        if top.addr().wrapping_sub(open.address) <= room {
            return true;
        }
        section = open.earlier.get();
    }
    false
}

//! The stack on which a thread handles an overflow of the one it runs on.

use std::cell::Cell;
use std::io;
use std::mem;
use std::ptr;

use libc::{c_void, stack_t};

use super::size::page_size;

/// What a handler may use beyond what the kernel saves there.
const ROOM: usize = 16 * 1024;

/// Gives the calling thread a signal stack if it has none, until the thread ends.
///
/// Threads made by Rust's standard library have one; threads made by others usually have not. A
/// worker calls this once, before it runs tasks. A thread that makes a coroutine has called it.
///
/// # Errors
///
/// If the kernel has no memory for it.
pub fn ensure_signal_stack() -> io::Result<()> {
    if current().ss_flags & libc::SS_DISABLE == 0 {
        return Ok(());
    }
    let stack = SignalStack::map()?;
    // SAFETY: the stack is mapped until its owner is dropped, which takes it out of use first.
    if unsafe { libc::sigaltstack(&stack.describe(), ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // While the thread ends and its locals are gone nothing can keep it, and it goes at once.
    let _ = OWN.try_with(|own| own.set(Some(stack)));
    Ok(())
}

/// Calls [`ensure_signal_stack`] once for each thread. Without memory for a signal stack an
/// overflow on this thread ends the process without a report.
#[inline]
pub(crate) fn prepare_thread() {
    if !PREPARED.get() {
        prepare_first();
    }
}

#[cold]
#[inline(never)]
fn prepare_first() {
    PREPARED.set(true);
    let _ = ensure_signal_stack();
}

thread_local! {
    static OWN: Cell<Option<SignalStack>> = const { Cell::new(None) };
    static PREPARED: Cell<bool> = const { Cell::new(false) };
}

/// `[guard page | room]`, mapped.
struct SignalStack {
    base: *mut c_void,
    /// Without the guard.
    room: usize,
}

impl SignalStack {
    fn map() -> io::Result<Self> {
        // SAFETY: `getauxval` reads a constant of the process. Zero means that it is not given.
        let saved = unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize;
        let page = page_size();
        let room = (saved.max(libc::MINSIGSTKSZ) + ROOM).next_multiple_of(page);
        // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
        let base = unsafe {
            libc::mmap(
                ptr::null_mut(),
                page + room,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base, room };
        // SAFETY: the page is the lowest of the mapping above, which nobody uses yet.
        if unsafe { libc::mprotect(base, page, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(stack)
    }

    fn describe(&self) -> stack_t {
        stack_t { ss_sp: self.base.wrapping_byte_add(page_size()), ss_flags: 0, ss_size: self.room }
    }
}

impl Drop for SignalStack {
    fn drop(&mut self) {
        let present = current();
        if present.ss_sp == self.describe().ss_sp {
            let off = stack_t { ss_flags: libc::SS_DISABLE, ..present };
            // SAFETY: takes the stack out of use; no handler runs on it, since the thread is
            // dropping its thread-locals or has not got it yet.
            unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
        }
        // SAFETY: the mapping is ours and, by now, not in use.
        unsafe { libc::munmap(self.base, page_size() + self.room) };
    }
}

fn current() -> stack_t {
    // SAFETY: for this plain C struct all bytes zero is a valid value.
    let mut present: stack_t = unsafe { mem::zeroed() };
    // SAFETY: asks for the present signal stack, to be written to `present`.
    unsafe { libc::sigaltstack(ptr::null(), &mut present) };
    present
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_signal_stack_gets_one_and_keeps_the_one_it_has() {
        std::thread::spawn(|| {
            let before = current();
            ensure_signal_stack().unwrap();
            if before.ss_flags & libc::SS_DISABLE == 0 {
                assert_eq!(current().ss_sp, before.ss_sp);
            }
            let off = stack_t { ss_flags: libc::SS_DISABLE, ..before };
            // SAFETY: no handler runs; the thread has no signal stack from here on.
            unsafe { libc::sigaltstack(&off, ptr::null_mut()) };
            ensure_signal_stack().unwrap();
            let own = current();
            assert_eq!(own.ss_flags & libc::SS_DISABLE, 0);
            assert!(own.ss_size >= ROOM);
            ensure_signal_stack().unwrap();
            assert_eq!(current().ss_sp, own.ss_sp);
            drop(OWN.take());
            assert_ne!(current().ss_flags & libc::SS_DISABLE, 0);
            if before.ss_flags & libc::SS_DISABLE == 0 {
                // SAFETY: restores what the thread had, which std frees when the thread ends.
                unsafe { libc::sigaltstack(&before, ptr::null_mut()) };
            }
        })
        .join()
        .unwrap();
    }
}

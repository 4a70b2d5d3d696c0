//! Guards: which kind this process uses, and how they are made.
//!
//! A guard is some pages below a stack; any access to them faults. There are two kinds. Linux 6.13
//! and later mark pages in the page table alone, which leaves the number of memory maps as it is,
//! so a million stacks need no setting. Elsewhere each guard is a map of its own, and
//! `vm.max_map_count` (65,530 by default) ends at about 32,750 stacks.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

use super::advice::{self, Refused};
use super::size::{StackSize, page_size};
use super::slab::Slot;

/// `MADV_GUARD_INSTALL` of Linux 6.13.
const GUARD_INSTALL: libc::c_int = 102;

/// Forces a kind: `install` or `mprotect`.
pub(super) const VARIABLE: &str = "LISLE_STACK_GUARD";

/// How guards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardKind {
    /// By `MADV_GUARD_INSTALL`: no memory map a stack.
    Install,
    /// By `mprotect`: two memory maps a stack.
    Mprotect,
}

impl GuardKind {
    /// The kind that this process uses, decided once.
    ///
    /// `LISLE_STACK_GUARD=install` or `=mprotect` forces one; unset or empty takes the first that
    /// is seen to work here.
    ///
    /// # Errors
    ///
    /// If the variable has another value, or forces `install` where such a guard does not fault.
    /// Every stack that is asked for then fails with this error.
    pub fn of_process() -> io::Result<Self> {
        // Several threads may decide at the same time, and come to the same result.
        static KIND: AtomicU8 = AtomicU8::new(UNDECIDED);
        const UNDECIDED: u8 = 0;
        const INSTALL: u8 = 1;
        const MPROTECT: u8 = 2;
        match KIND.load(Ordering::Relaxed) {
            INSTALL => return Ok(Self::Install),
            MPROTECT => return Ok(Self::Mprotect),
            _ => {}
        }
        let kind = decide().map_err(|text| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        let known = match kind {
            Self::Install => INSTALL,
            Self::Mprotect => MPROTECT,
        };
        KIND.store(known, Ordering::Relaxed);
        Ok(kind)
    }
}

fn decide() -> Result<GuardKind, String> {
    let value = std::env::var_os(VARIABLE).unwrap_or_default();
    match value.to_str() {
        Some("") if installed_guard_faults() => Ok(GuardKind::Install),
        Some("" | "mprotect") => Ok(GuardKind::Mprotect),
        Some("install") if installed_guard_faults() => Ok(GuardKind::Install),
        Some("install") => Err(format!(
            "{VARIABLE}=install, but such guard pages do not work here (Linux 6.13 has them): \
             set {VARIABLE}=mprotect or leave it unset"
        )),
        _ => Err(format!(
            "{VARIABLE}={} is no kind of guard page: give install or mprotect",
            value.display()
        )),
    }
}

/// Installs a guard and has the kernel write into it. Trusting the answer to the advice would not
/// do: an emulator may accept any advice and do nothing.
fn installed_guard_faults() -> bool {
    let page = page_size();
    // SAFETY: a new mapping at an address of the kernel's choice disturbs nothing.
    let pages = unsafe {
        libc::mmap(
            ptr::null_mut(),
            2 * page,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if pages == libc::MAP_FAILED {
        return false;
    }
    // SAFETY: the page is the first of the mapping above. The system call (not the C function,
    // which would write from user space) gets a place that is large enough for its result, and
    // reports a fault as an error.
    let refused = unsafe {
        libc::madvise(pages, page, GUARD_INSTALL) == 0
            && libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, pages) == -1
            && io::Error::last_os_error().raw_os_error() == Some(libc::EFAULT)
    };
    // SAFETY: nobody else knows of the mapping made above.
    unsafe { libc::munmap(pages, 2 * page) };
    refused
}

/// Gives each of `count` neighbouring slots its guard.
///
/// # Safety
///
/// `first` begins `count` slots of `size` in one region, and nobody uses them.
pub(super) unsafe fn arm(
    kind: GuardKind,
    first: Slot,
    size: StackSize,
    count: usize,
) -> Result<(), Refused> {
    // SAFETY: `index < count`, so the slot is in the region.
    let guard = |index| unsafe { first.nth(index, size) }.guard(size);
    match kind {
        GuardKind::Install => {
            let guards: Vec<_> = (0..count).map(guard).collect();
            // SAFETY: the caller says that nobody uses the slots, so what is below them holds
            // nothing.
            unsafe { advice::advise(&guards, GUARD_INSTALL) }
        }
        GuardKind::Mprotect => {
            for done in 0..count {
                // SAFETY: nobody uses the slot, so nobody misses access to what is below.
                if let Err(source) = unsafe { protect(guard(done), libc::PROT_NONE) } {
                    return Err(Refused { done, source });
                }
            }
            Ok(())
        }
    }
}

/// Undoes [`arm`] for guards made by `mprotect`, so that their maps can merge again.
///
/// # Safety
///
/// As for [`arm`].
pub(super) unsafe fn unprotect(first: Slot, size: StackSize, count: usize) {
    for index in 0..count {
        // SAFETY: `index < count`, so the slot is in the region; nobody relies on its guard, since
        // nobody uses it. Should the kernel refuse, the guard stays, and arming it again is
        // harmless.
        let _ = unsafe {
            protect(first.nth(index, size).guard(size), libc::PROT_READ | libc::PROT_WRITE)
        };
    }
}

/// # Safety
///
/// `pages` are mapped, and nobody needs the access that this takes away.
unsafe fn protect(pages: libc::iovec, access: libc::c_int) -> io::Result<()> {
    // SAFETY: as the caller says.
    match unsafe { libc::mprotect(pages.iov_base, pages.iov_len, access) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::slab;
    use super::*;

    /// Whether the kernel can write there: to all of the pages, or to none. It answers with an
    /// error where we would fault.
    fn writable(pages: libc::iovec) -> bool {
        let write = |offset| {
            let place = pages.iov_base.wrapping_byte_add(offset);
            // SAFETY: the kernel writes a few bytes to a page that nobody uses, or refuses.
            unsafe { libc::syscall(libc::SYS_clock_gettime, libc::CLOCK_MONOTONIC, place) == 0 }
        };
        let lowest = write(0);
        assert!((0..pages.iov_len).step_by(page_size()).all(|offset| write(offset) == lowest));
        assert_eq!(write(pages.iov_len - 16), lowest);
        lowest
    }

    fn check(kind: GuardKind) {
        let size = StackSize::new(64 * 1024);
        let first = slab::map(size, 9).unwrap();
        // SAFETY: the region has nine slots, and nobody else knows them.
        unsafe { arm(kind, first, size, 8) }.unwrap();
        for index in 0..9 {
            // SAFETY: the region has nine slots.
            let slot = unsafe { first.nth(index, size) };
            assert_eq!(writable(slot.guard(size)), index == 8, "slot {index}");
            assert!(writable(slot.usable(size, 0)), "slot {index}");
        }
    }

    #[test]
    fn guards_made_by_mprotect_fault_and_nothing_beside_them_does() {
        check(GuardKind::Mprotect);
    }

    #[test]
    fn installed_guards_fault_and_nothing_beside_them_does() {
        if installed_guard_faults() {
            check(GuardKind::Install);
        } else {
            println!("skipped: this kernel has no guard pages to install");
        }
    }

    #[test]
    fn an_unprotected_guard_is_an_ordinary_page_again() {
        let size = StackSize::new(64 * 1024);
        let first = slab::map(size, 2).unwrap();
        // SAFETY: the region has two slots, and nobody else knows them.
        unsafe {
            arm(GuardKind::Mprotect, first, size, 2).unwrap();
            unprotect(first, size, 2);
        }
        assert!(writable(first.guard(size)));
    }
}

//! Restartable sequences: code that the kernel restarts if the thread is moved to another processor
//! meanwhile, as some allocators use it. It finds that code by an area in the thread-locals of the
//! kernel's thread, so a thread that runs another identity would be moved unnoticed.

use std::hint::black_box;
use std::{io, mem, ptr};

use super::register::Base;

/// The area, as the kernel lays it out.
#[repr(C, align(32))]
struct Area {
    processors: [u32; 2],
    /// The sequence that the thread is in, or was in last: the kernel clears it now and then, and
    /// the C library sets none.
    sequence: u64,
    rest: [u32; 4],
}

/// Whether code of the calling thread, whose thread-locals are at `base`, uses them.
pub(super) fn are_in_use(base: Base) -> bool {
    match area_of_c_library(base) {
        Some(area) => (0..8).any(|_| {
            drop(black_box(Box::new([0_u8; 100])));
            // SAFETY: the area of a thread is there as long as the thread.
            unsafe { (&raw const (*area).sequence).read_volatile() != 0 }
        }),
        None => is_registered_elsewhere(),
    }
}

/// Where the C library has registered an area for the thread, if it has.
fn area_of_c_library(base: Base) -> Option<*const Area> {
    // SAFETY: the names end in a zero. What is found is an integer that never changes.
    unsafe {
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        (*size.as_ref()? > 0).then_some(())?;
        Some(ptr::with_exposed_provenance(base.address().wrapping_add_signed(*offset.as_ref()?)))
    }
}

/// Whether something else has registered an area: then the thread can have no other.
fn is_registered_elsewhere() -> bool {
    const SIGNATURE: u32 = 0x5305_3053;
    const UNREGISTER: libc::c_int = 1;
    let mut area = Area { processors: [0, u32::MAX], sequence: 0, rest: [0; 4] };
    let mut register = |flags: libc::c_int| {
        let size = mem::size_of::<Area>();
        // SAFETY: the kernel writes to the area until it is unregistered, which is before it goes.
        unsafe { libc::syscall(libc::SYS_rseq, &raw mut area, size, flags, SIGNATURE) }
    };
    if register(0) == 0 {
        return register(UNREGISTER) != 0;
    }
    io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

//! Restartable sequences: code that the kernel restarts if the thread is moved to another processor
//! meanwhile, as some allocators use it. It finds that code by an area in the thread-locals of the
//! kernel's thread, so a thread that runs another identity would be moved unnoticed.

use std::cell::UnsafeCell;
use std::hint::black_box;
use std::sync::atomic::Ordering;
use std::sync::{Once, OnceLock};
use std::{io, mem, ptr};

use super::register::{self, Base};
use super::seats;

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

/// Where the C library has registered an area for the thread that has these thread-locals, if it
/// has.
fn area_of_c_library(base: Base) -> Option<*const Area> {
    static OFFSET: OnceLock<Option<isize>> = OnceLock::new();
    // SAFETY: the names end in a zero. What is found is an integer that never changes.
    let offset = OFFSET.get_or_init(|| unsafe {
        let size = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_size".as_ptr()).cast::<u32>();
        let offset = libc::dlsym(libc::RTLD_DEFAULT, c"__rseq_offset".as_ptr()).cast::<isize>();
        (*size.as_ref()? > 0).then_some(())?;
        offset.as_ref().copied()
    });
    let offset = (*offset)?;
    Some(ptr::with_exposed_provenance(base.address().wrapping_add_signed(offset)))
}

const UNREGISTER: libc::c_int = 1;

/// The system call, for an area of the usual size. True if it has done what it was to do.
///
/// # Safety
///
/// What is registered is there until it is unregistered, or the thread has ended.
unsafe fn ask_kernel(area: *const Area, flags: libc::c_int) -> bool {
    const SIGNATURE: u32 = 0x5305_3053;
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_rseq, area, mem::size_of::<Area>(), flags, SIGNATURE) == 0 }
}

/// Whether something else has registered an area: then the thread can have no other.
fn is_registered_elsewhere() -> bool {
    let area = UnsafeCell::new(Area { processors: [0, u32::MAX], sequence: 0, rest: [0; 4] });
    // SAFETY: it is unregistered before it goes.
    unsafe {
        if ask_kernel(area.get(), 0) {
            return !ask_kernel(area.get(), UNREGISTER);
        }
    }
    io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS)
}

/// Sees to what the kernel of a fork child writes to.
pub(super) fn watch_forks() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the function allocates nothing and takes no lock. If there is no memory for it,
        // a child goes on as far as it can.
        unsafe { libc::pthread_atfork(None, None, Some(move_area)) };
    });
}

/// In a child the kernel's thread has the area of its home in the parent, and the C library uses
/// the memory of threads that the child has not got for others, or gives it back. The thread gets
/// the area of the identity that it runs.
unsafe extern "C" fn move_area() {
    let base = register::read();
    if let Some(seat) = seats::of_base(base) {
        // SAFETY: seats are never freed.
        let home = unsafe { (*seat.own.runner.load(Ordering::Relaxed)).own.base() };
        if let (true, Some(old), Some(new)) =
            (home != base, area_of_c_library(home), area_of_c_library(base))
        {
            // SAFETY: the area is there as long as the thread-locals of the calling thread.
            let _moved = unsafe { ask_kernel(old, UNREGISTER) && ask_kernel(new, 0) };
        }
    }
    // The numbers were those of the parent's threads.
    seats::all().for_each(|seat| seat.own.number.store(0, Ordering::Relaxed));
}

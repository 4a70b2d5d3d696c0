//! AddressSanitizer.
//!
//! It must know the bounds of the stack in use, since it marks the memory between the variables of
//! a frame, and wipes the marks of all frames that a panic leaves. And it keeps a *fake stack* for
//! each stack: variables whose address is taken live there, so that a use after their function has
//! returned is noticed. Both change at a switch.
//!
//! Between `start` and `finish` of a switch no fake stack is in use. So the first function on a
//! fresh stack has its variables on that stack, and one that leaves a stack for good, whose fake
//! stack is then destroyed, must have no variable whose address is taken.

use std::cell::Cell;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;

use crate::stack;
use crate::stack_pointer::stack_pointer;
use crate::switch::{Context, Entry};

#[cfg(lisle_switch = "ucontext")]
compile_error!("AddressSanitizer interferes with `swapcontext`: use the assembly backend");

unsafe extern "C" {
    fn __sanitizer_start_switch_fiber(
        fake_stack: *mut *mut c_void,
        bottom: *const c_void,
        size: usize,
    );
    fn __sanitizer_finish_switch_fiber(
        fake_stack: *mut c_void,
        bottom_left: *mut *const c_void,
        size_left: *mut usize,
    );
    fn __asan_unpoison_memory_region(start: *const c_void, size: usize);
}

type Bounds = Range<usize>;

thread_local! {
    /// The bounds of the thread's own stack, as found out when it was last left.
    static OWN: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
    /// A place that is on no stack.
    static NOWHERE: Cell<Context> = const { Cell::new(Context::NONE) };
}

/// A report starts a process that looks up names, with a bare system call that no fork handler
/// sees, on the stack where the error has occurred: it needs that stack.
pub(crate) fn mapped(base: usize, stride: usize, count: usize) {
    let start = ptr::with_exposed_provenance_mut(base);
    // SAFETY: the range is a mapping that holds nothing yet; the advice takes back that forks leave
    // it out, which is there to make them faster.
    unsafe { libc::madvise(start, stride * count, libc::MADV_DOFORK) };
}

pub(crate) const KEEPS_REGIONS: bool = false;

/// What is mapped there next has none of the marks of the frames that were there.
pub(crate) fn unmapped(base: usize, length: usize) {
    // SAFETY: marks have no effect but on the tool, and these stacks are not used any more.
    unsafe { __asan_unpoison_memory_region(ptr::without_provenance(base), length) };
}

/// What really begins a stack, kept at its top.
#[repr(C, align(16))]
struct Beginning {
    entry: Entry,
    data: *mut (),
}

pub(crate) fn fresh(top: *mut u8, entry: Entry, data: *mut ()) -> (*mut u8, Entry, *mut ()) {
    assert!(
        stack::bounds_at(top.addr() - 1).is_some(),
        "under AddressSanitizer only stacks of lisle_runtime::stack can be used"
    );
    let top = top.wrapping_byte_sub(size_of::<Beginning>());
    // SAFETY: the caller of `prepare` owns what is below its aligned top.
    unsafe { top.cast::<Beginning>().write(Beginning { entry, data }) };
    (top, begin, top.cast())
}

/// # Safety
///
/// Called by the first switch to a stack that begins with what `data` points to.
unsafe extern "C" fn begin(data: *mut ()) -> ! {
    finish(ptr::null_mut());
    // SAFETY: `fresh` has written it, and its caller promised that the entry may be called with
    // that.
    unsafe {
        let Beginning { entry, data } = data.cast::<Beginning>().read();
        entry(data)
    }
}

/// The fake stack of a stack that was left.
pub(crate) struct Departure(*mut c_void);

#[inline(always)]
pub(crate) fn leave(to: Context) -> Departure {
    let mut fake_stack = ptr::null_mut();
    start(&raw mut fake_stack, bounds_of(to));
    Departure(fake_stack)
}

#[inline(always)]
pub(crate) fn arrive(departure: Departure) {
    finish(departure.0);
}

#[inline(always)]
pub(crate) fn leave_for_good(to: Context, _nowhere: *mut Context) -> *mut Context {
    let to = bounds_of(to);
    forget_marks();
    let nowhere = NOWHERE.with(Cell::as_ptr);
    start(ptr::null_mut(), to);
    nowhere
}

/// Where the visitor came from.
pub(crate) struct Stay(Bounds);

pub(crate) fn visit() -> Stay {
    Stay(finish(ptr::null_mut()))
}

pub(crate) fn leave_visit(stay: Stay) {
    start(ptr::null_mut(), stay.0);
}

#[inline(always)]
fn start(fake_stack: *mut *mut c_void, to: Bounds) {
    let bottom = ptr::without_provenance(to.start);
    // SAFETY: the pointer is null or good for a write, and `to` are the bounds of the stack to
    // which the caller switches next.
    unsafe { __sanitizer_start_switch_fiber(fake_stack, bottom, to.end - to.start) }
}

/// Returns the bounds of the stack that was left.
fn finish(fake_stack: *mut c_void) -> Bounds {
    let mut bottom = ptr::null();
    let mut size = 0;
    // SAFETY: a switch has just ended, to a stack that has this fake stack or, if that is null,
    // none.
    unsafe { __sanitizer_finish_switch_fiber(fake_stack, &raw mut bottom, &raw mut size) };
    let left = bottom.addr()..bottom.addr() + size;
    if stack::bounds_at(left.start).is_none() {
        set_own(&left);
    }
    left
}

/// Not inlined, as `own`: some stacks change thread, and code that had the address of the
/// thread-local from before a switch would use it after.
#[inline(never)]
fn set_own(bounds: &Bounds) {
    OWN.set((bounds.start, bounds.end));
}

#[inline(never)]
fn own() -> Bounds {
    let (start, end) = OWN.get();
    start..end
}

/// The bounds of the stack on which `to` is suspended.
fn bounds_of(to: Context) -> Bounds {
    // A continuation on the thread's own stack was stored when that stack was left.
    stack::bounds_at(to.frame().addr()).unwrap_or_else(own)
}

/// The frames of the present stack end without the code that wipes their marks.
fn forget_marks() {
    if let Some(bounds) = stack::bounds_at(stack_pointer()) {
        // SAFETY: marks have no effect but on the tool, and those of other stacks stay.
        unsafe {
            __asan_unpoison_memory_region(
                ptr::without_provenance(bounds.start),
                bounds.end - bounds.start,
            );
        }
    }
}

//! ThreadSanitizer.
//!
//! It keeps the calls of each stack, and a clock for each, which it calls a *fiber*. It is told of
//! a switch right before. To go from one fiber of a thread to another orders what they do, which is
//! true: tasks of one thread never run at the same time. So it finds races between threads, and
//! none between tasks of one.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

use crate::stack;
use crate::stack_pointer::stack_pointer;
use crate::switch::{Context, Entry};

#[cfg(lisle_switch = "ucontext")]
compile_error!("ThreadSanitizer interferes with `swapcontext`: use the assembly backend");

type Fiber = *mut c_void;

unsafe extern "C" {
    fn __tsan_get_current_fiber() -> Fiber;
    fn __tsan_create_fiber(flags: u32) -> Fiber;
    fn __tsan_destroy_fiber(fiber: Fiber);
    fn __tsan_switch_to_fiber(fiber: Fiber, flags: u32);
}

thread_local! {
    /// The fiber of the thread's own stack, as found out when it was last left.
    static OWN: Cell<Fiber> = const { Cell::new(ptr::null_mut()) };
}

#[inline(always)]
pub(crate) fn mapped(_base: usize, _stride: usize, _count: usize) {}

pub(crate) const KEEPS_REGIONS: bool = false;

/// The fibers of the stacks are leaked, as are those of stacks whose memory is given back.
#[inline(always)]
pub(crate) fn unmapped(_base: usize, _length: usize) {}

/// Where a stack keeps its fiber: in its lowest usable bytes. Null if it has none. A body that
/// comes within eight bytes of an overflow would write over it; under this tool none may.
fn place_of(stack: usize) -> Option<*mut Fiber> {
    let bounds = stack::bounds_at(stack)?;
    Some(ptr::with_exposed_provenance_mut(bounds.start))
}

/// A stack that is used again gets a new fiber: the old one has ended in the middle of its calls.
pub(crate) fn fresh(top: *mut u8, entry: Entry, data: *mut ()) -> (*mut u8, Entry, *mut ()) {
    let place = place_of(top.addr() - 1)
        .expect("under ThreadSanitizer only stacks of lisle_runtime::stack can be used");
    // SAFETY: the caller of `prepare` owns the stack. What lies at the place was put there here, or
    // is zero: on a stack that is new, or whose memory was given back (then the old fiber is
    // leaked).
    unsafe {
        if !place.read().is_null() {
            __tsan_destroy_fiber(place.read());
        }
        place.write(__tsan_create_fiber(0));
    }
    (top, entry, data)
}

/// The fiber that was left.
pub(crate) struct Departure(Fiber);

#[inline(always)]
pub(crate) fn leave(to: Context) -> Departure {
    let (left, next) = fibers(to);
    // SAFETY: the next thing to happen is the switch to the stack that has this fiber.
    unsafe { __tsan_switch_to_fiber(next, 0) };
    Departure(left)
}

/// A switch back to a stack has announced it. A visitor comes back without announcing it.
#[inline(always)]
pub(crate) fn arrive(departure: Departure) {
    // SAFETY: the stack that has this fiber runs.
    unsafe {
        if __tsan_get_current_fiber() != departure.0 {
            __tsan_switch_to_fiber(departure.0, 0);
        }
    }
}

/// The fiber that runs, and that of the stack on which `to` is suspended.
#[inline(never)]
fn fibers(to: Context) -> (Fiber, Fiber) {
    // SAFETY: asks for what the thread runs as.
    let left = unsafe { __tsan_get_current_fiber() };
    if place_of(stack_pointer()).is_none() {
        OWN.set(left);
    }
    let next = match place_of(to.frame().addr()) {
        // SAFETY: `fresh` has put it there.
        Some(place) => unsafe { place.read() },
        None => OWN.get(),
    };
    (left, next)
}

#[inline(always)]
pub(crate) fn leave_for_good(to: Context, nowhere: *mut Context) -> *mut Context {
    leave(to);
    nowhere
}

/// The visitor's calls end on the fiber on which they began: it is left by `arrive`.
pub(crate) struct Stay;

#[inline(always)]
pub(crate) fn visit() -> Stay {
    Stay
}

#[inline(always)]
pub(crate) fn leave_visit(_: Stay) {}

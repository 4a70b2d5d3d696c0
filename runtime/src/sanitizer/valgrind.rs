//! Valgrind.
//!
//! A tool of valgrind follows the stack pointer: memory that it leaves becomes inaccessible, memory
//! that it enters has no value yet. To see a switch as what it is, it must know the stacks. It is
//! told by *client requests*, instructions that do nothing except under valgrind.

use std::arch::asm;

use crate::stack;
use crate::stack_pointer::stack_pointer;
use crate::switch::{Context, Entry};

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
compile_error!("valgrind's client requests are known here for x86_64 and aarch64 only");

/// Numbers from `valgrind.h` and `memcheck.h`.
const STACK_REGISTER: usize = 0x1501;
const MAKE_MEM_UNDEFINED: usize = ((b'M' as usize) << 24 | (b'C' as usize) << 16) + 1;

#[inline(always)]
fn request(number: usize, first: usize, second: usize) {
    let words = [number, first, second, 0, 0, 0];
    // SAFETY: the rotations, by 128 bits in all, leave the register as it was, and so does the
    // exchange or the `orr` of a register with itself. Valgrind reads the words and sets the result
    // register.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const words,
            inout("rdx") 0_usize => _,
            options(nostack),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "ror x12, x12, #3",
            "ror x12, x12, #13",
            "ror x12, x12, #51",
            "ror x12, x12, #61",
            "orr x10, x10, x10",
            inout("x3") 0_usize => _,
            in("x4") &raw const words,
            options(nostack),
        );
    }
}

/// Stacks are registered for ever, and so their memory stays in use as stacks for ever.
pub(crate) const KEEPS_REGIONS: bool = true;

pub(crate) fn unmapped(_base: usize, _length: usize) {}

pub(crate) fn mapped(base: usize, stride: usize, count: usize) {
    for index in 0..count {
        let start = base + index * stride;
        request(STACK_REGISTER, start, start + stride - 1);
    }
}

pub(crate) fn fresh(top: *mut u8, entry: Entry, data: *mut ()) -> (*mut u8, Entry, *mut ()) {
    (top, entry, data)
}

pub(crate) struct Departure;

#[inline(always)]
pub(crate) fn leave(_to: Context) -> Departure {
    Departure
}

#[inline(always)]
pub(crate) fn arrive(_: Departure) {}

/// The next owner of the stack may write to it before running there.
#[inline(always)]
pub(crate) fn leave_for_good(_to: Context, nowhere: *mut Context) -> *mut Context {
    let used_from = stack_pointer();
    if let Some(bounds) = stack::bounds_at(used_from) {
        request(MAKE_MEM_UNDEFINED, bounds.start, used_from - bounds.start);
    }
    nowhere
}

pub(crate) struct Stay;

#[inline(always)]
pub(crate) fn visit() -> Stay {
    Stay
}

#[inline(always)]
pub(crate) fn leave_visit(_: Stay) {}

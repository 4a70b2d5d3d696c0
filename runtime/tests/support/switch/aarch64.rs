//! The registers of an aarch64 caller.

use std::arch::{aarch64::uint8x16_t, asm, naked_asm};
use std::mem;

use super::go_home;

/// The registers that a call preserves.
pub const PRESERVED: [&str; 19] = [
    "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "d8", "d9", "d10",
    "d11", "d12", "d13", "d14", "d15",
];

/// A value that fills a vector register.
pub type Wide = uint8x16_t;

/// The number, from a register that the compiler cannot look into.
#[inline(always)]
pub fn pin(mut number: u64) -> u64 {
    // SAFETY: the block is empty.
    unsafe { asm!("/* {} */", inout(reg) number, options(nomem, nostack, preserves_flags)) };
    number
}

#[inline(always)]
fn pin_wide(mut wide: Wide) -> Wide {
    // SAFETY: the block is empty.
    unsafe { asm!("/* {:v} */", inout(vreg) wide, options(nomem, nostack, preserves_flags)) };
    wide
}

/// The number and its complement, in such a register.
#[inline(always)]
pub fn widen(number: u64) -> Wide {
    let bits = u128::from(number) | u128::from(!number) << 64;
    // SAFETY: both are 128 bits for which every value is valid.
    pin_wide(unsafe { mem::transmute::<u128, Wide>(bits) })
}

/// The number, if its complement is there too.
#[inline(always)]
pub fn narrow(wide: Wide) -> Option<u64> {
    // SAFETY: both are 128 bits for which every value is valid.
    let bits = unsafe { mem::transmute::<Wide, u128>(pin_wide(wide)) };
    let (low, high) = (bits as u64, (bits >> 64) as u64);
    (high == !low).then_some(low)
}

/// Calls `work(argument)` with the preserved registers as in `before`, and stores what they are
/// afterwards in `after`.
///
/// # Safety
///
/// The arrays are as long as [`PRESERVED`], and `work` may be called with `argument`.
#[unsafe(naked)]
pub unsafe extern "C" fn call_with(
    work: extern "C" fn(*mut ()),
    argument: *mut (),
    before: *const u64,
    after: *mut u64,
) {
    naked_asm!(
        "sub sp, sp, #176",
        "stp x29, x30, [sp]",
        "stp x19, x20, [sp, #16]",
        "stp x21, x22, [sp, #32]",
        "stp x23, x24, [sp, #48]",
        "stp x25, x26, [sp, #64]",
        "stp x27, x28, [sp, #80]",
        "stp d8, d9, [sp, #96]",
        "stp d10, d11, [sp, #112]",
        "stp d12, d13, [sp, #128]",
        "stp d14, d15, [sp, #144]",
        "str x3, [sp, #160]",
        "mov x9, x0",
        "mov x0, x1",
        "ldp x19, x20, [x2]",
        "ldp x21, x22, [x2, #16]",
        "ldp x23, x24, [x2, #32]",
        "ldp x25, x26, [x2, #48]",
        "ldp x27, x28, [x2, #64]",
        "ldr x29, [x2, #80]",
        "ldp d8, d9, [x2, #88]",
        "ldp d10, d11, [x2, #104]",
        "ldp d12, d13, [x2, #120]",
        "ldp d14, d15, [x2, #136]",
        "blr x9",
        "ldr x3, [sp, #160]",
        "stp x19, x20, [x3]",
        "stp x21, x22, [x3, #16]",
        "stp x23, x24, [x3, #32]",
        "stp x25, x26, [x3, #48]",
        "stp x27, x28, [x3, #64]",
        "str x29, [x3, #80]",
        "stp d8, d9, [x3, #88]",
        "stp d10, d11, [x3, #104]",
        "stp d12, d13, [x3, #120]",
        "stp d14, d15, [x3, #136]",
        "ldp d14, d15, [sp, #144]",
        "ldp d12, d13, [sp, #128]",
        "ldp d10, d11, [sp, #112]",
        "ldp d8, d9, [sp, #96]",
        "ldp x27, x28, [sp, #80]",
        "ldp x25, x26, [sp, #64]",
        "ldp x23, x24, [sp, #48]",
        "ldp x21, x22, [sp, #32]",
        "ldp x19, x20, [sp, #16]",
        "ldp x29, x30, [sp]",
        "add sp, sp, #176",
        "ret",
    )
}

/// An entry that notes the frame pointer in the `Arrival` that it gets.
#[unsafe(naked)]
pub unsafe extern "C" fn arrive(data: *mut ()) -> ! {
    naked_asm!("str x29, [x0]", "b {}", sym go_home)
}

/// Rounding and exception masks as a process begins with: fpcr.
pub const SANE_CONTROL: [u64; 1] = [0];

pub fn control() -> [u64; 1] {
    let fpcr: u64;
    // SAFETY: reads a register that every program may read.
    unsafe { asm!("mrs {}, fpcr", out(reg) fpcr, options(nostack, nomem)) };
    [fpcr]
}

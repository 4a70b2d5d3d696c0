//! The registers of a riscv64 caller.

use std::arch::{asm, naked_asm};

use super::go_home;

/// The registers that a call preserves.
pub const PRESERVED: [&str; 24] = [
    "s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "fs0", "fs1", "fs2",
    "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11",
];

/// A value that fills a floating-point register: vectors are not in the base of this architecture,
/// so there is no room for the complement.
pub type Wide = f64;

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
    unsafe { asm!("/* {} */", inout(freg) wide, options(nomem, nostack, preserves_flags)) };
    wide
}

/// The number and its complement, in such a register.
#[inline(always)]
pub fn widen(number: u64) -> Wide {
    pin_wide(f64::from_bits(number))
}

/// The number, if its complement is there too.
#[inline(always)]
pub fn narrow(wide: Wide) -> Option<u64> {
    Some(pin_wide(wide).to_bits())
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
        // An optimising rustc forgets that the target has floating-point registers.
        ".option push",
        ".option arch, +d",
        "addi sp, sp, -208",
        "sd s0, 0(sp)",
        "sd s1, 8(sp)",
        "sd s2, 16(sp)",
        "sd s3, 24(sp)",
        "sd s4, 32(sp)",
        "sd s5, 40(sp)",
        "sd s6, 48(sp)",
        "sd s7, 56(sp)",
        "sd s8, 64(sp)",
        "sd s9, 72(sp)",
        "sd s10, 80(sp)",
        "sd s11, 88(sp)",
        "fsd fs0, 96(sp)",
        "fsd fs1, 104(sp)",
        "fsd fs2, 112(sp)",
        "fsd fs3, 120(sp)",
        "fsd fs4, 128(sp)",
        "fsd fs5, 136(sp)",
        "fsd fs6, 144(sp)",
        "fsd fs7, 152(sp)",
        "fsd fs8, 160(sp)",
        "fsd fs9, 168(sp)",
        "fsd fs10, 176(sp)",
        "fsd fs11, 184(sp)",
        "sd ra, 192(sp)",
        "sd a3, 200(sp)",
        "mv t1, a0",
        "mv a0, a1",
        "ld s0, 0(a2)",
        "ld s1, 8(a2)",
        "ld s2, 16(a2)",
        "ld s3, 24(a2)",
        "ld s4, 32(a2)",
        "ld s5, 40(a2)",
        "ld s6, 48(a2)",
        "ld s7, 56(a2)",
        "ld s8, 64(a2)",
        "ld s9, 72(a2)",
        "ld s10, 80(a2)",
        "ld s11, 88(a2)",
        "fld fs0, 96(a2)",
        "fld fs1, 104(a2)",
        "fld fs2, 112(a2)",
        "fld fs3, 120(a2)",
        "fld fs4, 128(a2)",
        "fld fs5, 136(a2)",
        "fld fs6, 144(a2)",
        "fld fs7, 152(a2)",
        "fld fs8, 160(a2)",
        "fld fs9, 168(a2)",
        "fld fs10, 176(a2)",
        "fld fs11, 184(a2)",
        "jalr t1",
        "ld a3, 200(sp)",
        "sd s0, 0(a3)",
        "sd s1, 8(a3)",
        "sd s2, 16(a3)",
        "sd s3, 24(a3)",
        "sd s4, 32(a3)",
        "sd s5, 40(a3)",
        "sd s6, 48(a3)",
        "sd s7, 56(a3)",
        "sd s8, 64(a3)",
        "sd s9, 72(a3)",
        "sd s10, 80(a3)",
        "sd s11, 88(a3)",
        "fsd fs0, 96(a3)",
        "fsd fs1, 104(a3)",
        "fsd fs2, 112(a3)",
        "fsd fs3, 120(a3)",
        "fsd fs4, 128(a3)",
        "fsd fs5, 136(a3)",
        "fsd fs6, 144(a3)",
        "fsd fs7, 152(a3)",
        "fsd fs8, 160(a3)",
        "fsd fs9, 168(a3)",
        "fsd fs10, 176(a3)",
        "fsd fs11, 184(a3)",
        "ld s0, 0(sp)",
        "ld s1, 8(sp)",
        "ld s2, 16(sp)",
        "ld s3, 24(sp)",
        "ld s4, 32(sp)",
        "ld s5, 40(sp)",
        "ld s6, 48(sp)",
        "ld s7, 56(sp)",
        "ld s8, 64(sp)",
        "ld s9, 72(sp)",
        "ld s10, 80(sp)",
        "ld s11, 88(sp)",
        "fld fs0, 96(sp)",
        "fld fs1, 104(sp)",
        "fld fs2, 112(sp)",
        "fld fs3, 120(sp)",
        "fld fs4, 128(sp)",
        "fld fs5, 136(sp)",
        "fld fs6, 144(sp)",
        "fld fs7, 152(sp)",
        "fld fs8, 160(sp)",
        "fld fs9, 168(sp)",
        "fld fs10, 176(sp)",
        "fld fs11, 184(sp)",
        "ld ra, 192(sp)",
        "addi sp, sp, 208",
        "ret",
        ".option pop",
    )
}

/// An entry that notes the frame pointer in the `Arrival` that it gets.
#[unsafe(naked)]
pub unsafe extern "C" fn arrive(data: *mut ()) -> ! {
    naked_asm!("sd s0, 0(a0)", "tail {}", sym go_home)
}

/// Rounding as a process begins with: frm.
pub const SANE_CONTROL: [u64; 1] = [0];

pub fn control() -> [u64; 1] {
    let frm: u64;
    // SAFETY: reads a register that every program may read.
    unsafe { asm!("frrm {}", out(reg) frm, options(nostack, nomem)) };
    [frm]
}

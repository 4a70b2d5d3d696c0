//! The registers of an x86_64 caller.

use std::arch::{asm, naked_asm, x86_64::__m128i};
use std::mem;

use super::go_home;

/// The registers that a call preserves.
pub const PRESERVED: [&str; 6] = ["rbx", "rbp", "r12", "r13", "r14", "r15"];

/// A value that fills a vector register.
pub type Wide = __m128i;

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
    unsafe { asm!("/* {} */", inout(xmm_reg) wide, options(nomem, nostack, preserves_flags)) };
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
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rcx",
        "mov rax, rdi",
        "mov rdi, rsi",
        "mov rbx, [rdx]",
        "mov rbp, [rdx + 8]",
        "mov r12, [rdx + 16]",
        "mov r13, [rdx + 24]",
        "mov r14, [rdx + 32]",
        "mov r15, [rdx + 40]",
        "call rax",
        "pop rcx",
        "mov [rcx], rbx",
        "mov [rcx + 8], rbp",
        "mov [rcx + 16], r12",
        "mov [rcx + 24], r13",
        "mov [rcx + 32], r14",
        "mov [rcx + 40], r15",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
    )
}

/// An entry that notes the frame pointer in the `Arrival` that it gets.
#[unsafe(naked)]
pub unsafe extern "C" fn arrive(data: *mut ()) -> ! {
    naked_asm!("mov [rdi], rbp", "jmp {}", sym go_home)
}

/// Rounding, precision and exception masks as a process begins with: mxcsr and the x87 word.
pub const SANE_CONTROL: [u64; 2] = [0x1f80, 0x037f];

pub fn control() -> [u64; 2] {
    let mut mxcsr = 0_u32;
    let mut x87 = 0_u16;
    // SAFETY: both instructions only store to the variables.
    unsafe {
        asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack));
        asm!("fnstcw [{}]", in(reg) &raw mut x87, options(nostack));
    }
    // The lowest six bits of mxcsr record exceptions that have happened.
    [u64::from(mxcsr & !0x3f), u64::from(x87)]
}

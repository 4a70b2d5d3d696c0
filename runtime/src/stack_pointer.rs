//! Where the running function's frame is.

/// An address in the frame of the caller, into which this is inlined.
///
/// A register is asked where the register is known. A sanitizer may keep a local variable
/// elsewhere.
#[inline(always)]
pub fn stack_pointer() -> usize {
    #[cfg(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))]
    {
        use std::arch::asm;
        let address: usize;
        // SAFETY: the instruction copies a register into another one.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            asm!("mov {}, rsp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "aarch64")]
            asm!("mov {}, sp", out(reg) address, options(nomem, nostack, preserves_flags));
            #[cfg(target_arch = "riscv64")]
            asm!("mv {}, sp", out(reg) address, options(nomem, nostack, preserves_flags));
        }
        address
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
    {
        let local = 0u8;
        std::hint::black_box(&raw const local).addr()
    }
}

/// How far the frame of the caller is below `place`, if both are on one stack. A huge number if it
/// is above.
#[inline(always)]
pub(crate) fn distance_below<T>(place: *const T) -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        let mut distance = place.addr();
        // SAFETY: the instruction subtracts one register from another.
        unsafe {
            std::arch::asm!("sub {}, rsp", inout(reg) distance, options(nomem, nostack));
        }
        distance
    }
    #[cfg(not(target_arch = "x86_64"))]
    place.addr().wrapping_sub(stack_pointer())
}

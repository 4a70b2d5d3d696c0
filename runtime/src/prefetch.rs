//! Asking the processor for memory ahead of its use.

/// Starts to bring the cache line at `address` close, for reading and writing. A hint only: any
/// address is fine, and nothing is read.
///
/// A round robin knows what it will run next. Prefetching the control block and then the saved
/// frame of a coming task hides most of the cache misses that otherwise dominate a switch among
/// thousands of tasks.
#[inline(always)]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch does not access memory as the language sees it, whatever the address.
    unsafe {
        std::arch::x86_64::_mm_prefetch(address.cast(), std::arch::x86_64::_MM_HINT_T0);
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above; the instruction changes no register.
    unsafe {
        std::arch::asm!("prfm pldl1keep, [{0}]", in(reg) address, options(nostack, readonly));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

//! The register that says which block of thread-locals is the running code's: x86_64's `fs` base.

use std::arch::asm;

/// The address of a block of thread-locals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Base(usize);

impl Base {
    /// Before a thread has said which is its own.
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn at(address: usize) -> Self {
        Self(address)
    }

    pub(super) const fn address(self) -> usize {
        self.0
    }
}

/// Whether the register can be written: the kernel allows it, and no tool runs the program that
/// does not know of it.
pub(super) fn is_writable() -> bool {
    /// In `AT_HWCAP2`: programs may read and write the segment bases.
    const FSGSBASE: u64 = 1 << 1;
    // SAFETY: the call has no conditions.
    let has_instruction = unsafe { libc::getauxval(libc::AT_HWCAP2) } & FSGSBASE != 0;
    has_instruction && !runs_on_valgrind()
}

/// The calling code's block.
pub(super) fn read() -> Base {
    let base;
    // SAFETY: the first word of the block is its own address, as the ABI says.
    unsafe { asm!("mov {}, fs:[0]", out(reg) base, options(nostack, readonly)) };
    Base(base)
}

/// Makes `base` the running code's block.
///
/// # Safety
///
/// The register [is writable](is_writable). `base` belongs to a thread that has not ended, and no
/// other code uses it. Until the caller has switched to code of that thread it uses no
/// thread-local.
#[inline(always)]
pub(super) unsafe fn write(base: Base) {
    // SAFETY: the caller's promise. It may change memory, for the compiler: no access to memory
    // moves over it.
    unsafe { asm!("wrfsbase {}", in(reg) base.0, options(nostack, preserves_flags)) };
}

/// How the processor computes with fractions, which belongs to the kernel's thread.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Controls(u32);

impl Controls {
    /// Those bits say what has happened, and control nothing.
    const FLAGS: u32 = 0x3f;

    #[inline(always)]
    pub(super) fn read() -> Self {
        let mut word = 0_u32;
        // SAFETY: the word is stored.
        unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut word, options(nostack, preserves_flags)) };
        Self(word & !Self::FLAGS)
    }

    /// Makes them what they were when they were read.
    #[inline(always)]
    pub(super) fn restore(self) {
        if Self::read() != self {
            self.load();
        }
    }

    #[cold]
    fn load(self) {
        let word = &raw const self.0;
        // SAFETY: the word was valid when it was read, and is the calling code's own.
        unsafe { asm!("ldmxcsr [{}]", in(reg) word, options(nostack, preserves_flags)) };
    }
}

/// Asks valgrind, by instructions that do nothing elsewhere, whether it runs the program.
fn runs_on_valgrind() -> bool {
    const RUNNING_ON_VALGRIND: usize = 0x1001;
    let request = [RUNNING_ON_VALGRIND, 0, 0, 0, 0, 0];
    let mut depth = 0_usize;
    // SAFETY: the rotations, by 128 bits in all, leave the register as it was, as does the exchange
    // of a register with itself. Valgrind reads the request and sets rdx.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const request,
            inout("rdx") depth,
            options(nostack),
        );
    }
    depth != 0
}

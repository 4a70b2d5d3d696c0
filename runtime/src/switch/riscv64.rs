//! riscv64, the standard calling convention. Only what differs from the
//! canonical backend (`x86_64.rs`) is explained here; the frame is that of aarch64.
//!
//! ```text
//!   suspended in switch()            fresh from prepare()
//!
//!   |  the caller's frame  |         +----------------------+  top
//!   +----------------------+         |        entry         |  top - 8
//!   |          0           |         |          0           |  top - 16
//!   |       saved s0       |         |         data         |  top - 24
//!   |       saved s1       |         |      trampoline      |  top - 32  <- sp
//!   |    resume address    | <- sp   +----------------------+
//!   +----------------------+
//! ```
//!
//! - s0 (the frame pointer) and s1 are the registers that LLVM reserves here. The others that a
//!   call preserves, s2 to s11 and fs0 to fs11, are declared clobbered. frm stays alone.
//! - As on aarch64, the unwinding ends from the instruction that makes room for the frame to the
//!   jump.
//! - *The jump goes through t1.* A jump through ra or t0 tells the processor that it is a return,
//!   which a switch is not.
//! - *Large frames are not probed.* rustc has no stack probes for this architecture, so a frame
//!   that is larger than a page may jump over the guard, here as on the threads of std.

use std::arch::{asm, naked_asm};

use super::on_top::CallOnTop;
use super::{Context, Entry, Word};

pub(super) const NAME: &str = "riscv64";

/// A suspended stack does not reach below its context.
pub(super) const BELOW: usize = 0;

/// A stack that has not run, from the stack pointer up. See the right half of the picture.
#[repr(C)]
struct FreshFrame {
    resume: unsafe extern "C" fn(),
    /// Arrives in s1.
    data: *mut (),
    /// Arrives in s0: no caller.
    end: usize,
    /// Arrives in t2.
    entry: Entry,
}

// The assembly counts in words of 64 bits, which not every ABI of this processor has.
const _: () = assert!(size_of::<FreshFrame>() == 32);

#[inline]
pub(super) unsafe fn prepare(top: *mut u8, entry: Entry, data: *mut ()) -> Context {
    let frame = top.wrapping_sub(size_of::<FreshFrame>()).cast::<FreshFrame>();
    // SAFETY: the caller owns the stack below `top`, which is 16-byte aligned, and so is the frame,
    // whose size is 32 bytes.
    unsafe { frame.write(FreshFrame { resume: trampoline, data, end: 0, entry }) };
    Context(frame.cast())
}

#[inline(always)]
pub(super) unsafe fn switch(
    save: *mut Context,
    to: Context,
    word: Word,
    from: Word,
) -> (Word, Word) {
    let (word_back, from_back);
    // SAFETY: every register that the code reached through `to` may change is an output, declared
    // clobbered, or stored here and loaded by the switch that continues this context; that also
    // makes the stack pointer the same before and after, since it loads the value stored to `save`.
    unsafe {
        asm!(
            "lla t0, 2f",
            "ld t1, 0(a3)",
            "ld t3, 8(a3)",
            "ld t4, 16(a3)",
            "ld t2, 24(a3)",
            "addi t5, sp, -32",
            "sd t5, 0(a2)",
            "addi sp, sp, -32",
            ".cfi_remember_state",
            ".cfi_undefined ra",
            "sd t0, 0(sp)",
            "sd s1, 8(sp)",
            "sd s0, 16(sp)",
            "sd zero, 24(sp)",
            "mv s1, t3",
            "mv s0, t4",
            "addi sp, a3, 32",
            "jr t1",
            ".cfi_restore_state",
            "unimp",
            "2:",
            inout("a0") word => word_back,
            inout("a1") from => from_back,
            inout("a2") save => _,
            inout("a3") to.0 => _,
            lateout("s2") _,
            lateout("s3") _,
            lateout("s4") _,
            lateout("s5") _,
            lateout("s6") _,
            lateout("s7") _,
            lateout("s8") _,
            lateout("s9") _,
            lateout("s10") _,
            lateout("s11") _,
            lateout("fs0") _,
            lateout("fs1") _,
            lateout("fs2") _,
            lateout("fs3") _,
            lateout("fs4") _,
            lateout("fs5") _,
            lateout("fs6") _,
            lateout("fs7") _,
            lateout("fs8") _,
            lateout("fs9") _,
            lateout("fs10") _,
            lateout("fs11") _,
            clobber_abi("C"),
        );
    }
    (word_back, from_back)
}

#[inline(always)]
pub(super) unsafe fn answer(to: Context, word: Word) -> Word {
    let word_back;
    // SAFETY: as in `switch`.
    unsafe {
        asm!(
            "lla t0, 2f",
            "ld t1, 0(a3)",
            "ld t3, 8(a3)",
            "ld t4, 16(a3)",
            "ld t2, 24(a3)",
            "addi a1, sp, -32",
            "addi sp, sp, -32",
            ".cfi_remember_state",
            ".cfi_undefined ra",
            "sd t0, 0(sp)",
            "sd s1, 8(sp)",
            "sd s0, 16(sp)",
            "sd zero, 24(sp)",
            "mv s1, t3",
            "mv s0, t4",
            "addi sp, a3, 32",
            "jr t1",
            ".cfi_restore_state",
            "unimp",
            "2:",
            inout("a0") word => word_back,
            inout("a3") to.0 => _,
            lateout("s2") _,
            lateout("s3") _,
            lateout("s4") _,
            lateout("s5") _,
            lateout("s6") _,
            lateout("s7") _,
            lateout("s8") _,
            lateout("s9") _,
            lateout("s10") _,
            lateout("s11") _,
            lateout("fs0") _,
            lateout("fs1") _,
            lateout("fs2") _,
            lateout("fs3") _,
            lateout("fs4") _,
            lateout("fs5") _,
            lateout("fs6") _,
            lateout("fs7") _,
            lateout("fs8") _,
            lateout("fs9") _,
            lateout("fs10") _,
            lateout("fs11") _,
            clobber_abi("C"),
        );
    }
    word_back
}

/// The base frame of every stack: `entry(data)`, and the end of every backtrace.
///
/// On arrival s1 is `data`, t2 is `entry`, s0 is zero and sp is `top`.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined ra",
        ".cfi_undefined s0",
        "mv a0, s1",
        "jalr t2",
        "unimp",
        ".cfi_endproc",
    )
}

pub(super) const CALL_ON_TOP: Option<CallOnTop> = Some(call_on_top);

/// Not inlined: see the canonical backend.
#[inline(never)]
unsafe fn call_on_top(on: Context, function: unsafe extern "C" fn(*mut ()), data: *mut ()) {
    // SAFETY: as the caller promises.
    unsafe { enter_on_top(on, function, data) }
}

/// `function(data)` on top of the suspended stack `on`, which s0 points to meanwhile; s1 keeps the
/// stack pointer of the caller.
#[unsafe(naked)]
unsafe extern "C" fn enter_on_top(
    on: Context,
    function: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) {
    naked_asm!(
        ".cfi_startproc",
        "addi sp, sp, -32",
        ".cfi_def_cfa_offset 32",
        "sd ra, 24(sp)",
        ".cfi_offset ra, -8",
        "sd s0, 16(sp)",
        ".cfi_offset s0, -16",
        "sd s1, 8(sp)",
        ".cfi_offset s1, -24",
        "mv s1, sp",
        "mv s0, a0",
        "mv sp, a0",
        ".cfi_remember_state",
        ".cfi_def_cfa s0, 32",
        ".cfi_offset ra, -32",
        ".cfi_offset s1, -24",
        ".cfi_offset s0, -16",
        "mv a0, a2",
        "jalr a1",
        "mv sp, s1",
        ".cfi_restore_state",
        "ld s1, 8(sp)",
        ".cfi_restore s1",
        "ld s0, 16(sp)",
        ".cfi_restore s0",
        "ld ra, 24(sp)",
        ".cfi_restore ra",
        "addi sp, sp, 32",
        ".cfi_def_cfa_offset 0",
        "ret",
        ".cfi_endproc",
    )
}

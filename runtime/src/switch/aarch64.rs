//! aarch64, AAPCS64. Only what differs from the canonical backend (`x86_64.rs`) is explained here.
//!
//! ```text
//!   suspended in switch()            fresh from prepare()
//!
//!   |  the caller's frame  |         +----------------------+  top
//!   +----------------------+         |        entry         |  top - 8
//!   |          0           |         |          0           |  top - 16
//!   |       saved x29      |         |         data         |  top - 24
//!   |       saved x19      |         |      trampoline      |  top - 32  <- sp
//!   |    resume address    | <- sp   +----------------------+
//!   +----------------------+
//! ```
//!
//! sp must be a multiple of 16 at every use, so the frame has a fourth word, and a fresh stack
//! keeps `entry` there. All four are loaded before the jump: that is the same for both kinds of
//! frames, and a fresh stack starts with x29 = 0, which ends the chain of frame pointers.
//!
//! - There is no red zone. From the store that makes the frame to the jump, which are five
//!   instructions, the tables end the unwinding. What may have to wait for memory comes before.
//! - The word and the context travel in x0 and x1.
//! - x19 and x29 are the registers that LLVM reserves here. The others that a call preserves, x20
//!   to x28 and the low halves of v8 to v15, are declared clobbered. fpcr stays alone.
//! - *Branch targets (BTI).* On pages that enforce them a `br` must land on a marker. Both places
//!   that a switch jumps to begin with one; elsewhere it does nothing.
//! - *Signed return addresses (PAC).* A function signs its own return address with its own stack
//!   pointer, and gets both back unchanged. The resume address is not signed: code that can
//!   overwrite the frame can choose where it continues.
//! - *Shadow stacks* (x18 under `-Zsanitizer=shadow-call-stack`, and the processor's guarded
//!   control stack) are one for each thread and do not follow a switch. Neither may be on.

use std::arch::{asm, naked_asm};

use super::on_top::CallOnTop;
use super::{Context, Entry, Word};

pub(super) const NAME: &str = "aarch64";

/// A suspended stack does not reach below its context.
pub(super) const BELOW: usize = 0;

/// A stack that has not run, from the stack pointer up. See the right half of the picture.
#[repr(C)]
struct FreshFrame {
    resume: unsafe extern "C" fn(),
    /// Arrives in x19.
    data: *mut (),
    /// Arrives in x29: no caller.
    end: usize,
    /// Arrives in x10.
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
            "adr x9, 2f",
            "ldp x11, x12, [x3]",
            "ldp x13, x10, [x3, #16]",
            "sub x14, sp, #32",
            "str x14, [x2]",
            "stp x9, x19, [sp, #-32]!",
            ".cfi_remember_state",
            ".cfi_undefined x30",
            "stp x29, xzr, [sp, #16]",
            "mov x19, x12",
            "mov x29, x13",
            "add sp, x3, #32",
            "br x11",
            ".cfi_restore_state",
            "udf #0",
            "2:",
            "hint #36", // bti j
            inout("x0") word => word_back,
            inout("x1") from => from_back,
            inout("x2") save => _,
            inout("x3") to.0 => _,
            lateout("x20") _,
            lateout("x21") _,
            lateout("x22") _,
            lateout("x23") _,
            lateout("x24") _,
            lateout("x25") _,
            lateout("x26") _,
            lateout("x27") _,
            lateout("x28") _,
            // Includes all of v0 to v31, and x30.
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
            "adr x9, 2f",
            "ldp x11, x12, [x3]",
            "ldp x13, x10, [x3, #16]",
            "sub x1, sp, #32",
            "stp x9, x19, [sp, #-32]!",
            ".cfi_remember_state",
            ".cfi_undefined x30",
            "stp x29, xzr, [sp, #16]",
            "mov x19, x12",
            "mov x29, x13",
            "add sp, x3, #32",
            "br x11",
            ".cfi_restore_state",
            "udf #0",
            "2:",
            "hint #36", // bti j
            inout("x0") word => word_back,
            inout("x3") to.0 => _,
            lateout("x20") _,
            lateout("x21") _,
            lateout("x22") _,
            lateout("x23") _,
            lateout("x24") _,
            lateout("x25") _,
            lateout("x26") _,
            lateout("x27") _,
            lateout("x28") _,
            clobber_abi("C"),
        );
    }
    word_back
}

/// The base frame of every stack: `entry(data)`, and the end of every backtrace.
///
/// On arrival x19 is `data`, x10 is `entry`, x29 is zero and sp is `top`. x30 is what the resumer
/// left there: without the note that it is undefined, an unwinder would take the call below for its
/// own caller, again and again.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        ".cfi_undefined x30",
        ".cfi_undefined x29",
        "hint #36", // bti j
        "mov x0, x19",
        "blr x10",
        "udf #0",
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

/// `function(data)` on top of the suspended stack `on`, which x29 points to meanwhile; x19 keeps
/// the stack pointer of the caller.
#[unsafe(naked)]
unsafe extern "C" fn enter_on_top(
    on: Context,
    function: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) {
    naked_asm!(
        ".cfi_startproc",
        "hint #34", // bti c
        "stp x29, x30, [sp, #-32]!",
        ".cfi_def_cfa_offset 32",
        ".cfi_offset x29, -32",
        ".cfi_offset x30, -24",
        "str x19, [sp, #16]",
        ".cfi_offset x19, -16",
        "mov x19, sp",
        "mov x29, x0",
        "mov sp, x0",
        ".cfi_remember_state",
        ".cfi_def_cfa x29, 32",
        ".cfi_offset x30, -32",
        ".cfi_offset x19, -24",
        ".cfi_offset x29, -16",
        "mov x0, x2",
        "blr x1",
        "mov sp, x19",
        ".cfi_restore_state",
        "ldr x19, [sp, #16]",
        ".cfi_restore x19",
        "ldp x29, x30, [sp], #32",
        ".cfi_def_cfa_offset 0",
        ".cfi_restore x29",
        ".cfi_restore x30",
        "ret",
        ".cfi_endproc",
    )
}

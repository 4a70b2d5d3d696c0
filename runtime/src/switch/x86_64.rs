//! The canonical backend: x86_64, System V calling convention.
//!
//! Stacks grow down. A [`Context`] is the stack pointer that a suspended stack goes on with. Below
//! it lies what else the processor needs:
//!
//! ```text
//!   suspended in switch()            fresh from prepare()
//!
//!   |  the caller's frame  |         |          0           |  top - 8
//!   |          ...         | <- sp   |          0           |  top - 16  <- sp
//!   +----------------------+         +----------------------+
//!   |      saved rbp       |         |        entry         |  top - 24
//!   |      saved rbx       |         |         data         |  top - 32
//!   |    resume address    |         |      trampoline      |  top - 40
//!   +----------------------+         +----------------------+
//! ```
//!
//! Both are continued in the same way: load the address, then `sp`, and jump. A resumed `switch`
//! finds rbx and rbp in the two slots above; the trampoline finds `data` and `entry` there.
//!
//! *A switch can be interrupted.* A signal handler must find these three words unharmed, and a
//! profiler's handler unwinds from wherever it is. Hence the words lie in the red zone, the 128
//! bytes that the kernel leaves alone: with a push the unwinding tables would be wrong, since it is
//! not known here whether those of the caller go by rsp or by rbp. Between the change of rsp and
//! that of rbp, two instructions, no table can be right. There they say that this frame is the
//! outermost one.
//!
//! Why it looks as it does, with ns a switch as measured against the alternatives on one Zen 3
//! core:
//!
//! - *Inline, with the registers declared clobbered (1.8).* The compiler spills only what is alive
//!   at that place, most often nothing. A naked function that saves all six callee-saved registers
//!   costs 3.0. rbx and rbp must be stored by hand, since LLVM reserves them and an asm block may
//!   not clobber them.
//! - *A word and a context travel in rdi and rsi.* A side that goes on finds there what the other
//!   one has left. A side that has nothing to say leaves them as they are, at no cost.
//! - *A jump, not a return.* The processor predicts a `ret` from the calls it has seen, and a
//!   switch breaks that pairing: 8.7.
//! - *mxcsr and the x87 control word stay alone.* Saving and restoring them costs 13.
//! - *The red zone is ours.* The blocks are not marked `nostack`: the compiler then keeps its own
//!   data out of it.

use std::arch::{asm, naked_asm};
use std::mem::offset_of;

use super::on_top::CallOnTop;
use super::{Context, Entry, Word};

pub(super) const NAME: &str = "x86_64";

/// A stack that has not run, from the stack pointer up. See the right half of the picture.
#[repr(C)]
struct FreshFrame {
    resume: unsafe extern "C" fn(),
    data: *mut (),
    entry: Entry,
    /// What a debugger that looks above the base finds: no caller.
    end: [usize; 2],
}

/// How far a suspended stack reaches below its context.
pub(super) const BELOW: usize = 24;

// The assembly counts in words of 64 bits, which not every ABI of this processor has.
const _: () = assert!(size_of::<FreshFrame>() == 40 && offset_of!(FreshFrame, end) == BELOW);

#[inline]
pub(super) unsafe fn prepare(top: *mut u8, entry: Entry, data: *mut ()) -> Context {
    let frame = top.wrapping_sub(size_of::<FreshFrame>()).cast::<FreshFrame>();
    // SAFETY: the caller owns the stack below `top`, which is 16-byte aligned; the frame's 40 bytes
    // end there and are hence 8-byte aligned.
    unsafe { frame.write(FreshFrame { resume: trampoline, data, entry, end: [0; 2] }) };
    Context(frame.cast::<u8>().wrapping_add(BELOW))
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
    // clobbered, or stored here and loaded at the resume address; the stack pointer is the same
    // before and after, since the switch that continues this context loads the value stored to
    // `save`. Nobody writes to the red zone of a stack that is suspended.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov [rsp - 8], rbp",
            "mov [rsp - 16], rbx",
            "mov [rsp - 24], rax",
            "mov [{save}], rsp",
            "mov rax, [{to} - 24]",
            "mov rsp, {to}",
            ".cfi_remember_state",
            ".cfi_undefined rip",
            "jmp rax",
            ".cfi_restore_state",
            // Never reached. A backtrace of what is suspended takes this for the call that led
            // away.
            "int3",
            ".cfi_remember_state",
            ".cfi_undefined rip",
            "2:",
            "mov rbp, [rsp - 8]",
            ".cfi_restore_state",
            "mov rbx, [rsp - 16]",
            save = in(reg) save,
            to = in(reg) to.0,
            // Written before the operands are read.
            out("rax") _,
            inout("rdi") word => word_back,
            inout("rsi") from => from_back,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    (word_back, from_back)
}

/// The same, but the place where this context is continued goes into rsi instead of memory.
#[inline(always)]
pub(super) unsafe fn answer(to: Context, word: Word) -> Word {
    let word_back;
    // SAFETY: as in `switch`.
    unsafe {
        asm!(
            "lea rax, [rip + 2f]",
            "mov [rsp - 8], rbp",
            "mov [rsp - 16], rbx",
            "mov [rsp - 24], rax",
            "mov rsi, rsp",
            "mov rax, [{to} - 24]",
            "mov rsp, {to}",
            ".cfi_remember_state",
            ".cfi_undefined rip",
            "jmp rax",
            ".cfi_restore_state",
            "int3",
            ".cfi_remember_state",
            ".cfi_undefined rip",
            "2:",
            "mov rbp, [rsp - 8]",
            ".cfi_restore_state",
            "mov rbx, [rsp - 16]",
            to = in(reg) to.0,
            // Written before the operand is read.
            out("rax") _,
            out("rsi") _,
            inout("rdi") word => word_back,
            lateout("r12") _,
            lateout("r13") _,
            lateout("r14") _,
            lateout("r15") _,
            clobber_abi("sysv64"),
        );
    }
    word_back
}

/// The base frame of every stack: `entry(data)`, and the end of every backtrace.
///
/// On arrival rsp is `top - 16`, so that `entry` begins with the alignment of an ordinary function.
#[unsafe(naked)]
unsafe extern "C" fn trampoline() {
    naked_asm!(
        ".cfi_startproc",
        // An undefined return address is how the unwinding tables say "outermost frame".
        ".cfi_undefined rip",
        ".cfi_undefined rbp",
        "mov rdi, [rsp - 16]",
        "mov rax, [rsp - 8]",
        // And a null frame pointer says it to code that walks the chain of frames.
        "xor ebp, ebp",
        // A call that the processor does not take for one. It would wait for a return that never
        // comes, and then predict each return of the resumer's callers wrongly.
        "lea rcx, [rip + 2f]",
        "push rcx",
        "jmp rax",
        "2:",
        "ud2",
        ".cfi_endproc",
    )
}

pub(super) const CALL_ON_TOP: Option<CallOnTop> = Some(call_on_top);

/// Not inlined, so that it is compiled together with the assembly. Without a neighbour that has
/// unwinding tables, that gets none in a build in which the compiler adds functions without any, as
/// those of a sanitizer are.
#[inline(never)]
unsafe fn call_on_top(on: Context, function: unsafe extern "C" fn(*mut ()), data: *mut ()) {
    // SAFETY: as the caller promises.
    unsafe { enter_on_top(on, function, data) }
}

/// `function(data)` on top of the suspended stack `on`.
///
/// rbx keeps the stack pointer of the caller. rbp is the suspended one, by which an unwinder finds
/// what `switch` has stored: from the left half of the picture it takes the resume address for the
/// place of this call, and the registers there. The tables change at the two instructions that
/// change rsp.
#[unsafe(naked)]
unsafe extern "C" fn enter_on_top(
    on: Context,
    function: unsafe extern "C" fn(*mut ()),
    data: *mut (),
) {
    naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "push rbx",
        ".cfi_def_cfa_offset 24",
        ".cfi_offset rbx, -24",
        "mov rbx, rsp",
        "mov rbp, rdi",
        "lea rsp, [rdi - 24]",
        ".cfi_remember_state",
        ".cfi_def_cfa rbp, 0",
        ".cfi_offset rip, -24",
        ".cfi_offset rbx, -16",
        ".cfi_offset rbp, -8",
        "and rsp, -16",
        "mov rdi, rdx",
        "call rsi",
        "mov rsp, rbx",
        ".cfi_restore_state",
        "pop rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_def_cfa_offset 8",
        ".cfi_restore rbp",
        "ret",
        ".cfi_endproc",
    )
}

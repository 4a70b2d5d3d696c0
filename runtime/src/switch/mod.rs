//! The switch: leave one stack, continue on another.
//!
//! This is the whole contract between Lisle and a processor. A backend is one file that provides
//!
//! - `prepare(top, entry, data)`: lay out a fresh stack so that the first switch to it calls
//!   `entry(data)` with an aligned stack and a frame at which every unwinder stops;
//! - `switch(save, to, word, from)`: store where the caller can be continued in `*save`, then
//!   continue `to`, which gets the two words; returns the two words with which the caller is
//!   continued;
//! - `answer(to, word)`: the same, but where the caller can be continued is the second word;
//! - `CALL_ON_TOP`: how to run a function on top of a suspended stack, for backtraces.
//!
//! A [`Context`] is good for one continuation. What a switch preserves is what the platform's C
//! calling convention preserves over a call: callee-saved registers and the caller's stack. The
//! floating-point control words (mxcsr, x87, fpcr) are not saved; they belong to the OS thread, so
//! a task that changes a rounding mode restores it before it lets others run.
//!
//! A switch can carry two words in registers: what a [`call`] and its [`answer`] have to say, and
//! where the answering side can be continued. A word that is left empty costs nothing.
//!
//! The last switch away from a stack is a [`switch_for_good`], the same thing for a backend.
//!
//! The backends, of which exactly one is compiled in ([`BACKEND`] names it):
//!
//! 1. `x86_64`: assembly, the canonical one. It explains what the others only vary.
//! 2. `aarch64`: assembly.
//! 3. `riscv64`: assembly.
//! 4. `ucontext`: the C library's `makecontext` and `swapcontext`, for every other architecture of
//!    Linux with glibc. `RUSTFLAGS='--cfg lisle_switch="ucontext"'` forces it anywhere.
//!
//! One contract suite (`tests/switch*.rs`) runs on the one that is compiled in.

mod on_top;

#[cfg(all(target_arch = "x86_64", not(lisle_switch = "ucontext")))]
#[path = "x86_64.rs"]
mod backend;

#[cfg(all(target_arch = "aarch64", not(lisle_switch = "ucontext")))]
#[path = "aarch64.rs"]
mod backend;

#[cfg(all(target_arch = "riscv64", not(lisle_switch = "ucontext")))]
#[path = "riscv64.rs"]
mod backend;

#[cfg(any(
    lisle_switch = "ucontext",
    not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64"))
))]
#[path = "ucontext.rs"]
mod backend;

#[cfg(not(target_os = "linux"))]
compile_error!("lisle runs on Linux only: its stacks need the memory management of that kernel");

pub use self::on_top::{ROOM_ON_TOP, on_top_of};
use std::mem::MaybeUninit;

use crate::sanitizer;

/// A suspended thread of execution: the address by which its backend finds how to continue it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct Context(*mut u8);

impl Context {
    /// No continuation. A placeholder for a slot that a [`switch`] will fill.
    pub const NONE: Context = Context(std::ptr::null_mut());

    /// The lowest address of the suspended frame, for prefetching it ahead of the switch.
    #[inline]
    pub fn frame(self) -> *const u8 {
        self.0.wrapping_sub(backend::BELOW)
    }
}

/// What a switch can carry in a register, if it is told to: a pointer, or any other eight bytes.
pub type Word = MaybeUninit<*mut ()>;

/// The first function on a fresh stack. It never returns: it ends by switching away for good.
pub type Entry = unsafe extern "C" fn(data: *mut ()) -> !;

/// The name of the backend that is compiled in: `"x86_64"`, `"aarch64"`, `"riscv64"` or
/// `"ucontext"`.
pub const BACKEND: &str = backend::NAME;

/// Lays out the stack that ends at `top` so that the first switch to it calls `entry(data)`.
///
/// # Safety
///
/// `top` is 16-byte aligned and the end of a writable, unused stack. The stack stays allocated
/// until `entry` has switched away for the last time. `entry` does not unwind.
#[inline]
pub unsafe fn prepare(top: *mut u8, entry: Entry, data: *mut ()) -> Context {
    debug_assert!(top.addr().is_multiple_of(16), "a stack top is 16-byte aligned");
    let (top, entry, data) = sanitizer::fresh(top, entry, data);
    // SAFETY: the caller's promise is the backend's requirement.
    unsafe { backend::prepare(top, entry, data) }
}

/// Suspends the caller, leaves its continuation in `*save` and continues `to`. Returns when
/// something switches to that continuation.
///
/// # Safety
///
/// - `to` was made by [`prepare`] or by a `switch`, has not been continued since, and its stack is
///   still allocated.
/// - `to` has run on this OS thread before, or has not run at all, or everything on its stack may
///   change thread.
/// - `save` is valid for a write until the switch has happened.
/// - No unwinding is under way that would have to cross the switch.
#[inline(always)]
pub unsafe fn switch(save: *mut Context, to: Context) {
    let departure = sanitizer::leave(to);
    // SAFETY: the caller's promise is the backend's requirement.
    unsafe { backend::switch(save, to, Word::uninit(), Word::uninit()) };
    sanitizer::arrive(departure);
}

/// Like [`switch`], and gives `word` to what it continues. Returns the word with which the caller
/// is continued and, if that is done by an [`answer`], where the answering side can be continued;
/// otherwise [`Context::NONE`].
///
/// # Safety
///
/// As for [`switch`]. Nobody continues the caller by [`switch`].
#[inline(always)]
pub unsafe fn call(save: *mut Context, to: Context, word: Word) -> (Word, Context) {
    let departure = sanitizer::leave(to);
    // SAFETY: the caller's promise is the backend's requirement. Everything that continues the
    // caller passes a context.
    let (word, from) = unsafe {
        let (word, from) = backend::switch(save, to, word, Word::new(Context::NONE.0.cast()));
        (word, from.assume_init())
    };
    sanitizer::arrive(departure);
    (word, Context(from.cast()))
}

/// Like [`switch`], but where the caller can be continued is not stored: `to` gets it, together
/// with `word`. Returns the word with which the caller is continued.
///
/// # Safety
///
/// As for [`switch`]. What `to` continues is a [`call`], which learns where the caller is.
#[inline(always)]
pub unsafe fn answer(to: Context, word: Word) -> Word {
    let departure = sanitizer::leave(to);
    // SAFETY: the caller's promise is the backend's requirement.
    let word = unsafe { backend::answer(to, word) };
    sanitizer::arrive(departure);
    word
}

/// Leaves the stack of the caller for ever and continues `to`. It is the last act of every
/// [`Entry`]; then the stack may be freed, or prepared for another one.
///
/// # Safety
///
/// - As for [`switch`], as far as `to` is concerned.
/// - Nothing relies on anything that is still on the stack of the caller: no destructor will run
///   there.
#[inline(always)]
pub unsafe fn switch_for_good(to: Context) -> ! {
    let mut nowhere = Context::NONE;
    let save = sanitizer::leave_for_good(to, &raw mut nowhere);
    // SAFETY: as the caller promises, and nobody will know the continuation that is stored.
    unsafe { backend::switch(save, to, Word::uninit(), Word::new(Context::NONE.0.cast())) };
    unreachable!("a stack that was left for good has been continued");
}

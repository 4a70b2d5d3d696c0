//! The portable fallback: `makecontext` and `swapcontext` of the C library.
//!
//! A [`Context`] points to the `ucontext_t` of a suspended stack, which lives on that stack: at its
//! top while it is fresh, in the frame of `switch` once it has run. Beside it lie the words with
//! which it is continued.
//!
//! `swapcontext` sets the signal mask, with a system call, and then loads the other stack pointer
//! some instructions ahead of the rest. The unwinding tables of the C library say nothing of that,
//! so that a profiler's signal handler would crash there. Hence every context has a mask that
//! blocks all signals, and the side that arrives sets the mask of the side that has left, with a
//! second system call. That makes the mask the thread's, as with the other backends, and a switch
//! hundreds of times dearer than assembly.

use std::mem::MaybeUninit;
use std::ptr;

use libc::{c_int, sigset_t, ucontext_t};

use super::on_top::CallOnTop;
use super::{Context, Entry, Word};

#[cfg(not(target_env = "gnu"))]
compile_error!(
    "lisle has no switch backend here: `ucontext` needs glibc (other C libraries lack \
     `makecontext`), and assembly exists for x86_64, aarch64 and riscv64"
);

// The `libc` crate declares these for some architectures only.
unsafe extern "C" {
    fn getcontext(context: *mut ucontext_t) -> c_int;
    fn makecontext(context: *mut ucontext_t, start: extern "C" fn(), count: c_int, ...);
    fn swapcontext(save: *mut ucontext_t, to: *const ucontext_t) -> c_int;
}

pub(super) const NAME: &str = "ucontext";

/// A suspended stack does not reach below its context.
pub(super) const BELOW: usize = 0;

/// The C library cannot call a function in a way that an unwinder sees what is suspended above it.
pub(super) const CALL_ON_TOP: Option<CallOnTop> = None;

/// What a [`Context`] points to.
#[repr(C)]
struct Suspended {
    context: ucontext_t,
    /// Written by the switch that continues it.
    word: Word,
    from: Word,
    /// The signal mask of the side that continues it.
    mask: *const sigset_t,
}

/// What a fresh stack holds at its top.
#[repr(C, align(16))]
struct FreshFrame {
    suspended: Suspended,
    entry: Entry,
    data: *mut (),
}

pub(super) unsafe fn prepare(top: *mut u8, entry: Entry, data: *mut ()) -> Context {
    let frame = top.wrapping_sub(size_of::<FreshFrame>()).cast::<FreshFrame>();
    // SAFETY: the caller owns the stack below `top`, whose alignment of 16 the frame's size keeps.
    // `getcontext` fills the context before it is read. `makecontext` is told of a stack that ends
    // where the frame begins; it uses the length only to find that end. A pointer travels as two
    // `c_int`s because that is what the interface passes.
    unsafe {
        (&raw mut (*frame).entry).write(entry);
        (&raw mut (*frame).data).write(data);
        let context = &raw mut (*frame).suspended.context;
        context.write_bytes(0, 1);
        let failed = getcontext(context);
        assert_eq!(failed, 0, "getcontext cannot fail on Linux");
        const ROOM: usize = 1024;
        (*context).uc_stack.ss_sp = frame.cast::<u8>().wrapping_sub(ROOM).cast();
        (*context).uc_stack.ss_size = ROOM;
        (*context).uc_link = ptr::null_mut();
        let [low, high] = halves(frame.expose_provenance());
        let start: extern "C" fn(c_int, c_int) -> ! = start;
        let start: extern "C" fn() = std::mem::transmute(start);
        makecontext(context, start, 2, low, high);
        Context(context.cast())
    }
}

#[inline(never)]
pub(super) unsafe fn switch(
    save: *mut Context,
    to: Context,
    word: Word,
    from: Word,
) -> (Word, Word) {
    let mut here = MaybeUninit::<Suspended>::uninit();
    let here = here.as_mut_ptr();
    // SAFETY: `save` is good for a write, says the caller. See `leave` for the rest.
    unsafe {
        save.write(Context(here.cast()));
        leave(here, to, word, from);
        ((*here).word, (*here).from)
    }
}

#[inline(never)]
pub(super) unsafe fn answer(to: Context, word: Word) -> Word {
    let mut here = MaybeUninit::<Suspended>::uninit();
    let here = here.as_mut_ptr();
    // SAFETY: see `leave`.
    unsafe {
        leave(here, to, word, Word::new(here.cast()));
        (*here).word
    }
}

/// Stores the caller's continuation in `here` and continues `to`.
///
/// # Safety
///
/// As for a switch. `here` is in the frame of the caller.
#[inline(always)]
unsafe fn leave(here: *mut Suspended, to: Context, word: Word, from: Word) {
    let to: *mut Suspended = to.0.cast();
    // SAFETY: `here` stays in its frame until it is continued, and `swapcontext` fills it before
    // anyone can continue it. `to` points to a context that `prepare` or `swapcontext` filled, and
    // which nobody uses before it is continued.
    unsafe {
        (*to).word = word;
        (*to).from = from;
        (*to).mask = &raw const (*here).context.uc_sigmask;
        libc::sigfillset(&raw mut (*to).context.uc_sigmask);
        let failed = swapcontext(&raw mut (*here).context, &raw const (*to).context);
        assert_eq!(failed, 0, "swapcontext cannot fail on Linux");
        arrive(here);
    }
}

/// Lets signals through as the side that has left did.
///
/// # Safety
///
/// `here` has just been continued.
unsafe fn arrive(here: *const Suspended) {
    // SAFETY: the side that has left has written the pointer, to a mask that `swapcontext` stored
    // in a frame of its stack. That frame is still there, since nobody can have freed a stack that
    // was left just now.
    let failed = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, (*here).mask, ptr::null_mut()) };
    assert_eq!(failed, 0, "a signal mask can be set");
}

extern "C" fn start(low: c_int, high: c_int) -> ! {
    let frame = ptr::with_exposed_provenance::<FreshFrame>(join(low, high));
    // SAFETY: `prepare` has written the frame, above the stack that this function runs on, and its
    // caller promised that `entry` may be called with `data`.
    unsafe {
        arrive(&raw const (*frame).suspended);
        ((*frame).entry)((*frame).data)
    }
}

fn halves(address: usize) -> [c_int; 2] {
    [address as u32 as c_int, ((address as u64) >> 32) as u32 as c_int]
}

fn join(low: c_int, high: c_int) -> usize {
    (((high as u32 as u64) << 32) | low as u32 as u64) as usize
}

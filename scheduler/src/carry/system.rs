//! System calls without the C library, which would note their errors in a thread-local.

use std::arch::asm;
use std::sync::atomic::AtomicU32;

pub(super) use crate::carry::protocol::{Moment, NEVER};

/// A set of signals, as the kernel has it.
pub(super) type Signals = u64;

pub(super) const ALL_SIGNALS: Signals = Signals::MAX;

#[repr(C)]
struct TimeSpec {
    seconds: i64,
    nanoseconds: i64,
}

/// # Safety
///
/// As for the call.
#[inline(always)]
unsafe fn call(number: libc::c_long, arguments: [usize; 6]) -> isize {
    let result;
    // SAFETY: the caller's promise. The kernel changes these three registers.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0],
            in("rsi") arguments[1],
            in("rdx") arguments[2],
            in("r10") arguments[3],
            in("r8") arguments[4],
            in("r9") arguments[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Blocks while `word` is `value`, until `deadline`. May return for no reason.
pub(super) fn wait(word: &AtomicU32, value: u32, deadline: Moment) {
    let time = TimeSpec {
        seconds: (deadline / 1_000_000_000) as i64,
        nanoseconds: (deadline % 1_000_000_000) as i64,
    };
    let time = if deadline == NEVER { 0 } else { (&raw const time).addr() };
    let operation = libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG;
    let any = libc::FUTEX_BITSET_MATCH_ANY as usize;
    let arguments = [word.as_ptr().addr(), operation as usize, value as usize, time, 0, any];
    // SAFETY: word and time are read during the call.
    unsafe { call(libc::SYS_futex, arguments) };
}

/// Wakes the thread that waits at `word`.
pub(super) fn wake(word: &AtomicU32) {
    let operation = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
    // SAFETY: the kernel takes the address for a name.
    unsafe { call(libc::SYS_futex, [word.as_ptr().addr(), operation as usize, 1, 0, 0, 0]) };
}

/// What time it is.
pub(super) fn now() -> Moment {
    let mut time = TimeSpec { seconds: 0, nanoseconds: 0 };
    let clock = libc::CLOCK_MONOTONIC as usize;
    // SAFETY: the time is written during the call.
    unsafe {
        call(libc::SYS_clock_gettime, [clock, (&raw mut time).expose_provenance(), 0, 0, 0, 0])
    };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// Sets which signals the calling thread does not take, and returns which these were.
pub(super) fn block_signals(signals: Signals) -> Signals {
    let mut before: Signals = 0;
    let (new, old) = ((&raw const signals).addr(), (&raw mut before).expose_provenance());
    let arguments = [libc::SIG_SETMASK as usize, new, old, size_of::<Signals>(), 0, 0];
    // SAFETY: both sets are there during the call.
    unsafe { call(libc::SYS_rt_sigprocmask, arguments) };
    before
}

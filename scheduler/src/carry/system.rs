//! System calls without the C library, which would note their errors in a thread-local.

use std::arch::asm;
use std::ffi::c_int;
use std::mem;
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

/// The kernel's number of the calling thread.
pub(super) fn thread_number() -> i32 {
    // SAFETY: the call has no conditions.
    unsafe { call(libc::SYS_gettid, [0; 6]) as i32 }
}

/// What is done about a signal, as the kernel has it.
#[repr(C)]
#[derive(Default)]
pub(super) struct Action {
    pub(super) handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    pub(super) mask: Signals,
}

pub(super) fn action(signal: c_int) -> Action {
    let mut action = Action::default();
    let into = (&raw mut action).expose_provenance();
    let arguments = [signal as usize, 0, into, size_of::<Signals>(), 0, 0];
    // SAFETY: the action is written during the call.
    unsafe { call(libc::SYS_rt_sigaction, arguments) };
    action
}

pub(super) fn set_action(signal: c_int, action: &Action) {
    let from = (&raw const *action).expose_provenance();
    let arguments = [signal as usize, from, 0, size_of::<Signals>(), 0, 0];
    // SAFETY: the action is read during the call.
    unsafe { call(libc::SYS_rt_sigaction, arguments) };
}

/// Sends a signal with a value to a thread of this process.
pub(super) fn queue_signal(thread: i32, signal: c_int, value: usize) {
    /// As the kernel lays it out.
    #[repr(C)]
    struct Info {
        signal: c_int,
        error: c_int,
        code: c_int,
        pad: c_int,
        process: i32,
        user: u32,
        value: usize,
        rest: [usize; 12],
    }
    const { assert!(mem::size_of::<Info>() == mem::size_of::<libc::siginfo_t>()) };
    // SAFETY: the call has no conditions.
    let process = unsafe { call(libc::SYS_getpid, [0; 6]) as i32 };
    let (code, rest) = (libc::SI_QUEUE, [0; 12]);
    let info = Info { signal, error: 0, code, pad: 0, process, user: 0, value, rest };
    let from = (&raw const info).expose_provenance();
    let arguments = [process as usize, thread as usize, signal as usize, from, 0, 0];
    // SAFETY: the information is read during the call.
    unsafe { call(libc::SYS_rt_tgsigqueueinfo, arguments) };
}

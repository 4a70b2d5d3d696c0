//! The signal by which a worker that is blocked learns that it is to tell what blocks it.
//!
//! It is SIGURG, which is ignored unless a program asks for it. What was there before is called for
//! signals that are not from here, on the stack that it would have had without this one. A handler
//! may come at any instruction, so it takes no lock, allocates nothing, and reads only what is
//! atomic or never changes. One that a program installs
//! later replaces this one; then no worker answers.
//!
//! What the thread waits in goes on after the handler. The kernel resumes most calls by itself; of
//! the rest the standard library repeats its own. A call of a C library, such as `poll`, may
//! return EINTR.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{c_int, c_void, siginfo_t};
use lisle_runtime::internal::Chained;

use super::Seat;
use crate::worker::Worker;

const SIGNAL: c_int = libc::SIGURG;

static HANDLER: Chained = Chained::new(SIGNAL, on_signal);

/// A worker on its thread.
struct Here {
    worker: AtomicPtr<Worker>,
    seat: AtomicPtr<Seat>,
}

thread_local! {
    static HERE: Here = const {
        Here {
            worker: AtomicPtr::new(ptr::null_mut()),
            seat: AtomicPtr::new(ptr::null_mut()),
        }
    };
}

/// Notes which worker runs on the calling thread, until it is told that none does.
pub(super) fn set_worker(worker: Option<(&Worker, &Seat)>) {
    let (worker, seat) = worker.unzip();
    let worker = worker.map_or(ptr::null_mut(), |worker| ptr::from_ref(worker).cast_mut());
    let seat = seat.map_or(ptr::null_mut(), |seat| ptr::from_ref(seat).cast_mut());
    HERE.with(|here| {
        // The worker last, and first when it goes: a handler that finds it finds the other.
        here.worker.store(ptr::null_mut(), Ordering::Release);
        here.seat.store(seat, Ordering::Release);
        here.worker.store(worker, Ordering::Release);
    });
}

/// Sends the signal to a thread of this process.
pub(super) fn send(thread: libc::pid_t) {
    // SAFETY: the signal has no other effect than that its handler is called.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

/// Installs the handler, once a process and its children.
pub(super) fn install() {
    // A handler that was there may want the stack that it interrupts, or calls to end with EINTR.
    let kept = libc::SA_ONSTACK | libc::SA_RESTART | libc::SA_NODEFER;
    HANDLER.install(libc::SA_ONSTACK | libc::SA_RESTART, kept);
}

extern "C" fn on_signal(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the C library has one for each thread.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is an integer of the calling thread.
    let before = unsafe { *errno };
    // SAFETY: the kernel passes a valid description to a handler installed with SA_SIGINFO; it may
    // be missing where a handler that was installed later calls this one.
    if !(unsafe { info.as_ref() }.is_some_and(is_of_this_process) && answer()) {
        // The default is to ignore it, so there is nothing to do if there was no function.
        // SAFETY: the arguments are the kernel's.
        let _ = unsafe { HANDLER.call_previous(info, context) };
    }
    // SAFETY: as above. What is interrupted may be about to read it.
    unsafe { *errno = before };
}

/// Whether a thread of this process has sent the signal. Else the calling thread may be any, whose
/// thread-locals may not even have their memory yet.
fn is_of_this_process(info: &siginfo_t) -> bool {
    // SAFETY: a signal that was sent by a call has its sender's number.
    info.si_code == libc::SI_TKILL && unsafe { info.si_pid() == libc::getpid() }
}

/// Answers what blocks the worker of this thread. False if there is none, or it was not asked.
fn answer() -> bool {
    HERE.with(|here| {
        let worker = here.worker.load(Ordering::Acquire);
        let seat = here.seat.load(Ordering::Acquire);
        // SAFETY: `Presence` sees to it that both are null or alive, and this is their thread.
        let (Some(worker), Some(seat)) = (unsafe { (worker.as_ref(), seat.as_ref()) }) else {
            return false;
        };
        seat.hear(worker)
    })
}

//! What happens when a stack overflows: the process reports which task or coroutine has the stack
//! and what makes it larger, and aborts.
//!
//! The handler of SIGSEGV and SIGBUS is installed before the first stack is made. It decides by the
//! address alone: an address in the guard of one of our stacks is an overflow, and any other fault
//! goes to the handler that was there before, as if this one did not exist. A handler runs on the
//! thread's signal stack, since there is no room left on the one that overflowed, and does only
//! what is allowed in a signal handler: no lock, no allocation.

use std::cell::UnsafeCell;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void, sigaction, siginfo_t};

use super::describe::describe;
use super::regions::{self, Room};
use crate::coroutine::default_size_in_use;
use crate::last_words::write_to_stderr;
use crate::once::Step;

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What was done about the signals before, in the order of [`SIGNALS`].
static PREVIOUS: [Previous; 2] = [Previous::new(), Previous::new()];

struct Previous {
    action: UnsafeCell<MaybeUninit<sigaction>>,
    is_known: AtomicBool,
}

// SAFETY: the action is written by one thread before it is known, and read afterwards.
unsafe impl Sync for Previous {}

impl Previous {
    const fn new() -> Self {
        Self { action: UnsafeCell::new(MaybeUninit::uninit()), is_known: AtomicBool::new(false) }
    }

    /// # Safety
    ///
    /// No other thread sets it.
    unsafe fn set(&self, action: sigaction) {
        if !self.is_known.load(Ordering::Relaxed) {
            // SAFETY: nobody reads what is not known, and nobody else writes.
            unsafe { (*self.action.get()).write(action) };
            self.is_known.store(true, Ordering::Release);
        }
    }

    fn get(&self) -> Option<&sigaction> {
        // SAFETY: what is known is initialised and stays as it is.
        self.is_known
            .load(Ordering::Acquire)
            .then(|| unsafe { (*self.action.get()).assume_init_ref() })
    }
}

type PlainHandler = extern "C" fn(c_int);
type InfoHandler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Installs the handlers. Later calls do nothing.
///
/// A thread also needs a signal stack: see [`signal_stack`](super::signal_stack).
pub(super) fn install() {
    static INSTALL: Step = Step::new();
    INSTALL.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            // SAFETY: this is the one call of the step.
            unsafe { install_one(signal, previous) };
        }
    });
}

/// # Safety
///
/// No other thread does the same.
unsafe fn install_one(signal: c_int, previous: &Previous) {
    // SAFETY: for this plain C struct all bytes zero is a valid value.
    let mut old: sigaction = unsafe { mem::zeroed() };
    // SAFETY: asks for the present action, to be written to `old`. It cannot fail for this signal.
    unsafe { libc::sigaction(signal, ptr::null(), &mut old) };
    if old.sa_sigaction == on_fault as InfoHandler as usize {
        // This is a fork child; a thread of its parent had come as far as that.
        return;
    }
    // The handler may run as soon as it is installed, so it must find the old action by then.
    // SAFETY: the caller's promise.
    unsafe { previous.set(old) };

    // What the kernel did for the old handler it must go on doing.
    let kept = libc::SA_NODEFER | libc::SA_RESETHAND | libc::SA_RESTART;
    let mut new = old;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    if ![libc::SIG_DFL, libc::SIG_IGN].contains(&old.sa_sigaction) {
        new.sa_flags |= old.sa_flags & kept;
    }
    new.sa_sigaction = on_fault as InfoHandler as usize;
    // SAFETY: `on_fault` has the signature that SA_SIGINFO asks for and is fit for a signal
    // handler.
    unsafe { libc::sigaction(signal, &new, ptr::null_mut()) };
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid description to a handler installed with SA_SIGINFO.
    let details = unsafe { &*info };
    // A positive code means that the kernel reports a fault; else somebody sent the signal.
    let is_fault = details.si_code > 0;
    if is_fault {
        // SAFETY: for a fault the description holds an address.
        let address = unsafe { details.si_addr() }.addr();
        if let Some(room) = regions::locate(address)
            && room.guards(address)
        {
            report(room);
        }
    }
    let position = SIGNALS.iter().position(|known| *known == signal);
    let Some(previous) = position.and_then(|index| PREVIOUS[index].get()) else {
        return;
    };
    match previous.sa_sigaction {
        // A signal that was sent and ignored has no effect; a fault may not be ignored, and the
        // kernel ends the process if it happens again under this action.
        libc::SIG_IGN if !is_fault => {}
        libc::SIG_DFL | libc::SIG_IGN => {
            // SAFETY: restores an action that the kernel itself has returned.
            unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
            if !is_fault {
                // Returning would not bring it back, as it brings back a fault.
                // SAFETY: raising a signal is allowed in a handler; this one is blocked until then.
                unsafe { libc::raise(signal) };
            }
        }
        handler if previous.sa_flags & libc::SA_SIGINFO != 0 => {
            // SAFETY: the action was registered with SA_SIGINFO, so this is such a function.
            let handler: InfoHandler = unsafe { mem::transmute(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: the action was registered without SA_SIGINFO, so this is such a function.
            let handler: PlainHandler = unsafe { mem::transmute(handler) };
            handler(signal);
        }
    }
}

/// Reports the overflow of the stack in `room`, and aborts.
fn report(room: Room) -> ! {
    let mut message = Message::new();
    let mut told = false;
    message.push(b"\n");
    describe(room.top, &mut |running| {
        if running.remedy.is_none() {
            message.push(b"a coroutine in ");
        }
        message.push(b"task '");
        message.push(&running.name[..running.name.len().min(Message::LONGEST_NAME)]);
        message.push(b"'");
        message.push_rest(room, running.remedy);
        told = true;
    });
    if !told {
        message.push(b"a coroutine");
        message.push_rest(room, None);
    }
    write_to_stderr(&message.bytes[..message.length]);
    // SAFETY: `abort` is allowed in a signal handler.
    unsafe { libc::abort() }
}

/// What gives a coroutine with a stack of `bytes` a larger one.
fn remedy_of_coroutines(bytes: usize) -> &'static str {
    if default_size_in_use() == Some(bytes) {
        "raise LISLE_STACK_SIZE, or create the coroutine with Coroutine::with_stack_size or \
         Generator::with_stack_size"
    } else {
        "create the coroutine with a larger one, by Coroutine::with_stack_size or \
         Generator::with_stack_size"
    }
}

/// A text that is put together without allocation, and written at once so that nothing comes in
/// between. What does not fit is left out.
struct Message {
    bytes: [u8; 640],
    length: usize,
}

impl Message {
    /// Leaves room for the rest of the message.
    const LONGEST_NAME: usize = 256;

    fn new() -> Self {
        Self { bytes: [0; 640], length: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text[..count]);
        self.length += count;
    }

    /// What follows the name of the task or coroutine in a report.
    fn push_rest(&mut self, room: Room, remedy: Option<&str>) {
        let bytes = room.top - room.bottom;
        self.push(b" has overflowed its stack\nthe stack has ");
        self.push_number(bytes);
        self.push(b" bytes: ");
        self.push(remedy.unwrap_or_else(|| remedy_of_coroutines(bytes)).as_bytes());
        self.push(b"\n");
    }

    fn push_number(&mut self, number: usize) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.push(&[b'0' + (number % 10) as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_and_not_overrun() {
        let mut message = Message::new();
        message.push(b"the stack has ");
        message.push_number(262_144);
        assert_eq!(&message.bytes[..message.length], b"the stack has 262144");
        message.push(&[b'x'; 1000]);
        assert_eq!(message.length, 640);
        message.push(b"y");
        assert_eq!(message.bytes[639], b'x');
    }
}

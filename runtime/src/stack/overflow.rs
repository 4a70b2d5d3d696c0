//! What happens when a stack overflows: the process reports which task or coroutine has the stack
//! and what makes it larger, and aborts.
//!
//! The handler of SIGSEGV and SIGBUS is installed before the first stack is made. It decides by the
//! address alone: an address in the guard of one of our stacks is an overflow, and one on a stack
//! of the parent of a fork child means that the child has touched what it has not got. Any other
//! fault goes to the handler that was there before, as if this one did not exist. A handler runs on
//! the thread's signal stack, since there is no room left on the one that overflowed, and does only
//! what is allowed in a signal handler: no lock, no allocation.

use std::ptr;

use libc::{c_int, c_void, siginfo_t};

use super::describe::describe;
use super::regions::{self, Room};
use crate::chained::Chained;
use crate::coroutine::default_size_in_use;
use crate::last_words::write_to_stderr;

/// The code of a fault at an address where nothing is.
const SEGV_MAPERR: c_int = 1;

static HANDLERS: [Chained; 2] =
    [Chained::new(libc::SIGSEGV, on_fault), Chained::new(libc::SIGBUS, on_fault)];

/// Installs the handlers. Later calls do nothing.
///
/// A thread also needs a signal stack: see [`signal_stack`](super::signal_stack).
pub(super) fn install() {
    let kept = libc::SA_NODEFER | libc::SA_RESETHAND | libc::SA_RESTART;
    HANDLERS.iter().for_each(|handler| handler.install(libc::SA_ONSTACK, kept));
}

extern "C" fn on_fault(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid description to a handler installed with SA_SIGINFO; it may
    // be missing where a handler that was installed later calls this one.
    let details = unsafe { info.as_ref() };
    // A positive code means that the kernel reports a fault; else the signal was sent.
    let fault = details.filter(|details| details.si_code > 0);
    if let Some(details) = fault {
        // SAFETY: for a fault the description holds an address.
        let address = unsafe { details.si_addr() }.addr();
        let room = regions::locate(address);
        let lost = if room.is_none() { regions::locate_lost(address) } else { None };
        // The one stack that a fork child has of its parent can overflow, too.
        if let Some(room) = room.or(lost)
            && room.guards(address)
        {
            report(room);
        }
        // Something else may lie there by now, and use faults for its own ends.
        if lost.is_some() && details.si_code == SEGV_MAPERR {
            report_lost();
        }
    }
    let is_fault = fault.is_some();
    let handler = &HANDLERS[usize::from(signal == libc::SIGBUS)];
    // SAFETY: the arguments are the kernel's.
    let Some(previous) = (unsafe { handler.call_previous(info, context) }) else { return };
    // A signal that was sent and ignored has no effect; a fault may not be ignored, and the kernel
    // ends the process if it happens again under this action.
    if previous.sa_sigaction == libc::SIG_IGN && !is_fault {
        return;
    }
    // SAFETY: restores an action that the kernel itself has returned.
    unsafe { libc::sigaction(signal, previous, ptr::null_mut()) };
    if !is_fault {
        // Returning would not bring it back, as it brings back a fault.
        // SAFETY: raising a signal is allowed in a handler; this one is blocked until then.
        unsafe { libc::raise(signal) };
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

/// Reports that a fork child has touched a stack that only its parent has, and aborts.
fn report_lost() -> ! {
    write_to_stderr(
        b"\nthis process, a fork child, needs the stack of a task of its parent, which it does not \
          have: it has used or dropped a handle to something at which that task waits, or has \
          waited itself, in a task\n\
          forget such handles in the child, by std::mem::forget, and let a child that a task has \
          forked do nothing but exec or _exit\n",
    );
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

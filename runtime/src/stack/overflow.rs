//! What happens when a stack overflows: the process says which task it was, and aborts.
//!
//! The handler of SIGSEGV and SIGBUS decides by the address alone: an address in a guard page of
//! one of our stacks is an overflow, and any other fault goes to the handler that was there before,
//! as if this one did not exist. A handler runs on the thread's signal stack, since there is no
//! room left on the one that overflowed, and does only what is allowed in a signal handler: no
//! lock, no allocation.

use std::mem;
use std::ptr;
use std::sync::{Once, OnceLock};

use libc::{c_int, c_void, sigaction, siginfo_t};

use super::slab;
use crate::last_words::write_to_stderr;

pub use super::signal_stack::ensure_signal_stack;

/// Calls back with the name of the task that runs on this thread, or not at all.
///
/// It is called in a signal handler: it must neither lock, nor allocate, nor panic, and a
/// thread-local that it reads must need no initialisation.
pub type Describer = fn(&mut dyn FnMut(&[u8]));

static DESCRIBER: OnceLock<Describer> = OnceLock::new();

/// Says who knows the name of the current task. The first call wins.
pub fn set_describer(describer: Describer) {
    let _ = DESCRIBER.set(describer);
}

const SIGNALS: [c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// What was done about the signals before, in the order of [`SIGNALS`].
static PREVIOUS: [OnceLock<sigaction>; 2] = [OnceLock::new(), OnceLock::new()];

type PlainHandler = extern "C" fn(c_int);
type InfoHandler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

/// Installs the handlers. Later calls do nothing.
///
/// A thread also needs a signal stack: see [`ensure_signal_stack`].
pub fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        for (signal, previous) in SIGNALS.into_iter().zip(&PREVIOUS) {
            install_one(signal, previous);
        }
    });
}

fn install_one(signal: c_int, previous: &OnceLock<sigaction>) {
    // SAFETY: for this plain C struct all bytes zero is a valid value.
    let mut old: sigaction = unsafe { mem::zeroed() };
    // SAFETY: asks for the present action, to be written to `old`. It cannot fail for this signal.
    unsafe { libc::sigaction(signal, ptr::null(), &mut old) };
    // The handler may run as soon as it is installed, so it must find the old action by then.
    let _ = previous.set(old);

    // What the kernel did for the old handler it must go on doing.
    let kept = libc::SA_NODEFER | libc::SA_RESETHAND | libc::SA_RESTART;
    let mut new = old;
    new.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    if ![libc::SIG_DFL, libc::SIG_IGN].contains(&old.sa_sigaction) {
        new.sa_flags |= old.sa_flags & kept;
    }
    new.sa_sigaction = on_fault as InfoHandler as usize;
    // SAFETY: `on_fault` has the signature that SA_SIGINFO asks for and is fit for a signal handler.
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
        if let Some(room) = slab::locate(address)
            && room.guards(address)
        {
            report(room.bytes);
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

/// Prints who has overflowed a stack of `bytes`, and aborts.
fn report(bytes: usize) -> ! {
    let mut message = Message::new();
    let mut named = false;
    message.push(b"\n");
    if let Some(describe) = DESCRIBER.get() {
        describe(&mut |name| {
            named = true;
            message.push(b"task '");
            message.push(&name[..name.len().min(Message::LONGEST_NAME)]);
            message.push(b"'");
        });
    }
    let remedy: &[u8] = if named {
        b"give the task a larger stack with Builder::stack_size"
    } else {
        message.push(b"coroutine");
        b"create the coroutine with a larger stack"
    };
    message.push(b" has overflowed its stack\nthe stack has ");
    message.push_number(bytes);
    message.push(b" bytes: raise LISLE_STACK_SIZE or ");
    message.push(remedy);
    message.push(b"\n");
    write_to_stderr(&message.bytes[..message.length]);
    // SAFETY: `abort` is allowed in a signal handler.
    unsafe { libc::abort() }
}

/// A text that is put together without allocation, and written at once so that nothing comes in
/// between. What does not fit is left out.
struct Message {
    bytes: [u8; 512],
    length: usize,
}

impl Message {
    /// Leaves room for the rest of the message.
    const LONGEST_NAME: usize = 256;

    fn new() -> Self {
        Self { bytes: [0; 512], length: 0 }
    }

    fn push(&mut self, text: &[u8]) {
        let room = &mut self.bytes[self.length..];
        let count = text.len().min(room.len());
        room[..count].copy_from_slice(&text[..count]);
        self.length += count;
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
        assert_eq!(message.length, 512);
        message.push(b"y");
        assert_eq!(message.bytes[511], b'x');
    }
}

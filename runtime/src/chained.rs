//! A signal handler that leaves what was there before in its place: it is called for signals that
//! are not the handler's business.

use std::cell::UnsafeCell;
use std::mem::{self, MaybeUninit};
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, c_void, sigaction, siginfo_t};

use crate::once::Step;

/// A handler as SA_SIGINFO has it.
type Handler = extern "C" fn(c_int, *mut siginfo_t, *mut c_void);

type PlainHandler = extern "C" fn(c_int);

/// A handler of one signal that is installed once in a process and its children.
pub struct Chained {
    signal: c_int,
    handler: Handler,
    step: Step,
    previous: UnsafeCell<MaybeUninit<sigaction>>,
    is_previous_known: AtomicBool,
}

// SAFETY: `previous` is written by one thread before it is known, and read afterwards.
unsafe impl Sync for Chained {}

impl Chained {
    /// `handler` must be fit for a signal handler.
    pub const fn new(signal: c_int, handler: Handler) -> Self {
        Self {
            signal,
            handler,
            step: Step::new(),
            previous: UnsafeCell::new(MaybeUninit::uninit()),
            is_previous_known: AtomicBool::new(false),
        }
    }

    /// Installs the handler with `flags`. If a function is there already, those among `kept` are
    /// set or not as it has them: what the kernel did for it, and did not, stays so. Later calls do
    /// nothing.
    pub fn install(&self, flags: c_int, kept: c_int) {
        self.step.call_once(|| {
            // SAFETY: for this plain C struct all bytes zero is a valid value.
            let mut old: sigaction = unsafe { mem::zeroed() };
            // SAFETY: asks for the present action, to be written to `old`.
            unsafe { libc::sigaction(self.signal, ptr::null(), &mut old) };
            if old.sa_sigaction == self.handler as usize {
                // This is a fork child; a thread of its parent had come as far as that.
                return;
            }
            // The handler may run as soon as it is installed, so it must find the old action by
            // then.
            // SAFETY: this is the one call of the step.
            unsafe { self.set_previous(old) };
            let mut new = old;
            new.sa_flags = libc::SA_SIGINFO | flags;
            if is_function(&old) {
                new.sa_flags = (new.sa_flags & !kept) | (old.sa_flags & kept);
            }
            new.sa_sigaction = self.handler as usize;
            // SAFETY: `handler` has the signature that SA_SIGINFO asks for.
            unsafe { libc::sigaction(self.signal, &new, ptr::null_mut()) };
        });
    }

    /// # Safety
    ///
    /// No other thread does the same.
    unsafe fn set_previous(&self, action: sigaction) {
        // In a fork child a thread of its parent may have done this.
        if !self.is_previous_known.load(Ordering::Relaxed) {
            // SAFETY: what is not known is not read, and no other thread writes.
            unsafe { (*self.previous.get()).write(action) };
            self.is_previous_known.store(true, Ordering::Release);
        }
    }

    fn previous(&self) -> Option<&sigaction> {
        let is_known = self.is_previous_known.load(Ordering::Acquire);
        // SAFETY: what is known is initialised and stays as it is.
        is_known.then(|| unsafe { (*self.previous.get()).assume_init_ref() })
    }

    /// Calls the function that was there before. Returns the action that was, if it is none: the
    /// default, or to ignore the signal.
    ///
    /// # Safety
    ///
    /// The arguments are those that the kernel has given to the handler.
    pub unsafe fn call_previous(
        &self,
        info: *mut siginfo_t,
        context: *mut c_void,
    ) -> Option<&sigaction> {
        let previous = self.previous()?;
        if !is_function(previous) {
            return Some(previous);
        }
        if previous.sa_flags & libc::SA_SIGINFO != 0 {
            // SAFETY: the action was registered with SA_SIGINFO, so this is such a function.
            let handler: Handler = unsafe { mem::transmute(previous.sa_sigaction) };
            handler(self.signal, info, context);
        } else {
            // SAFETY: the action was registered without SA_SIGINFO, so this is such a function.
            let handler: PlainHandler = unsafe { mem::transmute(previous.sa_sigaction) };
            handler(self.signal);
        }
        None
    }
}

fn is_function(action: &sigaction) -> bool {
    ![libc::SIG_DFL, libc::SIG_IGN].contains(&action.sa_sigaction)
}

//! `setuid` and its kin. The kernel keeps credentials for each thread; the C library has every
//! thread change them as the caller does, by a signal. Its handler notes in the thread-locals that
//! the thread has obeyed, and finds the threads by their numbers. So a thread that runs another
//! identity would obey in that one's name, and the caller would wait for ever.
//!
//! Here a handler of our own comes before the library's, and lets that find the thread-locals of
//! the thread's own identity. They may be in use on another thread: the library's handler does no
//! more to them than it does to those of a thread that it interrupts, and in one atomic step.
//!
//! The caller itself is not asked. If it is away, its home has to be, and the thread that it is on
//! has not: that has just sent the order to itself, and passes it on.

use std::ffi::{c_int, c_void};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::system::{self, ALL_SIGNALS};
use super::{Seat, register, seats};

/// What the C library gives the order by. It hides the number, and has had this one since it has
/// had threads.
const ORDER: c_int = 33;

/// As the handler of a signal that was sent to one thread finds it.
const SENT_TO_ONE: c_int = -6;

/// The C library's handler, once ours comes before it.
static THEIRS: AtomicUsize = AtomicUsize::new(0);

type Handler = unsafe extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void);

/// From now on an order finds the thread-locals of the thread that it was sent to. The C library
/// has set its handler before a second thread was started.
pub(super) fn find_their_threads() {
    let mut action = system::action(ORDER);
    let ours = on_order as Handler as usize;
    if ![libc::SIG_DFL, libc::SIG_IGN, ours].contains(&action.handler) {
        THEIRS.store(action.handler, Ordering::Release);
        action.handler = ours;
        // What is interrupted with other thread-locals than its own runs no other handler.
        action.mask = ALL_SIGNALS;
        system::set_action(ORDER, &action);
    }
}

unsafe extern "C" fn on_order(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let (own, number) = (register::read(), system::thread_number());
    // SAFETY: the kernel passes it, for the handler to use.
    let order = unsafe { &mut *info };
    let passed_on = passed_on(order);
    if passed_on.is_some() {
        order.si_code = SENT_TO_ONE;
    }
    let Some(seat) = passed_on.or_else(|| seats::of_thread(number)) else {
        // SAFETY: the kernel's arguments.
        return unsafe { call_theirs(signal, info, context) };
    };
    // SAFETY: as above.
    if passed_on.is_none() && seat.own.base() != own && unsafe { has_sent_itself(context, number) }
    {
        return seats::of_base(own).into_iter().for_each(|caller| pass_on(seat, caller));
    }
    // SAFETY: the register is writable, since there are seats. The thread of the seat has not
    // ended: its worker is at home then. What may be using its thread-locals meanwhile is not
    // disturbed, see above, and nothing here uses any until they are the interrupted code's again.
    unsafe {
        register::write(seat.own.base());
        call_theirs(signal, info, context);
        register::write(own);
    }
}

/// # Safety
///
/// The arguments are those of a handler.
unsafe fn call_theirs(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: ours was set after this had been stored, in place of it.
    let theirs: Handler = unsafe { mem::transmute(THEIRS.load(Ordering::Acquire)) };
    // SAFETY: the caller's promise.
    unsafe { theirs(signal, info, context) };
}

/// Whether the interrupted code, of the thread of this number, is the system call by which the
/// order was sent.
///
/// # Safety
///
/// The context is that of a handler.
unsafe fn has_sent_itself(context: *mut c_void, number: i32) -> bool {
    // SAFETY: the caller's promise.
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    registers[libc::REG_RSI as usize] == i64::from(number)
        && registers[libc::REG_RDX as usize] == i64::from(ORDER)
}

/// Has the home of the caller do what the thread of `seat` was to do.
fn pass_on(seat: &'static Seat, caller: &'static Seat) {
    let home = caller.own.number.load(Ordering::Relaxed);
    system::queue_signal(home, ORDER, std::ptr::from_ref(seat).addr());
}

/// The seat in whose name an order was passed on, if it was.
fn passed_on(order: &libc::siginfo_t) -> Option<&'static Seat> {
    if order.si_code != libc::SI_QUEUE {
        return None;
    }
    // SAFETY: a signal that was queued has a value.
    let value = unsafe { order.si_value() }.sival_ptr.addr();
    seats::all().find(|&seat| std::ptr::from_ref(seat).addr() == value)
}

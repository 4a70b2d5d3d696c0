//! What a thread does while it runs no identity: it keeps one.
//!
//! The code here runs while another thread may be using the thread-locals to which the register of
//! this one still points. So it uses none, no C library, which has some, and it takes no signals.

use std::ptr;
use std::sync::atomic::Ordering;

use lisle_runtime::switch::{Context, prepare};

use super::system::{Moment, now};
use super::{Rested, Seat, leave};
use crate::carry::protocol::Look;

/// How long a keeper waits at most between two looks at what it keeps.
pub(super) const NAP: Moment = 1_000_000;

/// A keeper that was not called for this many naps runs what it keeps. So the thread takes its
/// signals; and an identity for which nobody has come goes to sleep in a way that costs no naps.
const MOST_NAPS: u32 = 10;

/// While its own identity wants to come home a thread looks more often.
const SHORT_NAP: Moment = NAP / 16;

/// Lays out the stack on which the thread of `seat` waits.
///
/// # Safety
///
/// The stack below `top` is unused, and stays for ever.
pub(super) unsafe fn begin(top: *mut u8, seat: &'static Seat) -> Context {
    let seat = ptr::from_ref(seat).cast_mut().cast();
    // SAFETY: the caller's promise. Nothing here unwinds.
    unsafe { prepare(top, serve, seat) }
}

unsafe extern "C" fn serve(seat: *mut ()) -> ! {
    // SAFETY: it was passed by `begin`, and seats are never freed.
    let thread: &'static Seat = unsafe { &*seat.cast() };
    loop {
        if let Some(left) = thread.own.left.take() {
            left.publish();
        }
        let next = keep(thread);
        next.own.runner.store(ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
        let (context, base) = (next.own.context.get(), next.own.base());
        // SAFETY: `next` was claimed. This code belongs to no identity.
        unsafe { leave(&thread.own.waiting, context, Some(base)) };
    }
}

/// Waits until there is something to run, and claims it.
fn keep(thread: &'static Seat) -> &'static Seat {
    let (mut naps, mut calm, mut rests) = (0, 0, 0);
    loop {
        let rings = thread.rings();
        let kept = thread.kept();
        if thread.comes_home(kept) {
            return thread;
        }
        let now = now();
        let mut until = now + if thread.is_homeward() { SHORT_NAP } else { NAP };
        if let Some(kept) = kept {
            // Before the naps are counted: one that was never called was in vain, too.
            calm = if kept.rests() == rests { calm + 1 } else { 0 };
            rests = kept.rests();
            let deadline = kept.deadline();
            let in_vain = calm >= MOST_NAPS || deadline <= now;
            match thread.look(kept, in_vain || naps >= MOST_NAPS) {
                Look::Claimed => {
                    if in_vain {
                        kept.own.rested.set(Rested::InVain);
                    }
                    return kept;
                }
                Look::Rests => until = until.min(deadline),
                Look::Gone => {}
            }
        }
        naps += 1;
        thread.wait(rings, kept, until);
    }
}

//! All seats there are.

use std::cell::Cell;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::{iter, mem, ptr};

use lisle_runtime::internal::primitive::Mutex;
use lisle_runtime::stack::{Stack, StackSize};
use lisle_runtime::switch::Context;

use super::register::Base;
use super::{Own, Rested, Seat, thread};
use crate::per_process::PerProcess;

/// Those that no worker has.
static FREE: PerProcess<Mutex<Vec<&'static Seat>>> = PerProcess::new();

/// The youngest of all, for code that may take no lock.
static YOUNGEST: AtomicPtr<Seat> = AtomicPtr::new(ptr::null_mut());

/// A seat for a new worker. `None` for want of memory.
pub(super) fn take() -> Option<&'static Seat> {
    let free = FREE.get_or(|| Mutex::new(Vec::new())).lock().pop();
    free.or_else(make)
}

/// The worker has ended, and so has its team.
pub(super) fn give_back(seat: &'static Seat) {
    if let Some(free) = FREE.get() {
        free.lock().push(seat);
    }
}

fn make() -> Option<&'static Seat> {
    /// The thread only waits there.
    const STACK: usize = 16 << 10;
    let stack = Stack::allocate(StackSize::new(STACK)).ok()?;
    let top = stack.top();
    let seat: &'static Seat = Box::leak(Box::new(Seat::new(Own {
        older: AtomicPtr::new(ptr::null_mut()),
        generation: AtomicU32::new(0),
        number: AtomicI32::new(0),
        base: AtomicUsize::new(Base::NONE.address()),
        context: Cell::new(Context::NONE),
        runner: AtomicPtr::new(ptr::null_mut()),
        rested: Cell::new(Rested::Called),
        left: Cell::new(None),
        waiting: Cell::new(Context::NONE),
        signals: Cell::new(None),
    })));
    // SAFETY: the stack stays for ever, as the seat does, and has not been used.
    seat.own.waiting.set(unsafe { thread::begin(top, seat) });
    mem::forget(stack);
    let _ = YOUNGEST.fetch_update(Ordering::Release, Ordering::Relaxed, |youngest| {
        seat.own.older.store(youngest, Ordering::Relaxed);
        Some(ptr::from_ref(seat).cast_mut())
    });
    Some(seat)
}

/// All seats, for a handler of signals or of forks, too.
pub(super) fn all() -> impl Iterator<Item = &'static Seat> {
    // SAFETY: seats are never freed.
    let seat = |seat: *mut Seat| unsafe { seat.as_ref() };
    let youngest = seat(YOUNGEST.load(Ordering::Acquire));
    iter::successors(youngest, move |young| seat(young.own.older.load(Ordering::Relaxed)))
}

/// The seat of the worker whose home is the kernel's thread of this number.
pub(super) fn of_thread(number: i32) -> Option<&'static Seat> {
    all().find(|seat| seat.own.number.load(Ordering::Acquire) == number)
}

/// The seat of the worker that has these thread-locals.
pub(super) fn of_base(base: Base) -> Option<&'static Seat> {
    all().find(|seat| seat.own.number.load(Ordering::Acquire) != 0 && seat.own.base() == base)
}

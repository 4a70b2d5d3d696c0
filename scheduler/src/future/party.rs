//! [`FutureWait`]: how a future is a party to a wait, in the same places where tasks and threads
//! wait.
//!
//! A task hands its [`Unparker`] out in `park`, and cannot leave before that was used or came back.
//! A future hands one out in a poll, returns, and may be dropped at any moment. So it takes the
//! unparker back in its destructor, as the `retract` of a park does. If somebody has taken it, that
//! somebody is about to use it, and the destructor waits for these few instructions by
//! [`settle`](FutureWait::settle). No user code runs in them: a holder of an unparker calls none
//! before it has used it, and the waker is called after the last access to the wait.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::task::{Poll, Waker};

use lisle_runtime::internal::primitive::atomic::{AtomicU8, Ordering};
use lisle_runtime::internal::primitive::cell::UnsafeCell;
use lisle_runtime::internal::primitive::{hint, thread};
use lisle_runtime::no_suspend;

use crate::park::{Party, Unparker};

/// The wait of a future. The head of its file explains it.
#[derive(Debug)]
pub struct FutureWait {
    state: AtomicU8,
    /// Belongs to the side that has changed WAITING to BUSY, and to the future where it is OVER.
    waker: UnsafeCell<Option<Waker>>,
}

/// No unparker is out.
const OVER: u8 = 0;
/// It is out.
const WAITING: u8 = 1;
/// It is out, and one side has the waker in its hands. That calls no user code meanwhile.
const BUSY: u8 = 2;

/// How often a side looks whether the other one is done before it lets its thread do something
/// else.
const SPINS: u32 = 100;

// SAFETY: the word says which side may touch the waker, which may be used on any thread.
unsafe impl Sync for FutureWait {}

impl FutureWait {
    /// A wait that has not begun.
    pub fn new() -> Self {
        Self { state: AtomicU8::new(OVER), waker: UnsafeCell::new(None) }
    }

    /// Begins a wait, at whose end `waker` is called.
    ///
    /// # Safety
    ///
    /// No unparker is out. The wait does not move or end before it [is over](Self::is_over).
    pub unsafe fn arm(&self, waker: Waker) -> Unparker {
        // SAFETY: the wait is over, so the field is the future's, which calls this.
        self.waker.with_mut(|field| unsafe { *field = Some(waker) });
        // Release: the unparker may be used on any thread, but it travels by ways of its own.
        self.state.store(WAITING, Ordering::Release);
        Unparker::new(Party::Future(NonNull::from(self)))
    }

    /// Whether no unparker is out any more. Then all that was done before it was used is visible.
    pub fn is_over(&self) -> bool {
        // Acquire pairs with the release in `end`.
        self.state.load(Ordering::Acquire) == OVER
    }

    /// Ready when the wait is over. Before that, `waker` is the one that will be called.
    pub fn poll(&self, waker: &Waker) -> Poll<()> {
        if !self.seize() {
            return Poll::Ready(());
        }
        // SAFETY: we have seized the field.
        let is_known = self
            .waker
            .with(|field| unsafe { (*field).as_ref().is_some_and(|known| known.will_wake(waker)) });
        self.release(WAITING);
        if is_known {
            return Poll::Pending;
        }
        // To clone a waker and to drop one may be user code.
        let mut other = Some(waker.clone());
        if !self.seize() {
            return Poll::Ready(());
        }
        // SAFETY: as above.
        self.waker.with_mut(|field| unsafe { std::ptr::swap(field, &mut other) });
        self.release(WAITING);
        Poll::Pending
    }

    /// Waits until the unparker was used, which another party has and is about to do.
    pub fn settle(&self) {
        let mut looks = 0;
        while !self.is_over() {
            look_again(&mut looks);
        }
    }

    /// Takes the waker into this side's hands, unless the wait is over.
    fn seize(&self) -> bool {
        let mut looks = 0;
        loop {
            // Acquire: the waker as the other side has left it; and what came before the end.
            let (success, failure) = (Ordering::Acquire, Ordering::Acquire);
            match self.state.compare_exchange(WAITING, BUSY, success, failure) {
                Ok(_) => return true,
                Err(OVER) => return false,
                Err(_) => look_again(&mut looks),
            }
        }
    }

    fn release(&self, state: u8) {
        self.state.store(state, Ordering::Release);
    }

    /// Ends the wait and returns the waker.
    ///
    /// # Safety
    ///
    /// The caller has used up the unparker of `wait`, which may be gone afterwards.
    unsafe fn end(wait: NonNull<Self>) -> Option<Waker> {
        // SAFETY: the wait stays until it is over.
        let wait = unsafe { wait.as_ref() };
        let is_out = wait.seize();
        debug_assert!(is_out, "an unparker is used once");
        // SAFETY: we have seized the field.
        let waker = wait.waker.with_mut(|field| unsafe { (*field).take() });
        wait.release(OVER);
        waker
    }

    /// A waker must not panic, nor wait: those that unpark may hold a lock of theirs. One that does
    /// has its panic reported, and no more.
    ///
    /// # Safety
    ///
    /// As for [`end`](Self::end).
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn unpark(wait: NonNull<Self>) {
        // SAFETY: passed on to the caller.
        let waker = unsafe { Self::end(wait) };
        if let Some(waker) = waker {
            quietly(|| waker.wake());
        }
    }

    /// # Safety
    ///
    /// As for [`end`](Self::end).
    pub(crate) unsafe fn abandon(wait: NonNull<Self>) {
        // SAFETY: passed on to the caller.
        let waker = unsafe { Self::end(wait) };
        quietly(|| drop(waker));
    }
}

impl Default for FutureWait {
    fn default() -> Self {
        Self::new()
    }
}

fn quietly(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| no_suspend(call))) {
        // Dropping it might panic again.
        std::mem::forget(panic);
    }
}

fn look_again(looks: &mut u32) {
    *looks += 1;
    if *looks < SPINS { hint::spin_loop() } else { thread::yield_now() }
}

//! Parking of plain OS threads, so that they can stand in the same wait lists as tasks.

use std::ptr::NonNull;
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU8, Ordering};
use lisle_runtime::internal::primitive::hint;
use lisle_runtime::internal::primitive::thread::{self, Thread};

use crate::cancel::{check_thread, first_deadline, is_struck};
use crate::park::{COMMIT_PANICKED, Party, Unparker, Wake, undisturbed};

/// One wait of a plain thread, on that thread's stack.
#[derive(Debug)]
pub(crate) struct ThreadWait {
    /// Changed once, by the holder of the unparker, which may not touch this struct afterwards.
    state: AtomicU8,
    thread: Thread,
}

/// How often a thread looks before it parks. It does not yield in between: on a processor that
/// others keep busy, that gives a whole time slice away, and it would be called back from a sleep
/// much sooner.
///
/// Beside two busy processes on one processor a rendezvous takes 1.3 to 1.4 times as long as
/// crossbeam-channel's with 100 looks and as long with 20 or none. With two processors to itself it
/// takes 0.4 to 0.8 times as long with 20 or 100, and as long with none.
const SPINS: u32 = 20;

/// The unparker is out.
const WAITING: u8 = 0;
/// It was used.
const WOKEN: u8 = 1;
/// It was dropped.
const ABANDONED: u8 = 2;

impl ThreadWait {
    pub(crate) fn park(
        deadline: Option<Instant>,
        commit: impl FnOnce(Unparker),
        retract: impl FnOnce() -> Option<Unparker>,
    ) -> Wake {
        if is_struck() {
            // They may hold what the caller has begun.
            drop((commit, retract));
            check_thread();
            return Wake::Failed;
        }
        let wait = ThreadWait { state: AtomicU8::new(WAITING), thread: thread::current() };
        let party = Party::Thread(NonNull::from(&wait));
        undisturbed(COMMIT_PANICKED, || commit(Unparker::new(party)));
        let end = deadline.into_iter().chain(first_deadline()).min();
        if wait.sleep(end, |state| state == WOKEN, is_struck) {
            return Wake::Unparked;
        }
        if party.take_back(retract) {
            let has_passed = deadline.is_some_and(|deadline| deadline <= Instant::now());
            if !has_passed && is_struck() {
                check_thread();
                return Wake::Failed;
            }
            return Wake::TimedOut;
        }
        wait.sleep(None, |state| state != WAITING, || false);
        match wait.state() {
            ABANDONED => Wake::TimedOut,
            _ => Wake::Unparked,
        }
    }

    fn state(&self) -> u8 {
        // Acquire pairs with the release in `end`: what the waker wrote before is seen.
        self.state.load(Ordering::Acquire)
    }

    /// Blocks until the state is one that ends the sleep (true) or until `deadline` has passed or
    /// it `is_cut_short` (false).
    fn sleep(
        &self,
        deadline: Option<Instant>,
        ends_it: impl Fn(u8) -> bool,
        is_cut_short: impl Fn() -> bool,
    ) -> bool {
        let mut spins = SPINS;
        loop {
            if ends_it(self.state()) {
                return true;
            }
            if spins > 0 && !cfg!(lisle_loom) {
                spins -= 1;
                hint::spin_loop();
                continue;
            }
            if is_cut_short() {
                return false;
            }
            match deadline {
                None => thread::park(),
                Some(deadline) => match deadline.checked_duration_since(Instant::now()) {
                    None => return false,
                    Some(left) if left.is_zero() => return false,
                    Some(left) => thread::park_timeout(left),
                },
            }
        }
    }

    /// # Safety
    ///
    /// The caller has used up the unparker of `wait`.
    pub(crate) unsafe fn unpark(wait: NonNull<Self>) {
        // SAFETY: passed on to the caller.
        unsafe { Self::end(wait, WOKEN) }
    }

    /// # Safety
    ///
    /// As for [`unpark`](Self::unpark).
    pub(crate) unsafe fn abandon(wait: NonNull<Self>) {
        // SAFETY: passed on to the caller.
        unsafe { Self::end(wait, ABANDONED) }
    }

    /// # Safety
    ///
    /// As for [`unpark`](Self::unpark).
    unsafe fn end(wait: NonNull<Self>, state: u8) {
        // SAFETY: the sleeper cannot leave before the state has changed, so the struct is alive
        // here.
        let wait = unsafe { wait.as_ref() };
        // The handle is cloned first: once the state has changed the sleeper's frame may be gone.
        let thread = wait.thread.clone();
        wait.state.store(state, Ordering::Release);
        thread.unpark();
    }
}

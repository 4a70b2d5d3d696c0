//! Identities, and the threads that run them.

#[path = "credentials.rs"]
mod credentials;
#[path = "futex.rs"]
mod futex;
#[path = "register.rs"]
mod register;
#[path = "seats.rs"]
mod seats;
#[path = "sequences.rs"]
mod sequences;
#[path = "system.rs"]
mod system;
#[path = "thread.rs"]
mod thread;

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use lisle_runtime::internal::fork::{generation, watched_generation};
use lisle_runtime::switch::{Context, switch};

use self::register::{Base, Controls};
use self::system::{ALL_SIGNALS, NEVER, Signals};
use self::thread::NAP;
use super::Rested;
use super::protocol;

type Seat = protocol::Seat<Own, futex::Futex>;

/// What belongs to an identity, and what to the thread that is its home.
///
/// The fields of the identity are used by the thread that runs it, or has claimed it; the seat's
/// word hands them on. Those of the thread are used by that thread.
struct Own {
    /// The seat that was made before this one.
    older: AtomicPtr<Seat>,
    /// The process whose worker has the seat, or had it last.
    generation: AtomicU32,
    /// Of the thread: the kernel's number of it, or 0 while no worker has the seat.
    number: AtomicI32,
    /// Of the identity: its thread-locals.
    base: AtomicUsize,
    /// Of the identity: where it is continued.
    context: Cell<Context>,
    /// Of the identity: the thread that runs it, or ran it last.
    runner: AtomicPtr<Seat>,
    /// Of the identity: how its last rest has ended.
    rested: Cell<Rested>,
    /// Of the thread: what it has left, until that is said.
    left: Cell<Option<Left>>,
    /// Of the thread: where it goes on to wait, on a stack of its own.
    waiting: Cell<Context>,
    /// Of the thread: the signals that it does not take when it runs something, if it takes none
    /// now.
    signals: Cell<Option<Signals>>,
}

// SAFETY: the word of the seat hands the identity's fields from thread to thread, with a release
// and an acquire. The thread's are its own; a seat gets another thread only through a lock.
unsafe impl Sync for Own {}
// SAFETY: as above.
unsafe impl Send for Own {}

impl Own {
    fn base(&self) -> Base {
        Base::at(self.base.load(Ordering::Relaxed))
    }
}

/// An identity whose code a thread has left, but which is not known to rest yet: its context is
/// stored by the very switch that leaves it.
#[derive(Clone, Copy)]
struct Left {
    identity: &'static Seat,
    keeper: &'static Seat,
    homeward: bool,
}

impl Left {
    fn publish(self) {
        self.identity.rest(self.keeper, self.homeward);
    }
}

/// The identity of a worker, for its own code.
pub(crate) struct Identity {
    seat: &'static Seat,
    /// The process that has the threads.
    generation: u32,
    _is_its_thread: PhantomData<*const ()>,
}

/// The identity of a worker, for the others.
#[derive(Clone, Copy)]
pub(crate) struct Mate(&'static Seat);

impl PartialEq for Mate {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.0, other.0)
    }
}

impl Identity {
    /// The identity of the calling thread, which is at home. `None` if it cannot be carried.
    pub(crate) fn of_this_thread() -> Option<Self> {
        if !register::is_writable() {
            return None;
        }
        let (base, number) = (register::read(), system::thread_number());
        if sequences::are_in_use(base) || seats::of_thread(number).is_some() {
            return None;
        }
        sequences::watch_forks();
        let generation = watched_generation();
        let seat = seats::take()?;
        credentials::find_their_threads();
        seat.own.generation.store(generation, Ordering::Relaxed);
        seat.own.base.store(base.address(), Ordering::Relaxed);
        seat.own.runner.store(ptr::from_ref(seat).cast_mut(), Ordering::Relaxed);
        // Release: a handler that finds the number finds the base.
        seat.own.number.store(number, Ordering::Release);
        Some(Self { seat, generation, _is_its_thread: PhantomData })
    }

    pub(crate) fn mate(&self) -> Mate {
        Mate(self.seat)
    }

    /// Rests: another thread may run the identity, and this one keeps it. Returns when it is called
    /// or run, when `timeout` has passed, when nobody has come for long, or for no reason.
    pub(crate) fn rest(&self, timeout: Option<Duration>) -> Rested {
        if self.is_in_child() {
            return Rested::InVain;
        }
        if self.seat.take_call() {
            return Rested::Called;
        }
        self.set_deadline(timeout);
        let thread = self.runner();
        match thread.claim_for_home() {
            Some(keeper) => self.become_other(thread, keeper),
            None => self.wait(false),
        }
        self.seat.own.rested.get()
    }

    /// Rests, while the thread runs `mate`. False, and at once, if that does not rest.
    pub(crate) fn carry(&self, mate: Mate, timeout: Option<Duration>) -> bool {
        if self.is_in_child() || self.runner().is_homeward() {
            return false;
        }
        let Some(keeper) = mate.0.claim() else { return false };
        self.set_deadline(timeout);
        self.become_other(mate.0, keeper);
        true
    }

    /// Whether another thread than the one that it was born on runs the identity.
    pub(crate) fn is_away(&self) -> bool {
        !ptr::eq(self.runner(), self.seat) && !self.is_in_child()
    }

    /// Has its own thread run it, or returns for another reason: after a nap in vain, as that
    /// thread may be busy.
    pub(crate) fn try_to_go_home(&self) -> Rested {
        if self.seat.take_call() {
            return Rested::Called;
        }
        self.set_deadline(Some(Duration::from_nanos(NAP)));
        self.wait(true);
        self.seat.own.rested.get()
    }

    /// Returns on the thread that the identity was born on.
    pub(crate) fn go_home(&self) {
        while self.is_away() {
            self.try_to_go_home();
        }
    }

    /// In a fork child there are no other threads, nor their stacks.
    fn is_in_child(&self) -> bool {
        self.generation != generation()
    }

    /// The thread that runs the calling code.
    fn runner(&self) -> &'static Seat {
        // SAFETY: seats are never freed.
        unsafe { &*self.seat.own.runner.load(Ordering::Relaxed) }
    }

    fn set_deadline(&self, timeout: Option<Duration>) {
        let deadline = timeout.map_or(NEVER, |timeout| {
            let nanoseconds = timeout.as_nanos().try_into().unwrap_or(NEVER);
            system::now().saturating_add(nanoseconds)
        });
        self.seat.set_deadline(deadline);
        self.seat.own.rested.set(Rested::Called);
    }

    /// Leaves the thread to wait, and to keep this identity.
    fn wait(&self, homeward: bool) {
        let thread = self.runner();
        // Before another thread can have the thread-locals which a handler would use.
        thread.own.signals.set(Some(system::block_signals(ALL_SIGNALS)));
        thread.own.left.set(Some(Left { identity: self.seat, keeper: thread, homeward }));
        // SAFETY: the thread waits where it went on last, and nothing on that stack is bound to an
        // identity.
        unsafe { leave(&self.seat.own.context, thread.own.waiting.get(), None) };
        self.arrive();
    }

    /// The thread goes on as `other`, which it has claimed from `keeper`.
    fn become_other(&self, other: &'static Seat, keeper: &'static Seat) {
        let thread = self.runner();
        thread.own.left.set(Some(Left { identity: self.seat, keeper, homeward: false }));
        other.own.runner.store(ptr::from_ref(thread).cast_mut(), Ordering::Relaxed);
        let (context, base) = (other.own.context.get(), other.own.base());
        // SAFETY: the claim has made the caller the only one that continues `other`.
        unsafe { leave(&self.seat.own.context, context, Some(base)) };
        self.arrive();
    }

    /// What comes first when the identity goes on, on whichever thread.
    fn arrive(&self) {
        let thread = self.runner();
        if let Some(left) = thread.own.left.take() {
            left.publish();
        }
        if let Some(signals) = thread.own.signals.take() {
            system::block_signals(signals);
        }
    }
}

impl Drop for Identity {
    /// The worker has ended, at home.
    fn drop(&mut self) {
        // The seat may have another worker already, whose number is different.
        let me = system::thread_number();
        let _ = self.seat.own.number.compare_exchange(me, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Mate {
    /// Calls a mate that rests, without a hurry: the caller will carry it, or [ring](Self::ring).
    /// If it forgets to, the mate goes on within a nap. False if it does not rest.
    pub(crate) fn call(self) -> bool {
        self.0.call()
    }

    /// Has the mate go on, if it rests. False if not: then it must be called where it waits.
    pub(crate) fn ring(self) -> bool {
        self.0.ring()
    }

    /// The kernel's number of the thread that runs the mate, or ran it last, as another thread sees
    /// it: the next moment it may be a different one.
    pub(crate) fn kernel_thread(self) -> Option<libc::pid_t> {
        // SAFETY: seats are never freed, and an identity has had a runner since it was made.
        let runner = unsafe { &*self.0.own.runner.load(Ordering::Relaxed) };
        Some(runner.own.number.load(Ordering::Relaxed)).filter(|&number| number != 0)
    }

    /// Its worker has ended, and no other of its team knows it any more. (A bell that is still
    /// about rings in vain, or once too often for the next worker that gets the seat.)
    pub(crate) fn retire(self) {
        if self.0.own.generation.load(Ordering::Relaxed) == generation() {
            self.0.own.number.store(0, Ordering::Relaxed);
            seats::give_back(self.0);
        }
    }
}

/// Stores where the caller goes on in `save`, makes `base` the thread's block of thread-locals, and
/// continues `to`.
///
/// Not inlined: between the two there must be nothing that looks up a thread-local. Before and
/// after the call the caller's block is the same, whichever thread returns from it; so addresses
/// that the compiler has kept are right.
///
/// # Safety
///
/// The caller alone may continue `to`, whose code belongs to `base` or to no identity.
#[inline(never)]
unsafe fn leave(save: &Cell<Context>, to: Context, base: Option<Base>) {
    // SAFETY: the caller's promises. What is on the stack that is left may change its kernel
    // thread, since it goes on with its own thread-locals.
    unsafe {
        if let Some(base) = base {
            register::write(base);
        }
        let controls = Controls::read();
        switch(save.as_ptr(), to);
        controls.restore();
    }
}

//! Those that wait for one descriptor, in a ring for each direction.

use std::cell::Cell;
use std::ptr;

use lisle_runtime::internal::fork::generation;
use lisle_runtime::internal::primitive;

use super::Direction;
#[cfg(not(lisle_loom))]
use crate::driver::poller::ThreadBell;
use crate::park::Unparker;

/// What the lock of a block guards.
pub(super) struct State {
    /// Changes with each source that the block serves.
    pub(super) generation: u32,
    /// The process whose waiters these are, as it is known by its forks.
    pub(super) process: u32,
    /// The first waiter of each direction. They form a ring.
    first: [*const Waiter; 2],
}

// SAFETY: the pointers are to waiters, which are touched under the lock, or by the one party that
// has taken them out of their ring.
unsafe impl Send for State {}

/// One wait, on the stack of its task or thread.
pub(super) struct Waiter {
    /// Out once the waiter has left the ring.
    pub(super) alarm: primitive::cell::UnsafeCell<Option<Alarm>>,
    next: Cell<*const Waiter>,
    previous: Cell<*const Waiter>,
    pub(super) linked: Cell<bool>,
    /// It was woken by an edge or by the one that had the baton before.
    pub(super) has_baton: Cell<bool>,
}

/// What wakes a waiter.
pub(super) enum Alarm {
    Task(Unparker),
    /// A plain thread waits for its bell as well as for the descriptor. It waits for the ring even
    /// when the descriptor was first, so that the bell is there when it is rung.
    #[cfg(not(lisle_loom))]
    Thread(ThreadBell),
}

impl Alarm {
    pub(super) fn wake(self) {
        match self {
            Self::Task(unparker) => unparker.unpark(),
            #[cfg(not(lisle_loom))]
            Self::Thread(bell) => bell.ring(),
        }
    }
}

impl Waiter {
    pub(super) fn new() -> Self {
        Self {
            alarm: primitive::cell::UnsafeCell::new(None),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            linked: Cell::new(false),
            has_baton: Cell::new(false),
        }
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self { generation: 0, process: generation(), first: [ptr::null(); 2] }
    }

    /// A fork child has the rings of its parent, and none of the tasks and threads.
    pub(super) fn forget_waiters_of_the_parent(&mut self) {
        if self.process != generation() {
            self.process = generation();
            self.first = [ptr::null(); 2];
        }
    }

    pub(super) fn has_waiters(&self) -> bool {
        self.first.iter().any(|first| !first.is_null())
    }

    /// The first one that reads, or else that writes; null if nobody waits.
    pub(super) fn first(&self) -> *const Waiter {
        let [reader, writer] = self.first;
        if reader.is_null() { writer } else { reader }
    }

    /// Adds a waiter at the end of its ring.
    pub(super) fn link(&mut self, direction: Direction, waiter: &Waiter) {
        let first = &mut self.first[direction as usize];
        let this = ptr::from_ref(waiter);
        // SAFETY: waiters in a ring are parked, so they are alive, and the lock is held.
        match unsafe { first.as_ref() } {
            None => {
                waiter.next.set(this);
                waiter.previous.set(this);
                *first = this;
            }
            Some(first) => {
                // SAFETY: as above.
                let last = unsafe { &*first.previous.get() };
                waiter.next.set(first);
                waiter.previous.set(last);
                last.next.set(this);
                first.previous.set(this);
            }
        }
        waiter.linked.set(true);
    }

    /// # Safety
    ///
    /// The waiter is in the ring of that direction.
    pub(super) unsafe fn unlink(&mut self, direction: Direction, waiter: &Waiter) {
        let (next, previous) = (waiter.next.get(), waiter.previous.get());
        // SAFETY: waiters in a ring are parked, so they are alive, and the lock is held.
        unsafe {
            (*next).previous.set(previous);
            (*previous).next.set(next);
        }
        let first = &mut self.first[direction as usize];
        if ptr::eq(*first, waiter) {
            *first = if ptr::eq(next, waiter) { ptr::null() } else { next };
        }
        waiter.linked.set(false);
        waiter.next.set(ptr::null());
    }

    /// The first waiter, as a chain of one; null if there is none.
    pub(super) fn take_first(&mut self, direction: Direction) -> *const Waiter {
        let first = self.first[direction as usize];
        // SAFETY: waiters in a ring are parked, so they are alive, and the lock is held.
        if let Some(waiter) = unsafe { first.as_ref() } {
            // SAFETY: it is the first of this ring.
            unsafe { self.unlink(direction, waiter) };
            waiter.has_baton.set(true);
        }
        first
    }

    /// All waiters as a chain, in their order; null if there is none.
    pub(super) fn take_all(&mut self, direction: Direction) -> *const Waiter {
        let all = self.take_first(direction);
        let mut last = all;
        // SAFETY: those that were taken stay parked until they are woken.
        while let Some(waiter) = unsafe { last.as_ref() } {
            last = self.take_first(direction);
            waiter.next.set(last);
        }
        all
    }
}

/// Wakes the waiters of a chain. No lock is held.
///
/// # Safety
///
/// The caller has taken them out of their ring.
pub(super) unsafe fn wake_chain(mut chain: *const Waiter) {
    // SAFETY: a waiter that is out of the ring stays until its alarm is used, and nobody else has
    // that. It is not touched afterwards.
    while let Some(waiter) = unsafe { chain.as_ref() } {
        chain = waiter.next.get();
        // SAFETY: as above.
        let alarm = waiter.alarm.with_mut(|place| unsafe { (*place).take() });
        alarm.expect("a linked waiter has its alarm").wake();
    }
}

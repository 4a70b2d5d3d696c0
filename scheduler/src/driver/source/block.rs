//! What is known about one descriptor: its edges, its waiters, and where it is registered.

use std::io;
use std::panic::RefUnwindSafe;
use std::ptr;

use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use lisle_runtime::internal::primitive::{Arc, BriefMutex, BriefMutexGuard, Mutex};

use super::waiters::{Alarm, State, Waiter, wake_chain};
use super::{Direction, slab};
use crate::driver::poller::{Descriptor, Poller, Readiness};

/// What is known about a descriptor. Blocks are never freed, so that a report that comes late finds
/// one, with another generation.
#[repr(align(64))]
pub(super) struct Block {
    /// How often each direction has become ready. Changed under the lock of `state`; operations
    /// look without it.
    edges: [AtomicU32; 2],
    /// How many edges for reading there had been when a read has found all that was there, or
    /// `UNKNOWN`.
    drained_at: AtomicU32,
    /// Something was reported after which a read may be short and leave something behind.
    ///
    /// This and `closed` change before the edges that tell of them, and never back.
    is_irregular: AtomicBool,
    is_closed: AtomicBool,
    /// The number of the poller whose worker has waited last, and [`SETTLED`] if it is also the
    /// one with which the descriptor is registered. Changed under the lock of `home`.
    suitor: AtomicUsize,
    /// Where the descriptor is registered. Held for the calls that register. Never taken while
    /// `state` is held.
    pub(super) home: Mutex<Option<Arc<Poller>>>,
    state: BriefMutex<State>,
}

/// An operation that panics leaves nothing half done: no user code runs while a lock is held, and
/// the baton is handed on as it unwinds. So sockets are as safe to use after that as std's.
impl RefUnwindSafe for Block {}

/// No number of edges.
const UNKNOWN: u32 = u32::MAX;

/// Pollers have numbers whose lowest bit is zero.
const SETTLED: usize = 1;

impl Block {
    pub(super) fn new() -> Self {
        Self {
            edges: [AtomicU32::new(0), AtomicU32::new(0)],
            drained_at: AtomicU32::new(UNKNOWN),
            is_irregular: AtomicBool::new(false),
            is_closed: AtomicBool::new(false),
            suitor: AtomicUsize::new(0),
            home: Mutex::default(),
            state: BriefMutex::new(State::new()),
        }
    }

    pub(super) fn lock(&self) -> BriefMutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.forget_waiters_of_the_parent();
        state
    }

    #[inline]
    pub(super) fn edges(&self, direction: Direction) -> u32 {
        self.edges[direction as usize].load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Whether a read before which there had been that many edges has taken all, and none has come
    /// since.
    #[inline]
    pub(super) fn was_drained_at(&self, edges: u32) -> bool {
        self.drained_at.load(Ordering::Relaxed) == edges
    }

    /// Adds an edge. The caller holds the lock of `state`.
    fn add_edge(&self, direction: Direction) {
        let edges = &self.edges[direction as usize];
        let next = edges.load(Ordering::Relaxed).wrapping_add(1) & (UNKNOWN >> 1);
        edges.store(next, Ordering::Release);
    }

    /// A read has succeeded, before which there had been that many edges.
    #[inline]
    pub(super) fn note_read(&self, edges: u32, is_short: bool) {
        let all = is_short && !self.is_irregular.load(Ordering::Relaxed);
        let drained_at = if all { edges } else { UNKNOWN };
        if self.drained_at.load(Ordering::Relaxed) != drained_at {
            self.drained_at.store(drained_at, Ordering::Relaxed);
        }
    }

    /// Has the descriptor reported by a poller. The first one keeps it until another one has asked
    /// twice in a row while none waited, or until it ends.
    pub(super) fn register<T: Descriptor>(
        &self,
        poller: &Arc<Poller>,
        descriptor: &T,
    ) -> io::Result<()> {
        let number = poller.number();
        if self.suitor.load(Ordering::Relaxed) == number | SETTLED {
            return Ok(());
        }
        let mut home = self.home.lock();
        if home.as_ref().is_some_and(|home| home.is_the_parents()) {
            *home = None;
        }
        let last_suitor = self.suitor.load(Ordering::Relaxed) & !SETTLED;
        if home.as_ref().is_some_and(|home| Arc::ptr_eq(home, poller)) {
            self.suitor.store(number | SETTLED, Ordering::Relaxed);
            return Ok(());
        }
        self.suitor.store(number, Ordering::Relaxed);
        if home.is_some() && (last_suitor != number || self.lock().has_waiters()) {
            return Ok(());
        }
        // Before the old home is left: somebody may have found it here and be about to wait. What
        // both report is one edge more.
        match poller.add(descriptor.fd(), self.token()) {
            Ok(true) => {
                if let Some(left) = home.replace(poller.clone()) {
                    left.remove(descriptor.fd(), self.token());
                }
                self.suitor.store(number | SETTLED, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if home.is_none() => Err(error),
            // It stays where it is. (And nothing waits on a worker that has ended.)
            Ok(false) | Err(_) => Ok(()),
        }
    }

    /// Forgets where the descriptor is registered, if it is with this poller.
    pub(super) fn leave(&self, poller: &Arc<Poller>) {
        let mut home = self.home.lock();
        if home.as_ref().is_some_and(|home| Arc::ptr_eq(home, poller)) {
            *home = None;
            self.suitor.store(0, Ordering::Relaxed);
        }
    }

    /// Links a waiter, or wakes it at once if there has been an edge since it looked.
    pub(super) fn enqueue(&self, direction: Direction, seen: u32, waiter: &Waiter, alarm: Alarm) {
        let mut state = self.lock();
        if self.edges(direction) != seen {
            drop(state);
            return alarm.wake();
        }
        // SAFETY: the waiter is in no ring yet.
        waiter.alarm.with_mut(|place| unsafe { *place = Some(alarm) });
        state.link(direction, waiter);
    }

    /// Takes a waiter out again, unless it has been taken out to be woken.
    pub(super) fn dequeue(&self, direction: Direction, waiter: &Waiter) -> Option<Alarm> {
        let mut state = self.lock();
        if !waiter.linked.get() {
            return None;
        }
        // SAFETY: a waiter in the ring is parked, and the lock is held.
        unsafe { state.unlink(direction, waiter) };
        // SAFETY: it is out of the ring, and so this party's alone.
        waiter.alarm.with_mut(|place| unsafe { (*place).take() })
    }

    /// The one that the next edge will wake, as it is now; null if there is none.
    pub(super) fn first_waiter(&self) -> *const Waiter {
        self.lock().first()
    }

    pub(super) fn pass_baton(&self, direction: Direction) {
        let next = self.lock().take_first(direction);
        // SAFETY: it has just been taken out of the ring.
        unsafe { wake_chain(next) };
    }

    /// Adds an edge to the directions that are ready. True if that has woken a waiter.
    pub(super) fn note(&self, readiness: Readiness, generation: u32) -> bool {
        let mut state = self.lock();
        if state.generation != generation {
            return false;
        }
        if readiness.irregular {
            self.is_irregular.store(true, Ordering::Relaxed);
        }
        let mut take = |direction, is_ready| match (is_ready, readiness.ended) {
            (false, _) => ptr::null(),
            (true, true) => self.add_edge_for_all(&mut state, direction),
            (true, false) => {
                self.add_edge(direction);
                state.take_first(direction)
            }
        };
        let readers = take(Direction::Read, readiness.readable);
        let writers = take(Direction::Write, readiness.writable);
        drop(state);
        // SAFETY: they have just been taken out of their rings.
        unsafe {
            wake_chain(readers);
            wake_chain(writers);
        }
        !readers.is_null() || !writers.is_null()
    }

    /// Wakes all waiters. Every attempt from now on tells them that the source is closed.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        let readers = self.add_edge_for_all(&mut state, Direction::Read);
        let writers = self.add_edge_for_all(&mut state, Direction::Write);
        drop(state);
        // SAFETY: they have just been taken out of their rings.
        unsafe {
            wake_chain(readers);
            wake_chain(writers);
        }
    }

    /// Adds an edge, and takes out all waiters.
    #[cold]
    fn add_edge_for_all(&self, state: &mut State, direction: Direction) -> *const Waiter {
        self.add_edge(direction);
        state.take_all(direction)
    }

    /// The block serves another source from now on.
    pub(super) fn give_back(&'static self) {
        let mut state = self.lock();
        debug_assert!(!state.has_waiters(), "a wait borrows the source");
        state.generation = slab::next_generation(state.generation);
        drop(state);
        // A report that comes from now on finds another generation and changes nothing.
        self.drained_at.store(UNKNOWN, Ordering::Relaxed);
        self.is_irregular.store(false, Ordering::Relaxed);
        self.is_closed.store(false, Ordering::Relaxed);
        self.suitor.store(0, Ordering::Relaxed);
        slab::give(self);
    }
}

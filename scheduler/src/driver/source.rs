//! A source: the readiness of one descriptor, and the tasks that wait for it.
//!
//! Everything about the protocol is in `README.md` beside this file. In short, for each direction:
//!
//! - An operation notes how many *edges* there have been, then tries. If it would block, it
//!   registers the descriptor, and parks, but only if there has been no edge since.
//! - A report of the poller adds an edge and wakes the first waiter; all of them if the descriptor
//!   has come to its end.
//! - A waiter that an edge has woken holds the *baton*. If it then finds that it would block,
//!   nothing is left, and it waits again. In any other case it hands the baton on to the next
//!   waiter.

use std::cell::Cell;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr;
use std::time::{Duration, Instant};

use lisle_runtime::internal::fork::generation;
use lisle_runtime::internal::primitive::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use lisle_runtime::internal::primitive::{self, Arc, BriefMutex, BriefMutexGuard, Mutex};

use super::CountedWait;
use super::poller::{Descriptor, Poller, Readiness};
#[cfg(not(lisle_loom))]
use super::poller::{ThreadBell, Waited};
#[cfg(not(lisle_loom))]
use crate::cancel::{check_thread, first_deadline, is_struck, may_be_struck};
use crate::clock::now;
use crate::park::{Reason, Unparker, Wake, park};
use crate::{turn, worker};

/// How long a plain thread waits until it looks whether a region of its was cancelled.
#[cfg(not(lisle_loom))]
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// What a wait is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Something can be read or accepted, or reading would fail at once.
    Read,
    /// Something can be written, or writing would fail at once.
    Write,
}

impl Direction {
    const BOTH: [Self; 2] = [Self::Read, Self::Write];
}

/// How long an operation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Endless,
    /// Not at all: it fails as its attempt has, with `WouldBlock`.
    None,
    /// This long, from its first wait on. Then it fails as its last attempt has.
    For(Duration),
    /// Until then. Then it fails with `TimedOut`.
    Until(Instant),
}

impl Patience {
    fn deadline(self) -> Option<Instant> {
        match self {
            Self::Endless | Self::None => None,
            // A time that no clock will reach is none.
            Self::For(time) => now().checked_add(time),
            Self::Until(deadline) => Some(deadline),
        }
    }
}

/// A descriptor in non-blocking mode whose operations wait by parking their task.
///
/// A plain thread that waits is blocked. Tasks and threads may use one source at the same time.
pub struct Source<T: Descriptor> {
    descriptor: ManuallyDrop<T>,
    block: &'static Block,
}

/// What is known about a descriptor. Blocks are never freed, so that a report that comes late finds
/// one, with another generation.
#[repr(align(64))]
struct Block {
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
    /// The address of the poller whose worker has waited last, and [`SETTLED`] if it is also the
    /// one with which the descriptor is registered. Changed under the lock of `home`.
    suitor: AtomicUsize,
    /// Where the descriptor is registered. Held for the calls that register. Never taken while
    /// `state` is held.
    home: Mutex<Option<Arc<Poller>>>,
    state: BriefMutex<State>,
}

/// No number of edges.
const UNKNOWN: u32 = u32::MAX;

/// Pollers lie at addresses whose lowest bit is zero.
const SETTLED: usize = 1;

struct State {
    /// Changes with each source that the block serves.
    generation: u32,
    /// The process whose waiters these are, as it is known by its forks.
    process: u32,
    /// The first waiter of each direction. They form a ring.
    first: [*const Waiter; 2],
}

// SAFETY: the pointers are to waiters, which are touched under the lock, or by the one party that
// has taken them out of their ring.
unsafe impl Send for State {}

/// One wait, on the stack of its task or thread.
struct Waiter {
    /// Out once the waiter has left the ring.
    alarm: primitive::cell::UnsafeCell<Option<Alarm>>,
    next: Cell<*const Waiter>,
    previous: Cell<*const Waiter>,
    linked: Cell<bool>,
    /// It was woken by an edge or by the one that had the baton before.
    has_baton: Cell<bool>,
}

/// What wakes a waiter.
enum Alarm {
    Task(Unparker),
    /// A plain thread waits for its bell as well as for the descriptor. It waits for the ring even
    /// when the descriptor was first, so that the bell is there when it is rung.
    #[cfg(not(lisle_loom))]
    Thread(ThreadBell),
}

impl Alarm {
    fn wake(self) {
        match self {
            Self::Task(unparker) => unparker.unpark(),
            #[cfg(not(lisle_loom))]
            Self::Thread(bell) => bell.ring(),
        }
    }
}

impl<T: Descriptor> Source<T> {
    /// Takes over a descriptor, which must be in non-blocking mode.
    pub fn new(descriptor: T) -> Self {
        Self { descriptor: ManuallyDrop::new(descriptor), block: Block::take() }
    }

    /// What the source was made of.
    pub fn get_ref(&self) -> &T {
        &self.descriptor
    }

    /// Ends the registration and gives the descriptor back.
    pub fn into_inner(self) -> T {
        let mut this = ManuallyDrop::new(self);
        this.retire();
        // SAFETY: `this` is not dropped, so the descriptor is taken once.
        unsafe { ManuallyDrop::take(&mut this.descriptor) }
    }

    /// Tries `operation` until it does something else than to fail with `WouldBlock`, and waits in
    /// between until `direction` is ready. An operation that was interrupted is tried again.
    /// `patience` is asked before the first wait.
    ///
    /// # Errors
    ///
    /// The operation's; what [`Patience`] says; that of the registration, such as EPERM for a
    /// regular file; `ConnectionAborted` once the source is [closed](Self::close). A task that is
    /// unwinding because it was cancelled cannot wait, and gets an error of the kind `Other`.
    ///
    /// # Panics
    ///
    /// Unwinds a task that is being cancelled. Panics inside `no_suspend` if it would have to wait.
    #[inline]
    #[track_caller]
    pub fn attempt<R>(
        &self,
        direction: Direction,
        reason: Reason,
        patience: impl Fn() -> Patience,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.attempt_and_note(direction, reason, patience, operation, |_, _| ())
    }

    /// As [`attempt`](Self::attempt), for a read that fills its buffer, of the size `room`, unless
    /// it takes all that is there: the next operation then waits without an attempt.
    ///
    /// Only TCP is like that, and only until something else than data has been reported. Elsewhere
    /// a read may be short and leave something behind of which nothing more is reported: a
    /// Unix socket's ends before descriptors that come with the data.
    #[inline]
    #[track_caller]
    pub fn attempt_to_drain(
        &self,
        reason: Reason,
        patience: impl Fn() -> Patience,
        room: usize,
        read: impl FnMut(&T) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.attempt_and_note(Direction::Read, reason, patience, read, |edges, &count| {
            self.block.note_read(edges, count > 0 && count < room);
        })
    }

    /// Gives `note` the edges before the attempt that has succeeded, and its result.
    #[inline(always)]
    #[track_caller]
    fn attempt_and_note<R>(
        &self,
        direction: Direction,
        reason: Reason,
        patience: impl Fn() -> Patience,
        mut operation: impl FnMut(&T) -> io::Result<R>,
        note: impl FnOnce(u32, &R),
    ) -> io::Result<R> {
        if turn::spend_on_call() {
            turn::next();
        }
        let mut turn = Turn::new(self.block, direction);
        loop {
            turn.edges = self.block.edges(direction);
            if self.block.is_closed.load(Ordering::Relaxed) {
                return Err(closed());
            }
            if turn.knows_better() {
                turn.wait(&*self.descriptor, reason, &patience, None)?;
                continue;
            }
            match operation(&self.descriptor) {
                Ok(value) => {
                    note(turn.edges, &value);
                    return Ok(value);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    turn.wait(&*self.descriptor, reason, &patience, Some(error))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends all waits, and all operations to come, with `ConnectionAborted`. The descriptor stays
    /// open until the source is dropped.
    pub fn close(&self) {
        self.block.close();
    }

    fn retire(&mut self) {
        let token = self.block.token();
        if let Some(home) = self.block.home.lock().take() {
            home.remove(self.descriptor.fd(), token);
        }
        self.block.give_back();
    }
}

impl<T: Descriptor> Drop for Source<T> {
    fn drop(&mut self) {
        self.retire();
        // SAFETY: this is the end of the source, so the descriptor is dropped once. It is no longer
        // registered: closed before that, its number could be another's.
        unsafe { ManuallyDrop::drop(&mut self.descriptor) };
    }
}

fn cannot_wait() -> io::Error {
    io::Error::other("the task is being cancelled and cannot wait")
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "it was closed by this program")
}

/// An operation under way.
struct Turn {
    block: &'static Block,
    direction: Direction,
    /// The edges before the last attempt.
    edges: u32,
    has_baton: bool,
    /// The descriptor itself must be asked, whatever the edges say.
    insists: bool,
    /// A plain thread has seen the end of the descriptor, and its attempt has not.
    #[cfg(not(lisle_loom))]
    saw_end: bool,
    /// Known from the first wait on.
    limit: Option<(Patience, Option<Instant>)>,
}

impl Turn {
    #[inline]
    fn new(block: &'static Block, direction: Direction) -> Self {
        Self {
            block,
            direction,
            edges: 0,
            has_baton: false,
            insists: false,
            #[cfg(not(lisle_loom))]
            saw_end: false,
            limit: None,
        }
    }

    /// Whether an attempt would find nothing.
    #[inline]
    fn knows_better(&self) -> bool {
        self.direction == Direction::Read
            && self.edges == self.block.drained_at.load(Ordering::Relaxed)
            && !self.insists
    }

    /// Waits after an attempt that has failed with `would_block`, or instead of one that would,
    /// and returns when it is time for the next one.
    #[cold]
    #[track_caller]
    fn wait<T: Descriptor>(
        &mut self,
        descriptor: &T,
        reason: Reason,
        patience: &dyn Fn() -> Patience,
        would_block: Option<io::Error>,
    ) -> io::Result<()> {
        // The attempt has found nothing that it could have left to others.
        self.has_baton = false;
        let (patience, deadline) = *self.limit.get_or_insert_with(|| {
            let patience = patience();
            (patience, patience.deadline())
        });
        if patience != Patience::None && self.wait_until(descriptor, reason, deadline)? {
            return Ok(());
        }
        self.insists = true;
        match (would_block, patience) {
            (None, _) => Ok(()),
            (_, Patience::Until(_)) => Err(io::ErrorKind::TimedOut.into()),
            (Some(error), _) => {
                if patience == Patience::None {
                    turn::fail();
                }
                Err(error)
            }
        }
    }

    /// False if the deadline has passed.
    #[track_caller]
    fn wait_until<T: Descriptor>(
        &mut self,
        descriptor: &T,
        reason: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        // SAFETY: the reference is used in this call alone.
        let Some(worker) = (unsafe { worker::current() }) else {
            return self.wait_on_thread(descriptor, reason, deadline);
        };
        let driver = worker.driver();
        self.block.register(driver.poller()?, descriptor)?;
        self.park(reason, deadline, || Some(driver.begin_wait()))
    }

    /// Parks until an edge has come. `count` is called once nothing can keep the wait from
    /// beginning. False if the deadline has passed.
    #[track_caller]
    fn park<'a>(
        &mut self,
        reason: Reason,
        deadline: Option<Instant>,
        count: impl FnOnce() -> Option<CountedWait<'a>>,
    ) -> io::Result<bool> {
        let (waiter, counted) = (Waiter::new(), Cell::new(None));
        let wake = park(
            reason,
            deadline,
            |unparker| {
                counted.set(count());
                self.enqueue(&waiter, Alarm::Task(unparker));
            },
            || match self.dequeue(&waiter)? {
                Alarm::Task(unparker) => {
                    counted.take();
                    Some(unparker)
                }
                #[cfg(not(lisle_loom))]
                Alarm::Thread(_) => unreachable!("the waiter is a task's"),
            },
        );
        drop(counted);
        self.has_baton = waiter.has_baton.get();
        match wake {
            Wake::Unparked => Ok(true),
            Wake::TimedOut => Ok(false),
            Wake::Failed => Err(cannot_wait()),
        }
    }

    /// In a model a plain thread waits as a task does. The model itself reports what becomes
    /// possible.
    #[cfg(lisle_loom)]
    fn wait_on_thread<T: Descriptor>(
        &mut self,
        _: &T,
        reason: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        self.park(reason, deadline, || None)
    }

    /// A plain thread waits in the system, and links a waiter all the same: it may be the first one
    /// to whom an edge is reported, and a [`Source::close`] must reach it.
    #[cfg(not(lisle_loom))]
    fn wait_on_thread<T: Descriptor>(
        &mut self,
        descriptor: &T,
        _: Reason,
        deadline: Option<Instant>,
    ) -> io::Result<bool> {
        if is_struck() {
            check_thread();
            return Err(cannot_wait());
        }
        // The system does not hear of a region that is cancelled, so such a thread looks itself.
        let look = may_be_struck().then(|| Instant::now() + LOOK_INTERVAL);
        let end = deadline.into_iter().chain(first_deadline()).chain(look).min();
        let (waiter, bell) = (Waiter::new(), ThreadBell::of_this_thread()?);
        self.enqueue(&waiter, Alarm::Thread(bell.clone()));
        let waited = match self.saw_end {
            // It would see the end again at once.
            true => bell.nap(end),
            false => bell.wait_beside(descriptor.fd(), self.direction, end),
        };
        let is_rung = matches!(waited, Ok(Waited::Rung));
        if self.dequeue(&waiter).is_none() && !is_rung {
            // The waiter stays until its alarm is used.
            bell.await_ring();
        }
        self.has_baton = waiter.has_baton.get();
        let waited = waited?;
        // The system may say again and again that the descriptor is ready, to no avail.
        let may_be_late = self.insists || waited == Waited::TimedOut;
        let is_late = may_be_late && deadline.is_some_and(|deadline| deadline <= Instant::now());
        // What the system says of the descriptor need not have come by an edge.
        self.insists = true;
        self.saw_end = waited == Waited::Ended;
        Ok(!is_late)
    }

    fn enqueue(&self, waiter: &Waiter, alarm: Alarm) {
        self.block.enqueue(self.direction, self.edges, waiter, alarm);
    }

    fn dequeue(&self, waiter: &Waiter) -> Option<Alarm> {
        self.block.dequeue(self.direction, waiter)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.has_baton {
            self.block.pass_baton(self.direction);
        }
    }
}

impl Waiter {
    fn new() -> Self {
        Self {
            alarm: primitive::cell::UnsafeCell::new(None),
            next: Cell::new(ptr::null()),
            previous: Cell::new(ptr::null()),
            linked: Cell::new(false),
            has_baton: Cell::new(false),
        }
    }
}

impl Block {
    fn new() -> Self {
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

    fn lock(&self) -> BriefMutexGuard<'_, State> {
        let mut state = self.state.lock();
        state.forget_waiters_of_the_parent();
        state
    }

    #[inline]
    fn edges(&self, direction: Direction) -> u32 {
        self.edges[direction as usize].load(Ordering::Acquire)
    }

    /// Adds an edge. The caller holds the lock of `state`.
    fn add_edge(&self, direction: Direction) {
        let edges = &self.edges[direction as usize];
        let next = edges.load(Ordering::Relaxed).wrapping_add(1) & (UNKNOWN >> 1);
        edges.store(next, Ordering::Release);
    }

    /// A read has succeeded, before which there had been that many edges.
    #[inline]
    fn note_read(&self, edges: u32, is_short: bool) {
        let all = is_short && !self.is_irregular.load(Ordering::Relaxed);
        let drained_at = if all { edges } else { UNKNOWN };
        if self.drained_at.load(Ordering::Relaxed) != drained_at {
            self.drained_at.store(drained_at, Ordering::Relaxed);
        }
    }

    /// Has the descriptor reported by a poller. The first one keeps it until another one has asked
    /// twice in a row while none waited, or until it ends.
    fn register<T: Descriptor>(&self, poller: &Arc<Poller>, descriptor: &T) -> io::Result<()> {
        let address = Arc::as_ptr(poller).addr();
        if self.suitor.load(Ordering::Relaxed) == address | SETTLED {
            return Ok(());
        }
        let mut home = self.home.lock();
        if home.as_ref().is_some_and(|home| home.is_the_parents()) {
            *home = None;
        }
        let last_suitor = self.suitor.load(Ordering::Relaxed) & !SETTLED;
        if home.as_ref().is_some_and(|home| Arc::ptr_eq(home, poller)) {
            self.suitor.store(address | SETTLED, Ordering::Relaxed);
            return Ok(());
        }
        self.suitor.store(address, Ordering::Relaxed);
        if home.is_some() && (last_suitor != address || self.lock().has_waiters()) {
            return Ok(());
        }
        // Before the old home is left: somebody may have found it here and be about to wait. What
        // both report is one edge more.
        match poller.add(descriptor.fd(), self.token()) {
            Ok(true) => {
                if let Some(left) = home.replace(poller.clone()) {
                    left.remove(descriptor.fd(), self.token());
                }
                self.suitor.store(address | SETTLED, Ordering::Relaxed);
                Ok(())
            }
            Err(error) if home.is_none() => Err(error),
            // It stays where it is. (And nothing waits on a worker that has ended.)
            Ok(false) | Err(_) => Ok(()),
        }
    }

    /// Forgets where the descriptor is registered, if it is with this poller.
    fn leave(&self, poller: &Arc<Poller>) {
        let mut home = self.home.lock();
        if home.as_ref().is_some_and(|home| Arc::ptr_eq(home, poller)) {
            *home = None;
            self.suitor.store(0, Ordering::Relaxed);
        }
    }

    /// Links a waiter, or wakes it at once if there has been an edge since it looked.
    fn enqueue(&self, direction: Direction, seen: u32, waiter: &Waiter, alarm: Alarm) {
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
    fn dequeue(&self, direction: Direction, waiter: &Waiter) -> Option<Alarm> {
        let mut state = self.lock();
        if !waiter.linked.get() {
            return None;
        }
        // SAFETY: a waiter in the ring is parked, and the lock is held.
        unsafe { state.unlink(direction, waiter) };
        // SAFETY: it is out of the ring, and so this party's alone.
        waiter.alarm.with_mut(|place| unsafe { (*place).take() })
    }

    fn pass_baton(&self, direction: Direction) {
        let next = self.lock().take_first(direction);
        // SAFETY: it has just been taken out of the ring.
        unsafe { wake_chain(next) };
    }

    /// Adds an edge to the directions that are ready. True if that has woken a waiter.
    fn note(&self, readiness: Readiness, generation: u32) -> bool {
        let mut state = self.lock();
        if state.generation != generation {
            return false;
        }
        if readiness.irregular {
            self.is_irregular.store(true, Ordering::Relaxed);
        }
        let ready = [readiness.readable, readiness.writable];
        let chains = Direction::BOTH.map(|direction| {
            if !ready[direction as usize] {
                return ptr::null();
            }
            self.add_edge(direction);
            if readiness.ended { state.take_all(direction) } else { state.take_first(direction) }
        });
        drop(state);
        // SAFETY: they have just been taken out of their rings.
        chains.into_iter().for_each(|chain| unsafe { wake_chain(chain) });
        chains.iter().any(|chain| !chain.is_null())
    }

    /// Wakes all waiters, to whom every attempt from now on says that the source is closed.
    fn close(&self) {
        let mut state = self.lock();
        self.is_closed.store(true, Ordering::Relaxed);
        let chains = Direction::BOTH.map(|direction| {
            self.add_edge(direction);
            state.take_all(direction)
        });
        drop(state);
        // SAFETY: they have just been taken out of their rings.
        chains.into_iter().for_each(|chain| unsafe { wake_chain(chain) });
    }

    /// The block serves another source from now on.
    fn give_back(&'static self) {
        let mut state = self.lock();
        debug_assert!(!state.has_waiters(), "a wait borrows the source");
        state.generation = next_generation(state.generation);
        drop(state);
        // A report that comes from now on finds another generation and changes nothing.
        self.drained_at.store(UNKNOWN, Ordering::Relaxed);
        self.is_irregular.store(false, Ordering::Relaxed);
        self.is_closed.store(false, Ordering::Relaxed);
        self.suitor.store(0, Ordering::Relaxed);
        pool::give(self);
    }
}

impl State {
    fn new() -> Self {
        Self { generation: 0, process: generation(), first: [ptr::null(); 2] }
    }

    /// A fork child has the rings of its parent, and none of the tasks and threads.
    fn forget_waiters_of_the_parent(&mut self) {
        if self.process != generation() {
            self.process = generation();
            self.first = [ptr::null(); 2];
        }
    }

    fn has_waiters(&self) -> bool {
        self.first.iter().any(|first| !first.is_null())
    }

    /// Adds a waiter at the end of its ring.
    fn link(&mut self, direction: Direction, waiter: &Waiter) {
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
    unsafe fn unlink(&mut self, direction: Direction, waiter: &Waiter) {
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
    fn take_first(&mut self, direction: Direction) -> *const Waiter {
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
    fn take_all(&mut self, direction: Direction) -> *const Waiter {
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
unsafe fn wake_chain(mut chain: *const Waiter) {
    // SAFETY: a waiter that is out of the ring stays until its alarm is used, and nobody else has
    // that. It is not touched afterwards.
    while let Some(waiter) = unsafe { chain.as_ref() } {
        chain = waiter.next.get();
        // SAFETY: as above.
        let alarm = waiter.alarm.with_mut(|place| unsafe { (*place).take() });
        alarm.expect("a linked waiter has its alarm").wake();
    }
}

/// Passes on what a poller reports. True if that has woken a task.
pub(super) fn deliver(token: u64, readiness: Readiness) -> bool {
    let (block, generation) = block_of(token);
    block.note(readiness, generation)
}

/// Drops all registrations with a poller whose owner ends. The waiters look again, and register
/// with a poller of their own.
pub(super) fn disown(poller: &Arc<Poller>) {
    const LOOK_ANEW: Readiness =
        Readiness { readable: true, writable: true, ended: true, irregular: false };
    for token in poller.end() {
        let (block, generation) = block_of(token);
        block.leave(poller);
        block.note(LOOK_ANEW, generation);
    }
}

/// A token is the address of a block, of which the lowest bits are zero and the highest ones the
/// system's, and in their place its generation.
const GENERATION_BITS: u32 = 22;
const ALIGN_BITS: u32 = align_of::<Block>().trailing_zeros();

fn next_generation(generation: u32) -> u32 {
    (generation + 1) & ((1 << GENERATION_BITS) - 1)
}

impl Block {
    fn token(&self) -> u64 {
        let address = ptr::from_ref(self).expose_provenance() as u64;
        debug_assert!(
            address >> (64 + ALIGN_BITS - GENERATION_BITS) == 0,
            "an address of the system"
        );
        (address >> ALIGN_BITS) << GENERATION_BITS | u64::from(self.lock().generation)
    }
}

fn block_of(token: u64) -> (&'static Block, u32) {
    let address = (token >> GENERATION_BITS << ALIGN_BITS) as usize;
    // SAFETY: tokens are made by `Block::token` alone, and blocks are never freed.
    let block = unsafe { &*ptr::with_exposed_provenance::<Block>(address) };
    (block, token as u32 & ((1 << GENERATION_BITS) - 1))
}

impl Block {
    fn take() -> &'static Self {
        pool::take()
    }
}

/// The blocks that no source uses.
#[cfg(not(lisle_loom))]
mod pool {
    use super::{Block, Mutex};
    use crate::per_process::PerProcess;

    const CHUNK: usize = 64;

    static FREE: PerProcess<Mutex<Vec<&'static Block>>> = PerProcess::new();

    fn free() -> &'static Mutex<Vec<&'static Block>> {
        FREE.get_or(Mutex::default)
    }

    pub(super) fn take() -> &'static Block {
        let mut free = free().lock();
        if free.is_empty() {
            let chunk: Box<[Block]> = (0..CHUNK).map(|_| Block::new()).collect();
            free.extend(Box::leak(chunk).iter());
        }
        free.pop().expect("some were just made")
    }

    pub(super) fn give(block: &'static Block) {
        free().lock().push(block);
    }
}

/// A model makes a new block for each source: what one execution leaves behind is no use to the
/// next.
#[cfg(lisle_loom)]
mod pool {
    use super::Block;

    pub(super) fn take() -> &'static Block {
        Box::leak(Box::new(Block::new()))
    }

    pub(super) fn give(_: &'static Block) {}
}

#[cfg(all(test, lisle_loom))]
pub(super) mod testing {
    //! What the model of reused blocks needs.

    use super::*;

    impl<T: Descriptor> Source<T> {
        pub(in crate::driver) fn token(&self) -> u64 {
            self.block.token()
        }

        /// A source that has the block of the one with this token.
        pub(in crate::driver) fn reusing(token: u64, descriptor: T) -> Self {
            Self { descriptor: ManuallyDrop::new(descriptor), block: block_of(token).0 }
        }

        pub(in crate::driver) fn edges(&self, direction: Direction) -> u32 {
            self.block.edges(direction)
        }
    }
}

#[cfg(all(test, lisle_loom))]
mod models;

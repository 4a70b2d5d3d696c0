//! The lock of a read-write lock, without what it guards. The crate's README has the argument.
//!
//! One word says how it stands:
//!
//! - `WRITER`: a writer has the lock.
//! - `QUEUED`: somebody waits. Then a writer has the lock or waits for it, and nobody takes the
//!   lock but those to which it is left. Changed under the queues' lock; set by a writer that has
//!   the lock, too, where a release is a point of an explored program, so that it takes the slow
//!   path.
//! - the rest is the number of readers that have the lock, in steps of `READER`.

#[cfg(all(test, lisle_loom))]
mod models;

use std::panic::Location;
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU32, Ordering};
use lisle_runtime::internal::primitive::{BriefMutex, hint};
use lisle_scheduler::internal::{Chain, WaitQueue, Waiter, next_turn_on_lock_at, uninterrupted};
use lisle_scheduler::park::{Awaited, Object, Place, Reason, Unparker, Wait, Wake, park};
use lisle_scheduler::turn;

use crate::holder::Holder;
use crate::waiting::{
    SPINS, are_at_releases, are_in_use, cannot_wait, look_at, look_in_next_turn,
    pass_before_release,
};

const WRITER: u32 = 1;
const QUEUED: u32 = 2;
const READER: u32 = 4;

/// Beyond this the number of readers would overflow into nothing.
const MOST_READERS: u32 = (u32::MAX >> 1) / READER;

#[derive(Debug)]
pub(crate) struct RawRwLock {
    state: AtomicU32,
    waiting: BriefMutex<Waiting>,
    holder: Holder,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    readers: WaitQueue,
    /// How many there are.
    reader_count: u32,
    writers: WaitQueue,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.readers.is_empty() && self.writers.is_empty()
    }

    /// The state's bit for those that wait.
    fn queued(&self) -> u32 {
        if self.is_empty() { 0 } else { QUEUED }
    }

    /// Takes all readers out, and tells how many there were, in steps of `READER`.
    fn take_readers(&mut self) -> (Chain, u32) {
        let count = std::mem::take(&mut self.reader_count);
        (self.readers.take_all(), count * READER)
    }
}

/// How a party wants the lock.
pub(crate) trait Access: Object + Sized {
    /// The state once such a party has taken a lock that is in the state `state`, if it may.
    fn taken(state: u32) -> Option<u32>;

    fn of(lock: &RawRwLock) -> &Self;

    fn lock(&self) -> &RawRwLock;

    /// # Safety
    ///
    /// As for [`WaitQueue::push`].
    unsafe fn push(waiting: &mut Waiting, waiter: &Waiter, unparker: Unparker);

    /// # Safety
    ///
    /// As for [`WaitQueue::remove`].
    unsafe fn remove(waiting: &mut Waiting, waiter: &Waiter) -> Option<Unparker>;
}

/// The lock, as it is wanted by a reader.
#[repr(transparent)]
pub(crate) struct Reading(RawRwLock);

/// The lock, as it is wanted by a writer.
#[repr(transparent)]
pub(crate) struct Writing(RawRwLock);

impl Access for Reading {
    #[inline(always)]
    fn taken(state: u32) -> Option<u32> {
        (state & (WRITER | QUEUED) == 0).then(|| {
            assert!(state / READER < MOST_READERS, "too many readers of an RwLock");
            state + READER
        })
    }

    #[inline]
    fn of(lock: &RawRwLock) -> &Self {
        // SAFETY: a transparent struct is laid out as its field.
        unsafe { &*std::ptr::from_ref(lock).cast() }
    }

    #[inline]
    fn lock(&self) -> &RawRwLock {
        &self.0
    }

    unsafe fn push(waiting: &mut Waiting, waiter: &Waiter, unparker: Unparker) {
        // SAFETY: passed on to the caller.
        unsafe { waiting.readers.push(waiter, unparker) };
        waiting.reader_count += 1;
    }

    unsafe fn remove(waiting: &mut Waiting, waiter: &Waiter) -> Option<Unparker> {
        // SAFETY: passed on to the caller.
        let unparker = unsafe { waiting.readers.remove(waiter) };
        waiting.reader_count -= u32::from(unparker.is_some());
        unparker
    }
}

impl Access for Writing {
    #[inline(always)]
    fn taken(state: u32) -> Option<u32> {
        (state == 0).then_some(WRITER)
    }

    #[inline]
    fn of(lock: &RawRwLock) -> &Self {
        // SAFETY: a transparent struct is laid out as its field.
        unsafe { &*std::ptr::from_ref(lock).cast() }
    }

    #[inline]
    fn lock(&self) -> &RawRwLock {
        &self.0
    }

    unsafe fn push(waiting: &mut Waiting, waiter: &Waiter, unparker: Unparker) {
        // SAFETY: passed on to the caller.
        unsafe { waiting.writers.push(waiter, unparker) };
    }

    unsafe fn remove(waiting: &mut Waiting, waiter: &Waiter) -> Option<Unparker> {
        // SAFETY: passed on to the caller.
        unsafe { waiting.writers.remove(waiter) }
    }
}

impl RawRwLock {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                state: AtomicU32::new(0),
                waiting: BriefMutex::new(Waiting {
                    readers: WaitQueue::new(),
                    reader_count: 0,
                    writers: WaitQueue::new(),
                }),
                holder: Holder::new(),
            }
        }
    }

    /// Takes the lock. Waits for it if need be.
    #[inline]
    pub(crate) fn lock<A: Access>(&self, place: Place) {
        if turn::spend() {
            return self.lock_in_next_turn::<A>(place);
        }
        self.take_or_wait::<A>(place);
    }

    #[cold]
    #[inline(never)]
    fn lock_in_next_turn<A: Access>(&self, place: Place) {
        next_turn_on_lock_at(place);
        self.take_or_wait::<A>(place);
        self.have_release_seen();
    }

    #[inline(always)]
    fn take_or_wait<A: Access>(&self, place: Place) {
        if !self.take::<A>() {
            self.lock_contended::<A>(place);
        }
        self.holder.set(place);
    }

    /// Takes the lock, and waits for it until a deadline, which is asked for if it is needed. False
    /// if it could not be had until then.
    #[inline]
    pub(crate) fn lock_until<A: Access>(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> bool {
        if turn::spend() {
            look_in_next_turn(place);
            let locked = self.take_until::<A>(deadline, place);
            if locked {
                self.have_release_seen();
            }
            return locked;
        }
        self.take_until::<A>(deadline, place)
    }

    #[inline]
    fn take_until<A: Access>(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> bool {
        let locked = self.take::<A>()
            || uninterrupted(|| self.lock_slowly::<A>(deadline(), place)) == Wake::Unparked;
        if locked {
            self.holder.set(place);
        }
        locked
    }

    /// Takes the lock if that is possible now.
    #[inline]
    pub(crate) fn try_lock<A: Access>(&self, place: Place) -> bool {
        if are_in_use() {
            return self.look_and_take::<A>(place);
        }
        self.try_take::<A>(place)
    }

    #[cold]
    #[inline(never)]
    fn look_and_take<A: Access>(&self, place: Place) -> bool {
        look_at(place);
        let locked = self.try_take::<A>(place);
        if locked {
            self.have_release_seen();
        }
        locked
    }

    #[inline(always)]
    fn try_take<A: Access>(&self, place: Place) -> bool {
        let locked = self.take::<A>();
        if locked {
            self.holder.set(place);
        } else {
            uninterrupted(turn::fail);
        }
        locked
    }

    /// Has the release of the lock, which the caller has as a writer or a reader, take the slow
    /// path, if that is a point of an explored program. A reader's comes to it by the fast path.
    #[cold]
    fn have_release_seen(&self) {
        if are_at_releases() {
            let marked = |state| (state & WRITER != 0).then_some(state | QUEUED);
            let _ = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, marked);
        }
    }

    /// Releases the lock.
    ///
    /// # Safety
    ///
    /// The caller has it as a reader, and does without it from now on.
    #[inline]
    pub(crate) unsafe fn unlock_shared(&self) {
        if are_at_releases() {
            // Another reader may have come later, from another place.
            pass_before_release(None);
        }
        // Release: the next writer comes after what this reader has read.
        let before = self.state.fetch_sub(READER, Ordering::Release);
        if before == READER | QUEUED {
            self.leave_to_writer();
        }
    }

    /// Releases the lock.
    ///
    /// # Safety
    ///
    /// The caller has it as a writer, and does without it from now on.
    #[inline]
    pub(crate) unsafe fn unlock_exclusive(&self) {
        // Release: the next holders see what was written under the lock.
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        if self.state.compare_exchange(WRITER, 0, release, relaxed).is_err() {
            self.leave_to_waiting();
        }
    }

    /// Makes the writer a reader. Readers that wait come in with it.
    ///
    /// # Safety
    ///
    /// The caller has the lock as a writer, and is a reader from now on.
    pub(crate) unsafe fn downgrade(&self) {
        let mut waiting = self.waiting.lock();
        let (readers, count) = waiting.take_readers();
        // Nobody else changes it: the lock is ours, and so is that of the queues.
        self.state.store((READER + count) | waiting.queued(), Ordering::Release);
        drop(waiting);
        readers.wake();
    }

    /// Whether a writer has the lock, and how many readers have it.
    #[track_caller]
    pub(crate) fn look_for_holders(&self) -> (bool, usize) {
        if are_in_use() {
            look_at(Location::caller());
        }
        self.holders()
    }

    fn holders(&self) -> (bool, usize) {
        let state = self.state.load(Ordering::Relaxed);
        (state & WRITER != 0, (state / READER) as usize)
    }

    #[inline(always)]
    fn take<A: Access>(&self) -> bool {
        // Acquire pairs with the release of the holder before.
        self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, A::taken).is_ok()
    }

    #[cold]
    #[inline(never)]
    fn lock_contended<A: Access>(&self, place: Place) {
        if uninterrupted(|| self.lock_slowly::<A>(None, place)) != Wake::Unparked {
            cannot_wait("an RwLock");
        }
    }

    /// [`Wake::Unparked`] if the lock was taken.
    #[cold]
    fn lock_slowly<A: Access>(&self, deadline: Option<Instant>, place: Place) -> Wake {
        let mut spins = SPINS;
        while spins > 0 && self.state.load(Ordering::Relaxed) & QUEUED == 0 {
            hint::spin_loop();
            if self.take::<A>() {
                return Wake::Unparked;
            }
            spins -= 1;
        }
        let waiter = Waiter::new(());
        park(
            Wait::on(A::of(self)).at(place),
            deadline,
            |unparker| self.enter_queue::<A>(&waiter, unparker),
            || self.leave_queue::<A>(&waiter),
        )
    }

    /// Puts a party into its queue. If it may have the lock by now, it gets that instead.
    fn enter_queue<A: Access>(&self, waiter: &Waiter, unparker: Unparker) {
        let mut waiting = self.waiting.lock();
        let update = |state| Some(A::taken(state).unwrap_or(state | QUEUED));
        let before = self
            .state
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, update)
            .expect("there is always a next state");
        if A::taken(before).is_some() {
            drop(waiting);
            return unparker.unpark();
        }
        // SAFETY: the waiter is in no queue. It stays until `park` has returned, after which the
        // unparker is used up or was taken back.
        unsafe { A::push(&mut waiting, waiter, unparker) };
    }

    /// Takes a party out of its queue, unless the lock was left to it. Readers that have waited
    /// behind this writer alone have the lock from now on.
    fn leave_queue<A: Access>(&self, waiter: &Waiter) -> Option<Unparker> {
        let mut waiting = self.waiting.lock();
        // SAFETY: the waiter is in this queue or was never in one.
        let unparker = unsafe { A::remove(&mut waiting, waiter) }?;
        if waiting.writers.is_empty() && self.state.load(Ordering::Relaxed) & WRITER == 0 {
            let (readers, count) = waiting.take_readers();
            // The bit is set, so that nobody takes the lock meanwhile; readers may release it.
            self.state.fetch_add(count.wrapping_sub(QUEUED), Ordering::Relaxed);
            drop(waiting);
            readers.wake();
        } else if waiting.is_empty() {
            self.state.fetch_and(!QUEUED, Ordering::Relaxed);
        }
        Some(unparker)
    }

    /// The last reader has released the lock, and somebody was waiting then.
    #[cold]
    #[inline(never)]
    fn leave_to_writer(&self) {
        let mut waiting = self.waiting.lock();
        // Acquire: the writer comes after what all readers have read. The state is another if the
        // writer for which the readers waited has left meanwhile.
        if self.state.load(Ordering::Acquire) != QUEUED {
            return;
        }
        let writer = waiting.writers.pop().expect("a writer has the lock, or waits for it");
        // Relaxed: nobody takes the lock that is in this state. The writer has it by its wake-up,
        // which brings what this thread has seen, and others have it by what the writer releases.
        self.state.store(WRITER | waiting.queued(), Ordering::Relaxed);
        drop(waiting);
        writer.wake();
    }

    /// A writer releases the lock, and somebody waits: all readers that do have it next, or else
    /// the first writer.
    #[cold]
    #[inline(never)]
    fn leave_to_waiting(&self) {
        if are_at_releases() {
            pass_before_release(self.holder.place());
        }
        let mut waiting = self.waiting.lock();
        let (readers, count) = waiting.take_readers();
        let writer = if count == 0 { waiting.writers.pop() } else { None };
        let held = if writer.is_some() { WRITER } else { count };
        // Nobody else changes it: the lock is ours, and so is that of the queues.
        self.state.store(held | waiting.queued(), Ordering::Release);
        drop(waiting);
        readers.wake();
        if let Some(writer) = writer {
            writer.wake();
        }
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        let (is_written, readers) = self.holders();
        if (is_written || readers > 0)
            && let Some(release) = self.holder.release(readers.max(1))
        {
            say(release);
        }
    }
}

impl Object for Reading {
    fn reason(&self) -> Reason {
        Reason::new("locking an RwLock for reading")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.lock().describe(say);
    }
}

impl Object for Writing {
    fn reason(&self) -> Reason {
        Reason::new("locking an RwLock for writing")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        self.lock().describe(say);
    }
}

//! The lock of a mutex, without what it guards. The crate's README has the argument.
//!
//! One word says how it stands, by four bits:
//!
//! - `LOCKED`: a party has the lock.
//! - `QUEUED`: parties stand in the queue, or did until they left it by themselves: the next
//!   release looks. Changed under the queue's lock; set by the holder, too, where a release is a
//!   point of an explored program, so that it takes the slow path.
//! - `WOKEN`: a party was taken out of the queue to try again, and has not yet tried. As long as it
//!   is on its way no other one is woken.
//! - `LATE`: the first one in the queue came too late, or there was such a one: the next release
//!   looks, although a party may be on its way. Changed under the queue's lock.
//!
//! Any party that finds the lock free takes it, also while others wait. A party that was woken and
//! comes too late goes back to the head of the queue, and the next release leaves it the lock.

#[cfg(all(test, lisle_loom))]
mod models;

use std::panic::Location;
use std::time::Instant;

use lisle_runtime::internal::primitive::atomic::{AtomicU8, Ordering};
use lisle_runtime::internal::primitive::{BriefMutex, hint};
use lisle_scheduler::internal::{WaitQueue, Waiter, next_turn_on_lock_at, uninterrupted};
use lisle_scheduler::park::{Awaited, Object, Place, Reason, Unparker, Wait, Wake, park};
use lisle_scheduler::{shield, turn};

use crate::holder::Holder;
use crate::waiting::{
    SPINS, are_at_releases, are_in_use, cannot_wait, look_at, look_in_next_turn,
    pass_before_release,
};

const LOCKED: u8 = 1;
const QUEUED: u8 = 2;
const WOKEN: u8 = 4;
const LATE: u8 = 8;

#[derive(Debug)]
pub(crate) struct RawMutex {
    state: AtomicU8,
    queue: BriefMutex<WaitQueue<Party>>,
    holder: Holder,
}

/// What is known of a party in the queue.
#[derive(Debug, Default)]
struct Party {
    /// It was woken once, and the lock was taken.
    came_too_late: bool,
    /// The lock was left to it.
    has_lock: bool,
}

impl RawMutex {
    const_fn! {
        pub(crate) fn new() -> Self {
            Self {
                state: AtomicU8::new(0),
                queue: BriefMutex::new(WaitQueue::new()),
                holder: Holder::new(),
            }
        }
    }

    /// Takes the lock. Waits for it if need be.
    #[inline]
    pub(crate) fn lock(&self, place: Place) {
        if turn::spend() {
            return self.lock_in_next_turn(place);
        }
        self.take(place);
    }

    #[cold]
    #[inline(never)]
    fn lock_in_next_turn(&self, place: Place) {
        next_turn_on_lock_at(place);
        self.take(place);
        self.have_release_seen();
    }

    #[inline(always)]
    fn take(&self, place: Place) {
        if !self.take_free() {
            self.lock_contended(place);
        }
        self.holder.set(place);
    }

    /// Takes the lock, and waits for it until a deadline, which is asked for if it is needed. False
    /// if it could not be had until then.
    #[inline]
    pub(crate) fn lock_until(
        &self,
        deadline: impl FnOnce() -> Option<Instant>,
        place: Place,
    ) -> bool {
        if turn::spend() {
            look_in_next_turn(place);
            let locked = self.take_until(deadline, place);
            if locked {
                self.have_release_seen();
            }
            return locked;
        }
        self.take_until(deadline, place)
    }

    #[inline]
    fn take_until(&self, deadline: impl FnOnce() -> Option<Instant>, place: Place) -> bool {
        let locked = self.take_free()
            || self.spin()
            || uninterrupted(|| self.lock_slowly(deadline(), place) == Wake::Unparked);
        if locked {
            self.holder.set(place);
        }
        locked
    }

    /// Takes the lock if it is free.
    #[inline]
    pub(crate) fn try_lock(&self, place: Place) -> bool {
        if are_in_use() {
            return self.look_and_take(place);
        }
        self.try_take(place)
    }

    #[cold]
    #[inline(never)]
    fn look_and_take(&self, place: Place) -> bool {
        look_at(place);
        let locked = self.try_take(place);
        if locked {
            self.have_release_seen();
        }
        locked
    }

    #[inline(always)]
    fn try_take(&self, place: Place) -> bool {
        let locked = self.take_free() || self.take_unlocked(0).is_ok();
        if locked {
            self.holder.set(place);
        } else {
            uninterrupted(turn::fail);
        }
        locked
    }

    /// Takes the lock, as the calling task must do before it goes on, cancelled or not.
    pub(crate) fn lock_again(&self, place: Place) {
        if !self.take_free()
            && !self.spin()
            && shield(|| self.lock_slowly(None, place)) != Wake::Unparked
        {
            cannot_wait("a mutex");
        }
        self.holder.set(place);
        if are_in_use() {
            self.have_release_seen();
        }
    }

    /// Has the release of the lock, which the caller has, take the slow path, if that is a point of
    /// an explored program.
    #[cold]
    fn have_release_seen(&self) {
        if are_at_releases() {
            self.state.fetch_or(QUEUED, Ordering::Relaxed);
        }
    }

    /// Releases the lock.
    ///
    /// # Safety
    ///
    /// The caller has it, and does without it from now on.
    #[inline]
    pub(crate) unsafe fn unlock(&self) {
        if let Err(state) = self.release(LOCKED) {
            self.unlock_slowly(state);
        }
    }

    /// Releases the lock where nobody can come first: amid the beginning of a wait.
    ///
    /// # Safety
    ///
    /// As for [`unlock`](Self::unlock).
    #[inline]
    pub(crate) unsafe fn unlock_at_once(&self) {
        if let Err(state) = self.release(LOCKED) {
            self.unlock_contended(state);
        }
    }

    /// Releases the lock if this is the state. If it is not, gives back what it is.
    #[inline(always)]
    fn release(&self, state: u8) -> Result<u8, u8> {
        // Release: the next holder sees what was written under the lock.
        let (release, relaxed) = (Ordering::Release, Ordering::Relaxed);
        self.state.compare_exchange(state, state & !LOCKED, release, relaxed)
    }

    /// Whether a party has it now.
    #[track_caller]
    pub(crate) fn is_locked(&self) -> bool {
        if are_in_use() {
            look_at(Location::caller());
        }
        self.has_holder()
    }

    fn has_holder(&self) -> bool {
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }

    /// Takes a lock that is free and has no queue.
    #[inline(always)]
    fn take_free(&self) -> bool {
        // Acquire pairs with the release in `unlock`.
        self.state.compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes a lock that is free, although others may wait, and clears the bits `done`. If it is
    /// locked, gives back the state.
    fn take_unlocked(&self, done: u8) -> Result<(), u8> {
        self.update(|state| (state & LOCKED == 0).then_some((state | LOCKED) & !done)).map(|_| ())
    }

    #[inline(always)]
    fn update(&self, f: impl FnMut(u8) -> Option<u8>) -> Result<u8, u8> {
        // Acquire for a party that takes the lock, release for one that lets it go.
        self.state.fetch_update(Ordering::AcqRel, Ordering::Relaxed, f)
    }

    #[cold]
    #[inline(never)]
    fn lock_contended(&self, place: Place) {
        if self.spin() {
            return;
        }
        if uninterrupted(|| self.lock_slowly(None, place)) != Wake::Unparked {
            cannot_wait("a mutex");
        }
    }

    /// [`Wake::Unparked`] if the lock was taken.
    #[cold]
    fn lock_slowly(&self, deadline: Option<Instant>, place: Place) -> Wake {
        let mut waiter = Waiter::new(Party::default());
        loop {
            let wake = park(
                Wait::on(self).at(place),
                deadline,
                |unparker| self.enter_queue(&waiter, unparker),
                || self.leave_queue(&waiter),
            );
            let party = waiter.payload();
            if wake != Wake::Unparked || party.has_lock {
                return wake;
            }
            if self.try_when_woken() {
                return wake;
            }
            party.came_too_late = true;
        }
    }

    /// Looks for some time whether the lock becomes free, unless others wait for it.
    fn spin(&self) -> bool {
        for _ in 0..=SPINS {
            match self.take_unlocked(0) {
                Ok(()) => return true,
                Err(state) if state & QUEUED != 0 => return false,
                Err(_) => hint::spin_loop(),
            }
        }
        false
    }

    /// Takes the lock, for a party that was woken to do so. If that fails, the party counts as
    /// being on its way no longer: the holder, when it lets go, looks at the queue again.
    fn try_when_woken(&self) -> bool {
        let before = self
            .update(|state| Some((state | LOCKED) & !WOKEN))
            .expect("there is always a next state");
        before & LOCKED == 0
    }

    /// Puts a party into the queue. If the lock is free by now, it gets that instead.
    fn enter_queue(&self, waiter: &Waiter<Party>, unparker: Unparker) {
        let mut queue = self.queue.lock();
        // SAFETY: the waiter is in no queue.
        let is_late = unsafe { waiter.look(|party| party.came_too_late) };
        let queued = if is_late { QUEUED | LATE } else { QUEUED };
        let before = self
            .update(|state| Some(state | if state & LOCKED == 0 { LOCKED } else { queued }))
            .expect("there is always a next state");
        if before & LOCKED == 0 {
            drop(queue);
            // SAFETY: the waiter is in no queue, and stays until the unparker is used.
            let mut taken = unsafe { waiter.surrender(unparker) };
            taken.with(|party| party.has_lock = true);
            return taken.wake();
        }
        // SAFETY: the waiter is in no queue. It stays until `park` has returned, after which the
        // unparker is used up or was taken back.
        unsafe {
            if is_late {
                queue.push_front(waiter, unparker);
            } else {
                queue.push(waiter, unparker);
            }
        }
    }

    /// Takes a party out of the queue, unless it was taken out already.
    fn leave_queue(&self, waiter: &Waiter<Party>) -> Option<Unparker> {
        // SAFETY: the waiter is in this queue or was never in one.
        unsafe { self.queue.lock().remove(waiter) }
    }

    #[cold]
    #[inline(never)]
    fn unlock_slowly(&self, state: u8) {
        if are_at_releases() {
            pass_before_release(self.holder.place());
        }
        self.unlock_contended(state);
    }

    #[cold]
    fn unlock_contended(&self, mut state: u8) {
        // A party is on its way, and none is to be left the lock.
        while state & (WOKEN | LATE) == WOKEN {
            match self.release(state) {
                Ok(_) => return,
                Err(other) => state = other,
            }
        }
        self.unlock_to_next();
    }

    /// Leaves the lock to the first in the queue, or releases it and wakes that one.
    fn unlock_to_next(&self) {
        let mut queue = self.queue.lock();
        let late = queue.pop_if(|_, party| {
            party.has_lock = party.came_too_late;
            party.came_too_late
        });
        if let Some(late) = late {
            if queue.is_empty() {
                self.state.fetch_and(!(QUEUED | LATE), Ordering::Relaxed);
            }
            drop(queue);
            return late.wake();
        }
        // One step: a party that says before it that it has not found the lock free is on its way
        // no longer, and may never come back.
        let released = |state| (state & WOKEN != 0).then_some(state & !(LOCKED | LATE));
        if self.update(released).is_ok() {
            return;
        }
        let first = queue.pop();
        let woken = if first.is_some() { WOKEN } else { 0 };
        let queued = if queue.is_empty() { 0 } else { QUEUED };
        // Nobody else changes it: the lock is ours, and so is that of the queue, and nobody is on
        // its way.
        self.state.store(woken | queued, Ordering::Release);
        drop(queue);
        if let Some(first) = first {
            first.wake();
        }
    }
}

impl Object for RawMutex {
    fn reason(&self) -> Reason {
        Reason::new("locking a mutex")
    }

    fn describe(&self, say: &mut dyn FnMut(Awaited)) {
        if self.has_holder()
            && let Some(release) = self.holder.release(1)
        {
            say(release);
        }
    }
}

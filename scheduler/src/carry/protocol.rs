//! Which kernel thread runs which identity, and which ones wait. `README.md` beside this
//! file has the protocol; nothing here touches a thread-local.

use std::ptr;

use lisle_runtime::internal::primitive::atomic::{
    AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
};

/// A moment on the monotonic clock, in nanoseconds.
pub(super) type Moment = u64;

/// Later than all others.
pub(super) const NEVER: Moment = Moment::MAX;

/// Where a thread waits while it runs no identity.
pub(super) trait Waiting {
    fn new() -> Self;

    /// How often it has rung.
    fn rings(&self) -> u32;

    fn ring(&self);

    /// Blocks the thread until there were other than `rings` rings, or until the moment. May return
    /// for no reason.
    fn wait(&self, rings: u32, until: Moment);
}

/// An identity and the kernel thread that it was born on, which is its *home*; `T` is what belongs
/// to them. Seats are never freed, only used again: a stale reference finds a seat, and learns from
/// its word that it has nothing to do there.
#[repr(align(128))]
pub(super) struct Seat<T: 'static, W: 'static> {
    /// Of the identity: [`RUNNING`], or the address of its keeper's seat; and flags.
    word: AtomicUsize,
    /// Of the identity: when its keeper runs it at the latest. Written before it rests.
    deadline: AtomicU64,
    /// Of the identity: how often it has begun to rest.
    rests: AtomicU32,
    /// Of the thread: where it waits while it runs nothing.
    bell: W,
    /// Of the thread: whose identity it keeps, unless that has been claimed.
    keeps: AtomicPtr<Self>,
    /// Of the thread: until when it waits; 0 if it does not, and looks before it does.
    armed: AtomicU64,
    pub(super) own: T,
}

/// A thread runs the identity. Or it rests and is kept, and then this part of the word is the
/// keeper's address.
const RUNNING: usize = 0;
/// It is to be run soon: by its keeper, unless another thread comes first.
const CALLED: usize = 1;
/// It wants to be run by its home.
const HOMEWARD: usize = 2;
const FLAGS: usize = CALLED | HOMEWARD;

/// What a look at the kept identity has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The thread runs it from now on.
    Claimed,
    /// It rests on.
    Rests,
    /// Another thread has it.
    Gone,
}

impl<T, W: Waiting> Seat<T, W> {
    pub(super) fn new(own: T) -> Self {
        Self {
            word: AtomicUsize::new(RUNNING),
            deadline: AtomicU64::new(NEVER),
            rests: AtomicU32::new(0),
            bell: W::new(),
            keeps: AtomicPtr::new(ptr::null_mut()),
            armed: AtomicU64::new(0),
            own,
        }
    }
}

/// The identity.
impl<T, W: Waiting> Seat<T, W> {
    /// Whether it was called since it began to run: then it must not rest.
    #[inline]
    pub(super) fn take_call(&self) -> bool {
        self.word.load(Ordering::Relaxed) & CALLED != 0
            && self.word.fetch_and(!CALLED, Ordering::AcqRel) & CALLED != 0
    }

    /// Says until when it will rest. Called by the code that runs it.
    #[inline]
    pub(super) fn set_deadline(&self, deadline: Moment) {
        self.deadline.store(deadline, Ordering::Relaxed);
        let rests = self.rests.load(Ordering::Relaxed);
        self.rests.store(rests.wrapping_add(1), Ordering::Relaxed);
    }

    pub(super) fn deadline(&self) -> Moment {
        self.deadline.load(Ordering::Relaxed)
    }

    pub(super) fn rests(&self) -> u32 {
        self.rests.load(Ordering::Relaxed)
    }

    /// Lets it rest, kept by `keeper`. Its code has been left, and its deadline set. From now on
    /// another thread may run it.
    pub(super) fn rest(&self, keeper: &'static Self, homeward: bool) {
        keeper.keeps.store(ptr::from_ref(self).cast_mut(), Ordering::Relaxed);
        let kept = ptr::from_ref(keeper).expose_provenance() | if homeward { HOMEWARD } else { 0 };
        // Release: what the identity has done is seen by the thread that runs it next.
        let before = self
            .word
            .fetch_update(Ordering::Release, Ordering::Relaxed, |word| Some(kept | word & CALLED));
        let is_called = before.is_ok_and(|word| word & CALLED != 0);
        if is_called || self.is_due_before(keeper) {
            keeper.bell.ring();
        }
        if homeward {
            self.bell.ring();
        }
    }

    /// Whether the keeper waits for something later.
    fn is_due_before(&self, keeper: &Self) -> bool {
        let deadline = self.deadline();
        if deadline == NEVER {
            return false;
        }
        // Either the keeper sees what it is given, or its giver sees until when it waits.
        fence(Ordering::SeqCst);
        deadline < keeper.armed.load(Ordering::Relaxed)
    }

    /// Takes an identity that rests, in order to run it. Returns its keeper, which from now on
    /// keeps nothing: the caller gives it the identity that it leaves.
    #[inline]
    pub(super) fn claim(&self) -> Option<&'static Self> {
        self.claim_if(|_| true)
    }

    /// Takes an identity that rests, if its word says that it `may`. Returns its keeper.
    #[inline]
    fn claim_if(&self, may: impl Fn(usize) -> bool) -> Option<&'static Self> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & !FLAGS != RUNNING && may(word) {
            // Acquire: the claimant sees what the identity has done.
            match self.word.compare_exchange_weak(
                word,
                RUNNING,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                // SAFETY: what is no flag is the address of a seat, and seats are never freed.
                Ok(_) => return Some(unsafe { &*ptr::with_exposed_provenance(word & !FLAGS) }),
                Err(now) => word = now,
            }
        }
        None
    }

    /// Whether it wants to go home.
    #[inline]
    pub(super) fn is_homeward(&self) -> bool {
        self.word.load(Ordering::Relaxed) & HOMEWARD != 0
    }

    /// Calls it without a hurry: the caller will claim it, or [ring](Self::ring), or its keeper
    /// finds out at its next look. False if it does not rest, and nothing was done.
    #[inline]
    pub(super) fn call(&self) -> bool {
        let call = |word| (word & !FLAGS != RUNNING).then_some(word | CALLED);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, call).is_ok()
    }

    /// Has it run. False if it does not rest: then it will not before it was run once more, but it
    /// may wait elsewhere.
    pub(super) fn ring(&self) -> bool {
        let before = self.word.fetch_or(CALLED, Ordering::AcqRel);
        match before & !FLAGS {
            RUNNING => false,
            keeper => {
                // SAFETY: seats are never freed.
                unsafe { &*ptr::with_exposed_provenance::<Self>(keeper) }.bell.ring();
                true
            }
        }
    }
}

/// The thread.
impl<T, W: Waiting> Seat<T, W> {
    /// What the thread keeps, or has kept.
    pub(super) fn kept(&self) -> Option<&'static Self> {
        // SAFETY: seats are never freed.
        unsafe { self.keeps.load(Ordering::Relaxed).as_ref() }
    }

    /// Claims `kept` if it was called, or `is_due`, unless another thread has claimed it.
    pub(super) fn look(&self, kept: &Self, is_due: bool) -> Look {
        let me = ptr::from_ref(self).addr();
        let is_mine = |word| word & !FLAGS == me;
        match kept.claim_if(|word| is_mine(word) && (is_due || word & CALLED != 0)) {
            Some(_) => Look::Claimed,
            None if is_mine(kept.word.load(Ordering::Relaxed)) => Look::Rests,
            None => Look::Gone,
        }
    }

    /// Takes the identity of this thread, which runs another that is about to rest, if it wants to
    /// come home. Returns its keeper.
    pub(super) fn claim_for_home(&self) -> Option<&'static Self> {
        if !self.is_homeward() {
            return None;
        }
        let _homing = Homing::begin()?;
        self.claim_if(|word| word & HOMEWARD != 0)
    }

    /// Takes the identity of this thread, which keeps `kept`, if it wants to come home; its keeper
    /// gets what this one has kept. False if it does not, or if this thread is about to be given
    /// something else to keep.
    pub(super) fn comes_home(&'static self, kept: Option<&'static Self>) -> bool {
        if !self.is_homeward() {
            return false;
        }
        let (Some(_homing), Some(kept)) = (Homing::begin(), kept) else { return false };
        let is_homeward = kept.is_homeward();
        if self.look(kept, true) != Look::Claimed {
            return false;
        }
        if ptr::eq(kept, self) {
            return true;
        }
        match self.claim_if(|word| word & HOMEWARD != 0) {
            Some(keeper) => {
                kept.rest(keeper, is_homeward);
                // It keeps less, or something that wants to go to it.
                keeper.bell.ring();
                true
            }
            // Its keeper was called, and runs it.
            None => {
                kept.rest(self, is_homeward);
                false
            }
        }
    }

    /// The number to [wait](Self::wait) with. Taken before the last look.
    pub(super) fn rings(&self) -> u32 {
        self.bell.rings()
    }

    /// Waits until a ring that has not been counted in `rings`, or `until`. May return for no
    /// reason, as when `kept` is not what it keeps any more.
    pub(super) fn wait(&self, rings: u32, kept: Option<&'static Self>, until: Moment) {
        self.armed.store(until, Ordering::Relaxed);
        // See `is_due_before`.
        fence(Ordering::SeqCst);
        let now = self.kept();
        if now.map(ptr::from_ref) == kept.map(ptr::from_ref)
            && now.is_none_or(|kept| kept.deadline() >= until)
        {
            self.bell.wait(rings, until);
        }
        self.armed.store(0, Ordering::Relaxed);
    }
}

/// Held while an identity that wants to go home, or a thread that waits for its own, changes which
/// thread keeps which identity.
struct Homing;

/// Not loom's: a model of it would have to be static. Models that run side by side, each on one
/// thread of the system, have one each.
#[cfg(not(lisle_loom))]
static HOMING: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
#[cfg(lisle_loom)]
std::thread_local! {
    static HOMING: std::sync::atomic::AtomicBool =
        const { std::sync::atomic::AtomicBool::new(false) };
}

#[cfg(not(lisle_loom))]
fn homing<R>(f: impl FnOnce(&std::sync::atomic::AtomicBool) -> R) -> R {
    f(&HOMING)
}

#[cfg(lisle_loom)]
fn homing<R>(f: impl FnOnce(&std::sync::atomic::AtomicBool) -> R) -> R {
    HOMING.with(f)
}

impl Homing {
    /// `None` if another thread is at it.
    fn begin() -> Option<Self> {
        (!homing(|homing| homing.swap(true, Ordering::Acquire))).then_some(Self)
    }
}

impl Drop for Homing {
    fn drop(&mut self) {
        homing(|homing| homing.store(false, Ordering::Release));
    }
}

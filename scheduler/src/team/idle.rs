//! The idle word: how many workers of a team sleep, and whether one watches.

use lisle_runtime::internal::primitive::atomic::{AtomicUsize, Ordering};

pub(crate) struct Idle {
    /// `SLEEPER` for each worker that sleeps or has no thread yet, and perhaps `WATCHER`.
    word: AtomicUsize,
    /// Counts how often a worker has stopped sleeping.
    awakenings: AtomicUsize,
}

const WATCHER: usize = 1;
const SLEEPER: usize = 2;

/// What an idle worker does.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Watcher,
    Sleeper,
}

impl Idle {
    /// The state of a new team of `workers`, of which only the first has a thread.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            word: AtomicUsize::new(at_rest(workers, workers - 1)),
            awakenings: AtomicUsize::new(0),
        }
    }

    /// Whether no worker is idle, and each has a thread.
    pub(super) fn is_none(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0
    }

    /// Whether a worker sleeps, watches or has no thread yet.
    pub(crate) fn is_any(&self) -> bool {
        self.word.load(Ordering::Relaxed) != 0
    }

    /// Whether a worker sleeps or has no thread yet.
    pub(super) fn has_sleepers(&self) -> bool {
        self.word.load(Ordering::Relaxed) >= SLEEPER
    }

    /// Whether workers sleep and none watches, so that a backlog would stay where it is. A hint,
    /// for the busy path.
    #[inline]
    pub(crate) fn wants_watcher(&self) -> bool {
        wants_watcher(self.word.load(Ordering::Relaxed))
    }

    /// Counts a watcher if one is [wanted](Self::wants_watcher). True if the caller now has to find
    /// a sleeper that becomes it, or to [take that back](Self::take_appointment_back).
    pub(super) fn begin_appointment(&self) -> bool {
        let appoint = |idle| wants_watcher(idle).then_some(idle | WATCHER);
        self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, appoint).is_ok()
    }

    /// No sleeper was found.
    pub(super) fn take_appointment_back(&self) {
        self.word.fetch_and(!WATCHER, Ordering::AcqRel);
    }

    /// The caller, which is counted as asleep, was appointed the watcher.
    ///
    /// From the call for a watcher until now it is counted as both. The worker that calls for a
    /// watcher must not take it from the sleepers: it only believes that one sleeps, and there
    /// could be fewer than none.
    pub(crate) fn accept_appointment(&self) {
        self.word.fetch_sub(SLEEPER, Ordering::AcqRel);
    }

    /// The caller has nothing to do. Returns its role meanwhile.
    pub(crate) fn enter(&self) -> Role {
        let mut role = Role::Sleeper;
        let _ = self.word.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |idle| {
            let watched = idle & WATCHER != 0;
            role = if watched { Role::Sleeper } else { Role::Watcher };
            Some(if watched { idle + SLEEPER } else { idle | WATCHER })
        });
        role
    }

    /// The caller has nothing to do, and sleeps whether there is a watcher or not.
    pub(crate) fn enter_as_sleeper(&self) {
        self.word.fetch_add(SLEEPER, Ordering::AcqRel);
    }

    /// The caller, which was idle, has work.
    pub(crate) fn leave(&self, role: Role) {
        match role {
            Role::Watcher => self.word.fetch_and(!WATCHER, Ordering::AcqRel),
            Role::Sleeper => self.word.fetch_sub(SLEEPER, Ordering::AcqRel),
        };
    }

    /// Workers that have no thread yet will never get one, and no longer count as asleep.
    pub(super) fn forget(&self, missing: usize) {
        self.word.fetch_sub(missing * SLEEPER, Ordering::AcqRel);
    }

    /// The watcher becomes a sleeper if all `others` sleep.
    pub(super) fn watcher_falls_asleep(&self, others: usize) -> bool {
        let others = others * SLEEPER;
        let (watches, sleeps) = (others + WATCHER, others + SLEEPER);
        self.word.compare_exchange(watches, sleeps, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Counts the caller's awakening. The caller must do so before it touches any task.
    pub(crate) fn note_awakening(&self) {
        self.awakenings.fetch_add(1, Ordering::AcqRel);
    }

    /// How often a worker has stopped sleeping.
    pub(crate) fn awakenings(&self) -> usize {
        self.awakenings.load(Ordering::Acquire)
    }

    /// No worker has a thread any more, and each has left the idle ones before it ended. `missing`
    /// have never had one.
    pub(super) fn check(&self, workers: usize, missing: usize) {
        let idle = self.word.load(Ordering::Relaxed);
        assert_eq!(idle, at_rest(workers, missing), "the idle workers are miscounted");
    }
}

#[inline(always)]
fn wants_watcher(idle: usize) -> bool {
    // Sleepers, but no watcher. Each spawn asks, so this is one comparison: the watcher's bit
    // becomes the sign.
    const { assert!(WATCHER == 1) };
    idle.rotate_right(1).cast_signed() > 0
}

/// The word when no worker that has a thread is idle.
fn at_rest(workers: usize, missing: usize) -> usize {
    // A single worker needs no watcher; pretending that there is one keeps it from calling.
    if workers == 1 { WATCHER } else { missing * SLEEPER }
}

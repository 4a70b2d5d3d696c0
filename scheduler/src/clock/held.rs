//! What keeps a clock from moving on.

use std::fmt;
use std::sync::atomic::Ordering;

use lisle_runtime::internal::primitive::Arc;

use super::IS_IN_USE;
use crate::team::Team;
use crate::worker;

/// While it lives, the clock of a runtime with virtual time stands: [`hold`](super::hold) makes it.
#[must_use = "the clock is held until this is dropped"]
pub struct Hold(Arc<Team>);

impl Hold {
    pub(super) fn of(team: &Arc<Team>) -> Option<Self> {
        let clock = team.clock.as_ref()?;
        clock.holds.fetch_add(1, Ordering::Relaxed);
        Some(Self(team.clone()))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let clock = self.0.clock.as_ref().expect("a hold is one of a virtual clock");
        // Release: what was done under it comes before what the clock wakes.
        if clock.holds.fetch_sub(1, Ordering::Release) == 1 {
            self.0.look_at_clock();
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

/// Holds the clock of the calling task's runtime, if that is virtual, for a call that a thread
/// makes for it.
#[inline]
pub(crate) fn hold_for_call() -> Option<Hold> {
    if !IS_IN_USE.load(Ordering::Relaxed) {
        return None;
    }
    worker::with_current(|worker| worker.and_then(|worker| Hold::of(worker.team())))
}

//! Faults that strike a program while it is explored.

use std::panic::Location;
use std::{fmt, io};

use super::points;
use crate::park::Place;

/// What can go wrong around a program, and does while it is [explored](super::explore), if its
/// [`Explorer`](super::Explorer::faults) has been asked for that.
///
/// Faults are choices as all others: they follow from the seed, the history of a failure shows
/// them, and one that the failure can do without is left out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The first time-out of all fires early, while tasks could still run, as on a machine that is
    /// busy: the [clock](crate::now) moves on to it. Without that fault time passes only when
    /// all tasks wait. A sleep ends by the clock as well, and an interval ticks.
    EarlyTimeout,
    /// A send finds that no receiver is left, and gives the message back: one of a channel, of a
    /// `broadcast` or of a `watch`, also in a `select`. It is that send alone; the receivers get
    /// what others send.
    ReceiverGone,
    /// A task cannot be spawned, as for want of memory. Only calls fail that return an error, those
    /// of [`Builder`](crate::Builder): the function [`spawn`](crate::spawn()) would panic.
    SpawnFailure,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::EarlyTimeout, Self::ReceiverGone, Self::SpawnFailure];
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EarlyTimeout => "goes on to the first time-out",
            Self::ReceiverGone => "finds no receiver",
            Self::SpawnFailure => "cannot spawn",
        })
    }
}

/// A set of faults.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults(u8);

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.0 |= 1 << fault as u8;
    }

    #[inline]
    pub(super) fn contain(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u8 != 0
    }
}

/// Fails if a spawn is to fail here.
///
/// # Errors
///
/// As for want of memory.
#[inline(always)]
#[track_caller]
pub(crate) fn may_spawn() -> io::Result<()> {
    if points::are_in_use() { may_spawn_at(Location::caller()) } else { Ok(()) }
}

#[cold]
fn may_spawn_at(place: Place) -> io::Result<()> {
    if points::strikes_at(Fault::SpawnFailure, Some(place)) {
        let text = "no memory for another task: a fault that `explore` has chosen";
        return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
    }
    Ok(())
}

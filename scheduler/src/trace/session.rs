//! The one recording that there may be.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::event::{What, Words};
use super::ring::Ring;
use super::ticks::Rate;
use crate::post::directory;
use crate::worker;

/// The number of the present recording, 0 for none.
static NUMBER: AtomicU32 = AtomicU32::new(0);

static PRESENT: Mutex<Present> = Mutex::new(Present { last: 0, bytes: 0, lanes: Vec::new() });

struct Present {
    /// The number of the last recording.
    last: u32,
    /// How large a ring is.
    bytes: usize,
    lanes: Vec<Lane>,
}

/// The ring of a worker, or the one of all threads that are none, which has no title.
#[derive(Clone)]
struct Lane {
    title: Option<String>,
    ring: Arc<Ring>,
}

fn present() -> MutexGuard<'static, Present> {
    PRESENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether there is a recording.
#[inline]
pub(crate) fn is_on() -> bool {
    number() != 0
}

/// The number of the present recording, 0 for none.
#[inline]
pub(super) fn number() -> u32 {
    NUMBER.load(Ordering::Relaxed)
}

/// The ring of a worker that takes part in the present recording, and its number.
pub(super) fn join(title: String) -> Option<(u32, Arc<Ring>)> {
    let mut present = present();
    let number = number();
    if number == 0 {
        return None;
    }
    let ring = Arc::new(Ring::new(present.bytes));
    present.lanes.push(Lane { title: Some(title), ring: ring.clone() });
    Some((number, ring))
}

/// Notes what a thread does that is no worker.
pub(super) fn note_outside(what: What) {
    let mut present = present();
    if number() == 0 {
        return;
    }
    let lane = match present.lanes.iter().position(|lane| lane.title.is_none()) {
        Some(place) => place,
        None => {
            let ring = Arc::new(Ring::new(present.bytes));
            present.lanes.push(Lane { title: None, ring });
            present.lanes.len() - 1
        }
    };
    // The lock is held, so there is one writer.
    present.lanes[lane].ring.push(what);
}

/// A recording, which ends when it is dropped.
pub(super) struct Session {
    rate: Rate,
}

/// What was recorded on one lane, by nanoseconds since the beginning.
pub(super) struct Collected {
    pub(super) title: Option<String>,
    pub(super) events: Vec<(u64, What)>,
    pub(super) lost: u64,
}

impl Session {
    /// Begins one, unless there is one.
    pub(super) fn begin(bytes: usize) -> Option<Self> {
        let mut present = present();
        if number() != 0 {
            return None;
        }
        present.last = present.last.wrapping_add(1).max(1);
        present.bytes = bytes;
        present.lanes.clear();
        let rate = Rate::begin();
        NUMBER.store(present.last, Ordering::Relaxed);
        drop(present);
        tell_workers();
        Some(Self { rate })
    }

    /// What there is, no older than `last`.
    pub(super) fn collect(&self, last: Option<Duration>) -> Vec<Collected> {
        let lanes = present().lanes.clone();
        let copied: Vec<_> = lanes.into_iter().map(|lane| (lane.title, lane.ring.copy())).collect();
        let in_nanos = self.rate.measure();
        let now = self.rate.passed();
        let first = last.map_or(0, |last| {
            now.saturating_sub(u64::try_from(last.as_nanos()).unwrap_or(u64::MAX))
        });
        let collected = copied.into_iter().map(|(title, copied)| {
            let all = copied.events.len() as u64;
            // SAFETY: the owner of the ring has written what `encode` gave, and each is whole.
            let event = |words: Words| (in_nanos(words[0]), unsafe { What::decode(words) });
            let events = copied.events.into_iter().map(event);
            // What a task is called is no event, and is wanted later.
            let is_wanted = |&(at, what): &(u64, What)| {
                at >= first || matches!(what, What::Name { .. } | What::Known { .. })
            };
            let events: Vec<_> = events.filter(is_wanted).collect();
            let lost = copied.lost + all - events.len() as u64;
            Collected { title, events, lost }
        });
        collected.collect()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut present = present();
        NUMBER.store(0, Ordering::Relaxed);
        present.lanes.clear();
        drop(present);
        tell_workers();
    }
}

/// Has all workers look around, the caller's at once.
fn tell_workers() {
    worker::with_current(|worker| worker.iter().for_each(|worker| worker.follow_recording()));
    directory::all().iter().for_each(|member| member.posts.knock_at_all());
}

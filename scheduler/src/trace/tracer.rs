//! A worker's part in a recording.

use std::cell::Cell;
use std::ptr;
use std::sync::Arc;

use super::event::What;
use super::ring::Ring;
use super::session;

/// What a worker has for a recording.
pub(crate) struct Tracer {
    /// The recording in which the worker takes part, 0 for none.
    recording: Cell<u32>,
    /// The ring, null if there is no recording.
    ring: Cell<*const Ring>,
    /// Keeps it.
    owned: Cell<Option<Arc<Ring>>>,
    /// When the tasks that are there are to be noted again, by the number of events.
    renewal: Cell<u64>,
    /// Turns until the worker polls, while each takes the slow path.
    until_poll: Cell<u32>,
    /// The task whose turn was noted last, if it is not over; 0 for none.
    open: Cell<u64>,
    /// Whether the worker polls, so that it is not the task which wakes others.
    polls: Cell<bool>,
}

impl Tracer {
    pub(crate) fn new() -> Self {
        Self {
            recording: Cell::new(0),
            ring: Cell::new(ptr::null()),
            owned: Cell::new(None),
            renewal: Cell::new(0),
            until_poll: Cell::new(0),
            open: Cell::new(0),
            polls: Cell::new(false),
        }
    }

    #[inline(always)]
    pub(crate) fn is_on(&self) -> bool {
        !self.ring.get().is_null()
    }

    /// Whether a recording has begun or ended since the worker looked.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        session::number() != self.recording.get()
    }

    /// Takes part in the present recording, if there is one. `title` says what its lane is called.
    #[cold]
    pub(crate) fn follow(&self, title: impl FnOnce() -> String) {
        let joined = if session::number() == 0 { None } else { session::join(title()) };
        let (recording, ring) = joined.unzip();
        self.recording.set(recording.unwrap_or(0));
        self.ring.set(ring.as_ref().map_or(ptr::null(), Arc::as_ptr));
        self.owned.set(ring);
        self.renewal.set(0);
        self.open.set(0);
    }

    #[inline]
    fn ring(&self) -> Option<&Ring> {
        // SAFETY: it is kept, and only `follow` changes that, which runs none of its user's code.
        unsafe { self.ring.get().as_ref() }
    }

    pub(crate) fn note(&self, what: What) {
        self.note_now(what);
    }

    /// As [`note`](Self::note), in line: less is done of what the caller knows.
    #[inline(always)]
    pub(crate) fn note_now(&self, what: What) {
        if let Some(ring) = self.ring() {
            ring.push(what);
        }
    }

    /// How many of the tasks that are there are to be noted now, so that the ring always says what
    /// they are called.
    pub(crate) fn renewals(&self) -> usize {
        let Some(ring) = self.ring() else { return 0 };
        if ring.written() < self.renewal.get() {
            return 0;
        }
        self.renewal.set(ring.written() + ring.capacity() / 2);
        (ring.capacity() / 8) as usize
    }

    /// Whether a turn that takes the slow path polls before it, where all do: one in `interval`
    /// does.
    pub(crate) fn lets_poll(&self, interval: u32) -> bool {
        let left = self.until_poll.get().saturating_sub(1);
        self.until_poll.set(if left == 0 { interval } else { left });
        left == 0
    }

    /// The worker is to poll before the next turn.
    pub(crate) fn poll_next(&self) {
        self.until_poll.set(1);
    }

    /// The task whose turn was noted last and is over now, and begins that of another.
    pub(crate) fn exchange_turn(&self, next: u64) -> u64 {
        self.open.replace(next)
    }

    pub(crate) fn set_polls(&self, polls: bool) {
        self.polls.set(polls);
    }

    /// The task that does what is done now, perhaps in its end, when it is no current task any
    /// more; 0 if the worker does it.
    pub(crate) fn acting_task(&self) -> u64 {
        if self.polls.get() { 0 } else { self.open.get() }
    }
}

//! What a plain thread does before it parks at a bounded buffer. (And a task in a program that is
//! explored: it lets others go first, if the explorer says so.)
//!
//! A party that is parked is given a single message or place, and has to be woken for it; one that
//! comes back finds many. So it lets other threads run and looks again. In a rendezvous there is no
//! buffer to come back to: one of the parties has to park to be found. At an unbounded buffer
//! lingering does not help: its senders never wait, and fill it whatever its receivers do.
//!
//! It yields and does not spin: with more threads than cores, spinning would only keep its partners
//! from running. But where other processes keep the processor busy, a yield hands them a whole time
//! slice, while a thread that sleeps runs as soon as it is woken. A thread that has lost its
//! processor in this way parks at once for some time.

use std::cell::Cell;
use std::time::{Duration, Instant};

use lisle_runtime::internal::primitive::thread;
use lisle_scheduler::internal::points;
use lisle_scheduler::park::{Place, in_task};

use crate::channel::{Channel, End, Guard};

/// How often the thread looks again.
const LOOKS: usize = 8;

/// A yield that takes longer than this has given a time slice to another process.
const SLICE: Duration = Duration::from_micros(500);

/// How many times a thread parks at once after such a yield.
const HURRIES: u32 = 100;

lisle_runtime::internal::primitive::thread_local! {
    /// How many times the thread is still going to park at once.
    static HURRIED: Cell<u32> = Cell::new(0)
}

impl<T> Channel<T> {
    /// Lets other threads run before a plain thread parks: `None` if it should look again instead
    /// of parking.
    #[inline]
    pub(crate) fn linger<'a>(
        &'a self,
        state: Guard<'a, T>,
        end: End,
        place: Place,
    ) -> Option<Guard<'a, T>> {
        if state.buffer.has_preliminaries {
            self.linger_first(state, end, place)
        } else {
            Some(state)
        }
    }

    #[cold]
    #[inline(never)]
    fn linger_first<'a>(
        &'a self,
        mut state: Guard<'a, T>,
        end: End,
        place: Place,
    ) -> Option<Guard<'a, T>> {
        // A task does not keep its thread from others when it parks; a model would only grow.
        if cfg!(lisle_loom) || !state.buffer.is_ring() || in_task() || hurries() {
            if !points::is_explored() {
                return Some(state);
            }
            drop(state);
            points::pass_at(place);
            return None;
        }
        for _ in 0..LOOKS {
            drop(state);
            let lost_a_slice = yield_now();
            state = self.state.lock();
            if state.is_ready(end, None) {
                return None;
            }
            if lost_a_slice {
                break;
            }
        }
        // Selects that only watch may have come to the other end meanwhile, and have a partner now.
        state.side(end.other()).parked.notify_watchers();
        if matches!(end, End::Sending) && state.futures.wait() {
            // So may futures. The look that follows wakes one.
            return None;
        }
        Some(state)
    }
}

/// Whether the thread parks at once this time.
fn hurries() -> bool {
    HURRIED.with(|left| {
        let hurries = left.get() > 0;
        left.set(left.get().saturating_sub(1));
        hurries
    })
}

/// Lets other threads run. Tells whether that took so long that the thread does without from now
/// on.
fn yield_now() -> bool {
    let start = Instant::now();
    thread::yield_now();
    let long = start.elapsed() > SLICE;
    if long {
        HURRIED.with(|left| left.set(HURRIES));
    }
    long
}

//! Loom models of the cell. The parties are plain threads.

use std::time::Instant;

use lisle_runtime::internal::primitive::{Arc, cell};
use loom::thread;

use super::{Event, WaitCell};
use crate::park::{Reason, Wake};

const REASON: Reason = Reason::new("waiting in a model");
const DONE: Event = Event::new(0);
const GONE: Event = Event::new(1);

/// A cell with places that belong to one side before its event, and to the other one after it.
struct Shared {
    cell: WaitCell,
    /// The notifier's.
    place: cell::UnsafeCell<u32>,
    /// The waiter's.
    other: cell::UnsafeCell<u32>,
}

// SAFETY: the models check that accesses to a place do not overlap.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    fn new() -> Self {
        let [place, other] = [(); 2].map(|()| cell::UnsafeCell::new(0));
        Self { cell: WaitCell::new(), place, other }
    }

    fn write_and_notify(&self) -> Option<Event> {
        // SAFETY: there was no event of this side, so the place is its own.
        self.place.with_mut(|place| unsafe { *place = 1 });
        self.cell.notify(DONE)
    }

    fn read(&self) -> u32 {
        // SAFETY: the event has come, so nobody writes the place.
        self.place.with(|place| unsafe { *place })
    }

    fn wait(&self, deadline: Option<Instant>) -> Wake {
        // SAFETY: each model has one waiter.
        unsafe { self.cell.wait(REASON, deadline) }
    }
}

/// The event comes before the wait, between its look and its announcement, or after that. The
/// waiter sees what was written before.
///
/// Seen to fail: with an `announce` that is Relaxed where it succeeds or where it fails, a Relaxed
/// load in `event`, or a swap in `notify` that lacks Acquire or Release, the accesses to the
/// unparker or the place overlap; with an `announce` that stores WAITING, loom reports a deadlock.
#[test]
fn model_of_a_notification_against_a_wait() {
    loom::model(|| {
        let shared = Arc::new(Shared::new());
        let notifier = thread::spawn({
            let shared = shared.clone();
            move || assert_eq!(shared.write_and_notify(), None)
        });
        assert_eq!(shared.wait(None), Wake::Unparked);
        assert_eq!(shared.read(), 1);
        notifier.join().unwrap();
        assert_eq!(shared.cell.event(), Some(DONE));
    });
}

/// A waiter gives up while the event comes, and waits again.
///
/// Seen to fail: with a `retract` that stores EMPTY, loom reports a deadlock: the event is lost.
#[test]
fn model_of_a_time_out_against_a_notification() {
    loom::model(|| {
        let shared = Arc::new(Shared::new());
        let notifier = thread::spawn({
            let shared = shared.clone();
            move || shared.write_and_notify()
        });
        if shared.wait(Some(Instant::now())) == Wake::Unparked {
            assert_eq!(shared.read(), 1);
        }
        assert_eq!(shared.wait(None), Wake::Unparked);
        assert_eq!(shared.read(), 1);
        notifier.join().unwrap();
    });
}

/// Each side ends with an event: the second one knows it, sees what the first one wrote, and frees
/// what they share.
///
/// Seen to fail: with a `try_set` that is Relaxed where it succeeds or where it fails, and with a
/// swap in `notify` that lacks Acquire or Release, the accesses to a place overlap.
#[test]
fn model_of_a_last_side_that_frees() {
    loom::model(|| {
        let shared = &*Box::leak(Box::new(Shared::new()));
        let free = |shared: &Shared| {
            // SAFETY: the other side has set its event, which was its last access.
            drop(unsafe { Box::from_raw(std::ptr::from_ref(shared).cast_mut()) });
        };
        let notifier = thread::spawn(move || {
            if let Some(before) = shared.write_and_notify() {
                assert_eq!(before, GONE);
                // SAFETY: the other side has set its event, so it does not write the place.
                assert_eq!(shared.other.with(|other| unsafe { *other }), 1);
                free(shared);
            }
        });
        // SAFETY: the other side reads the place after this one's event.
        shared.other.with_mut(|other| unsafe { *other = 1 });
        if let Err(before) = shared.cell.try_set(GONE) {
            assert_eq!((before, shared.read()), (DONE, 1));
            free(shared);
        }
        notifier.join().unwrap();
    });
}

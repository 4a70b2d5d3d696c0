//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use lisle_runtime::internal::primitive::{Arc, cell};
use loom::thread;

use super::WaitGroup;

/// A place that a member writes before it leaves the group.
struct Place(cell::UnsafeCell<u32>);

// SAFETY: the models check that accesses do not overlap.
unsafe impl Send for Place {}
// SAFETY: as above.
unsafe impl Sync for Place {}

/// The last member leaves while another one begins to wait, or gives up and waits again. It sees
/// what the members did.
///
/// Seen to fail: with a `commit` that does not look again, loom reports a deadlock; with a Relaxed
/// load in `is_over`, or a `leave` that is not a release, accesses to the place overlap.
#[test]
fn model_of_the_last_member_against_a_wait() {
    for deadline in [None, Some(Instant::now())] {
        loom::model(move || {
            let place = Arc::new(Place(cell::UnsafeCell::new(0)));
            let group = WaitGroup::new();
            let member = group.clone();
            let thread = thread::spawn({
                let place = place.clone();
                move || {
                    // SAFETY: the waiter reads it when this member has left.
                    place.0.with_mut(|number| unsafe { *number = 1 });
                    drop(member);
                }
            });
            match group.wait_at(deadline, std::panic::Location::caller()) {
                Ok(()) => {}
                Err(group) => group.wait(),
            }
            // SAFETY: the member has left.
            assert_eq!(place.0.with(|number| unsafe { *number }), 1);
            thread.join().unwrap();
        });
    }
}

//! Loom models. The parties are plain threads; a time-out stands for a cancellation too.

use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::WaitGroup;
use crate::models::{Number, here};

/// The last member leaves while another one begins to wait, or gives up and waits again. It sees
/// what the members did.
///
/// Seen to fail: with a `commit` that does not look again, loom reports a deadlock; with a Relaxed
/// load in `is_over`, or a `leave` that is not a release, accesses to the place overlap.
#[test]
fn model_of_the_last_member_against_a_wait() {
    for deadline in [None, Some(Instant::now())] {
        loom::model(move || {
            let place = Arc::new(Number::new(0));
            let group = WaitGroup::new();
            let member = group.clone();
            let thread = thread::spawn({
                let place = place.clone();
                move || {
                    place.add(1); // the waiter reads it when this member has left
                    drop(member);
                }
            });
            match group.wait_at(deadline, here()) {
                Ok(()) => {}
                Err(group) => group.wait(),
            }
            assert_eq!(place.get(), 1);
            thread.join().unwrap();
        });
    }
}

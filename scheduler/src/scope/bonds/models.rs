//! Loom models of the balance of a scope.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::Bonds;
use crate::task::Slab;
use crate::task::testing::{Sample, task_numbered};

/// While the body ends, a task of the scope spawns another, and both end: nobody takes the scope
/// for complete before the second one has.
///
/// Seen to fail: when the body's tasks are added to the balance after the lock is released, the
/// child that is admitted in between says that all have ended while its parent is still there.
#[test]
fn a_child_of_a_child_ends_while_the_body_does() {
    static WAITED: [AtomicBool; 2] = [const { AtomicBool::new(false) }; 2];
    loom::model(|| {
        let slab = Slab::default();
        let (parent, child) = (task_numbered(&slab, 0), task_numbered(&slab, 1));
        let bonds = Arc::new(Bonds::new());
        // SAFETY: the memory of a sample stays.
        bonds.admit(unsafe { parent.0.as_ref() });
        let theirs = bonds.clone();
        let tasks = thread::spawn(move || {
            // SAFETY: as above.
            theirs.admit(unsafe { child.0.as_ref() });
            end(child);
            assert_eq!(theirs.end.event(), None, "the parent has not ended");
            end(parent);
        });
        let is_complete = bonds.close();
        WAITED[usize::from(is_complete)].store(true, Relaxed);
        tasks.join().unwrap();
        assert_eq!(is_complete, bonds.end.event().is_none());
    });
    assert!(WAITED.iter().all(|seen| seen.load(Relaxed)), "the model must reach both outcomes");
}

fn end(task: Sample) {
    // SAFETY: the bond is the task's, which ends here and nowhere else; the scope is still there.
    unsafe {
        let bond = task.0.as_ref().bond().expect("it was admitted");
        Bonds::end(Bonds::let_go(bond));
    }
}

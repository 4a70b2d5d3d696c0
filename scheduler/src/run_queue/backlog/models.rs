use super::*;
use crate::task::Slab;
use crate::task::testing::{Sample, task_numbered};
use lisle_runtime::internal::primitive::Arc;
use loom::thread;

/// The owner pushes more than fit in front and then takes them one by one, while a thief takes
/// two. Every task is taken once, and the owner's count of the tasks that it still has to start
/// comes out even.
///
/// Seen to fail: if the thief does not note what it takes, or the owner does not count that;
/// and as the front's model does.
#[test]
fn every_deferred_task_is_taken_once() {
    loom::model(|| {
        let slab = Slab::default();
        let tasks: Vec<_> = (0..4).map(|n| task_numbered(&slab, n)).collect();
        let backlog = Arc::new(Backlog::new());
        let thief = thread::spawn({
            let backlog = backlog.clone();
            move || [backlog.steal(), backlog.steal()].map(|task| task.map(Sample))
        });
        let mut places = 0;
        for task in &tasks {
            // SAFETY: this thread owns the backlog, and the tasks are new.
            if unsafe { backlog.push(task.0) } == Place::Front {
                places += 1;
            }
        }
        let (mut mine, mut missed) = (Vec::new(), 0);
        while places > 0 {
            places -= 1;
            let task = backlog.pop();
            if backlog.wants_refill() {
                // SAFETY: this thread owns the backlog, and its front is empty.
                let refill = unsafe { backlog.refill(0, usize::MAX) };
                places += refill.moved;
                missed += refill.taken;
            }
            match task {
                Some(task) => mine.push(Sample(task)),
                None => missed += 1,
            }
        }
        assert!(backlog.is_empty());
        let stolen: Vec<_> = thief.join().unwrap().into_iter().flatten().collect();
        assert_eq!(missed, stolen.len());
        let mut all: Vec<_> = mine.into_iter().chain(stolen).map(|task| task.0).collect();
        all.sort();
        let mut expected: Vec<_> = tasks.into_iter().map(|task| task.0).collect();
        expected.sort();
        assert_eq!(all, expected);
    });
}

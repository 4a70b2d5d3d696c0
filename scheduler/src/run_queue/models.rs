use super::*;
use crate::task::Slab;
use crate::task::testing::{Sample, task_numbered};
use loom::thread;

/// The owner pushes more tasks than fit in front and then takes them one by one, while a thief
/// takes two. Every task is taken once, and the owner learns of each theft.
///
/// Seen to fail: if the thief does not note that it has taken a deferred task, or the owner does
/// not subtract that at a refill; if the owner takes a marker without a task for the end of the
/// queue; and as the front's model does.
#[test]
fn every_task_is_taken_once_whether_deferred_or_not() {
    loom::model(|| {
        let slab = Slab::default();
        let tasks: Vec<_> = (0..4).map(|n| task_numbered(&slab, n)).collect();
        let backlog = Backlog::new();
        let queue = RunQueue::new(backlog.clone());
        let thief =
            thread::spawn(move || [backlog.steal(), backlog.steal()].map(|task| task.map(Sample)));
        for task in &tasks {
            // SAFETY: the tasks are new and have no closure to speak of.
            unsafe { queue.push_new(task.0) };
        }
        let (mut mine, mut thefts) = (Vec::new(), 0);
        while let Some(task) = queue.next(|| thefts += 1) {
            mine.push(task);
        }
        assert!(queue.is_empty() && !queue.has_backlog());
        let stolen: Vec<_> = thief.join().unwrap().into_iter().flatten().collect();
        assert_eq!(thefts, stolen.len());
        assert_eq!(queue.counts(), Counts { runnable: 0, unknown_thefts: 0 });
        let mut all: Vec<_> =
            mine.into_iter().chain(stolen.into_iter().map(|task| task.0)).collect();
        all.sort();
        let mut expected: Vec<_> = tasks.into_iter().map(|task| task.0).collect();
        expected.sort();
        assert_eq!(all, expected);
    });
}

use super::*;
use crate::task::Slab;
use crate::task::testing::{Sample, task_numbered};
use lisle_runtime::internal::primitive::Arc;
use loom::thread;

/// The owner pushes and pops while a thief takes, and the ring wraps. Every task is taken once,
/// and each party takes in order.
///
/// Seen to fail: with `tail` stored Relaxed, a thief takes a slot that it sees as empty; with
/// the slot read after the comparison, one task is taken twice and another never.
#[test]
fn every_task_is_taken_once() {
    loom::model(|| {
        let slab = Slab::default();
        let tasks: Vec<_> = (0..4).map(|n| task_numbered(&slab, n)).collect();
        let front = Arc::new(Front::<2>::new());
        let thief = thread::spawn({
            let front = front.clone();
            move || [front.pop(), front.pop()].into_iter().flatten().map(Sample).collect::<Vec<_>>()
        });
        let mut mine = Vec::new();
        for task in &tasks {
            // SAFETY: this thread owns the front.
            while !unsafe { front.push(task.0) } {
                mine.extend(front.pop().map(Sample));
            }
        }
        let stolen = thief.join().unwrap();
        while let Some(task) = front.pop() {
            mine.push(Sample(task));
        }
        let number = |task: &Sample| tasks.iter().position(|known| known.0 == task.0).unwrap();
        let mine: Vec<_> = mine.iter().map(number).collect();
        let stolen: Vec<_> = stolen.iter().map(number).collect();
        assert!(mine.is_sorted() && stolen.is_sorted());
        let mut all = [mine, stolen].concat();
        all.sort();
        assert_eq!(all, [0, 1, 2, 3]);
    });
}

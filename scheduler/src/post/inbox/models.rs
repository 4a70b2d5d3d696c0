use super::*;
use crate::task::Slab;
use crate::task::testing::task_numbered;
use lisle_runtime::internal::primitive::Arc;
use loom::thread;

/// Two threads push, the owner sleeps when there is nothing: every task arrives once, each
/// pusher's in order, and the owner never sleeps for good.
///
/// Seen to fail: with `prepare_sleep` storing ASLEEP without the comparison, loom reports a
/// deadlock (a push came between the last drain and the store). With `push` publishing by
/// Relaxed, it reports a causality violation on the link that `drain` reads.
#[test]
fn every_push_arrives_and_wakes() {
    loom::model(|| {
        let slab = Slab::default();
        let tasks: Vec<_> = (0..3).map(|n| task_numbered(&slab, n)).collect();
        let inbox = Arc::new(Inbox::new());
        let owner = thread::current();
        let pushers: Vec<_> = [vec![0, 1], vec![2]]
            .into_iter()
            .map(|numbers| {
                let (inbox, owner) = (inbox.clone(), owner.clone());
                let tasks: Vec<_> = numbers.iter().map(|&n| tasks[n].clone()).collect();
                thread::spawn(move || {
                    for task in tasks {
                        // SAFETY: every task is pushed by one thread, once.
                        let pushed = unsafe { inbox.push(task.0, Notice::Unparked) };
                        if pushed == Pushed::OwnerAsleep {
                            owner.unpark();
                        }
                    }
                })
            })
            .collect();

        let mut arrived = Vec::new();
        while arrived.len() < 3 {
            if inbox.prepare_sleep() {
                while inbox.is_asleep() {
                    thread::park();
                }
            }
            inbox.drain(|task, _| {
                arrived.push(tasks.iter().position(|known| known.0 == task).unwrap());
            });
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        let place = |task| arrived.iter().position(|&n| n == task).expect("it has arrived");
        assert!(place(0) < place(1) && arrived.contains(&2));
        assert!(inbox.prepare_sleep(), "the inbox is empty");
    });
}

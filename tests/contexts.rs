//! Contexts, and a task's end as an arm of a select.
#![cfg(not(lisle_loom))]

use std::panic::catch_unwind;
use std::thread;
use std::time::{Duration, Instant};

use lisle::channel::{Done, Receiver, bounded, never, select};
use lisle::task::{Context, ContextError};

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(2);

fn in_task_and_on_thread(body: fn()) {
    lisle::run(body);
    body();
}

fn text(context: &Context) -> Option<String> {
    context.cause().map(|cause| cause.to_string())
}

#[test]
fn a_context_ends_with_its_parent_and_not_the_other_way_round() {
    in_task_and_on_thread(|| {
        let root = Context::new();
        let (left, right) = (root.child(), root.child());
        let leaf = left.child();
        left.cancel_with("enough");
        assert_eq!(text(&leaf).as_deref(), Some("enough"));
        assert_eq!((text(&root), text(&right)), (None, None));
        left.cancel(); // the first cause counts
        assert_eq!(text(&left).as_deref(), Some("enough"));
        root.cancel();
        assert_eq!(text(&right).as_deref(), Some("the context was cancelled"));
        assert_eq!(text(&leaf).as_deref(), Some("enough"));
        assert!(root.child().is_done(), "a child of what is over is over");
    });
}

#[test]
fn deadlines_are_inherited_and_the_earliest_counts() {
    in_task_and_on_thread(|| {
        let root = Context::new();
        assert_eq!(root.deadline(), None);
        let near = root.with_timeout(MOMENT);
        let far = near.with_timeout(HOUR);
        assert_eq!(far.deadline(), near.deadline());
        assert!(far.run(|| lisle::sleep(HOUR)).is_err());
        assert!(matches!(far.cause(), Some(ContextError::DeadlineExceeded)));
        assert!(near.is_done() && !root.is_done());
        let past = root.with_deadline(Instant::now() - MOMENT);
        assert!(past.is_done());
        assert_eq!(root.with_timeout(Duration::MAX).deadline(), None);
    });
}

#[test]
fn values_are_found_by_their_types() {
    let root = Context::new().with_value(1_u8).with_value("text");
    let inner = root.with_value(2_u8).child();
    assert_eq!((inner.value(), inner.value()), (Some(&2_u8), Some(&"text")));
    assert_eq!(root.value(), Some(&1_u8));
    assert_eq!(inner.value::<u16>(), None);
}

#[test]
fn what_runs_in_a_context_is_unwound_with_it() {
    in_task_and_on_thread(|| {
        let context = Context::new();
        assert_eq!(context.run(|| 5).ok(), Some(5));
        let child = context.child();
        let (started, theirs) = (bounded(1), context.clone());
        let wait = started.1.clone();
        let canceller = thread::spawn(move || {
            wait.recv().unwrap();
            theirs.cancel_with("called off");
        });
        let outcome = child.run(|| {
            started.0.send(()).unwrap();
            never::<()>().recv()
        });
        assert_eq!(outcome.unwrap_err().to_string(), "called off");
        canceller.join().unwrap();
        // What need not wait is still done.
        assert_eq!(child.run(|| 6).ok(), Some(6));
        assert!(child.run(|| never::<()>().recv()).is_err());
        assert!(catch_unwind(|| Context::new().run(|| panic!("out of it"))).is_err());
        lisle::task::check_cancelled();
    });
}

#[test]
fn the_end_of_a_context_is_an_arm() {
    in_task_and_on_thread(|| {
        let ended = |done: &Receiver<()>| {
            select! {
                recv(done) -> message => message.is_err(),
                recv(never::<()>()) -> _ => false,
            }
        };
        let context = Context::new();
        let limited = context.with_timeout(MOMENT);
        assert!(ended(limited.done()));
        assert!(ended(limited.done()), "and stays so");
        assert!(context.done().is_empty() && !context.is_done());
        context.cancel();
        assert!(ended(context.done()));
        // One that is cancelled before its deadline.
        let long = Context::new().with_timeout(HOUR);
        let done = long.done().clone();
        long.cancel();
        assert!(ended(&done));
        // Nobody is left that could cancel it.
        let done = Context::new().with_timeout(HOUR).done().clone();
        assert!(ended(&done));
    });
}

#[test]
fn the_end_of_a_task_is_an_arm() {
    in_task_and_on_thread(|| {
        let task = lisle::spawn(|| 7);
        select! {
            recv(task.done()) -> _ => assert_eq!(task.join().unwrap(), 7),
            recv(never::<()>()) -> _ => unreachable!("it never is"),
        }
        let task = lisle::spawn(|| std::panic::panic_any("no luck"));
        assert!(task.done().recv().is_err());
        assert_eq!(task.join().unwrap_err().downcast_ref(), Some(&"no luck"));
    });
}

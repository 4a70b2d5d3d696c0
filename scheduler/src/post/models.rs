//! Loom models of requests: they reach a worker that is about to sleep, all workers at once, and
//! none that has ended.

use std::ops::ControlFlow;
use std::time::Instant;

use lisle_runtime::internal::primitive::Arc;
use loom::thread;

use super::{Mail, Notice, PostOwner, Posts, Request};
use crate::driver::Driver;
use crate::task::Slab;
use crate::task::testing::{Sample, task_numbered};

/// A worker with nothing but a post: it reads its mail, and sleeps when there is none, until
/// `receive` has had enough.
fn serve(posts: &Arc<Posts>, index: usize, mut receive: impl FnMut(Mail) -> ControlFlow<()>) {
    let driver = Driver::new(false, Instant::now());
    let post = PostOwner::claim(posts.clone(), index, &driver);
    let mut goes_on = true;
    while goes_on {
        post.read(|mail| goes_on &= receive(mail).is_continue());
        if goes_on {
            post.sleep(&driver, None, None, || false, None::<fn()>);
        }
    }
}

fn asked_to_stop(mail: &Mail) -> bool {
    matches!(mail, Mail::Request(Request::Stop))
}

/// Two threads ask a worker that goes to sleep whenever it has nothing to do: it meets both
/// requests.
///
/// Seen to fail: when `ask_first` does not knock, or knocks before it puts the request in and
/// without the lock, and when `prepare_sleep` stores ASLEEP without the comparison, loom reports a
/// deadlock.
#[test]
fn model_of_a_request_against_a_sleep() {
    loom::model(|| {
        let posts = Arc::new(Posts::new(1));
        let askers = [0, 1].map(|_| {
            let posts = posts.clone();
            thread::spawn(move || {
                let asked = posts.ask_first(1, || Request::Stop);
                assert_eq!(asked, [0], "the worker goes on until it has both");
            })
        });
        let mut requests = 0;
        serve(&posts, 0, |mail| {
            assert!(asked_to_stop(&mail));
            requests += 1;
            if requests < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        askers.into_iter().for_each(|asker| asker.join().unwrap());
    });
}

/// A request beside a wake-up: the knock is not lost when a task is pushed on top of it.
///
/// Seen to fail: when `push` does not keep the knock, loom reports a deadlock.
#[test]
fn model_of_a_request_beside_a_wake_up() {
    loom::model(|| {
        let task = task_numbered(&Slab::default(), 0);
        let posts = Arc::new(Posts::new(1));
        let waker = thread::spawn({
            let (posts, task) = (posts.clone(), task.clone());
            move || {
                let Sample(task) = { task };
                // SAFETY: the task is in no inbox, and no other thread knows it.
                unsafe { posts.all()[0].notify(task, Notice::Unparked) };
            }
        });
        let asker = thread::spawn({
            let posts = posts.clone();
            move || assert_eq!(posts.ask_first(1, || Request::Stop), [0])
        });
        let (mut woken, mut stopped) = (false, false);
        serve(&posts, 0, |mail| {
            stopped |= asked_to_stop(&mail);
            woken |= matches!(mail, Mail::Notice(woken, Notice::Unparked) if woken == task.0);
            if woken && stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        waker.join().unwrap();
        asker.join().unwrap();
    });
}

/// All workers are asked to stop. The first one wakes a task of the second as soon as it has been
/// asked: the second finds that it has been asked too.
///
/// Seen to fail: when `ask_first` asks one worker after the other; when it knocks after it has
/// closed the slots.
#[test]
fn model_of_a_request_to_all_and_what_it_sets_off() {
    loom::model(|| {
        let task = task_numbered(&Slab::default(), 0);
        let posts = Arc::new(Posts::new(2));
        let first = thread::spawn({
            let posts = posts.clone();
            move || {
                serve(&posts, 0, |mail| {
                    assert!(asked_to_stop(&mail));
                    let Sample(task) = task.clone();
                    // SAFETY: the task is in no inbox, and no other thread knows it.
                    unsafe { posts.all()[1].notify(task, Notice::Unparked) };
                    ControlFlow::Break(())
                });
            }
        });
        let second = thread::spawn({
            let posts = posts.clone();
            move || {
                let driver = Driver::new(false, Instant::now());
                let post = PostOwner::claim(posts, 1, &driver);
                let (mut woken, mut stopped) = (false, false);
                while !woken {
                    post.sleep(&driver, None, None, || false, None::<fn()>);
                    post.read(|mail| {
                        stopped |= asked_to_stop(&mail);
                        woken |= matches!(mail, Mail::Notice(..));
                    });
                }
                assert!(stopped, "the task goes on as if there were no end");
            }
        });
        posts.ask_first(2, || Request::Stop);
        first.join().unwrap();
        second.join().unwrap();
    });
}

/// A worker ends while it is asked for something: it does so, or the request is given back.
///
/// Seen to fail: when `close` does not look whether something is in the mailbox.
#[test]
fn model_of_a_request_against_the_end() {
    loom::model(|| {
        let posts = Arc::new(Posts::new(1));
        let asker = thread::spawn({
            let posts = posts.clone();
            move || posts.ask_first(1, || Request::Stop) == [0]
        });
        let driver = Driver::new(false, Instant::now());
        let post = PostOwner::claim(posts, 0, &driver);
        let mut asked = false;
        loop {
            post.read(|mail| asked |= asked_to_stop(&mail));
            if post.close() {
                break;
            }
        }
        assert_eq!(asker.join().unwrap(), asked);
    });
}

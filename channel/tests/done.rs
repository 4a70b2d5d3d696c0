//! The end of a task as an arm of a select.
#![cfg(not(lisle_loom))]

mod support;

use std::thread;
use std::time::Duration;

use lisle_channel::{Done, RecvTimeoutError, TryRecvError, after, bounded, select};
use lisle_scheduler::{
    JoinHandle, Runtime, block_on, scope, sleep, spawn, spawn_local, try_scope, yield_now,
};
use support::{LONG, on_one_worker, on_workers};

/// Waits for the end of a task in a select, as long as a test may take.
fn await_end(task: &impl Done) {
    select! {
        recv(task.done()) -> nothing => assert!(nothing.is_err()),
        recv(after(LONG)) -> _ => panic!("the end was not shown"),
    }
}

/// A task that goes on until the sender is used or dropped.
fn waiting() -> (lisle_channel::Sender<u32>, JoinHandle<u32>) {
    let (sender, receiver) = bounded(0);
    (sender, spawn(move || receiver.recv().unwrap()))
}

#[test]
fn a_select_waits_for_the_end_of_a_task_however_it_ends() {
    for workers in [1, 2, 4] {
        on_workers(workers, || {
            let (sender, task) = waiting();
            assert_eq!(task.done().try_recv(), Err(TryRecvError::Empty));
            sender.send(42).unwrap();
            await_end(&task);
            assert!(task.is_finished());
            assert_eq!(task.join().unwrap(), 42);

            let (sender, task) = waiting();
            drop(sender);
            await_end(&task); // by a panic
            assert!(task.join().is_err());

            let (_sender, task) = waiting();
            let done = task.done().clone();
            task.cancel();
            assert!(done.recv().is_err());
            await_end(&task);
            assert!(task.join().is_err());

            let (_sender, fresh) = waiting();
            fresh.cancel(); // most likely before it begins
            await_end(&fresh);
        });
    }
}

#[test]
fn each_call_gives_the_same_receiver_and_an_end_is_shown_late_too() {
    on_one_worker(|| {
        let task = spawn_local(|| ());
        yield_now();
        assert!(task.is_finished());
        assert_eq!(task.done().try_recv(), Err(TryRecvError::Disconnected));
        let (sender, task) = waiting();
        assert!(task.done().same_channel(task.done()));
        sender.send(1).unwrap();
        await_end(&task);
        await_end(&task);
        assert_eq!(task.join().unwrap(), 1);
    });
}

#[test]
fn a_task_whose_end_is_shown_is_joined_as_any_other() {
    for workers in [1, 2] {
        on_workers(workers, || {
            let (sender, task) = waiting();
            let done = task.done().clone();
            let Err(task) = task.join_timeout(Duration::ZERO) else { panic!("it waits") };
            assert_eq!(done.recv_timeout(Duration::ZERO), Err(RecvTimeoutError::Timeout));
            let sending = spawn(move || sender.send(2).unwrap());
            assert_eq!(task.join().unwrap(), 2);
            assert!(done.recv().is_err());
            sending.join().unwrap();

            let (sender, task) = waiting();
            let done = task.done().clone();
            let sending = spawn(move || sender.send(3).unwrap());
            assert_eq!(block_on(async { task.await.unwrap() }), 3);
            assert!(done.recv().is_err());
            sending.join().unwrap();

            // A future that is dropped before its end.
            let (sender, task) = waiting();
            let done = task.done().clone();
            let mut future = Box::pin(task.into_future());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(future.as_mut().poll(&mut context).is_pending());
            drop(future);
            assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
            sender.send(4).unwrap();
            assert!(done.recv().is_err());
        });
    }
}

#[test]
fn the_end_of_a_task_is_shown_after_its_handle_has_gone() {
    for workers in [1, 2] {
        on_workers(workers, || {
            let (sender, task) = waiting();
            let (done, stop) = (task.done().clone(), task.cancel_handle());
            drop(task);
            yield_now();
            assert_eq!(done.try_recv(), Err(TryRecvError::Empty), "the task goes on");
            sender.send(5).unwrap();
            assert!(done.recv().is_err(), "although something else keeps what is left of it");
            assert!(stop.is_finished());
        });
    }
}

#[test]
fn guards_and_tasks_of_scopes_show_their_ends() {
    on_workers(2, || {
        let (_sender, task) = waiting();
        let guard = task.cancel_on_drop();
        let done = guard.done().clone();
        drop(guard);
        assert!(done.recv().is_err());

        let mut outside = None;
        scope(|s| {
            let task = s.spawn(|| 6);
            await_end(&task);
            assert_eq!(task.join().unwrap(), 6);
            let dropped = s.spawn(yield_now);
            outside = Some(dropped.done().clone());
        });
        assert!(outside.unwrap().try_recv() == Err(TryRecvError::Disconnected));
        let outcome = try_scope(|s| {
            let task = s.spawn(|| Ok::<_, ()>(7));
            await_end(&task);
            Ok(task.join().unwrap())
        });
        assert_eq!(outcome, Ok(7));
    });
}

#[test]
fn a_plain_thread_waits_for_the_end_of_a_task() {
    let runtime = Runtime::builder().workers(1).start().unwrap();
    let (sender, receiver) = bounded::<u32>(0);
    let task = runtime.spawn(move || receiver.recv().unwrap());
    thread::scope(|threads| {
        threads.spawn(|| await_end(&task));
        threads.spawn(|| await_end(&task));
        sender.send(8).unwrap();
    });
    assert_eq!(task.join().unwrap(), 8);

    let sleeper = runtime.spawn(|| sleep(LONG));
    let done = sleeper.done().clone();
    assert_eq!(done.try_recv(), Err(TryRecvError::Empty));
    drop(runtime);
    assert_eq!(done.try_recv(), Err(TryRecvError::Disconnected));
    assert!(sleeper.join().is_err());
}

/// The end comes at any moment of `done`, and of what is done with the handle afterwards.
#[test]
fn no_end_is_missed() {
    let runtime = Runtime::builder().workers(2).start().unwrap();
    for round in 0..2_000_u32 {
        let task = runtime.spawn(move || round);
        for _ in 0..round % 50 {
            std::hint::spin_loop();
        }
        let done = task.done().clone();
        match round % 4 {
            0 => assert_eq!(task.join().unwrap(), round),
            1 => drop(task),
            2 => await_end(&task),
            _ => drop(task.join_timeout(Duration::ZERO)),
        }
        assert_eq!(done.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
    }
}

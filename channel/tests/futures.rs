//! The ends of a channel for `async` code, among tasks and threads: which of them is woken and
//! served, and that nothing is lost with a future that is dropped.
#![cfg(not(lisle_loom))]

#[path = "../../scheduler/tests/support/polled.rs"]
mod polled;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use lisle::block_on;
use lisle::channel::{
    Receiver, RecvError, Select, SendError, Sender, TryRecvError, TrySendError, after, bounded,
    never, select, tick, unbounded,
};
use polled::{Calls, is_pending, poll};

fn channels() -> [(Sender<u32>, Receiver<u32>); 3] {
    [bounded(0), bounded(1), unbounded()]
}

/// Runs `body` on a plain thread, and as a task.
fn everywhere(body: fn()) {
    body();
    lisle::run(body);
}

#[test]
fn futures_meet_at_a_channel_of_any_kind() {
    everywhere(|| {
        for (sender, receiver) in channels() {
            let sending = thread::spawn(move || {
                block_on(async move {
                    for n in 0..100 {
                        sender.send_async(n).await.unwrap();
                    }
                });
            });
            block_on(async {
                for n in 0..100 {
                    assert_eq!(receiver.recv_async().await, Ok(n));
                }
                assert_eq!(receiver.recv_async().await, Err(RecvError));
            });
            sending.join().unwrap();
        }
    });
}

#[test]
fn futures_meet_tasks_and_threads() {
    lisle::run(|| {
        for (sender, receiver) in channels() {
            let (back, answers) = bounded(0);
            let task = lisle::spawn(move || receiver.iter().for_each(|n| back.send(n).unwrap()));
            block_on(async {
                for n in 0..100 {
                    sender.send_async(n).await.unwrap();
                    assert_eq!(answers.recv_async().await, Ok(n));
                }
                drop(sender);
                assert_eq!(answers.recv_async().await, Err(RecvError));
            });
            task.join().unwrap();
        }
    });
}

#[test]
fn one_future_is_woken_for_a_message_and_keeps_its_turn() {
    for (sender, receiver) in channels().into_iter().skip(1) {
        let ((first, first_waker), (second, second_waker)) = (Calls::new(), Calls::new());
        let (mut one, mut two) = (receiver.recv_async(), receiver.recv_async());
        assert!(poll(&mut one, &first_waker).is_pending());
        assert!(poll(&mut two, &second_waker).is_pending());
        sender.try_send(1).unwrap();
        assert_eq!((first.take(), second.take()), (1, 0));
        assert!(poll(&mut two, &second_waker).is_pending(), "it was not woken");
        assert_eq!(receiver.try_recv(), Ok(1), "another party is faster");
        assert!(poll(&mut one, &first_waker).is_pending());
        sender.send(2).unwrap();
        assert_eq!((first.take(), second.take()), (1, 0), "it has kept its turn");
        assert_eq!(poll(&mut one, &first_waker), Poll::Ready(Ok(2)));
        sender.send(3).unwrap();
        assert_eq!(second.take(), 1);
        assert_eq!(poll(&mut two, &second_waker), Poll::Ready(Ok(3)));
    }
}

#[test]
fn a_woken_future_that_is_dropped_wakes_the_next() {
    for (sender, receiver) in channels().into_iter().skip(1) {
        let (calls, waker) = Calls::new();
        let mut futures: Vec<_> = (0..3).map(|_| receiver.recv_async()).collect();
        assert!(futures.iter_mut().all(|future| poll(future, &waker).is_pending()));
        sender.send(1).unwrap();
        assert_eq!(calls.take(), 1);
        drop(futures.remove(0));
        assert_eq!(calls.take(), 1);
        assert_eq!(poll(&mut futures[0], &waker), Poll::Ready(Ok(1)));
        sender.send(2).unwrap();
        assert_eq!(receiver.try_recv(), Ok(2));
        drop(futures);
        assert_eq!(calls.take(), 1, "there was nothing to pass on");
        sender.send(3).unwrap();
        assert_eq!((calls.take(), receiver.try_recv()), (0, Ok(3)), "nobody waits any more");
    }
}

#[test]
fn a_waiting_future_that_is_dropped_leaves_no_trace() {
    for (sender, receiver) in channels() {
        let (calls, waker) = Calls::new();
        let mut gone = receiver.recv_async();
        let mut stays = receiver.recv_async();
        assert!(poll(&mut gone, &waker).is_pending() && poll(&mut stays, &waker).is_pending());
        drop(gone);
        let mut send = sender.send_async(7);
        let _ = poll(&mut send, Waker::noop());
        assert_eq!(calls.take(), 1);
        assert_eq!(poll(&mut stays, &waker), Poll::Ready(Ok(7)));
    }
}

#[test]
fn a_task_that_waits_behind_futures_is_served_and_they_wait_on() {
    let one_worker = lisle::Runtime::builder().workers(1);
    let outcome = one_worker.run(|| {
        for (sender, receiver) in channels() {
            let (calls, waker) = Calls::new();
            let mut future = receiver.recv_async();
            assert!(poll(&mut future, &waker).is_pending());
            let theirs = receiver.clone();
            let tasks = [(); 2].map(|()| {
                let theirs = theirs.clone();
                lisle::spawn(move || theirs.recv().unwrap())
            });
            lisle::yield_now();
            sender.send(1).unwrap();
            sender.try_send(2).unwrap();
            assert_eq!(tasks.map(|task| task.join().unwrap()), [1, 2]);
            assert_eq!(calls.take(), 0);
            drop((sender, theirs));
            assert_eq!(calls.take(), 1);
            assert_eq!(poll(&mut future, &waker), Poll::Ready(Err(RecvError)));
        }
    });
    outcome.unwrap();
}

#[test]
fn a_message_is_not_lost_with_its_sender() {
    let (sender, receiver) = bounded(1);
    sender.send(1).unwrap();
    let (calls, waker) = Calls::new();
    let (mut two, mut three) = (sender.send_async(2), sender.send_async(3));
    assert!(poll(&mut two, &waker).is_pending() && poll(&mut three, &waker).is_pending());
    assert_eq!((receiver.recv(), calls.take()), (Ok(1), 1));
    drop(two); // it was sent
    drop(three); // it was not
    assert_eq!(receiver.recv(), Ok(2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(sender.try_send(4).is_ok());
}

#[test]
fn messages_are_dropped_once() {
    let message = Arc::new(());
    let (sender, receiver) = bounded(0);
    let mut send = sender.send_async(message.clone());
    assert!(is_pending(&mut send));
    drop(send);
    assert_eq!(Arc::strong_count(&message), 1);
    let mut send = sender.send_async(message.clone());
    assert!(is_pending(&mut send));
    drop(receiver);
    let Poll::Ready(Err(SendError(back))) = poll(&mut send, Waker::noop()) else { panic!() };
    drop((back, send, sender.send_async(message.clone())));
    assert_eq!(Arc::strong_count(&message), 1);
}

#[test]
fn the_end_of_the_other_side_wakes_all() {
    for (sender, receiver) in channels() {
        let (calls, waker) = Calls::new();
        let mut futures: Vec<_> = (0..5).map(|_| receiver.recv_async()).collect();
        assert!(futures.iter_mut().all(|future| poll(future, &waker).is_pending()));
        drop(sender);
        assert_eq!(calls.take(), 5);
        for future in &mut futures {
            assert_eq!(poll(future, &waker), Poll::Ready(Err(RecvError)));
        }
    }
    let (sender, receiver) = bounded(0);
    let (calls, waker) = Calls::new();
    let mut sends: Vec<_> = (0..5).map(|n| sender.send_async(n)).collect();
    assert!(sends.iter_mut().all(|send| poll(send, &waker).is_pending()));
    drop(receiver);
    assert_eq!(calls.take(), 5);
    for (n, send) in sends.iter_mut().enumerate() {
        assert_eq!(poll(send, &waker), Poll::Ready(Err(SendError(n))));
    }
}

#[test]
fn the_waker_of_the_last_poll_is_called() {
    let (sender, receiver) = bounded(0);
    let ((old, old_waker), (new, new_waker)) = (Calls::new(), Calls::new());
    let mut future = receiver.recv_async();
    assert!(poll(&mut future, &old_waker).is_pending());
    assert!(poll(&mut future, &new_waker).is_pending());
    assert_eq!(Arc::strong_count(&old), 2, "it was let go");
    let mut send = sender.send_async(1);
    assert!(poll(&mut send, &old_waker).is_pending());
    assert_eq!((old.take(), new.take()), (0, 1));
    assert!(poll(&mut send, &new_waker).is_pending());
    assert_eq!(poll(&mut future, &new_waker), Poll::Ready(Ok(1)));
    assert_eq!((old.take(), new.take()), (0, 1));
    assert_eq!(poll(&mut send, &new_waker), Poll::Ready(Ok(())));
}

#[test]
fn a_rendezvous_does_not_find_a_future_by_trying() {
    let (sender, receiver) = bounded(0);
    let mut future = receiver.recv_async();
    assert!(is_pending(&mut future));
    assert_eq!(sender.try_send(1), Err(TrySendError::Full(1)));
    let mut watch = Select::new();
    watch.send(&sender);
    assert!(watch.try_ready().is_err());
    let mut send = sender.send_async(2);
    assert!(is_pending(&mut send));
    assert_eq!(receiver.try_recv(), Ok(2), "but a future that sends is found");
}

#[test]
fn selects_meet_futures() {
    lisle::run(|| {
        for ((to, receiver), (sender, from)) in channels().into_iter().zip(channels()) {
            let (_nobody, nothing) = unbounded::<()>();
            let task = lisle::spawn(move || {
                for n in 0..50 {
                    select! {
                        send(to, n) -> sent => sent.unwrap(),
                        recv(nothing) -> _ => unreachable!(),
                    }
                }
                for n in 50..100 {
                    select! {
                        recv(from) -> got => assert_eq!(got, Ok(n)),
                        recv(nothing) -> _ => unreachable!(),
                    }
                }
            });
            block_on(async {
                for n in 0..50 {
                    assert_eq!(receiver.recv_async().await, Ok(n));
                }
                for n in 50..100 {
                    sender.send_async(n).await.unwrap();
                }
            });
            task.join().unwrap();
        }
    });
}

#[test]
fn a_waker_that_panics_disturbs_nobody() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("of a waker");
        }
    }
    lisle::run(|| {
        let (sender, receiver) = bounded(0);
        let mut future = receiver.recv_async();
        assert!(poll(&mut future, &Arc::new(Bad).into()).is_pending());
        let task = lisle::spawn(move || sender.send(3).unwrap());
        while receiver.is_empty() && is_pending(&mut future) {
            lisle::yield_now();
        }
        task.join().unwrap();
    });
}

#[test]
fn the_clock_wakes_futures() {
    everywhere(|| {
        let start = Instant::now();
        assert!(block_on(after(Duration::from_millis(2)).recv_async()).is_ok());
        assert!(start.elapsed() >= Duration::from_millis(2));
        let ticks = tick(Duration::from_millis(1));
        block_on(async {
            for _ in 0..3 {
                ticks.recv_async().await.unwrap();
            }
        });
        assert!(start.elapsed() >= Duration::from_millis(5));
        let limited = || block_on(never::<()>().recv_async());
        assert!(lisle::timeout(Duration::from_millis(1), limited).is_err());
    });
}

#[test]
fn an_alarm_whose_runtime_ends_is_set_again() {
    let start = Instant::now();
    let clock = after(Duration::from_millis(20));
    let (calls, waker) = Calls::new();
    let mut future = clock.recv_async();
    lisle::run(|| assert!(poll(&mut future, &waker).is_pending()));
    assert_eq!(calls.take(), 1, "the task that slept was cancelled");
    assert!(block_on(future).is_ok());
    assert!(start.elapsed() >= Duration::from_millis(20));
}

#[test]
fn a_stream_ends_with_its_channel() {
    let (sender, receiver) = unbounded();
    let mut stream = receiver.stream();
    let mut next = |waker: &Waker| Pin::new(&mut stream).poll_next(&mut Context::from_waker(waker));
    let (calls, waker) = Calls::new();
    assert!(next(&waker).is_pending());
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    assert_eq!(calls.take(), 1);
    assert_eq!([next(&waker), next(&waker)], [1, 2].map(|n| Poll::Ready(Some(n))));
    assert!(next(&waker).is_pending());
    drop(sender);
    assert_eq!([next(&waker), next(&waker)], [Poll::Ready(None); 2]);
    assert!(stream.is_terminated());
}

/// Polls a future a few times at most.
async fn impatient<F: Future + Unpin>(mut future: F, mut polls: u32) -> Option<F::Output> {
    poll_fn(|context| match Pin::new(&mut future).poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if polls == 0 => Poll::Ready(None),
        Poll::Pending => {
            polls -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await
}

/// Parties of all kinds send and receive; many futures are dropped while they wait or when they
/// were woken. What was sent is received, each message once.
#[test]
fn nothing_is_lost_among_futures_that_are_dropped() {
    const MESSAGES: u32 = if cfg!(debug_assertions) { 300 } else { 2000 };
    for workers in [1, 2, 4] {
        for (sender, receiver) in channels() {
            let runtime = lisle::Runtime::builder().workers(workers);
            let (sent, received) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let done = AtomicBool::new(false);
            let counts = |count: &AtomicUsize| count.fetch_add(1, SeqCst);
            let impatient_receiver = |receiver: Receiver<u32>| {
                block_on(async {
                    for n in 0.. {
                        match impatient(receiver.recv_async(), n % 3).await {
                            Some(Ok(_)) => _ = counts(&received),
                            Some(Err(RecvError)) => break,
                            None if done.load(SeqCst) => break,
                            None => {}
                        }
                    }
                });
            };
            let patient_receiver = |receiver: Receiver<u32>| {
                block_on(async {
                    while receiver.recv_async().await.is_ok() {
                        counts(&received);
                    }
                });
            };
            let receiving_task =
                |receiver: Receiver<u32>| receiver.iter().for_each(|_| _ = counts(&received));
            let async_sender = |sender: Sender<u32>| {
                block_on(async {
                    for n in 0..MESSAGES {
                        // Unfinished, it was either received or not: that is counted below.
                        if n % 2 == 0 {
                            sender.send_async(n).await.unwrap();
                            counts(&sent);
                        } else if impatient(sender.send_async(n), n % 5).await.is_some() {
                            counts(&sent);
                        }
                    }
                });
            };
            let sending_task = |sender: Sender<u32>| {
                for n in 0..MESSAGES {
                    sender.send(n).unwrap();
                    counts(&sent);
                }
            };
            let outcome = runtime.run(|| {
                thread::scope(|threads| {
                    let (theirs, tx) = (receiver.clone(), sender.clone());
                    threads.spawn(|| patient_receiver(theirs));
                    threads.spawn(|| sending_task(tx));
                    lisle::scope(|tasks| {
                        for _ in 0..2 {
                            let (one, two) = (receiver.clone(), receiver.clone());
                            tasks.spawn(|| impatient_receiver(one));
                            tasks.spawn(|| patient_receiver(two));
                        }
                        let theirs = receiver.clone();
                        tasks.spawn(|| receiving_task(theirs));
                        let (tx, ty) = (sender.clone(), sender.clone());
                        tasks.spawn(|| async_sender(tx));
                        tasks.spawn(|| sending_task(ty));
                        drop((sender, receiver));
                    });
                    done.store(true, SeqCst);
                });
            });
            outcome.unwrap();
            let (sent, received) = (sent.into_inner(), received.into_inner());
            // A send that was dropped may have been received: those are odd ones, uncounted.
            assert!(received >= sent, "{sent} sent, {received} received");
            let undecided = (MESSAGES / 2) as usize;
            assert!(received <= sent + undecided, "{sent} sent, {received} received");
        }
    }
}
